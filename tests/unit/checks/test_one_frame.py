"""One frame on the way: never stricter than the clip that holds it, and silent where it could not look."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import CheckReport, CheckState, Finding
from classifiers.similarity import Scoring, clip_score
from classifiers.thresholds import Calibration, Layer
from classifiers.unsafe.check import SURE
from generator.base import Peek
from pipeline import policy as policies
from pipeline import preview
from pipeline.types import Verdict

UNSAFE = "unsafe_clip_sexual"
FACES = "face_portrait"
PEEK = Peek(picture=np.zeros((64, 64, 3), np.uint8), step=7, steps=12)
FOUND = Finding(check="frames", subject="s", score=0.9, threshold=0.8, times=(0.0,))


def calibration(threshold: float, **numbers: float) -> Calibration:
    layer = Layer(threshold=threshold, slope=1.0, intercept=0.0)
    layers = dict.fromkeys(("frame_picture", UNSAFE, FACES), layer)
    return Calibration(space="s", version=1, made={}, layers=layers, numbers=numbers)


@given(
    best=st.floats(0, 1), others=st.lists(st.floats(0, 1), max_size=8), threshold=st.floats(0, 1),
    weight=st.floats(0, 1), moments=st.integers(1, 5), margin=st.floats(0, 0.5) | st.none(),
)  # fmt: skip
def test_what_one_frame_reaches_every_clip_with_it_reaches(
    best: float, others: list[float], threshold: float, weight: float, moments: int, margin: float | None
) -> None:
    numbers: dict[str, float] = {"support_weight": weight, "support_moments": moments}
    own = calibration(threshold, **numbers | ({} if margin is None else {"single_margin": margin}))
    strict = preview.OfOneFrame({"s": own})["s"]
    scores = [best, *sorted((other for other in others if other <= best), reverse=True)]
    for layer in ("frame_picture", UNSAFE):
        if best >= strict.layer(layer).threshold:
            assert clip_score(scores, Scoring.of(own)) >= threshold - 1e-9


def test_what_counts_by_the_moment_keeps_its_threshold() -> None:
    sure = SURE.format(layer=UNSAFE)
    own = calibration(0.8, **{"support_weight": 0.5, "single_margin": 0.02, sure: 0.9, "cohort_weight": 0.3})
    strict = preview.OfOneFrame({"s": own})["s"]
    assert strict.layer(FACES).threshold == 0.8
    assert strict.layer(UNSAFE).threshold == pytest.approx(0.82)
    assert (strict.numbers[sure], strict.numbers["cohort_weight"]) == (pytest.approx(0.92), 0.3)
    with pytest.raises(KeyError):
        _ = preview.OfOneFrame({"s": own})["other"]


def test_quarantine_and_checks_that_did_not_look_say_nothing() -> None:
    doubted = replace(FOUND, quarantined=True)
    report = CheckReport(check="frames", state=CheckState.COMPLETED, findings=(FOUND, doubted))
    assert preview._counting(report).findings == (replace(FOUND, times=()),)
    failed = CheckReport(check="likeness", state=CheckState.FAILED, detail="out of memory")
    assert preview.completed([report, failed]) == ("frames",)
    assert preview.completed([failed]) == ()


@pytest.mark.parametrize("state", [state for state in CheckState if state is not CheckState.COMPLETED])
def test_a_look_that_is_not_whole_is_noted_as_skipped(state: CheckState) -> None:
    reports = [CheckReport(check="frames", state=CheckState.COMPLETED)]
    assert preview.noted(PEEK, reports, seconds=0.5)["state"] == "completed"
    told = preview.noted(
        PEEK, [*reports, CheckReport(check="likeness", state=state, detail="why")], seconds=0.5
    )
    assert (told["state"], told["why"]) == ("skipped", "why")
    assert preview.noted(PEEK, seconds=0.5)["state"] == "skipped"


def decision(verdict: Verdict) -> Any:
    return SimpleNamespace(verdict=verdict)


@pytest.mark.parametrize(
    ("verdict", "setting", "resumable", "stops"),
    [
        (Verdict.BLOCK, "refuse", False, True), (Verdict.BLOCK, "hold", False, True),
        (Verdict.REVIEW, "hold", True, True), (Verdict.REVIEW, "hold", False, False),
        (Verdict.REVIEW, "refuse", True, False), (Verdict.ALLOW, "hold", True, False),
    ],
)  # fmt: skip
def test_what_stops(verdict: Verdict, setting: str, resumable: bool, stops: bool) -> None:
    assert preview.stops(decision(verdict), setting, resumable=resumable) is stops


@pytest.mark.parametrize(("setting", "judged", "worth"), [
    ("hold", False, True), ("hold", True, True), ("refuse", False, False), ("refuse", True, True),
    ("off", True, False),
])  # fmt: skip
def test_where_a_look_is_worth_its_time(setting: str, judged: bool, worth: bool) -> None:
    policy = policies.preset("opt-out").judging_frames(judged)
    assert preview.worthwhile(policy, setting, resumable=True) is worth
    assert not preview.worthwhile(policies.preset("marks-only"), setting, resumable=True)
