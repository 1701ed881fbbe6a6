"""Which releases may show any of some subjects: asked of a stretch of them before the checks are.

1. Stored prompts, and stored words in frames: their skeletons are asked for the subjects' names
   (`classifiers.sieve`).
2. Stored vectors: for every pair of kinds that a check compares, the least that it could find something with
   (`classifiers.bounds`) is asked of the codes of older releases (`registry.past`), and of the vectors
   themselves where there are no codes: of the newest releases, of faces, which are sealed, and of whatever
   the codes let through.
3. What passes neither cannot be found by any check; what passes is compared by the checks.
4. Where nothing comparable was kept of a release, that is counted for each subject that could only be found
   so (`registry.looks`).
No release is loaded for that but those whose prompts pass the sieve.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine

from classifiers.base import Kind, Seen, Sight, Vectors
from pipeline import policy as policies
from pipeline import texts
from pipeline.errors import KeysUnusable
from pipeline.examine import Calibrations
from pipeline.orders import ask_of
from pipeline.recheck import COUNTERPARTS, Question, compare
from pipeline.sights import SEALED_KINDS, Sealer, reading_of
from pipeline.types import Decision, Json, Verdict
from pipeline.workbench import Workbench
from registry import looks, sights
from registry.db import read
from registry.looks import Blind, Stretch
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

UNSEARCHED: Final = Near(releases=frozenset(), upto=0)

Lost = Mapping[str, set[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One pair of kinds in one space: what is asked of stored vectors.

    ``owners``: the subject of each registered vector; ``near``: what codes said; ``begins``: the least id of
    what they were not asked about, None where they know all.
    """

    bound: "Bound"
    space: str
    registered: Vectors
    owners: tuple[str, ...]
    calibration: "Calibration"
    near: Near = UNSEARCHED
    begins: str | None = ""

    def tail(self, stretch: Stretch) -> bool:
        """Whether a stretch may hold releases that the codes do not know: it reaches beyond `begins`."""
        return self.begins is not None and (not stretch.before or self.begins < stretch.before)


@dataclass(slots=True, kw_only=True)
class Looked:
    """What a stretch says, by release: the subjects that it may show, and (``lost``) the (kind, space) of
    which something was kept but cannot be read.
    """

    candidates: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    lost: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """Of a stretch: how many releases, in how many of them each subject can not be found, and any can not."""

    releases: int
    subjects: dict[str, int]
    any: int


