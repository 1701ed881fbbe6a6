"""Which releases may show any of some subjects: asked of a page of releases before the checks are.

1. Stored prompts: their skeletons are asked for the subjects' names (`classifiers.sieve`).
2. Stored vectors: for every pair of kinds that a check compares, the least that it could find something with
   (`classifiers.bounds`) is asked of the codes of older releases (`registry.past`), and of the vectors
   themselves where there are no codes: of the newest releases, of faces, which are sealed, and of whatever
   the codes let through.
3. What passes neither cannot be found by any check; what passes is compared by the checks.
4. Where nothing comparable was kept of a release, that is told for each subject that could only be found so.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import Engine

from classifiers.base import Kind, Seen, Sight, Vectors
from pipeline import policy as policies
from pipeline.errors import KeysUnusable
from pipeline.examine import Calibrations
from pipeline.recheck import COUNTERPARTS, Question, compare
from pipeline.sights import SEALED_KINDS, Sealer
from pipeline.types import Decision, Json, Verdict
from pipeline.workbench import Workbench
from registry import sights
from registry.db import read
from registry.past import Near, Past, StoredSights, Taken
from registry.subject_types import SubjectRecord
from registry.subjectset import SubjectSet
from registry.types import Release, SightRow
from registry.vectors import decoded

if TYPE_CHECKING:
    from classifiers.bounds import Bound
    from classifiers.names import NameMatcher
    from classifiers.sieve import Sieve
    from classifiers.thresholds import Calibration

READING: Final = "reading"
"""The fact of a release that holds the skeleton of its prompt."""
UNSEARCHED: Final = Near(releases=frozenset(), upto=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One pair of kinds in one space: what is asked of stored vectors.

    ``owners``: the subject of each registered vector; ``near``: what codes said.
    """

    bound: "Bound"
    space: str
    registered: Vectors
    owners: tuple[str, ...]
    calibration: "Calibration"
    near: Near = UNSEARCHED

    def wants(self, released: Release) -> bool:
        """Whether the vectors of a release have to be looked at."""
        return released.log_seq > self.near.upto or released.id in self.near.releases


@dataclass(slots=True, kw_only=True)
class Looked:
    """What a page of releases says, by release: the subjects that it may show, and (``unclear``) those of
    whom nothing can be said.
    """

    candidates: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unclear: dict[str, list[str]] = field(default_factory=dict)


