"""Whether the log holds a release: its entry, where that stands in the tree, our signature of the tree."""

import hashlib
import json

from pipeline.keyring import LogKey
from registry import checkpoint, merkle
from registry.lookup import Lookup
from registry.types import FoundRelease, LogProof


def prove(lookup: Lookup, key: LogKey, release: FoundRelease) -> tuple[LogProof | None, bool]:
    """The entry is about this release, it is in the tree, and our log key signed the tree.

    None where no checkpoint covers it yet. Raises: ProofInvalid, RegistryError.
    """
    proof = lookup.prove(release.log_seq)
    if proof is None:
        return None, False
    note = checkpoint.open_note(
        proof.note, origin=key.origin, name=key.name,
        key_id=checkpoint.ed25519_key_id(key.name, key.public), verify=key.verify,
    )  # fmt: skip
    leaf = merkle.leaf_hash(proof.entry)
    merkle.verify_inclusion(leaf, proof.seq - 1, note.size, proof.path, note.root)
    return proof, _is_about(proof.entry, release)


def _is_about(entry: bytes, release: FoundRelease) -> bool:
    """Whether a log entry's public part names this very release, file, manifest, fingerprint and payload."""
    public = json.loads(entry).get("public", {})
    wanted = {
        "release": release.release_id, "payload": release.payload, "urn": release.urn,
        "file_sha256": release.file_sha256, "manifest_sha256": release.manifest_sha256,
        "fingerprint_sha256": _digest(release),
    }  # fmt: skip
    return all(public.get(name) == value for name, value in wanted.items())


def knows_fingerprint(proof: LogProof, release: FoundRelease) -> bool:
    """Whether the registry's fingerprint of the release is still the one that the log was told."""
    told: object = json.loads(proof.entry).get("public", {}).get("fingerprint_sha256")
    return told == _digest(release)


def _digest(release: FoundRelease) -> str:
    return hashlib.sha256(release.fingerprint).hexdigest()
