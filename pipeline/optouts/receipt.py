"""What a rights holder gets back: since when, under which number, and a proof that anybody can check."""

from dataclasses import dataclass

from pipeline.optouts.naming import NameTold
from pipeline.types import Json
from registry.types import LogProof, OptOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An opt-out, or its withdrawal, that is in force. ``new``: False where it said nothing that was not
    registered already; ``notes``: sentences about pictures that were left out or quarantined; ``names``: how
    each name was measured.
    """

    id: str
    sequence: int
    at: str
    name: str
    new: bool
    proof: LogProof
    notes: tuple[str, ...] = ()
    names: tuple[NameTold, ...] = ()

    def to_json(self) -> Json:
        """The receipt as commands and routes give it; the log entry, its proof and the signed checkpoint."""
        proof = self.proof
        return {
            "id": self.id, "sequence": self.sequence, "at": self.at, "name": self.name, "new": self.new,
            "notes": list(self.notes), "names": [name.to_json() for name in self.names],
            "receipt": {
                "entry": proof.entry.decode(),
                "proof": {
                    "sequence": proof.seq, "leaf_hash": proof.leaf_hash.hex(),
                    "path": [node.hex() for node in proof.path], "tree_size": proof.tree_size,
                    "root": proof.root.hex(),
                },
                "checkpoint": proof.note,
            },
        }  # fmt: skip


def receipt(
    made: OptOut, name: str, notes: tuple[str, ...] = (), names: tuple[NameTold, ...] = ()
) -> Receipt:
    """The receipt of what the registry wrote."""
    return Receipt(
        id=made.subject, sequence=made.seq, at=made.at, name=name, new=made.new, proof=made.proof,
        notes=notes, names=names,
    )  # fmt: skip