class Wanted:
    """The subjects that are looked for, with what is asked once for all releases."""

    def __init__(self, subjects: Sequence[SubjectRecord], calibrations: Calibrations, sealer: Sealer) -> None:
        self.subjects, self.of = subjects, SubjectSet(subjects)
        self._calibrations, self._sealer = calibrations, sealer
        self._watches = _watches(subjects, calibrations) if any(s.vectors for s in subjects) else []
        self._told_by = _told_by(subjects, calibrations)

    @cached_property
    def matcher(self) -> "NameMatcher":
        """Of all their names, indexed once, without a deadline."""
        from classifiers.names import NameMatcher

        return NameMatcher(self.of.names)

    @cached_property
    def _sieve(self) -> "Sieve":
        from classifiers.sieve import Sieve

        return Sieve(self.matcher)

    def search(self, engine: Engine, folder: Path, progress: Callable[[float], None]) -> None:
        """Ask the codes of older releases; those that are missing are made, which can take minutes."""
        past = Past(folder)
        self._watches = [self._searched(engine, past, watch, progress) for watch in self._watches]

    def _searched(self, engine: Engine, past: Past, watch: Watch, progress: Callable[[float], None]) -> Watch:
        from classifiers import bounds

        bound = watch.bound
        if bound.seen in SEALED_KINDS:
            return watch
        taken = Taken(
            basis=bounds.basis(watch.calibration),
            of=lambda vectors: bounds.taken_off(bound.seen, vectors, watch.calibration),
        )
        source = StoredSights(engine, watch.space, bound.seen)
        near = past.search(source, watch.space, bound.seen, watch.registered, bound.least, taken, progress)
        return replace(watch, near=near)

    def look(self, engine: Engine, page: Sequence[Release]) -> Looked:
        """Rules 1 to 4 for a page of releases."""
        found = Looked()
        judged = [one for one in page if _policy(one) is not None]
        if self.of.names:
            for one in judged:
                if named := self.named(one):
                    found.candidates[one.id] |= named
        if self._watches or self._told_by:
            kept = self._kept(engine, judged)
            for watch in self._watches:
                for release, subjects in self._reached(watch, judged, kept):
                    found.candidates[release] |= subjects
            blind = {one.id: self._blind(one, kept[one.id]) for one in judged}
            found.unclear = {release: subjects for release, subjects in blind.items() if subjects}
        return found

    def among(self, subjects: Collection[str]) -> "tuple[SubjectRecord, ...]":
        """Those of the subjects that are wanted."""
        return tuple(self.of.subjects[one] for one in sorted(subjects) if one in self.of.subjects)

    def named(self, released: Release) -> set[str]:
        """The subjects that are named, or may be, in a release's prompt."""
        texts, reading = texts_of(released.facts), released.facts.get(READING)
        if not texts or not self._sieve.passes(reading if isinstance(reading, dict) else None):
            return set()
        return {hit.entry.subject for hits in self.matcher.match_turns(texts) for hit in hits}

    def _kept(self, engine: Engine, page: Sequence[Release]) -> Mapping[str, "_Kept"]:
        """What of each release was kept: its kinds and spaces, and the vectors that have to be looked at."""
        with read(engine) as conn:
            listed = sights.spaces(conn, [one.id for one in page])
            rows: dict[str, list[SightRow]] = defaultdict(list)
            for kind in {str(watch.bound.seen) for watch in self._watches}:
                asking = [watch for watch in self._watches if watch.bound.seen == kind]
                ids = [one.id for one in page if any(watch.wants(one) for watch in asking)]
                for release, found in sights.of(conn, ids, [kind]).items():
                    rows[release] += found
        return {
            one.id: _Kept(listed.get(one.id, frozenset()), opened(self._sealer, rows[one.id])) for one in page
        }

    def _reached(
        self, watch: Watch, page: Sequence[Release], kept: Mapping[str, "_Kept"]
    ) -> Iterator[tuple[str, set[str]]]:
        from classifiers.bounds import reached

        asked = [one.id for one in page if watch.wants(one)]
        groups = [kept[release].vectors(watch.bound.seen, watch.space) for release in asked]
        found = reached(watch.bound, groups, watch.registered, watch.calibration)
        for release, rows in zip(asked, found, strict=True):
            if rows:
                yield release, {watch.owners[row] for row in rows}

    def _blind(self, released: Release, kept: "_Kept") -> list[str]:
        policy = _policy(released)
        required = policy.required if policy else ()
        asked = bool(texts_of(released.facts))
        return sorted(
            {
                subject
                for (check, spaces), subjects in self._told_by.items()
                if check in required and (asked or check not in policies.PROMPT_CHECKS)
                and not kept.comparable(check, spaces)
                for subject in subjects
            }
        )  # fmt: skip


def question_of(bench: Workbench, released: Release, rows: Sequence[SightRow]) -> Question | None:
    """A release as the fence would be asked about it; None where its policy looks at nothing."""
    policy = policies.PRESETS.get(str(released.facts.get("policy", "")))
    if policy is None or not policy.required:
        return None
    decision = Decision(
        verdict=Verdict.ALLOW, policy=policy.name, policy_version=policy.version, reasons=(), checks={},
        registry_seq=released.registry_seq, decided_at=bench.clock(),
    )  # fmt: skip
    return Question(
        policy=policy, decision=decision, sight=sight_of(bench.sealer, released.facts, rows),
        account=str(released.facts.get("account", "")), key="",
    )  # fmt: skip


