"""People who decide about a held clip ask the holders of what was found in it.

1. Who can be asked is the holder of a subject in force that a check compared with, once for each hold. What
   an unsafe category found is nobody's to allow.
2. The request is the one that the mode *ask* makes (`registry.permissions`): on the same page, with the same
   answers. A yes or silence gives the case back to people, a no refuses the job.
"""

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.previewing import CLIPS
from pipeline.texts import texts_of
from pipeline.types import Json
from pipeline.workbench import Workbench, note_signer
from registry import permissions, reviews, subjects
from registry.db import read
from registry.permissions import Permission, Request
from registry.types import Held

_NOBODY = "nothing was found here whose holder can be asked; release it or block it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """A subject whose holder can be asked; ``intents``: as what it was found."""

    subject: str
    name: str
    owner: str
    intents: tuple[str, ...]


def askable(bench: Workbench, hold: Held) -> list[Whom]:
    """Whose holders can be asked about a hold, and were not (1)."""
    with read(bench.engine) as conn:
        asked = {(one.subject_id, one.intent) for one in permissions.of_hold(conn, hold.id)}
    found: dict[str, list[str]] = {}
    for reason in hold.reasons:
        subject, intent = reason.evidence.get("subject"), reason.evidence.get("intent")
        if isinstance(subject, str) and isinstance(intent, str) and subject and intent:
            found.setdefault(subject, []).append(intent)
    listed = []
    for subject, intents in found.items():
        left = tuple(one for one in dict.fromkeys(intents) if (subject, one) not in asked)
        record = subjects.get(bench.engine, subject)
        if left and record is not None and record.state == "active":
            listed.append(Whom(subject=subject, name=record.name, owner=record.owner, intents=left))
    return listed


def demand_askable(bench: Workbench, hold: Held, wanted: Collection[str]) -> list[Whom]:
    """Those of `askable` that are wanted, all where none is named. Raises: UsageError."""
    listed = askable(bench, hold)
    unknown = set(wanted) - {one.subject for one in listed}
    if not listed or unknown:
        raise UsageError(_NOBODY if not listed else "there is no such subject to ask about; see `askable`")
    return [one for one in listed if not wanted or one.subject in wanted]


def were_asked(bench: Workbench, hold: Held, wanted: Collection[str]) -> bool:
    """Whether those who are wanted were asked before: all who can be, where none is named."""
    with read(bench.engine) as conn:
        asked = {one.subject_id for one in permissions.of_hold(conn, hold.id)}
    return bool(asked) and (asked >= set(wanted) if wanted else not askable(bench, hold))


def consult(bench: Workbench, hold: Held, wanted: Collection[str], by: str) -> list[Permission]:
    """Ask (2). Raises: UsageError, CaseClosed, CaseTaken, PermissionAnswered."""
    whom = demand_askable(bench, hold, wanted)
    inputs = bench.jobs.get(hold.job_id).inputs
    made = [bench.jobs.recorded(hold.job_id, step) for step in CLIPS]
    use = inputs.get("use")
    request = Request(
        account=str(inputs.get("account") or ""), days=bench.settings.ask_days,
        purpose=str(use.get("purpose", "")) if isinstance(use, dict) else "",
        prompt="\n".join(texts_of(inputs).all),
        preview=next((str(one["file"]) for one in made if isinstance(one, dict)), ""),
    )  # fmt: skip
    return reviews.ask_holders(
        bench.engine, hold.id, [(one.subject, intent) for one in whom for intent in one.intents], request,
        by=by, now=bench.clock(), sign_checkpoint=note_signer(bench.keyring),
    )  # fmt: skip


def told(bench: Workbench, hold: Held) -> Json:
    """What a case says of holders: who was asked and what they said, and who can be asked."""
    with read(bench.engine) as conn:
        asked = permissions.of_hold(conn, hold.id)
    return {
        "asked": [_told(bench, one) for one in asked],
        "askable": [
            {"subject": one.subject, "name": one.name, "owner": one.owner} for one in askable(bench, hold)
        ],
    }  # fmt: skip


def _told(bench: Workbench, one: Permission) -> Json:
    record = subjects.get(bench.engine, one.subject_id)
    return {
        "permission": one.id, "subject": one.subject_id, "name": "" if record is None else record.name,
        "owner": "" if record is None else record.owner, "state": one.state, "by": one.asked_by,
        "asked_at": one.asked_at, "due_at": one.due_at, "answered_at": one.answered_at, "answer": one.answer,
    }  # fmt: skip
