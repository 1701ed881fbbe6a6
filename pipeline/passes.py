"""Several texts in one sight: passes of the same look, kept one after the other.

What describes somebody is a mean over the best parts of one text. Were the parts of several texts put
together, those of one would thin out those of another: an enhancer, or who plays one, could hide a
description behind an ordinary prompt, and turns about the weather could hide the last one. So each pass is
checked by itself, wherever a sight is checked; what any finds is found.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from classifiers.base import WORST_LAST, CheckReport, Finding, Kind, Seen, Sight

OF_TEXTS: Final = frozenset({Kind.PROMPT, Kind.CLAUSE})


def joined(texts: Sequence[str], passes: Sequence[Sight]) -> Sight:
    """One sight of all passes. Where nothing was seen of one of them, nothing counts as seen."""
    whole = all(one.seen for one in passes)
    seen = [seen for one in passes for seen in one.seen]
    return Sight(texts=tuple(texts), seen=tuple(seen) if whole else ())


def passes_of(sight: Sight) -> list[Sight]:
    """The passes of a sight, each with all its texts. What was seen of no text is left out; a pass begins
    where something is seen for a second time.
    """
    groups: list[list[Seen]] = [[]]
    known: set[tuple[Kind, str]] = set()
    for seen in sight.of(*OF_TEXTS):
        if (seen.kind, seen.space) in known:
            groups.append([])
            known = set()
        known.add((seen.kind, seen.space))
        groups[-1].append(seen)
    return [Sight(texts=sight.texts, seen=tuple(group)) for group in groups]


def by_pass(check: Callable[[Sight], CheckReport], sight: Sight) -> CheckReport:
    """The report of a check that is asked about each pass: the worst state, and the strongest findings.

    Of several passes, a finding says in which it was.
    """
    reports = [check(one) for one in passes_of(sight)]
    if len(reports) > 1:
        reports = [_numbered(report, number) for number, report in enumerate(reports)]
    worst = max(reports, key=lambda report: WORST_LAST.index(report.state))
    scores: dict[str, float] = {}
    for report in reports:
        scores |= {layer: max(score, scores.get(layer, score)) for layer, score in report.scores.items()}
    return CheckReport(
        check=worst.check, state=worst.state, detail=worst.detail, scores=scores,
        findings=_strongest([finding for report in reports for finding in report.findings]),
    )  # fmt: skip


def _numbered(report: CheckReport, number: int) -> CheckReport:
    return replace(report, findings=tuple(replace(one, part=number) for one in report.findings))


def _strongest(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Of several about one subject with one code the strongest, strongest first."""
    ordered = sorted(findings, key=lambda one: (not one.sure, one.quarantined, one.threshold - one.score))
    best: dict[tuple[str, str], Finding] = {}
    for one in ordered:
        best.setdefault((one.subject, one.code), one)
    return tuple(best.values())
