"""Whether frames are unsafe: over time, with what else is known of a clip, and what the decision says."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import CheckReport, CheckState, Finding, Kind, Seen, Sight
from classifiers.errors import CalibrationMissing, ModelUnusable
from classifiers.similarity import SINGLE_MARGIN, SUPPORT_MOMENTS, SUPPORT_WEIGHT
from classifiers.thresholds import Calibration, Layer
from classifiers.unsafe.check import CATEGORIES, NEVER, SURE
from classifiers.unsafe.frames import (
    CHECK,
    SEXUAL,
    FrameJudges,
    check_unsafe_frames,
    demand_layers,
    seen_unsafe,
    with_likeness,
)
from classifiers.unsafe.taxonomy import Category, Side, code
from pipeline import policy
from pipeline.policy import PRESETS
from pipeline.reasons import Wish
from pipeline.types import Decision, Verdict

SPACE = "concepts-1"
GORE = code(Category.GORE, Side.CLIP)
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def calibration(space: str = SPACE, threshold: float = 1.0) -> Calibration:
    layer = Layer(threshold=threshold, slope=1.0, intercept=0.0)
    return Calibration(
        space=space, version=1, made={}, layers={SEXUAL: layer, GORE: layer},
        numbers={
            SURE.format(layer=SEXUAL): threshold + 2, SUPPORT_WEIGHT: 0.5, SUPPORT_MOMENTS: 3.0,
            SINGLE_MARGIN: 1.5,
        },
    )  # fmt: skip


def rows(told: Sequence[Mapping[Category, float]]) -> np.ndarray:
    found = np.full((len(told), len(CATEGORIES)), NEVER, np.float32)
    for row, one in enumerate(told):
        for category, number in one.items():
            found[row, CATEGORIES.index(category)] = number
    return found


def seen(*moments: float, category: Category = Category.SEXUAL, space: str = SPACE) -> Seen:
    return seen_unsafe(space, rows([{category: number} for number in moments]), range(len(moments)))


def checked(*parts: Seen, texts: Sequence[str] = ()) -> CheckReport:
    sight = Sight(texts=tuple(texts), seen=parts)
    return check_unsafe_frames(sight, {one: calibration(one) for one in (SPACE, "pictures-1")})


def test_several_moments_or_a_strong_one() -> None:
    assert checked(seen(-4, -4, -4, -4)).findings == ()
    assert checked(seen(1.2, -4, -4, -4)).findings == ()  # one weak moment among many
    [strong] = checked(seen(2.6, -4, -4, -4)).findings
    assert strong.score == pytest.approx(1.1, abs=0.01)
    assert (strong.code, strong.times, strong.sure) == (SEXUAL, (0.0,), False)
    [several] = checked(seen(-4, 1.3, 1.2, 1.1)).findings
    assert several.times == (1.0, 2.0, 3.0)
    [alone] = checked(seen(1.2)).findings  # a picture is one moment
    assert alone.score == pytest.approx(1.2, abs=0.01)
    [sure] = checked(seen(4, 4, 4)).findings
    assert sure.sure


def test_the_surest_region_of_a_moment_counts_and_is_named() -> None:
    logits = rows([{Category.GORE: -3}, {Category.GORE: 2}, {Category.GORE: 3}, {Category.GORE: 0}])
    [found] = checked(seen_unsafe(SPACE, logits, [0.0, 0.0, 1.5, 1.5], [LEFT, RIGHT, LEFT, RIGHT])).findings
    assert (found.times, found.boxes) == ((0.0, 1.5), (RIGHT, LEFT))
    assert not found.sure  # the calibration does not say from where on it is


def test_two_judges_are_compared_by_what_their_numbers_mean() -> None:
    report = checked(seen(2, 2, 2), seen(5, 5, 5, space="pictures-1"))
    [found] = report.findings
    assert found.calibration.startswith("pictures-1/")
    assert report.scores == {SEXUAL: 5.0}
    [found] = checked(seen(-4), seen(2, space="pictures-1")).findings
    assert found.score == 2


def test_frames_that_nobody_judged_are_skipped() -> None:
    for parts in ((), (seen(),)):
        report = checked(*parts)
        assert (report.state, report.findings) == (CheckState.SKIPPED, ())


def test_what_cannot_be_judged_is_no_pass() -> None:
    with pytest.raises(CalibrationMissing, match="no calibration of concepts-2"):
        checked(seen(1, space="concepts-2"))
    with pytest.raises(CalibrationMissing, match="unsafe_clip_hate"):
        checked(seen(-4, category=Category.HATE))
    damaged = seen(1, 2)
    for broken in (
        replace(damaged, vectors=damaged.vectors[:1]),
        replace(damaged, vectors=damaged.vectors[:, 1:]),
        replace(damaged, vectors=np.full_like(damaged.vectors, np.nan)),
    ):
        with pytest.raises(ValueError, match="damaged"):
            checked(broken)


def test_a_calibration_covers_all_that_is_judged() -> None:
    class Judge:
        space = SPACE
        judged = frozenset({Category.SEXUAL, Category.HATE})

    with pytest.raises(ModelUnusable, match="no threshold for hate"):
        demand_layers(Judge(), calibration())
    assert FrameJudges().all == ()


@given(st.lists(st.floats(-20, 20, width=16), min_size=1, max_size=8), st.integers(0, 7), st.floats(0, 5))
def test_no_moment_that_becomes_surer_makes_a_clip_less_so(
    moments: list[float], at: int, more: float
) -> None:
    raised = [number + (more if place == at % len(moments) else 0) for place, number in enumerate(moments)]
    before, after = (checked(seen(*one)).scores[SEXUAL] for one in (moments, raised))
    assert after >= before - 0.05  # half precision


def test_what_texts_say_of_a_sexual_clip() -> None:
    texts = ("a walk", "a twelve-year-old girl on a beach")
    found = {finding.code: finding for finding in checked(seen(4, 4, 4), texts=texts).findings}
    minors = found[code(Category.MINORS, Side.CLIP)]
    assert (minors.turn, minors.sure, minors.times) == (1, True, (0.0, 1.0, 2.0))
    assert minors.quote
    assert minors.quote in texts[1]
    assert {one.code for one in checked(seen(4, 4, 4), texts=("a walk",)).findings} == {SEXUAL}
    gore = checked(seen(4, category=Category.GORE), texts=texts)
    assert {one.code for one in gore.findings} == {GORE}
    named = checked(seen(4, 4, 4), texts=("Angela Merkel on a beach",)).findings
    assert code(Category.SEXUAL_LIKENESS, Side.CLIP) in {one.code for one in named}


def face(score: float = -0.4, *, quarantined: bool = False) -> CheckReport:
    finding = Finding(
        check=policy.LIKENESS, subject="s1", score=score, threshold=-0.57, code="likeness_match", sure=False,
        times=(0.5,), quarantined=quarantined,
    )  # fmt: skip
    return CheckReport(check=policy.LIKENESS, state=CheckState.COMPLETED, findings=(finding,))


def test_a_face_in_a_sexual_clip_is_a_likeness() -> None:
    unsafe, other = checked(seen(4, 4, 4)), checked(seen(4, category=Category.GORE))
    frames, faces = with_likeness([unsafe, face()])
    assert faces == face()
    likeness = frames.findings[-1]
    assert (likeness.code, likeness.subject) == (code(Category.SEXUAL_LIKENESS, Side.CLIP), "s1")
    assert not likeness.sure
    for told in ([unsafe, face(-0.9)], [unsafe, face(quarantined=True)], [other, face()], [unsafe]):
        assert with_likeness(told) == tuple(told)


def decided(*reports: CheckReport, preset: str = "opt-out") -> Decision:
    wish = Wish(effect=Verdict.ALLOW, name="Ada Example", owner="Example Estate", kind="person", licence=True)
    chosen = PRESETS[preset].only([policy.LIKENESS, policy.FRAMES]).judging_frames(True)
    frames = CheckReport(check=policy.FRAMES, state=CheckState.COMPLETED)
    return policy.decide(
        chosen, [*reports, frames], sound=policy.Sound.ACCEPT, has_sound=False, registry_seq=1,
        now="2026-01-01T00:00:00Z", wishes=lambda subject, _intent="": wish if subject else None,
    )  # fmt: skip


def test_a_licence_for_a_face_is_none_for_this() -> None:
    decision = decided(*with_likeness([checked(seen(2, 2, 2)), face()]))
    assert decision.verdict is Verdict.REVIEW
    assert [one.code for one in decision.reasons] == [SEXUAL, "unsafe_clip_sexual_likeness"]
    told = decision.reasons[1]
    assert "at 0.0 s" in told.detail
    assert "A face in it looks like Ada Example (Example Estate)." in told.detail
    assert (told.check, told.evidence["owner"]) == (CHECK, "Example Estate")


@pytest.mark.parametrize("preset", ["opt-out", "permission-first"])
def test_what_becomes_of_it_is_the_policy_s_to_say(preset: str) -> None:
    nobody = CheckReport(check=policy.LIKENESS, state=CheckState.COMPLETED)
    assert decided(checked(seen(-4)), nobody, preset=preset).verdict is Verdict.ALLOW
    assert decided(checked(seen(2, 2, 2)), nobody, preset=preset).verdict is Verdict.REVIEW
    sure = decided(checked(seen(4, 4, 4)), nobody, preset=preset)
    assert sure.verdict is Verdict.BLOCK
    assert sure.checks[CHECK] == "completed"
    [outside] = policy.for_callers(policy.to_json(sure))["reasons"]  # type: ignore[misc]
    assert not {"score", "threshold", "probability"} & set(outside["evidence"])  # type: ignore[index,call-overload]
    skipped = decided(checked(), nobody, preset=preset)
    assert skipped.verdict is Verdict.REVIEW


def test_a_decision_says_where_nobody_looked() -> None:
    plain = PRESETS["opt-out"].only([policy.FRAMES])
    frames = CheckReport(check=policy.FRAMES, state=CheckState.COMPLETED)

    def decision(chosen: policy.Policy) -> Decision:
        return policy.decide(
            chosen,
            [frames],
            sound=policy.Sound.ACCEPT,
            has_sound=False,
            registry_seq=1,
            now="2026-01-01T00:00:00Z",
        )

    unset = decision(plain)
    assert (unset.verdict, unset.checks[CHECK]) == (Verdict.ALLOW, "not_checked")
    asked = decision(plain.judging_frames(True))
    assert (asked.verdict, asked.checks[CHECK]) == (Verdict.BLOCK, "not_configured")
    assert plain.judging_frames(False) == plain
    assert PRESETS["marks-only"].judging_frames(True) == PRESETS["marks-only"]


def test_the_kind_is_kept_apart_from_that_of_prompts() -> None:
    assert seen(1).kind is Kind.UNSAFE_FRAME is not Kind.UNSAFE


@pytest.mark.parametrize("text", ["a " * 50_000, "1" * 100_000, "year old " * 11_000, "\u4e00" * 33_000])
def test_a_long_prompt_does_not_keep_a_sexual_clip_waiting(text: str) -> None:
    begun = time.process_time()
    assert SEXUAL in {finding.code for finding in checked(seen(4, 4, 4), texts=(text,)).findings}
    assert time.process_time() - begun < 3
