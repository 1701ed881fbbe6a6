"""What a rights holder gets back: since when, under which number, and a proof that anybody can check."""

from dataclasses import dataclass

from pipeline.optouts.naming import NameTold
from pipeline.types import Json
from registry import receipts
from registry.types import LogProof, OptOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An opt-out, or its withdrawal, that is in force. ``new``: False where it said nothing that was not
    registered already; ``notes``: sentences about pictures that were left out or quarantined; ``names``: how
    each name was measured; ``claim``, ``standing`` and ``due_at``: of the claim behind it
    (`registry.types.OptOut`); a draft has no ``id`` and is not in force.
    """

    id: str
    sequence: int
    at: str
    name: str
    new: bool
    proof: LogProof
    notes: tuple[str, ...] = ()
    claim: str | None = None
    standing: str = "active"
    due_at: str | None = None
    names: tuple[NameTold, ...] = ()

    def to_json(self) -> Json:
        """The answer that commands and routes give, with the receipt (`registry.receipts`) in it."""
        return {
            "id": self.id, "sequence": self.sequence, "at": self.at, "name": self.name, "new": self.new,
            "notes": list(self.notes), "names": [name.to_json() for name in self.names],
            "claim": self.claim, "standing": self.standing, "due_at": self.due_at,
            "receipt": receipts.document(self.proof),
        }  # fmt: skip


def receipt(
    made: OptOut, name: str, notes: tuple[str, ...] = (), names: tuple[NameTold, ...] = ()
) -> Receipt:
    """The receipt of what the registry wrote."""
    return Receipt(
        id=made.subject, sequence=made.seq, at=made.at, name=name, new=made.new, proof=made.proof,
        notes=notes, names=names, claim=made.claim, standing=made.standing, due_at=made.due_at,
    )  # fmt: skip
