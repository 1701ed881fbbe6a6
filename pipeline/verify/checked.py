"""The checkpoint in a release's own credential: which state of the log the clip was checked against.

Whoever keeps the file keeps that checkpoint: a log that was rewritten since contradicts it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.keyring import LogKey
from pipeline.types import Json
from registry import merkle
from registry.checkpoint import Checkpoint, ed25519_key_id, open_note
from registry.errors import ProofInvalid
from registry.lookup import Lookup

LINES_MAX = 20


class CheckedState(StrEnum):
    """What is known of the checkpoint that a credential names."""

    NONE = "none"  # the credential names none: it is older, or the log was empty
    NOT_CHECKED = "not_checked"  # no log key here
    SIGNED = "signed"  # our log key signed it; there is no log here to compare it with
    CONSISTENT = "consistent"  # and the log here extends it
    CONTRADICTED = "contradicted"  # it is not ours, or the log here is another history


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The state, the position up to which the clip was checked, and the size of the log's tree then."""

    state: CheckedState
    seq: int | None = None
    tree_size: int | None = None

    def to_json(self) -> Json:
        """As a report tells it."""
        return {"state": str(self.state), "checked_seq": self.seq, "tree_size": self.tree_size}


def check(assertion: dict[str, Any] | None, key: LogKey | None, lookup: Lookup | None) -> Checked:
    """Check the checkpoint that our own assertion in a trusted credential names.

    1. It is signed by our log key. 2. It covers the position that the clip was checked at.
    3. The log at hand, if there is one, begins with its tree. Raises: RegistryError when that cannot be read.
    """
    told = assertion or {}
    named, seq = told.get("log"), told.get("checked_seq")
    lines = named.get("checkpoint") if isinstance(named, dict) else None
    if not isinstance(lines, list) or not isinstance(seq, int):
        return Checked(state=CheckedState.NONE)
    if key is None:
        return Checked(state=CheckedState.NOT_CHECKED, seq=seq)
    try:
        note = _open("\n".join([*map(str, lines[:LINES_MAX]), ""]), key)  # 1
        if not 0 <= seq <= note.size:  # 2
            raise ProofInvalid("The credential's checkpoint does not cover what it was checked at.")
        return _with_log(note, seq, key, lookup)  # 3
    except ProofInvalid:
        return Checked(state=CheckedState.CONTRADICTED, seq=seq)


def _with_log(note: Checkpoint, seq: int, key: LogKey, lookup: Lookup | None) -> Checked:
    signed = Checked(state=CheckedState.SIGNED, seq=seq, tree_size=note.size)
    if lookup is None:
        return signed
    proof = lookup.prove_extends(note.size)
    if proof is None:  # the log here is shorter, such as a backup: it says nothing about later entries
        return signed
    now = _open(proof.note, key)
    merkle.verify_consistency(note.size, now.size, proof.path, note.root, now.root)
    return Checked(state=CheckedState.CONSISTENT, seq=seq, tree_size=note.size)


def _open(note: str, key: LogKey) -> Checkpoint:
    return open_note(
        note, origin=key.origin, name=key.name, key_id=ed25519_key_id(key.name, key.public), verify=key.verify
    )
