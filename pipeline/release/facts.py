"""What is told of a release beside its files, made of what its job's steps recorded."""

from typing import Any, Final

from sqlalchemy import Engine

from pipeline.types import Json
from registry import log
from registry.checkpoint import parse_note
from registry.db import read
from registry.types import Parent

MARK_MISSED: Final = "hidden_mark_missed"


def checked_against(engine: Engine, origin: str, seq: int) -> Json:
    """The log's checkpoint that covers position `seq`, as the manifest tells it.

    It is the smallest one, so the same whenever it is asked for. Lines, since readers of credentials clean
    text; null while the log is empty.
    """
    with read(engine) as conn:
        note = log.covering(conn, seq)
    if note is None:
        return {"origin": origin, "tree_size": 0, "checkpoint": None}
    told = parse_note(note)
    return {"origin": told.origin, "tree_size": told.size, "checkpoint": [*note.split("\n")[:-1]]}


def owed(decision: dict[str, Any]) -> Json:
    """What a release names because of the rules that let it leave: permissions and lines of credit."""
    rulings = decision.get("rulings", [])
    told: Json = {
        "permissions": sorted({ruled["permission"] for ruled in rulings} - {""}),
        "credits": sorted({ruled["credit"] for ruled in rulings} - {""}),
    }
    return {name: listed for name, listed in told.items() if listed}


def parents_of(origin: dict[str, Any]) -> tuple[Parent, ...]:
    """The releases of ours that a clip was made from."""
    made_from = origin.get("made_from")  # none in jobs that an older version began
    return (Parent(release=made_from, relation="guard", evidence="credential"),) if made_from else ()


def missed() -> Json:
    """The reason of a hold where the hidden mark cannot be read back."""
    detail = (
        "The hidden mark could not be read from the encoded clip, also at full strength; use a longer clip."
    )
    return {"code": MARK_MISSED, "check": "hidden_mark", "detail": detail}
