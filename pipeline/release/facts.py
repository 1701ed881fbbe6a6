"""What is told of a release beside its files, made of what its job's steps recorded."""

from typing import Any, Final

from sqlalchemy import Engine

from pipeline.release.inbound import salted
from pipeline.texts import Texts
from pipeline.types import Json
from registry import log
from registry.checkpoint import parse_note
from registry.db import read
from registry.types import Job

MARK_MISSED: Final = "hidden_mark_missed"
TESTER: Final = "tester_key"


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


def asserted(decision: dict[str, Any]) -> Json:
    """What the manifest says of the decision by which a clip left."""
    return {
        "policy": decision["policy"], "policy_version": decision["policy_version"],
        "checks": decision["checks"], "checked_seq": decision["registry_seq"], **owed(decision),
    }  # fmt: skip


def stored(
    job: Job, texts: Texts, origin: dict[str, Any], decision: dict[str, Any], inbound: dict[str, Any]
) -> Json:
    """What is stored beside a release, for the registry's eyes only."""
    inputs: dict[str, Any] = job.inputs
    facts: Json = {
        **texts.facts(), "account": inputs["account"], "key": inputs["key"], "policy": inputs["policy"],
        "source_sha256": origin["sha256"], "job": job.id, "use": inputs.get("use", {}),
        "rulings": decision.get("rulings", []), **owed(decision),
        **({"opinions": decision["opinions"]} if decision.get("opinions") else {}),
    }  # fmt: skip
    if inbound:
        facts["inbound"] = [
            {name: value for name, value in row.items() if name != "archive"} for row in inbound["files"]
        ]
    if "generator" in origin:
        facts |= {
            "generator": origin["generator"], "seed": inputs.get("seed"), "prompt_salt": origin["salt"],
            "prompt_digest": salted(origin["salt"], texts.prompt or ""),
        }  # fmt: skip
    return facts


def missed() -> Json:
    """The reason of a hold where the hidden mark cannot be read back."""
    detail = (
        "The hidden mark could not be read from the encoded clip, also at full strength; use a longer clip."
    )
    return {"code": MARK_MISSED, "check": "hidden_mark", "detail": detail}


def never_published() -> Json:
    """The reason why what a tester asked for does not leave, whatever the checks say."""
    detail = "It was asked with a tester's key: the whole chain was run, and nothing of it is published."
    return {"code": TESTER, "check": "api_key", "detail": detail}
