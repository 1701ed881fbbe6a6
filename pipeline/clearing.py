"""Findings that people have looked at and did not count. Pure.

1. A verdict of review may become allow. What blocks is lifted upon an appeal only, and never what concerns
   somebody under age in a sexual context.
2. A reason goes if it says what was cleared: the same check, code, subject and intent, in the same text (or
   in the clip, or in what it is made from), by the same words. What is found somewhere else was shown to
   nobody. One about a subject counts again if the subject changed after the position that people were shown.
3. What nobody could see is not cleared: a check that did not finish, a mark that cannot be read, a policy or
   key that changed. Only sound that no check listens to is: a person can.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from classifiers.unsafe.taxonomy import Category, category_of
from pipeline import policy as policies
from pipeline.types import Decision, Reason, Verdict
from registry.reviews import Clearance

UNHEARD: Final = "audio_not_checked"
NOT_SEEN: Final = frozenset({"check_not_configured", "check_unfinished", "not_comparable"})
MAX_QUOTE: Final = 200  # characters
FOR_TWO: Final = frozenset({Category.SEXUAL, Category.SEXUAL_LIKENESS, Category.MINORS})
"""Unsafe categories that no single person lets pass."""


class Registered(Protocol):
    """A subject in force, with the log position of its last change."""

    @property
    def seq(self) -> int: ...  # noqa: D102


def clearance_of(reason: Reason, seq: int) -> Clearance | None:
    """What is cleared if people do not count this reason; None where they cannot (3)."""
    finding = reason.check in policies.CHECKS and reason.code not in NOT_SEEN
    if not finding and reason.code != UNHEARD:
        return None
    subject, intent, origin, quote = (
        str(reason.evidence.get(name) or "") for name in ("subject", "intent", "origin", "quote")
    )
    return Clearance(
        check=reason.check, code=reason.code, subject=subject, intent=intent, origin=origin,
        quote=quote[:MAX_QUOTE], seq=seq,
    )  # fmt: skip


def people_needed(reasons: Collection[Reason]) -> int:
    """Two where somebody's likeness or something sexual was found, else one."""
    likeness = any(reason.check == policies.LIKENESS for reason in reasons)
    return 2 if likeness or any(category_of(reason.code) in FOR_TWO for reason in reasons) else 1


def without_cleared(
    decision: Decision, cleared: Sequence[Clearance], subjects: Mapping[str, Registered]
) -> Decision:
    """The decision without the reasons that were cleared; an allow if none is left."""
    blocked = decision.verdict is Verdict.BLOCK
    if blocked:  # 1
        cleared = [one for one in cleared if one.appealed]
    if decision.verdict is Verdict.ALLOW or not cleared:
        return decision
    gone = [
        reason for reason in decision.reasons
        if _is_cleared(reason, cleared, subjects) and not (blocked and _never(reason))
    ]  # fmt: skip
    left = tuple(reason for reason in decision.reasons if reason not in gone)
    told = tuple(dict.fromkeys((*decision.cleared, *(reason.code for reason in gone))))
    return replace(decision, reasons=left, verdict=decision.verdict if left else Verdict.ALLOW, cleared=told)


def _never(reason: Reason) -> bool:
    return category_of(reason.code) is Category.MINORS


def _is_cleared(reason: Reason, cleared: Sequence[Clearance], subjects: Mapping[str, Registered]) -> bool:
    told = clearance_of(reason, 0)
    if told is None:
        return False
    same = [one.seq for one in cleared if replace(one, seq=0, appealed=False) == told]
    subject = subjects.get(told.subject)
    return bool(same) and (not told.subject or (subject is not None and subject.seq <= max(same)))
