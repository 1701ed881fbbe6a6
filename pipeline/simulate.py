"""What a change of a threshold, a rule or the policy would have done to what was decided before.

1. Every past case is decided twice from what was seen of it: as things are, and with the change. Both by
   the functions that decide in earnest, and under the registry as it is now: only the change differs.
2. A case of which not everything is kept is decided by its prompt's names alone, so that its outcome is the
   least; where they would let it pass, what would have come next is unknown, and counted as such.
3. Nothing is written. Cases come one after another, and only counts and a few examples stay in memory.
Sound is left out: what was done with it is not part of what was seen.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Protocol

from classifiers.base import CheckReport, Kind, References
from pipeline import policy as policies
from pipeline.errors import UsageError
from pipeline.examine import Calibrations, examine, unasked
from pipeline.past import Archive, Past, released, stopped
from pipeline.policy import PRESETS, Policy
from pipeline.recheck import in_full, wishes_of
from pipeline.types import Json, JsonValue, Verdict
from registry.ids import new_id
from registry.subject_types import RuleRow, SubjectRecord
from registry.vocabulary import EFFECTS

if TYPE_CHECKING:
    from classifiers.thresholds import Calibration

UNKNOWN: Final = "unknown"
MAX_EXAMPLES: Final = 5  # of each change of an outcome
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Registry(References, Protocol):
    """The registry as it is (`registry.view.Snapshot`)."""

    @property
    def subjects(self) -> Mapping[str, SubjectRecord]: ...  # noqa: D102
    def spaces(self) -> frozenset[str]: ...  # noqa: D102
    def strangers(self, kinds: Collection[str], spaces: Collection[str]) -> Collection[str]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different: thresholds by space and layer, one rule more, another policy."""

    thresholds: Mapping[tuple[str, str], float] = field(default_factory=dict)
    rule: RuleRow | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A case whose outcome the change would have been another."""

    kind: str
    id: str
    before: str
    after: str
    codes: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """How many cases were decided, how many by their prompt alone, and what changed."""

    compared: int = 0
    partly: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def to_json(self) -> Json:
        """As the command prints it."""
        told: list[JsonValue] = [
            {"before": before, "after": after, "count": count}
            for (before, after), count in sorted(self.outcomes.items())
        ]
        return {
            "compared": self.compared, "partly": self.partly,
            "changed": sum(n for (before, after), n in self.outcomes.items() if before != after),
            "outcomes": told,
            "examples": [
                {"kind": one.kind, "id": one.id, "before": one.before, "after": one.after,
                 "reasons": list(one.codes)}
                for one in self.examples
            ],
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A simulation as it is asked for: see `threshold_of`; ``rule``: subject and effect; ``since``: a date;
    ``account``: whose rule it is, and otherwise whose cases are looked at; ``limit``: of cases;
    ``released_only``: without what never left.
    """

    thresholds: tuple[str, ...] = ()
    rule: tuple[str, str] | None = None
    account: str | None = None
    policy: str | None = None
    since: str = ""
    limit: int | None = None
    released_only: bool = False


def simulated(
    wanted: Wanted, registry: Registry, calibrations: Calibrations, archive: Archive, now: str
) -> Report:
    """Run a simulation over the releases and the stopped jobs of a home. Raises: UsageError."""
    if not (wanted.thresholds or wanted.rule or wanted.policy):
        raise UsageError(
            "say what to change: --threshold SPACE/LAYER=VALUE, --rule ID EFFECT or --policy NAME"
        )
    if wanted.since and not _DATE.fullmatch(wanted.since):
        raise UsageError(f"{wanted.since[:40]!r} is no date; write 2026-01-31")
    change = Change(
        thresholds=dict(threshold_of(told, registry.spaces(), calibrations) for told in wanted.thresholds),
        rule=rule_of(*wanted.rule, wanted.account, registry, now) if wanted.rule else None,
        policy=policies.preset(wanted.policy) if wanted.policy else None,
    )
    cases: Iterator[Past] = released(archive, wanted.since)
    if not wanted.released_only:
        cases = chain(cases, stopped(archive, wanted.since))
    if wanted.account and not wanted.rule:
        cases = (case for case in cases if case.account == wanted.account)
    return Simulation(registry, calibrations, change, now=now).run(islice(cases, wanted.limit))