def compared(
    bench: Workbench, question: Question, wanted: Wanted, candidates: set[str], known: dict[str, int]
) -> Decision | None:
    """The decision about these subjects, but for those that a person decided about since; None for nobody."""
    asked = wanted.among(candidates)
    left = [one for one in asked if one.seq >= known.get(one.id, 0)]
    if not left:
        return None
    matcher = wanted.matcher if len(left) == len(asked) else _matcher(left)
    return compare(
        question, left, SubjectSet(left), bench.eyes.calibrations, now=bench.clock(), matcher=matcher
    )


def _matcher(subjects: Sequence[SubjectRecord]) -> "NameMatcher":
    from classifiers.names import NameMatcher

    return NameMatcher([name for subject in subjects for name in subject.names])


class _Kept:
    """What is known of one release's vectors. ``listed``: (kind, space) of all its rows."""

    def __init__(self, listed: frozenset[tuple[str, str]], seen: "Opened") -> None:
        self._seen = seen
        self._listed = listed - seen.unreadable

    def vectors(self, kind: Kind, space: str) -> Vectors:
        found = [one.vectors for one in self._seen.seen if (one.kind, one.space) == (kind, space)]
        return np.concatenate(found) if found else np.zeros((0, 1), np.float32)

    def comparable(self, check: str, spaces: frozenset[str]) -> bool:
        looked_at = COUNTERPARTS[check][1]
        return any((kind, space) in self._listed for kind in looked_at for space in spaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was seen, and the (kind, space) of which some row cannot be read."""

    seen: tuple[Seen, ...]
    unreadable: frozenset[tuple[str, str]]


def opened(sealer: Sealer, rows: Sequence[SightRow]) -> Opened:
    """What was seen, as far as it can be read: one damaged row must not end every scan at its release."""
    seen: list[Seen] = []
    lost: set[tuple[str, str]] = set()
    for row in rows:
        lost.add((row.kind, row.space))
        with suppress(KeysUnusable, ValueError):
            seen += sealer.sight((), [row]).seen
            lost.discard((row.kind, row.space))
    return Opened(seen=tuple(seen), unreadable=frozenset(lost))


def sight_of(sealer: Sealer, facts: Json, rows: Sequence[SightRow]) -> Sight:
    """What was seen of a release, to compare with."""
    return Sight(texts=texts_of(facts), seen=opened(sealer, rows).seen)


def texts_of(facts: Json) -> tuple[str, ...]:
    """A release's prompt after the turns that led to it; empty without one."""
    prompt, history = facts.get("prompt"), facts.get("history")
    turns = history if isinstance(history, list) else []
    return () if prompt is None else (*map(str, turns), str(prompt))


def _policy(released: Release) -> policies.Policy | None:
    """The policy under which it left, if that asked for any check."""
    policy = policies.PRESETS.get(str(released.facts.get("policy", "")))
    return policy if policy is not None and policy.required else None


def _watches(subjects: Sequence[SubjectRecord], calibrations: Calibrations) -> list[Watch]:
    from classifiers.bounds import bounds_of

    rows: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for subject in subjects:
        for row in subject.vectors:
            if row.polarity > 0:
                rows[row.space, row.kind].append(row)
    found = []
    for space in sorted({space for space, _kind in rows}):
        calibration = calibrations.get(space)
        for bound in bounds_of(calibration) if calibration else ():
            mine = rows.get((space, str(bound.registered)))
            if calibration and mine:
                vectors = decoded(mine, mine[0].dimension)
                owners = tuple(row.subject for row in mine)
                found.append(
                    Watch(
                        bound=bound, space=space, registered=vectors, calibration=calibration, owners=owners
                    )
                )
    return found


def _told_by(
    subjects: Sequence[SubjectRecord], calibrations: Calibrations
) -> dict[tuple[str, frozenset[str]], list[str]]:
    """By check and spaces, the subjects that the check can find in those spaces only.

    In a space that nobody has calibrated nothing can be found.
    """
    found: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for subject in subjects:
        for check, (registered, _seen) in COUNTERPARTS.items():
            spaces = frozenset(row.space for row in subject.vectors if row.kind in registered)
            if spaces:
                able = frozenset(space for space in spaces if calibrations.get(space) is not None)
                found[check, able].append(subject.id)
    return found