class Wanted:
    """The subjects that are looked for, with what is asked once for all releases."""

    def __init__(self, subjects: Sequence[SubjectRecord], calibrations: Calibrations, sealer: Sealer) -> None:
        self.subjects, self.of = subjects, SubjectSet(subjects)
        self._calibrations, self._sealer = calibrations, sealer
        self._watches = _watches(subjects, calibrations) if any(s.vectors for s in subjects) else []
        self._told_by = _told_by(subjects, calibrations)
        self._blind = [_blind(check, spaces) for check, spaces in self._told_by]

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
        with read(engine) as conn:
            begins = looks.begins(conn, near.upto) if near.upto else ""
        return replace(watch, near=near, begins=begins)

    def look(self, engine: Engine, stretch: Stretch) -> Looked:
        """Rules 1 to 3 for a stretch."""
        found = Looked()
        if self.of.names:
            for release, subjects in self._named(engine, stretch):
                found.candidates[release] |= subjects
            self._written(engine, stretch, found)
        for watch in self._watches:
            self._seen(engine, stretch, watch, found)
        return found

    def unclear(self, engine: Engine, stretch: Stretch, looked: Looked) -> Unclear:
        """Rule 4 for a stretch; what is lost of it counts as not kept."""
        with read(engine) as conn:
            told = looks.tally(conn, stretch, self._blind)
            lost = [one for one in looked.lost if stretch.covers(one)]
            before, after = (
                self._blinds(conn, stretch, lost, {}),
                self._blinds(conn, stretch, lost, looked.lost),
            )
        counts: Counter[str] = Counter()
        for subjects, count in zip(self._told_by.values(), told.blind, strict=True):
            counts.update(dict.fromkeys(subjects, count))
        for release, more in after.items():
            counts.update(more - before.get(release, set()))
        return Unclear(
            releases=told.releases, subjects={one: count for one, count in counts.items() if count},
            any=told.any + len(after.keys() - before.keys()),
        )  # fmt: skip

    def blind(self, engine: Engine, stretch: Stretch, ids: Collection[str], looked: Looked) -> set[str]:
        """Those of the releases in which some subject cannot be found."""
        with read(engine) as conn:
            return {*self._blinds(conn, stretch, ids, looked.lost)}

    def _blinds(
        self, conn: Connection, stretch: Stretch, ids: Collection[str], lost: Lost
    ) -> dict[str, set[str]]:
        """By release, the subjects that cannot be found in it, where there are any."""
        found: dict[str, set[str]] = defaultdict(set)
        for part in looks.named(stretch, ids):
            kept = sights.spaces(conn, part.ids or ())
            asked = {one.release: one for one in looks.asked(conn, part)}
            for blind, subjects in zip(self._blind, self._told_by.values(), strict=True):
                for release, how in asked.items():
                    left = kept.get(release, frozenset()) - lost.get(release, set())
                    if how.policy in blind.policies and (how.prompt or not blind.asked):
                        found[release] |= set() if left & {*blind.pairs} else {*subjects}
        return {release: subjects for release, subjects in found.items() if subjects}

    def among(self, subjects: Collection[str]) -> "tuple[SubjectRecord, ...]":
        """Those of the subjects that are wanted."""
        return tuple(self.of.subjects[one] for one in sorted(subjects) if one in self.of.subjects)

    def _named(self, engine: Engine, stretch: Stretch) -> Iterator[tuple[str, set[str]]]:
        """The releases whose prompts name subjects, or may."""
        passed: list[str] = []
        judged = [name for name, policy in policies.PRESETS.items() if policy.required]
        with read(engine) as conn:
            for batch in looks.readings(conn, stretch, judged):
                ids, versions, letters, runs = zip(*batch, strict=True)
                passed += [ids[place] for place in self._sieve.passing(versions, letters, runs)]
        for part in looks.named(stretch, passed):
            with read(engine) as conn:
                prompts = [(one.id, texts_of(one.facts)) for one in looks.whole(conn, part)]
            for release, told in prompts:
                named = {hit.entry.subject for hits in self.matcher.match_turns(told) for hit in hits}
                if named:
                    yield release, named

    def _written(self, engine: Engine, stretch: Stretch, found: Looked) -> None:
        """The releases in whose frames words stand that name subjects."""
        from classifiers.words import SPACE, texts_in

        with read(engine) as conn:
            for rows in looks.seen(conn, stretch, str(Kind.WORDS), SPACE, 0, held=True):
                told = [reading_of(row) for _, row in rows]
                versions = [one.get("v", "") if "letters" in one else "" for one in told]
                letters, runs = ([one.get(name, "") for one in told] for name in ("letters", "runs"))
                for place in self._sieve.passing(versions, letters, runs):
                    release, row = rows[place]
                    kept = opened(self._sealer, [row])
                    if kept.unreadable:
                        found.lost[release] |= kept.unreadable
                    named = self.matcher.match_turns(texts_in(kept.seen))
                    found.candidates[release] |= {hit.entry.subject for hits in named for hit in hits}

    def _seen(self, engine: Engine, stretch: Stretch, watch: Watch, found: Looked) -> None:
        """Compare the vectors that the codes let through, and those that they do not know."""
        kind, space = str(watch.bound.seen), watch.space
        near = looks.named(stretch, filter(stretch.covers, watch.near.releases))
        asked = [(part, 0) for part in near]
        asked += [(stretch, watch.near.upto)] if watch.tail(stretch) else []
        for part, after in asked:
            with read(engine) as conn:
                for rows in looks.seen(conn, part, kind, space, after):
                    self._compared(watch, rows, found)

    def _compared(self, watch: Watch, rows: Sequence[tuple[str, SightRow]], found: Looked) -> None:
        from classifiers.bounds import reached

        ids: list[str] = []
        groups: list[Vectors] = []
        for release, row in rows:
            told = opened(self._sealer, [row])
            if told.unreadable:
                found.lost[release] |= told.unreadable
            ids += [release] * len(told.seen)
            groups += [seen.vectors for seen in told.seen]
        hits = reached(watch.bound, groups, watch.registered, watch.calibration)
        for release, columns in zip(ids, hits, strict=True):
            if columns:
                found.candidates[release] |= {watch.owners[column] for column in columns}


