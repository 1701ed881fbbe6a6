"""Clips fitted to the request: time, size, shape."""

from fractions import Fraction

import numpy as np
import pytest

from generator.base import GenerationRequest
from generator.errors import GenerationFailed
from generator.frames import as_pictures, fitted


def request(width: int, height: int, seconds: float, rate: int) -> GenerationRequest:
    return GenerationRequest(
        prompt="", width=width, height=height, seconds=seconds, frame_rate=Fraction(rate), seed=0
    )


def numbered(count: int, side: int = 64) -> np.ndarray:
    return np.stack([np.full((side, side, 3), 10 * index, np.uint8) for index in range(count)])


def test_time() -> None:
    held = [int(picture[0, 0, 0]) // 10 for picture in fitted(numbered(5), 4.0, request(64, 64, 1.0, 8))]
    assert held == [0, 0, 1, 1, 2, 2, 3, 3]
    fewer = [int(picture[0, 0, 0]) // 10 for picture in fitted(numbered(5), 8.0, request(64, 64, 0.5, 4))]
    assert fewer == [0, 2]


def test_short_clips_go_forth_and_back() -> None:
    shown = [int(picture[0, 0, 0]) // 10 for picture in fitted(numbered(3), 4.0, request(64, 64, 2.0, 4))]
    assert shown == [0, 1, 2, 1, 0, 1, 2, 1]
    assert len(list(fitted(numbered(1), 4.0, request(64, 64, 1.0, 4)))) == 4


def test_sizes() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32] = 255
    for width, height in ((128, 128), (64, 64), (70, 64), (640, 360), (90, 200), (33, 33)):
        (made,) = fitted(picture[None], 8.0, request(width, height, 0.1, 8))
        assert made.shape == (height, width, 3)
        middle = made[height // 2]
        assert middle[width // 2 - 8, 0] > 240  # nothing of the picture is lost
        assert middle[width // 2 + 8, 0] < 15


def test_what_is_no_clip() -> None:
    for made in (
        np.zeros((0, 4, 4, 3)),
        np.zeros((4, 4, 3)),
        np.zeros((1, 4, 4, 4)),
        np.full((1, 4, 4, 3), np.nan),
    ):
        with pytest.raises(GenerationFailed):
            as_pictures(made.astype(np.float32))
