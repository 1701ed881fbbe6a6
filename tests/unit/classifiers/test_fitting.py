"""From scores to thresholds, curves and figures of how far they can be believed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.errors import TooFewScores
from classifiers.fitting import Scores, Target, demand, fitted, logistic, reliability

CHANCE = np.random.default_rng(3)


def drawn(
    count: int, own: float, strangers: float, spread: float = 0.1, alike: float | None = None
) -> Scores:
    def around(middle: float) -> list[float]:
        return CHANCE.normal(middle, spread, count).tolist()

    return Scores(own=around(own), strangers=around(strangers), alike=around(alike) if alike else [])


@settings(max_examples=40)
@given(
    strangers=st.lists(st.floats(-1, 1), min_size=30, max_size=200),
    share=st.sampled_from([0.05, 0.1, 0.25]),
)
def test_no_more_strangers_than_asked_for_are_over_the_threshold(
    strangers: list[float], share: float
) -> None:
    scores = Scores(own=[0.5, 0.9] * 10, strangers=strangers)
    layer = fitted(scores, Target(strangers=share))
    assert sum(score >= layer.threshold for score in strangers) <= share * len(strangers)


def test_look_alikes_raise_the_threshold() -> None:
    scores = drawn(400, 0.9, 0.2, spread=0.05, alike=0.7)
    usual, strict = fitted(scores, Target(strangers=0.01)), fitted(scores, Target(strangers=0.01, alike=0.05))
    assert usual.threshold < 0.5 < strict.threshold
    assert np.mean(np.array(scores.alike) > strict.threshold) == pytest.approx(0.05, abs=0.01)


def test_ordinary_prompts_raise_the_threshold() -> None:
    scores = drawn(200, 0.9, 0.2, spread=0.02)
    scores.ordinary = [0.6] * 100
    assert fitted(scores, Target(strangers=0.01)).threshold >= 0.6


def test_the_curve_says_one_half_in_the_middle_and_both_sides_weigh_the_same() -> None:
    own, few = CHANCE.normal(0.8, 0.1, 2000), CHANCE.normal(0.4, 0.1, 50)
    slope, intercept = logistic(own, few)
    assert -intercept / slope == pytest.approx(0.6, abs=0.03)


def test_figures_of_scores_that_are_as_the_curve_says() -> None:
    """Two normal distributions of one spread are what a logistic curve fits exactly."""
    found = reliability(drawn(2000, 0.8, 0.5), Target(strangers=0.05))
    assert (found.own, found.strangers) == (2000, 2000)
    assert found.ece < 0.03
    assert found.brier < 0.1
    assert found.passed / found.strangers == pytest.approx(0.05, abs=0.02)
    assert found.found / found.own > 0.85
    assert sum(one.weight for one in found.bins) == pytest.approx(1, abs=1e-3)


def test_figures_are_of_scores_that_were_left_out() -> None:
    """Subjects whose neighbours do not help: the threshold of others lets more of their strangers pass."""
    scores = Scores(own=[0.9] * 50, strangers=[0.1] * 80 + [0.8] * 20)
    assert fitted(scores, Target(strangers=0.1)).threshold == pytest.approx(0.8, abs=1e-4)
    left = Scores(own=[0.9] * 50, strangers=[0.1] * 80 + [0.5] * 20)
    assert reliability(left, Target(strangers=0.01)).passed == 20  # none of them, had it been measured on all


def test_the_same_score_for_everybody_tells_nothing() -> None:
    found = reliability(Scores(own=[0.5] * 20, strangers=[0.5] * 100), Target(strangers=0.01))
    assert found.brier == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("own", "strangers", "alike", "told"),
    [(9, 100, 100, "of registered"), (10, 99, 100, "of strangers"), (10, 100, 19, "of look-alikes")],
)
def test_too_little_material(own: int, strangers: int, alike: int, told: str) -> None:
    scores = Scores(own=[1.0] * own, strangers=[0.0] * strangers, alike=[0.5] * alike)
    with pytest.raises(TooFewScores, match=told):
        demand(scores, "frame_picture", Target(strangers=0.01, alike=0.05))


def test_prompts_have_no_look_alikes_to_bound() -> None:
    scores = Scores(own=[0.5] * 10, strangers=[0.1] * 100)
    demand(scores, "prompt_picture", Target(strangers=0.01, alike=0.05))
