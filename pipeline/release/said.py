"""What a release's own assertion says beside the decision: the log it was checked against, what is owed."""

from typing import Any

from sqlalchemy import Engine

from pipeline.types import Json
from registry import log
from registry.checkpoint import parse_note
from registry.db import read


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
    owed: Json = {
        "permissions": sorted({ruled["permission"] for ruled in rulings} - {""}),
        "credits": sorted({ruled["credit"] for ruled in rulings} - {""}),
    }
    return {name: listed for name, listed in owed.items() if listed}
