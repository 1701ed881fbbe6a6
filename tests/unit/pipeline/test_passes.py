"""Passes of a sight: told apart again, checked one by one, and never half seen."""

import numpy as np
import pytest

from classifiers.base import CheckReport, CheckState, Finding, Kind, Seen, Sight
from pipeline.passes import by_pass, joined, passes_of


def seen(kind: Kind, space: str, value: float) -> Seen:
    return Seen(kind=kind, space=space, vectors=np.full((1, 2), value, np.float32))


def look(value: float) -> Sight:
    """What both models see of one text."""
    parts = ((Kind.PROMPT, "clip"), (Kind.PROMPT, "minilm"), (Kind.CLAUSE, "minilm"))
    return Sight(texts=("x",), seen=tuple(seen(kind, space, value) for kind, space in parts))


def test_passes_are_told_apart_again() -> None:
    whole = joined(("a", "b"), [look(1), look(2), look(3)])
    with_clip = whole.joined(Sight(seen=(seen(Kind.FRAME, "clip", 9), seen(Kind.FACE, "faces", 9))))
    found = passes_of(with_clip)
    assert [one.texts for one in found] == [("a", "b")] * 3
    assert [{float(part.vectors[0, 0]) for part in one.seen} for one in found] == [{1}, {2}, {3}]
    assert [len(one.seen) for one in passes_of(look(4))] == [3]
    assert [one.seen for one in passes_of(Sight(texts=("a",)))] == [()]


def test_half_a_look_is_none() -> None:
    assert joined(("a", "b"), [look(1), Sight(texts=("b",))]).seen == ()


def finding(subject: str, score: float, *, sure: bool = False) -> Finding:
    return Finding(check="c", subject=subject, score=score, threshold=0.5, sure=sure)


@pytest.mark.parametrize("state", CheckState)
def test_the_worst_state_and_the_strongest_findings_count(state: CheckState) -> None:
    found = (finding("a", 0.6), finding("b", 0.7))
    told = {
        1.0: CheckReport(check="c", state=CheckState.COMPLETED, findings=found, scores={"l": 0.7}),
        2.0: CheckReport(check="c", state=state, findings=(finding("a", 0.9, sure=True),), scores={"l": 0.9}),
    }

    def check(sight: Sight) -> CheckReport:
        return told[float(sight.seen[0].vectors[0, 0])]

    report = by_pass(check, joined(("a", "b"), [look(1), look(2)]))
    assert report.state is state
    assert [(one.subject, one.score, one.part) for one in report.findings] == [("a", 0.9, 1), ("b", 0.7, 0)]
    assert report.scores == {"l": 0.9}
