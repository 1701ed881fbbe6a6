"""What is handed out of the log: receipts, releases and consistency proofs, as documents of JSON.

Each says its format and stands alone: `registry/verify_log.py` checks it with nothing but the log's public
key. They are written canonically, so that no byte of them can be changed without being noticed.
"""

import base64
import json
from typing import Final

from sqlalchemy import Connection, func, select

from registry import log
from registry.canonical import Json, JsonValue, canonical
from registry.checkpoint import parse_note
from registry.errors import NotFound, RegistryDamaged
from registry.tables import checkpoint, name, reference, rule, subject
from registry.types import LogProof

RECEIPT: Final = "countermark-receipt/1"
RELEASE: Final = "countermark-release/1"
CONSISTENCY: Final = "countermark-consistency/1"
_RELEASE_LABEL: Final = b"org.countermark.release\x00"
_JSON_BOX: Final = b"json"


def document(proof: LogProof) -> Json:
    """Return a receipt: the entry, its way to a signed checkpoint, and what the proof opens of it."""
    opened: JsonValue = None
    if proof.opened is not None:
        opened = {"salt": proof.opened.salt.hex(), "private": proof.opened.private}
    return {
        "format": RECEIPT,
        "entry": proof.entry.decode(),
        "proof": {
            "sequence": proof.seq, "leaf_hash": proof.leaf_hash.hex(),
            "path": [node.hex() for node in proof.path], "tree_size": proof.tree_size,
            "root": proof.root.hex(),
        },
        "checkpoint": proof.note,
        "opened": opened,
    }  # fmt: skip


def receipt(conn: Connection, seq: int, *, opened: bool) -> Json:
    """Return the receipt of an entry; ``opened`` only for whoever its private part belongs to."""
    return document(log.prove(conn, seq, opened=opened))


def of_rule(conn: Connection, rule_id: str, *, removed: bool = False) -> Json:
    """Return the receipt of a rule or licence, or of its being taken back, for whoever did that."""
    row = conn.execute(select(rule.c.log_seq, rule.c.removed_seq).where(rule.c.id == rule_id)).first()
    seq = None if row is None else row.removed_seq if removed else row.log_seq
    if seq is None:
        raise NotFound(f"There is no {'revoked ' if removed else ''}rule or licence {rule_id[:40]!r}.")
    return receipt(conn, int(seq), opened=True)


def of_subject(conn: Connection, subject_id: str) -> Json:
    """Return the receipt of the last act that added names or pictures to a subject, for whoever did that.

    Never of what others did about it later, such as a verified party or a quarantine: why is theirs.
    """
    made = select(subject.c.log_seq).where(subject.c.id == subject_id)
    added = [select(part.c.log_seq).where(part.c.subject_id == subject_id) for part in (name, reference)]
    seq = conn.execute(select(func.max(made.union_all(*added).subquery().c.log_seq))).scalar()
    if seq is None:
        raise NotFound(f"There is no subject {subject_id[:40]!r}.")
    return receipt(conn, int(seq), opened=True)


def of_release(conn: Connection, log_seq: int, manifest: bytes) -> Json:
    """Return a release: its entry's receipt, its manifest, and the proof that this log extends the
    checkpoint that the manifest names.
    """
    proof = log.prove(conn, log_seq)
    told = assertion(manifest)
    size = _checkpoint_size(told)
    path = [] if size is None else log.prove_extends(conn, size, proof.tree_size)
    return {
        "format": RELEASE, "receipt": document(proof), "manifest": base64.b64encode(manifest).decode(),
        "assertion": told, "path": [step.hex() for step in path],
    }  # fmt: skip


def consistency(conn: Connection, old: int, new: int) -> Json:
    """Return the proof that the checkpoint of ``new`` entries extends the one of ``old``."""
    query = select(checkpoint.c.tree_size, checkpoint.c.note).where(checkpoint.c.tree_size.in_([old, new]))
    notes = {row.tree_size: row.note for row in conn.execute(query)}
    for size in (old, new):
        if size not in notes:
            raise NotFound(f"No checkpoint has {size} entries; see: countermark log checkpoint --all.")
    path = log.prove_extends(conn, old, new)
    return {
        "format": CONSISTENCY, "old": notes[old], "new": notes[new], "path": [step.hex() for step in path],
    }  # fmt: skip


def written(told: Json) -> bytes:
    """Return a document as it is written to a file: the one way, without a line's end."""
    return canonical(told)


def assertion(manifest: bytes) -> str:
    """Return the text of our own assertion in a manifest, as it was signed."""
    label = manifest.find(_RELEASE_LABEL)
    box = manifest.find(_JSON_BOX, label)
    if label < 0 or box < 4:
        raise RegistryDamaged("The stored manifest has no assertion of ours; restore a backup.")
    size = int.from_bytes(manifest[box - 4 : box])
    return manifest[box + 4 : box - 4 + size].decode()


def _checkpoint_size(told: str) -> int | None:
    lines = (json.loads(told).get("log") or {}).get("checkpoint")
    return parse_note("\n".join([*lines, ""])).size if lines else None
