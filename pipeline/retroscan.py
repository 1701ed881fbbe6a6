"""A new wish looks back: what is already out is compared with it, by the same checks, without decoding.

1. Which subjects changed since the last scan.
2. Every release that is still out and was published before it could know of the change is compared, by its
   stored sight, under its own policy and the owners' wishes for its account.
3. What its policy would now refuse is withdrawn; what it would hold is withdrawn too, until a person has
   looked: either stops being served in the same transaction as its log entry, whose private part says why.
4. What cannot be compared (nothing was seen of it, its faces were forgotten or cannot be unsealed, another
   model saw it) is counted and left out: no wish takes down everything that is out.
5. Only then does the scan's position move on: a scan that was killed, or in which a comparison ran out of
   time, is done again, and withdraws nothing twice.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from classifiers.base import CheckState, Seen, Sight
from pipeline import policy as policies
from pipeline.errors import KeysUnusable
from pipeline.orders import ask_of
from pipeline.recheck import Question, changed_subjects, compare
from pipeline.sights import Sealer
from pipeline.types import Decision, Json, JsonValue, Verdict
from pipeline.workbench import Workbench, note_signer
from pipeline.workflow import reason_json
from registry import changes, cursors, log, releases, sights
from registry.db import read, write
from registry.subject_types import SubjectRecord
from registry.subjectset import SubjectSet
from registry.types import Release, ReleaseState, SightRow

if TYPE_CHECKING:
    from classifiers.names import NameMatcher

CURSOR: Final = "retroscan"
UNCLEAR: Final = frozenset({"check_unfinished", "check_not_configured", "not_comparable"})
PAGE: Final = 200  # releases held in memory at a time

Progress = Callable[[int], None]
"""Told how many releases were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A release that stopped being served. ``verdict``: block (withdrawn) or review (held back)."""

    release: str
    verdict: Verdict
    reasons: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan did.

    `after`, `upto`: log positions that it covered, the same where it has to be done again; `compared`:
    releases; `unclear`: those of them that could not be compared in full; `recalled`: those that stopped
    being served.
    """

    after: int
    upto: int
    subjects: int
    compared: int
    unclear: int
    recalled: tuple[Recalled, ...]


class _References:
    """The changed subjects, to compare releases with; their names are indexed once, without a deadline."""

    def __init__(self, subjects: Sequence[SubjectRecord]) -> None:
        self.subjects, self.of = subjects, SubjectSet(subjects)

    @cached_property
    def matcher(self) -> "NameMatcher":
        from classifiers.names import NameMatcher

        return NameMatcher(self.of.names)


def scan(bench: Workbench, progress: Progress = lambda _count: None) -> ScanReport:
    """Compare everything that is out with all changes since the last scan; see the steps above."""
    with read(bench.engine) as conn:
        after, upto = cursors.get(conn, CURSOR), log.head(conn)
        changed = changes.load(conn, after, upto)
    subjects = changed_subjects(changed)  # 1
    latest = max((change.seq for change in changed), default=after)
    compared, unclear, recalled, late = 0, 0, list[Recalled](), False
    if subjects:
        references = _References(subjects)
        for released, sight in _released_before(bench, latest):  # 2
            compared += 1
            progress(compared)
            found = _compared(bench, released, sight, references)
            if found is None:
                continue
            unclear += any(reason.code in UNCLEAR for reason in found.reasons)  # 4
            late |= any(reason.evidence.get("state") == CheckState.TIMED_OUT for reason in found.reasons)
            if any(reason.code not in UNCLEAR for reason in found.reasons):
                recalled.append(_recall(bench, released, found))  # 3
    if not late:
        with write(bench.engine) as conn:
            cursors.advance(conn, CURSOR, upto)  # 5
    return ScanReport(
        after=after,
        upto=after if late else upto,
        subjects=len(subjects),
        compared=compared,
        unclear=unclear,
        recalled=tuple(recalled),
    )


def _released_before(bench: Workbench, seq: int) -> Iterator[tuple[Release, tuple[SightRow, ...]]]:
    """What is out and could not know of a change at `seq`, newest first, with what was seen of it."""
    before: str | None = None
    while page := releases.list_releases(bench.engine, before=before, limit=PAGE):
        out = [r for r in page if r.state is ReleaseState.RELEASED and r.registry_seq < seq]
        with read(bench.engine) as conn:
            seen = sights.of(conn, [release.id for release in out])
        yield from ((release, seen.get(release.id, ())) for release in out)
        before = page[-1].id


def _compared(
    bench: Workbench, released: Release, sight: Sequence[SightRow], references: _References
) -> Decision | None:
    """The new decision where it is stricter; None where the release may stay."""
    policy = policies.PRESETS.get(str(released.facts.get("policy", "")))
    if policy is None or not policy.required:
        return None
    now, facts = bench.clock(), released.facts
    decision = Decision(
        verdict=Verdict.ALLOW, policy=policy.name, policy_version=policy.version, reasons=(), checks={},
        registry_seq=released.registry_seq, decided_at=now,
    )  # fmt: skip
    question = Question(
        policy=policy, decision=decision, sight=_opened(bench.sealer, _texts(facts), sight),
        account=str(facts.get("account", "")), key="", ask=ask_of(facts),
    )  # fmt: skip
    found = compare(
        question, references.subjects, references.of, bench.eyes.calibrations, now=now,
        matcher=references.matcher,
    )  # fmt: skip
    return None if found.verdict is Verdict.ALLOW else found


def _opened(sealer: Sealer, texts: Sequence[str], rows: Sequence[SightRow]) -> Sight:
    """What was seen, as far as it can be read: one damaged row must not end every scan at its release."""
    seen: list[Seen] = []
    for row in rows:
        with contextlib.suppress(KeysUnusable, ValueError):  # the check that misses it says so
            seen += sealer.sight((), [row]).seen
    return Sight(texts=tuple(texts), seen=tuple(seen))


def _recall(bench: Workbench, released: Release, found: Decision) -> Recalled:
    reasons = tuple(reason_json(reason) for reason in found.reasons if reason.code not in UNCLEAR)
    why: Json = {
        "by": CURSOR, "action": "withdrawn" if found.verdict is Verdict.BLOCK else "held back",
        "reasons": [
            {name: reason[name] for name in ("code", "check", "detail")} | {"subject": _subject_of(reason)}
            for reason in reasons
        ],
    }  # fmt: skip
    releases.withdraw(
        bench.engine, released.id, why=why, now=bench.clock(), sign_checkpoint=note_signer(bench.keyring)
    )
    return Recalled(release=released.id, verdict=found.verdict, reasons=reasons)


def _subject_of(reason: Json) -> JsonValue:
    """Whom a reason is about, so that evidence bundles and erasures find the entry."""
    evidence = reason.get("evidence")
    return evidence.get("subject") if isinstance(evidence, dict) else None


def _texts(facts: Json) -> tuple[str, ...]:
    prompt, history = facts.get("prompt"), facts.get("history")
    turns = history if isinstance(history, list) else []
    return () if prompt is None else (*map(str, turns), str(prompt))