class Simulation:
    """Decides past cases with and without a change."""

    def __init__(self, registry: Registry, calibrations: Calibrations, change: Change, *, now: str) -> None:
        self._registry, self._now, self._change = registry, now, change
        self._calibrations, self._changed = calibrations, Overlaid(calibrations, change.thresholds)
        self._subjects = self._changed_subjects = registry.subjects
        if change.rule is not None:
            record = registry.subjects[change.rule.subject]
            ruled = replace(record, rules=(*record.rules, change.rule))
            self._changed_subjects = {**registry.subjects, record.id: ruled}

    def run(self, cases: Iterable[Past]) -> Report:
        """Decide all of them."""
        report = Report()
        per_outcome: Counter[tuple[str, str]] = Counter()
        for case in cases:
            before, after, codes = self.outcomes(case)
            report.compared += 1
            report.partly += not case.seen
            report.outcomes[before, after] += 1
            if before != after and per_outcome[before, after] < MAX_EXAMPLES:
                per_outcome[before, after] += 1
                report.examples.append(
                    Example(kind=case.kind, id=case.id, before=before, after=after, codes=codes)
                )
        return report

    def outcomes(self, case: Past) -> tuple[str, str, tuple[str, ...]]:
        """What is decided without and with the change, and the codes of the reasons with it."""
        own = PRESETS.get(case.policy)
        if own is None:
            return UNKNOWN, UNKNOWN, ()
        # Frames are judged by settings and not by the preset: what was judged, and can still be, is.
        judged = any(seen.space in self._calibrations for seen in case.sight.of(Kind.UNSAFE_FRAME))
        own = own.judging_frames(judged)
        reports = self._reports(case, own, self._calibrations)
        before, _ = self._decided(case, own, reports, self._subjects)
        policy = (self._change.policy or own).judging_frames(judged)
        if self._change.thresholds or policy.required != own.required:
            reports = self._reports(case, policy, self._changed)
        after, codes = self._decided(case, policy, reports, self._changed_subjects)
        return before, after, codes

    def _decided(
        self, case: Past, policy: Policy, reports: Sequence[CheckReport],
        subjects: Mapping[str, SubjectRecord],
    ) -> tuple[str, tuple[str, ...]]:  # fmt: skip
        decision = policies.decide(
            policy if case.seen else policy.only([policies.NAMES]), reports, sound=policies.Sound.ACCEPT,
            has_sound=False, registry_seq=self._registry.seq, now=self._now,
            wishes=wishes_of(subjects, case.account, self._now),
        )  # fmt: skip
        if not case.seen and decision.verdict is Verdict.ALLOW:  # 2
            return UNKNOWN, ()
        return str(decision.verdict), tuple(dict.fromkeys(reason.code for reason in decision.reasons))

    def _reports(self, case: Past, policy: Policy, calibrations: Calibrations) -> tuple[CheckReport, ...]:
        required: Sequence[str] = policy.required if case.seen else policy.only([policies.NAMES]).required
        if not case.sight.texts:
            prompt = [check for check in required if check in policies.PROMPT_CHECKS]
            required = [check for check in required if check not in prompt]
            return (*self._examined(case, required, calibrations), *unasked(prompt))
        if policies.UNSAFE in required and not case.sight.of(Kind.UNSAFE):
            # Released before anybody judged that: nothing to decide again.
            required = [check for check in required if check != policies.UNSAFE]
            return (*self._examined(case, required, calibrations), *unasked([policies.UNSAFE]))
        return self._examined(case, required, calibrations)

    def _examined(
        self, case: Past, checks: Sequence[str], calibrations: Calibrations
    ) -> tuple[CheckReport, ...]:
        if not checks:
            return ()
        reports = examine(checks, case.sight, self._registry, calibrations)
        return in_full(reports, case.sight, self._registry)


class Overlaid(Mapping[str, "Calibration"]):
    """Calibrations, of which some have other thresholds."""

    def __init__(self, calibrations: Calibrations, thresholds: Mapping[tuple[str, str], float]) -> None:
        self._below = calibrations
        self._above = {
            space: _with_thresholds(calibrations[space], thresholds)
            for space in {one for one, _ in thresholds}
        }

    def __getitem__(self, space: str) -> "Calibration":
        return self._above[space] if space in self._above else self._below[space]

    def __iter__(self) -> Iterator[str]:
        return iter(self._below)

    def __len__(self) -> int:
        return len(self._below)


def _with_thresholds(found: "Calibration", thresholds: Mapping[tuple[str, str], float]) -> "Calibration":
    layers = {
        name: replace(layer, threshold=thresholds.get((found.space, name), layer.threshold))
        for name, layer in found.layers.items()
    }
    return replace(found, layers=layers)


def threshold_of(
    told: str, spaces: Collection[str], calibrations: Calibrations
) -> tuple[tuple[str, str], float]:
    """Read SPACE/LAYER=VALUE; a space may be told by its beginning. Raises: UsageError."""
    where, _, value = told.partition("=")
    begin, _, layer = where.rpartition("/")
    found = sorted(space for space in spaces if begin and space.startswith(begin))
    if len(found) != 1:
        raise UsageError(
            f"{where[:80]!r} names no space; choose one of: {', '.join(sorted(spaces)) or 'none'}"
        )
    calibration = calibrations.get(found[0])
    if calibration is None or layer not in calibration.layers:
        layers = ", ".join(calibration.layers) if calibration else "none"
        raise UsageError(f"{found[0]} has no layer {layer[:40]!r}; choose one of: {layers}")
    try:
        return (found[0], layer), float(value)
    except ValueError:
        raise UsageError(f"{value[:40]!r} is no threshold; write {found[0]}/{layer}=0.7") from None


def rule_of(subject: str, effect: str, account: str | None, registry: Registry, now: str) -> RuleRow:
    """A rule as it would be set. Raises: UsageError."""
    if subject not in registry.subjects:
        raise UsageError(f"there is no opt-out {subject[:40]!r} in force; see: countermark optout list")
    if effect not in EFFECTS:
        raise UsageError(f"{effect[:40]!r} is no effect; choose one of: {', '.join(EFFECTS)}")
    return RuleRow(
        id=new_id(now), subject=subject, effect=effect, account=account, valid_from=None, valid_until=None,
        priority=0, licence=False,
    )  # fmt: skip
