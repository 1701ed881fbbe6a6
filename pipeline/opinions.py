"""The grey band of descriptions: a local judge says whether a prompt means a subject or one merely like it.

1. Asked is about subjects that the check of descriptions found and is not sure of, from the number on under
   which nobody is meant; not about those who are in quarantine, nor about those without words.
2. "The same" makes the finding sure, "similar" drops it. What is unknown (no answer, no clear one, one that
   came too late, too many subjects) leaves it for a person, also under the threshold.
3. An opinion is kept with the decision, and counts later, in the same job and for its release, as long as the
   very same would be asked: the same texts, and the same words of the subject.
Without a judge in the settings, nothing here runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from classifiers.alike import Discerner, Entry, Likeness, question_digest
from classifiers.base import CheckReport, CheckState, Finding, References, Sight
from classifiers.descriptions import PERHAPS
from classifiers.thresholds import Calibration
from pipeline import policy as policies
from pipeline.examine import Calibrations, examine
from pipeline.types import Decision, Opinion, Reason
from registry.subject_types import SubjectRecord

_SAID: Final = {
    Likeness.SAME: " A local model was asked, and takes it for the same.",
    Likeness.UNKNOWN: " A local model was asked, and gave no clear answer.",
}

Subjects = Mapping[str, SubjectRecord]


def asked(
    discerner: Discerner, reports: Sequence[CheckReport], sight: Sight, references: References,
    subjects: Subjects, calibrations: Calibrations,
) -> tuple[tuple[CheckReport, ...], tuple[Opinion, ...]]:  # fmt: skip
    """Rules 1 and 2: the reports, and what the judge said."""
    if not any(_of_descriptions(report) for report in reports):
        return tuple(reports), ()
    [wide] = examine((policies.DESCRIPTIONS,), sight, references, _Lowered(calibrations))
    entries = [_entry(subjects[one]) for one in _grey(wide) if one in subjects]
    entries = [entry for entry in entries if entry.told]
    told = discerner.ask(sight.texts, entries) if entries else ()
    opinions = tuple(
        Opinion(
            subject=one.subject, answer=str(one.likeness), model=discerner.model, sha256=discerner.digest,
            question=one.question, why=one.why,
        )
        for one in told
    )  # fmt: skip
    return tuple(
        _weighed(wide, opinions) if _of_descriptions(report) else report for report in reports
    ), opinions


def standing(opinions: Sequence[Opinion], texts: Sequence[str], subjects: Subjects) -> tuple[Opinion, ...]:
    """Rule 3: those that still count."""
    return tuple(
        one for one in opinions
        if one.question and one.subject in subjects
        and one.question == question_digest(texts, _entry(subjects[one.subject]))
    )  # fmt: skip


def weighed(reports: Sequence[CheckReport], opinions: Sequence[Opinion]) -> tuple[CheckReport, ...]:
    """Rule 2 for opinions that were asked for before and still count."""
    if not opinions:
        return tuple(reports)
    return tuple(_weighed(report, opinions) if _of_descriptions(report) else report for report in reports)


def with_opinions(decision: Decision, opinions: Sequence[Opinion]) -> Decision:
    """The decision, which names them, as do its reasons."""
    by_subject = {one.subject: one for one in opinions}

    def told(reason: Reason) -> Reason:
        one = by_subject.get(str(reason.evidence.get("subject")))
        if reason.check != policies.DESCRIPTIONS or one is None:
            return reason
        evidence = reason.evidence | {
            "judge": {"answer": one.answer, "model": one.model, "sha256": one.sha256}
        }
        return replace(reason, detail=reason.detail + _SAID.get(Likeness(one.answer), ""), evidence=evidence)

    return replace(decision, opinions=tuple(opinions), reasons=tuple(map(told, decision.reasons)))


class _Lowered(Mapping[str, Calibration]):
    """The calibrations, with the numbers under which nobody is meant for thresholds."""

    def __init__(self, calibrations: Calibrations) -> None:
        self._calibrations = calibrations

    def __getitem__(self, space: str) -> Calibration:
        found = self._calibrations[space]
        layers = {
            name: replace(
                layer, threshold=min(layer.threshold, found.numbers.get(_perhaps(name), layer.threshold))
            )
            for name, layer in found.layers.items()
        }
        return replace(found, layers=layers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._calibrations)

    def __len__(self) -> int:
        return len(self._calibrations)


def _perhaps(layer: str) -> str:
    return PERHAPS.format(layer=layer)


def _of_descriptions(report: CheckReport) -> bool:
    return report.check == policies.DESCRIPTIONS and report.state is CheckState.COMPLETED


def _grey(report: CheckReport) -> list[str]:
    """Rule 1: whom to ask about, the nearest to its threshold, or the farthest over it, first."""
    sure = {one.subject for one in report.findings if one.sure}
    grey = [one for one in report.findings if not one.quarantined and one.subject not in sure]
    return list(dict.fromkeys(one.subject for one in sorted(grey, key=lambda one: one.threshold - one.score)))


def _weighed(report: CheckReport, opinions: Sequence[Opinion]) -> CheckReport:
    said = {one.subject: Likeness(one.answer) for one in opinions}
    findings = (_judged(one, said.get(one.subject)) for one in report.findings)
    return replace(report, findings=tuple(one for one in findings if one is not None))


def _judged(finding: Finding, said: Likeness | None) -> Finding | None:
    if finding.sure or finding.quarantined or said is None:
        return finding
    if said is Likeness.SIMILAR:
        return None
    return replace(finding, sure=True) if said is Likeness.SAME else finding


def _entry(subject: SubjectRecord) -> Entry:
    return Entry(
        subject=subject.id, kind=subject.kind, name=subject.name, description=subject.description,
        attributes=subject.attributes, exclusions=subject.exclusions,
    )  # fmt: skip
