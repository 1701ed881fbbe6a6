"""What the publish fence asks: do changes of the registry since the decision change the verdict?

Pure: no model, no file, no query. In order; the first that applies decides:
1. the policy was changed by an update since the decision: held;
2. the API key that the job came with was revoked: refused; a release that the clip was made from was
   withdrawn: held;
3. the changed subjects are compared with what was seen, by the same checks as before, and under the wishes
   as they are now: a new name, picture or face, a stricter rule, a licence or consent taken back;
4. a changed subject whose vectors lie in a space in which nothing was seen cannot be compared: held;
5. a subject that was found and allowed is allowed no longer, since a licence or rule began or ended by the
   clock or was used up for the day, which makes no change, or under a policy that needs licences since it
   was withdrawn: held; or people cleared what its owner wanted to be looked at, and now it is forbidden,
   which they cannot clear: held;
6. otherwise the decision stands, by the rules as they are now.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from classifiers.base import CheckReport, CheckState, Kind, References, Sight
from pipeline import policy as policies
from pipeline.examine import Calibrations, examine, unasked
from pipeline.opinions import standing, weighed
from pipeline.policy import Policy
from pipeline.reasons import Wish, Wishes, nobody
from pipeline.types import Decision, Json, Reason, Verdict
from registry.ruling import Ask, Used, ruling
from registry.subject_types import SubjectRecord
from registry.subjectset import SubjectSet
from registry.types import Change
from registry.uses import CAP_REACHED, Shown, capped
from registry.vocabulary import DEPICT

if TYPE_CHECKING:
    from classifiers.names import NameMatcher

FENCE: Final = "publish_fence"
KEY_REVOKED: Final = "The API key that this was asked with was revoked."
ENDED: Final = "The permission to show {whom} has ended."
FORBIDDEN: Final = "A person let {whom} pass, whose owner forbids it by now."
COUNTERPARTS: Final = {
    policies.DESCRIPTIONS: ({Kind.DESCRIPTION, Kind.ATTRIBUTE}, {Kind.PROMPT, Kind.CLAUSE}),
    policies.FRAMES: ({Kind.PICTURE}, {Kind.FRAME}),
    policies.LIKENESS: ({Kind.PORTRAIT}, {Kind.FACE}),
    policies.WORDS: (set[Kind](), {Kind.WORDS}),
}
"""Per check: which registered kinds it compares with which seen kinds; words are compared with names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a job brings to the fence: its policy and decision, what was seen, who asked with which key.

    ``wishes``: what owners want now, for rule 5; ``ask``: what is asked beside the account, if anything;
    ``uses``: how often rules were used; ``parents``: the releases of ours that it was made from, and those
    that they were made from; ``prompted``: whether a prompt came with it.
    """

    policy: Policy
    decision: Decision
    sight: Sight
    account: str
    key: str
    wishes: Wishes = nobody
    ask: Ask | None = None
    uses: "Uses | None" = None
    parents: tuple[str, ...] = ()
    prompted: bool = True


Uses = Callable[[Sequence[str], str | None, str], Mapping[str, Used]]
"""How often each of these rules was used, by an account and by all, on the day of a time."""


class Registered(Protocol):
    """Knows who cannot be found in some spaces (`registry.view.Snapshot`)."""

    def strangers(self, kinds: Collection[str], spaces: Collection[str]) -> Collection[str]: ...  # noqa: D102


def recheck(
    question: Question, changes: Sequence[Change], calibrations: Calibrations, *, now: str
) -> Decision:
    """Apply the rules above to `changes`; `now` is RFC 3339."""
    policy, decision = question.policy, question.decision
    if (policy.name, policy.version) != (decision.policy, decision.policy_version):  # 1
        told = f"The policy {policy.name} changed after the decision; the clip has to be checked again."
        return _with(decision, Verdict.REVIEW, [_reason("policy_changed", told)], now)
    if question.key and any(change.revoked_key == question.key for change in changes):  # 2
        return _with(decision, Verdict.BLOCK, [_reason("key_revoked", KEY_REVOKED)], now)
    if parents := _withdrawn(changes) & set(question.parents):
        return _with(decision, Verdict.REVIEW, [parent_withdrawn(parents)], now)
    subjects = changed_subjects(changes)
    if subjects and policy.required:
        found = compare(question, subjects, SubjectSet(subjects), calibrations, now=now)
        if found.verdict is not Verdict.ALLOW:
            return found
        decision = found
    now_wished = [(*pair, question.wishes(*pair)) for pair in _allowed(decision)]
    ended = [one for one in now_wished if _forbids(policy, one[2])]
    if ended:  # 5
        return _with(decision, Verdict.REVIEW, [_ended(*one) for one in ended], now)
    cleared = [one for one in decision.rulings if one.effect is Verdict.REVIEW]  # it is allowed all the same
    stricter = [(one.subject, one.intent, question.wishes(one.subject, one.intent)) for one in cleared]
    forbidden = [one for one in stricter if _blocks(policy, one[2])]
    if forbidden:
        return _with(decision, Verdict.REVIEW, [_ended(*one, told=FORBIDDEN) for one in forbidden], now)
    rulings = tuple(  # 6
        policies.ruled_of(policy, subject, intent, wish) for subject, intent, wish in now_wished if wish
    )
    return replace(decision, decided_at=now, rulings=(*cleared, *rulings) if rulings else decision.rulings)


def _allowed(decision: Decision) -> list[tuple[str, str]]:
    """The subjects that were found and allowed, and what was asked of each."""
    ruled = [  # as a style it may be allowed, and shown itself only cleared
        (one.subject, one.intent)
        for one in decision.rulings if one.subject in decision.allowed and one.effect is Verdict.ALLOW
    ]  # fmt: skip
    plain = [(subject, DEPICT) for subject in decision.allowed if subject not in {s for s, _ in ruled}]
    return list(dict.fromkeys((*ruled, *plain)))


def shown(decision: Decision) -> tuple[Shown, ...]:
    """Who is in a clip that this decision lets leave, and by which rule; for the registry to count."""
    rules = {
        (one.subject, one.intent): one.rule if one.by == "rule" else None
        for one in decision.rulings if one.effect is Verdict.ALLOW
    }  # fmt: skip
    return tuple(
        Shown(subject=subject, intent=intent, rule=rules.get((subject, intent)))
        for subject, intent in _allowed(decision)
    )


def _withdrawn(changes: Sequence[Change]) -> set[str]:
    """The releases that these changes withdraw, without those that came back."""
    states = {
        str(change.entry.public.get("release")): change.kind
        for change in changes
        if change.kind in ("withdrawal", "reinstatement")
    }
    return {release for release, kind in states.items() if kind == "withdrawal"}


def changed_subjects(changes: Sequence[Change]) -> tuple[SubjectRecord, ...]:
    """The subjects in force that these changes are about, each once, as they are now."""
    latest = {change.subject.id: change.subject for change in changes if change.subject is not None}
    return tuple(subject for subject in latest.values() if subject.state == "active")


def wishes_of(
    subjects: Mapping[str, SubjectRecord], ask: Ask | str, now: str, uses: Uses | None = None
) -> Wishes:
    """What the owners of these subjects, by id, want for an ask, or for an account that says nothing else.

    `uses`: how often rules were used; without it no cap is reached.
    """
    asked = Ask(account=ask) if isinstance(ask, str) else ask

    def wish(subject_id: str, intent: str = DEPICT, /) -> Wish | None:
        subject = subjects.get(subject_id)
        if subject is None:
            return None
        limited = capped((*subject.rules, *subject.inherited)) if uses is not None else ()
        counted: dict[str, Any] = (
            {"uses": uses(limited, asked.account, now)} if uses is not None and limited else {}
        )
        found = ruling(subject, replace(asked, intent=intent, **counted), now)
        return Wish(
            effect=Verdict(found.outcome), name=subject.name, owner=subject.owner, rule=found.rule,
            licence=found.licence, kind=subject.kind, died_on=subject.died_on, by=found.by,
            lost=found.lost, softened=found.softened,
            asks=found.asks and found.outcome == Verdict.REVIEW, credit=found.credit,
            licence_ref=found.licence_ref, permission=found.permission, used_up=found.used_up,
        )  # fmt: skip

    return wish


def compare(
    question: Question, subjects: Sequence[SubjectRecord], references: References,
    calibrations: Calibrations, *, now: str, matcher: "NameMatcher | None" = None,
) -> Decision:  # fmt: skip
    """Rules 3 and 4 for these subjects; `references`: the same subjects, as a set to search in.

    `matcher`: of their names, if at hand.
    """
    checks = [check for check in question.policy.required if check in policies.COMPARED]
    unable = unprompted(checks, question.sight) if _without_prompt(question) else ()
    asked = [check for check in checks if check not in unable]
    by_id = {subject.id: subject for subject in subjects}
    opinions = standing(question.decision.opinions, question.sight.texts, by_id)
    examined = examine(asked, question.sight, references, calibrations, matcher)
    reports = (*weighed(examined, opinions), *unasked(unable))
    fresh = policies.decide(
        question.policy.only(checks), reports, sound=policies.Sound.ACCEPT, has_sound=False,
        registry_seq=question.decision.registry_seq, now=now,
        wishes=wishes_of(by_id, question.ask or question.account, now, question.uses),
    )  # fmt: skip
    reasons = [*fresh.reasons, *_incomparable(question, subjects, checks)]  # 3, 4
    if not reasons:
        return _joined(question.decision, fresh, now)
    verdict = Verdict.BLOCK if fresh.verdict is Verdict.BLOCK else Verdict.REVIEW
    return _with(question.decision, verdict, reasons, now)


def _without_prompt(question: Question) -> bool:
    return not (question.prompted and question.sight.texts)


def unprompted(checks: Sequence[str], sight: Sight) -> tuple[str, ...]:
    """Those of the checks that have nothing to look at where no prompt came with a clip.

    Words that are spoken or written in it are looked through for names all the same, and for what is unsafe
    where that was judged.
    """
    read: tuple[str, ...] = (policies.NAMES, policies.UNREGISTERED) if sight.texts else ()
    read += (policies.UNSAFE,) if sight.of(Kind.UNSAFE) else ()
    return tuple(check for check in checks if check in policies.PROMPT_CHECKS and check not in read)


def _joined(decision: Decision, fresh: Decision, now: str) -> Decision:
    """The decision, with who was found and allowed among those who changed."""
    known = {(one.subject, one.intent): one for one in (*decision.rulings, *fresh.rulings)}
    return replace(
        decision, decided_at=now, rulings=tuple(known.values()),
        allowed=tuple(sorted({*decision.allowed, *fresh.allowed})),
    )  # fmt: skip


def _incomparable(
    question: Question, subjects: Sequence[SubjectRecord], checks: Sequence[str]
) -> list[Reason]:
    found = []
    for check in checks:
        registered, looked_at = COUNTERPARTS.get(check, (set(), set()))
        seen = question.sight.of(*looked_at)
        if not seen and check in policies.PROMPT_CHECKS:  # no prompt came with the clip
            continue
        spaces = {part.space for part in seen}
        for subject in subjects:
            theirs = {row.space for row in subject.vectors if row.kind in registered}
            if theirs and not theirs & spaces:
                found.append(_not_comparable(check, subject))
    return found


def missed(
    question: Question, registered: Registered, subjects: Mapping[str, SubjectRecord],
    left_out: Collection[str],
) -> list[Reason]:  # fmt: skip
    """Rule 4 for everybody in force: for each check that looked, a reason about the last whom it misses.

    `subjects`: all by id; `left_out`: who is not asked about.
    """
    found = []
    for check, (theirs, looked_at) in COUNTERPARTS.items():
        seen = question.sight.of(*looked_at)
        if not seen or not theirs or check not in question.policy.required:
            continue
        strangers = {*registered.strangers(theirs, {part.space for part in seen})} - {*left_out}
        if strangers:
            last = max((subjects[one] for one in strangers), key=lambda subject: (subject.seq, subject.id))
            found.append(_not_comparable(check, last, more=len(strangers) - 1))
    return found


def _not_comparable(check: str, subject: SubjectRecord, more: int = 0) -> Reason:
    whom = f"{subject.name} ({subject.owner})"
    told = f"{whom} and {more} more were" if more else f"{whom} was"
    evidence: Json = {"subject": subject.id, "subject_name": subject.name, "owner": subject.owner}
    return Reason(
        code="not_comparable", check=check, evidence=evidence,
        detail=f"{told} registered with another model; the clip has to be checked again.",
    )  # fmt: skip


def in_full(reports: Sequence[CheckReport], sight: Sight, registered: Registered) -> tuple[CheckReport, ...]:
    """The reports, of which none is complete that could not compare everybody who is registered.

    A subject whose vectors another model made is not found by this one, whatever the clip shows.
    """
    return tuple(_in_full(report, sight, registered) for report in reports)


def _in_full(report: CheckReport, sight: Sight, registered: Registered) -> CheckReport:
    theirs, looked_at = COUNTERPARTS.get(report.check, (set(), set()))
    if report.state is not CheckState.COMPLETED or not theirs:
        return report
    missed = len(registered.strangers(theirs, {seen.space for seen in sight.of(*looked_at)}))
    if not missed:
        return report
    told = f"{missed} {'subject' if missed == 1 else 'subjects'} cannot be compared: registered with another"
    return replace(report, state=CheckState.SKIPPED, detail=f"{told} model, and not yet again with this one")


def _forbids(policy: Policy, wish: Wish | None) -> bool:
    """Whether what was allowed is no longer; a subject that was withdrawn licenses nobody."""
    if wish is None:
        return policy.licence_needed
    return policies.effect_of(policy, sure=True, wish=wish) is not Verdict.ALLOW


def _blocks(policy: Policy, wish: Wish | None) -> bool:
    return policies.effect_of(policy, sure=True, wish=wish) is Verdict.BLOCK


def _ended(subject: str, intent: str, wish: Wish | None, told: str = ENDED) -> Reason:
    whom = f"{wish.name} ({wish.owner})" if wish else "somebody who was registered"
    reason = _reason("permission_ended", told.format(whom=whom))
    if wish is not None and wish.used_up:
        reason = _reason(CAP_REACHED, f"The permission to show {whom} is used up for today.")
    evidence: Json = {"subject": subject, "intent": intent, "asks": wish is not None and wish.asks}
    evidence |= {"subject_name": wish.name, "owner": wish.owner} if wish else {}
    return replace(reason, evidence=evidence)


def _with(decision: Decision, verdict: Verdict, reasons: Sequence[Reason], now: str) -> Decision:
    return replace(decision, verdict=verdict, reasons=tuple(reasons), decided_at=now)


def parent_withdrawn(releases: Collection[str]) -> Reason:
    """Why what was made from these releases is held."""
    named = sorted(releases)
    told = f"the release {named[0]}, which was" if len(named) == 1 else f"{len(named)} releases that were"
    return Reason(
        code="parent_withdrawn", check="release_parent", detail=f"It was made from {told} withdrawn.",
        evidence={"releases": [*named]},
    )  # fmt: skip


def _reason(code: str, detail: str) -> Reason:
    return Reason(code=code, check=FENCE, detail=detail)
