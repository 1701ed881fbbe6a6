"""The cross-validation: what a held-out line is, never how it is labelled, decides what is said of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifiers.minilm import HIGHEST, LENGTH, MAX_WINDOWS, MEANS, MiniLm
from training.safety.folds import SPREAD, any_of, area, cross_validated, fit_kernel, held_out, kernel
from training.safety.labelled import DataUnusable, Labelled

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")  # torch says so once
RED = "a red {} on the shelf number {}"
BLUE = "blue {} far away, as seen in the year {}"
THINGS = ("cup", "boat", "kite", "lamp", "shoe", "drum")


class Counting:
    """Says of a text how often each letter is in it: all that is needed to tell these texts apart."""

    def inner(self, texts: Sequence[str]) -> NDArray[np.float32]:
        letters = "abcdefghijklmnopqrstuvwxyz"
        return np.array([[text.count(letter) for letter in letters] for text in texts], np.float32)


def labelled() -> Labelled:
    texts = [form.format(thing, number) for form in (RED, BLUE) for thing in THINGS for number in range(4)]
    red = np.array([text.startswith("a red") for text in texts], np.float32)
    wanted = np.stack([red, np.zeros_like(red)], axis=1)
    return Labelled(texts=tuple(texts), labels=("red", "never"), wanted=wanted, counts=np.ones_like(wanted))


def scored(data: Labelled, count: int = 4) -> NDArray[np.float64]:
    return held_out(data, Counting(), count, seed=1, say=lambda _: None)


def test_what_can_be_told_apart_is_found_and_a_label_that_nothing_has_is_left_out() -> None:
    data = labelled()
    rows = {row["label"]: row for row in cross_validated(data, scored(data), 4)}
    assert rows["red"]["auprc"] == rows["any"]["auprc"] == 1
    assert (rows["any"]["of"], rows["any"]["n"]) == (24, 48)
    assert "never" not in rows


def test_a_label_of_a_line_does_not_change_what_is_said_of_that_line() -> None:
    data = labelled()
    before = scored(data)[:, 0]
    for line in (0, 30):
        counts = data.counts.copy()
        counts[line, 0] = 0
        after = scored(replace(data, counts=counts))[:, 0]
        assert after[line] == pytest.approx(before[line], abs=1e-9)
        assert not np.allclose(after, before)


def test_folds_need_lines_of_both_kinds() -> None:
    data = labelled()
    with pytest.raises(DataUnusable, match="too few lines"):
        scored(data, count=25)


@given(st.lists(st.lists(st.floats(-40, 40), min_size=3, max_size=3), min_size=1, max_size=6))
def test_any_is_at_least_as_likely_as_each(logits: list[list[float]]) -> None:
    given_ = np.array(logits)
    found = any_of(given_)
    assert np.isfinite(found).all()
    assert (found >= np.clip(given_, -30, 30).max(axis=1) - 1e-6).all()


def test_any_of_even_chances() -> None:
    assert any_of(np.zeros((1, 2)))[0] == pytest.approx(np.log(3))  # three in four


def test_nearness_is_symmetric_and_greatest_to_oneself() -> None:
    data = labelled()
    from classifiers.unsafe.features import hashed

    near = kernel(Counting().inner(data.texts), [hashed(text) for text in data.texts])
    assert np.allclose(near, near.T, atol=1e-6)
    assert (np.diag(near) + 1e-6 >= near.max(axis=1)).all()
    assert np.linalg.eigvalsh(near).min() > -1e-5


def test_area_is_the_mean_precision_where_something_is_found() -> None:
    assert area(np.array([True, False, True]), np.array([3.0, 2.0, 1.0])) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(area(np.zeros(3, bool), np.zeros(3)))


def test_inner_layers_read_a_long_text_to_its_end_and_no_farther_than_the_limit() -> None:
    minilm = MiniLm()
    short = minilm.inner(["a quiet garden", "", "\ud800"])
    assert short.shape == (3, (len(MEANS) + len(HIGHEST) + 1) * minilm.dimension)
    assert np.isfinite(short).all()
    many = "garden " * (LENGTH + 20)
    ends = minilm.inner([many + "calm", many + "bomb"])
    assert not np.allclose(ends[0], ends[1], atol=1e-3)
    assert np.array_equal(*minilm.embed_texts([many + "calm", many + "bomb"]))
    endless = "garden " * (LENGTH * MAX_WINDOWS)
    assert np.array_equal(*minilm.inner([endless + "calm", endless + "bomb"]))
    assert minilm.inner([]).shape == (0, short.shape[1])


@pytest.mark.parametrize("wanted_lines", [0, 1, 3, 40])
def test_the_fit_ends_where_nothing_is_left_to_gain_also_for_rare_labels(wanted_lines: int) -> None:
    random = np.random.default_rng(7)
    points = random.normal(0, 1, (300, 6))
    near = np.exp(-0.3 * ((points[:, None] - points) ** 2).sum(axis=2))
    wanted = np.zeros(300)
    wanted[:wanted_lines] = 1
    weights, bias = fit_kernel(near, wanted)
    share = 1 / (1 + np.exp(-(near @ weights + bias)))
    # At the optimum each weight is its line's error, times how freely the regression may follow.
    assert np.abs(weights - SPREAD * (wanted - share)).max() < 0.05
