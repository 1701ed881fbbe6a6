"""What suddenly matches too much is quarantined: from then on it holds, and refuses nothing.

1. A job that ends held or refused says what was found, once for each job.
2. Over the last days, what was found must be in a named share of *all* jobs, in a least number of them, and
   for several accounts: one account cannot quarantine what stops it.
3. The share must have jumped: what always matched as much is what it is.
4. Names that say what they mean are asked for in fashions; theirs is a higher share.
5. The portrait of a person is never quarantined by itself, only reported. Nor is what an operator released,
   for a while.
Prompts that are judged without a job are not counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Engine

from pipeline import policy
from registry import hits
from registry import quarantine as quarantined
from registry.checkpoint import NoteSigner
from registry.db import read
from registry.drafts import normal
from registry.errors import NotFound
from registry.hits import Item, Traffic
from registry.quarantine import NAME, PICTURE, WORDS
from registry.subject_types import QuarantineDraft
from registry.subjects import get

PERSON: Final = "person"
_KINDS: Final = {
    policy.NAMES: NAME, policy.DESCRIPTIONS: WORDS, policy.FRAMES: PICTURE, policy.LIKENESS: PICTURE,
    policy.WORDS: NAME,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From when on something matches too much. Shares are of all jobs that ended within the window.

    ``rise``: how many times its share in the days before that the share must be. ``quiet_days``: after an
    operator's release.
    """

    hits: int = 20
    accounts: int = 5
    share: float = 0.05
    name_share: float = 0.2
    rise: float = 4.0
    window_days: int = 2
    history_days: int = 30
    quiet_days: int = 14


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loud:
    """Something found often: how often in the window and before; ``jumped``: it passes the limits."""

    item: Item
    window: Traffic
    before: Traffic
    jumped: bool


def items_of(reasons: Iterable[Mapping[str, Any]]) -> set[Item]:
    """What the reasons of a job's end were found by."""
    found = set()
    for reason in reasons:
        evidence = reason.get("evidence") or {}
        kind, subject = _KINDS.get(str(reason.get("check"))), evidence.get("subject")
        if kind is None or not subject:
            continue
        reference = str(evidence.get("reference") or "")
        if kind == NAME:
            found.add(Item(str(subject), NAME, normal(reference)))
        else:
            found.add(Item(str(subject), PICTURE if reference else WORDS, reference))
    return found


def jumped(kind: str, window: Traffic, before: Traffic, limits: Limits = LIMITS) -> bool:
    """Rules 2 to 4. Pure."""
    least = limits.name_share if kind == NAME else limits.share
    enough = window.hits >= limits.hits and window.accounts >= limits.accounts
    return enough and window.share >= max(least, limits.rise * before.share)


def note(
    engine: Engine, job_id: str, account: str, reasons: Sequence[Mapping[str, Any]], *, now: str,
    sign_checkpoint: NoteSigner, limits: Limits = LIMITS,
) -> tuple[Item, ...]:  # fmt: skip
    """Count what a job was stopped by, and quarantine what matches too much; returns what was."""
    items = items_of(reasons)
    if not items:
        return ()
    hits.record(engine, job_id, account, items, now[:10])
    done = []
    for item in sorted(items):
        loud = measured(engine, item, now=now, limits=limits)
        if loud.jumped and _may_be(engine, item, now, limits):
            why = sentence(loud, limits)
            draft = QuarantineDraft(kind=item.kind, item=item.item, why=why, figures=_figures(loud))
            seq = _quarantined(engine, item.subject, draft, now, sign_checkpoint)
            done += [item] if seq is not None else []
    return tuple(done)


def measured(engine: Engine, item: Item, *, now: str, limits: Limits = LIMITS) -> Loud:
    """How often an item was found of late, and before."""
    today = date.fromisoformat(now[:10])
    first = today - timedelta(days=limits.window_days - 1)
    older = first - timedelta(days=limits.history_days)
    with read(engine) as conn:
        window = hits.traffic(conn, item, first.isoformat(), today.isoformat())
        before = hits.traffic(conn, item, older.isoformat(), (first - timedelta(days=1)).isoformat())
    return Loud(item=item, window=window, before=before, jumped=jumped(item.kind, window, before, limits))


def loudest(engine: Engine, *, now: str, most: int, limits: Limits = LIMITS) -> list[Loud]:
    """What was found most often within the window, also what only an operator may quarantine."""
    first = date.fromisoformat(now[:10]) - timedelta(days=limits.window_days - 1)
    found = hits.loudest(engine, first.isoformat(), most)
    return [measured(engine, item, now=now, limits=limits) for item, _, _ in found]


def forget(engine: Engine, *, now: str, limits: Limits = LIMITS) -> int:
    """Delete counts that nothing asks for any more."""
    oldest = date.fromisoformat(now[:10]) - timedelta(days=limits.window_days + limits.history_days)
    return hits.forget(engine, oldest.isoformat())


def sentence(loud: Loud, limits: Limits = LIMITS) -> str:
    """Why something is quarantined, for its holder."""
    window = loud.window
    return (
        f"It was found in {window.hits} of {window.jobs} jobs of {window.accounts} accounts within "
        f"{limits.window_days} days, after {loud.before.share:.1%} of them before."
    )


def _may_be(engine: Engine, item: Item, now: str, limits: Limits) -> bool:
    """Rule 5."""
    record = get(engine, item.subject)
    if record is None or record.state != "active" or (item.kind == PICTURE and record.kind == PERSON):
        return False
    with read(engine) as conn:
        released = hits.last_released(conn, item)
    quiet = date.fromisoformat(now[:10]) - timedelta(days=limits.quiet_days)
    return released is None or released[:10] < quiet.isoformat()


def _quarantined(
    engine: Engine, subject: str, draft: QuarantineDraft, now: str, signer: NoteSigner
) -> int | None:
    """The log position; None where it is in quarantine already, or was taken out of force meanwhile."""
    try:
        return quarantined.quarantine(
            engine, subject, [draft], cause=quarantined.MATCHES, now=now, sign_checkpoint=signer
        )
    except NotFound:
        return None


def _figures(loud: Loud) -> dict[str, Any]:
    window, before = loud.window, loud.before
    return {
        "hits": window.hits, "jobs": window.jobs, "accounts": window.accounts,
        "hits_before": before.hits, "jobs_before": before.jobs,
    }  # fmt: skip