def question_of(bench: Workbench, released: Release, rows: Sequence[SightRow]) -> Question | None:
    """A release as the fence would be asked about it; None where its policy looks at nothing."""
    policy = policies.PRESETS.get(str(released.facts.get("policy", "")))
    if policy is None or not policy.required:
        return None
    decision = Decision(
        verdict=Verdict.ALLOW, policy=policy.name, policy_version=policy.version, reasons=(), checks={},
        registry_seq=released.registry_seq, decided_at=bench.clock(),
        opinions=policies.opinions_of(released.facts),
    )  # fmt: skip
    return Question(
        policy=policy, decision=decision, sight=sight_of(bench.sealer, released.facts, rows),
        account=str(released.facts.get("account", "")), key="", ask=ask_of(released.facts),
        prompted=released.facts.get("prompt") is not None,
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
    able = replace(question, policy=question.policy.only(_able(question.policy.required, left)))
    return compare(able, left, SubjectSet(left), bench.eyes.calibrations, now=bench.clock(), matcher=matcher)


def _able(checks: Sequence[str], subjects: Sequence[SubjectRecord]) -> list[str]:
    """Those of the checks that can find any of the subjects: the others would say nothing, one by one."""
    kinds = {row.kind for subject in subjects for row in subject.vectors}
    needed = {
        policies.NAMES: any(subject.names for subject in subjects),
        policies.DESCRIPTIONS: bool(kinds - {Kind.PORTRAIT}),
        policies.FRAMES: Kind.PICTURE in kinds,
        policies.LIKENESS: Kind.PORTRAIT in kinds,
        policies.WORDS: any(subject.names for subject in subjects),
    }
    return [check for check in checks if needed.get(check, False)]


def _matcher(subjects: Sequence[SubjectRecord]) -> "NameMatcher":
    from classifiers.names import NameMatcher

    return NameMatcher([name for subject in subjects for name in subject.names])


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
    """What is said of a release: its prompt after the turns that led to it, and what else holds words."""
    return texts.texts_of(facts).all


def _blind(check: str, spaces: frozenset[str]) -> Blind:
    """When a check cannot find whoever has vectors in these spaces only."""
    kinds = sorted(COUNTERPARTS[check][1])
    return Blind(
        policies=tuple(name for name, policy in policies.PRESETS.items() if check in policy.required),
        asked=check in policies.PROMPT_CHECKS,
        pairs=tuple((str(kind), space) for kind in kinds for space in sorted(spaces)),
    )


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

    In a space that nobody has calibrated nothing can be found. Names are found in words, which need none.
    """
    from classifiers.words import SPACE

    found: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for subject in subjects:
        if subject.names:
            found[policies.WORDS, frozenset({SPACE})].append(subject.id)
        for check, (registered, _seen) in COUNTERPARTS.items():
            spaces = frozenset(row.space for row in subject.vectors if row.kind in registered)
            if spaces:
                able = frozenset(space for space in spaces if calibrations.get(space) is not None)
                found[check, able].append(subject.id)
    return found
