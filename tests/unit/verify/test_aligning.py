"""A place that is nearly right becomes right, and never a worse one."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.verify.aligning import COARSE, FARTHEST, FINE, Placed, aligned
from pipeline.verify.laying import Field, Matrix, covered, lay
from pipeline.verify.structure import Overlay, agreement

SIDES = (1.5, 1.0)
SIZE = (72, 48)
CLIP = (128, 192)  # rows, columns
CELL = 1 / 48


def picture(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 1, CLIP).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.asarray(np.clip(soft / soft.std() * 40 + 120, 0, 255), np.uint8)


def luma(moment: NDArray[np.uint8], place: Matrix) -> Field:
    return lay(moment, place, SIDES, SIDES, SIZE)


MOMENTS = [picture(seed) for seed in range(3)]
RELEASE = [luma(moment, np.eye(3)) for moment in MOMENTS]


def overlaid(place: Matrix) -> list[Overlay]:
    seen = covered(place, SIDES, SIDES, SIZE).astype(np.float32)
    return [
        Overlay.of(release, luma(moment, place), seen)
        for release, moment in zip(RELEASE, MOMENTS, strict=True)
    ]


def off(placed: Placed) -> float:
    """How far the farthest corner is from where it belongs, in short sides."""
    corners = np.array([[0, 0, 1], [SIDES[0], 0, 1], [0, SIDES[1], 1], [*SIDES, 1]])
    at = corners @ placed.matrix.T
    return float(np.abs(at[:, :2] / at[:, 2:] - corners[:, :2]).max())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.03, 0.03), min_size=4, max_size=4))
def test_what_was_moved_and_stretched_comes_back(numbers: list[float]) -> None:
    begun = Placed(begun=np.eye(3), side=SIDES).changed(np.array([*numbers, 0, 0, 0, 0]))
    found = aligned(aligned(begun, overlaid, COARSE), overlaid, FINE)
    assert off(found) < 0.1 * CELL


@pytest.mark.parametrize("number", range(8))
def test_each_of_the_eight_numbers_is_found(number: int) -> None:
    step = np.zeros(8)
    step[number] = 0.03
    begun = Placed(begun=np.eye(3), side=SIDES).changed(step)
    assert off(begun) > 0.4 * CELL
    assert off(aligned(begun, overlaid, FINE)) < 0.1 * CELL


def test_other_pictures_are_not_made_worse_and_no_place_is_moved_far() -> None:
    def other(place: Matrix) -> list[Overlay]:
        seen = covered(place, SIDES, SIDES, SIZE).astype(np.float32)
        return [Overlay.of(release, luma(picture(9), place), seen) for release in RELEASE]

    begun = Placed(begun=np.eye(3), side=SIDES)
    found = aligned(begun, other, FINE)
    assert agreement(other(found.matrix)) >= agreement(other(begun.matrix))
    assert (np.abs(found.numbers) <= FARTHEST).all()


def test_nothing_in_common_stays_where_it_is() -> None:
    away = Placed(begun=np.array([[1.0, 0, 5], [0, 1, 5], [0, 0, 1]]), side=SIDES)
    assert agreement(overlaid(away.matrix)) == -1
    assert np.array_equal(aligned(away, overlaid, FINE).numbers, np.zeros(8))
