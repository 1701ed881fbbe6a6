"""Which frames are kept: regular times, cuts and changes, the last; within limits, whatever the clip."""

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import Picture
from classifiers.sampling import (
    CUT,
    LONG,
    WHOLE,
    Sampler,
    SamplingLimits,
    cut_out,
    limits_for,
    local_unlikeness,
    most_unlike,
    regions_of,
    strokes,
    thumbnail_of,
)


def plane(level: int, *, mark: int | None = None) -> Picture:
    luma = np.full((90, 160), level, np.uint8)
    if mark is not None:
        luma[10:40, 10:50] = mark
    return luma


def kept(frames: Iterable[Picture], rate: float = 25.0, limits: SamplingLimits | None = None) -> list[int]:
    sampler = Sampler[int](limits)
    for index, luma in enumerate(frames):
        sampler.offer(index / rate, luma, lambda index=index: index)  # type: ignore[misc]
    return [sample.content for sample in sampler.samples()]


def test_a_short_clip_keeps_first_regular_and_last() -> None:
    assert kept([plane(90)] * 30) == [0, 7, 14, 21, 28, 29]


def test_one_frame() -> None:
    assert kept([plane(90)]) == [0]


def test_nothing_offered() -> None:
    assert Sampler[int]().samples() == ()


@pytest.mark.parametrize("frames", [400, 3000, 20_000])
def test_regular_frames_stay_within_the_limit_and_spread(frames: int) -> None:
    found = kept(plane(90) for _ in range(frames))
    assert found[0] == 0
    assert found[-1] == frames - 1
    assert 8 <= len(found) <= 15
    gaps = np.diff(found[:-1])
    assert gaps.max() <= 1.5 * gaps.min()


def test_the_frame_after_a_cut_is_kept() -> None:
    frames = [plane(40)] * 43 + [plane(200)] * 60
    assert 43 in kept(frames)


def test_both_sides_of_a_flash_are_kept() -> None:
    frames = [plane(40)] * 43 + [plane(200)] + [plane(40)] * 60
    assert {43, 44} <= set(kept(frames))


def test_something_small_that_appears_between_regular_times_is_kept() -> None:
    frames = [plane(90)] * 200 + [plane(90, mark=230)] * 5 + [plane(90)] * 195
    assert set(range(200, 205)) & set(kept(frames))


def test_flicker_does_not_pass_the_limit() -> None:
    frames = [plane(40 if index % 2 else 220) for index in range(500)]
    limits = SamplingLimits()
    found = kept(frames, limits=limits)
    assert len(found) <= limits.regular + limits.changes + 1


def test_of_many_changes_the_most_unlike_stay() -> None:
    shots = [plane(40), plane(220)] * 20
    shots.insert(21, plane(120, mark=10))
    frames = [shot for shot in shots for _ in range(4)]
    found = kept(frames, rate=100.0)
    assert 21 * 4 in found


def test_noise_is_not_a_cut() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.normal(128, 40, (90, 160)).clip(0, 255).astype(np.uint8) for _ in range(100)]
    assert kept(frames) == kept([plane(90)] * 100)


def test_only_kept_frames_are_made() -> None:
    made: list[int] = []
    sampler = Sampler[int]()
    for index in range(100):
        sampler.offer(index / 25, plane(90), lambda index=index: made.append(index) or index)  # type: ignore[misc, func-returns-value]
    sampler.samples()
    assert len(made) < 20


def test_the_same_clip_gives_the_same_frames() -> None:
    rng = np.random.default_rng(1)
    frames = [np.roll(rng.integers(0, 256, (90, 160), dtype=np.uint8), i, 1) for i in range(80)]
    assert kept(frames) == kept(frames)


def test_long_clips_get_more() -> None:
    assert limits_for(600.0) == LONG
    assert limits_for(10.0) == limits_for(None) == SamplingLimits()


@pytest.mark.parametrize(
    "size", [(480, 270), (270, 480), (400, 300), (300, 300), (640, 268), (1, 1), (301, 300)]
)
def test_regions_are_the_whole_and_squares(size: tuple[int, int]) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    boxes = regions_of(width, height)
    assert boxes[0] == WHOLE
    for box in boxes[1:]:
        high, wide, _ = cut_out(picture, box).shape
        assert abs(high - wide) <= 1
        assert all(0 <= side <= 1 + 1e-9 for side in box)
    assert len(boxes) <= 16


@given(
    width=st.integers(16, 2000), aspect=st.floats(0.42, 2.4), side=st.floats(0.05, 0.4),
    left=st.floats(0, 1), top=st.floats(0, 1),
)  # fmt: skip
def test_what_is_small_lies_within_a_square(
    width: int, aspect: float, side: float, left: float, top: float
) -> None:
    """Anything square of two fifths of the short side, wherever it is."""
    height = max(1, round(width / aspect))
    short = min(width, height)
    wide, high = side * short / width, side * short / height
    left, top = left * (1 - wide), top * (1 - high)
    assert any(
        box[0] <= left + 1e-6 and box[1] <= top + 1e-6
        and left + wide <= box[2] + 1e-6 and top + high <= box[3] + 1e-6
        for box in regions_of(width, height)[1:]
    )  # fmt: skip


def test_a_cut_has_the_pixels_of_its_box() -> None:
    picture = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)
    assert cut_out(picture, (0.4, 0.4, 1.0, 1.0))[-1, -1].tolist() == picture[-1, -1].tolist()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (2, 1, 3)])
def test_regions_of_tiny_pictures_have_pixels(shape: tuple[int, int, int]) -> None:
    assert all(cut_out(np.zeros(shape, np.uint8), box).size for box in regions_of(shape[1], shape[0]))


def test_local_unlikeness_sees_a_corner() -> None:
    one, other = thumbnail_of(plane(90)), thumbnail_of(plane(90, mark=230))
    assert float(local_unlikeness(one, other)) > 100
    assert float(np.abs(one - other).mean()) < 12 < CUT


def page(*lines: str, noise: int = 0) -> Picture:
    picture = np.full((540, 960, 3), 120, np.uint8)
    for place, line in enumerate(lines):
        cv2.putText(picture, line, (60, 80 + 40 * place), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (250, 250, 250), 1)
    dust = np.random.default_rng(noise).integers(-noise, noise + 1, picture.shape) if noise else 0
    return np.clip(picture + dust, 0, 255).astype(np.uint8)


def test_frames_whose_strokes_are_the_same_are_taken_once() -> None:
    maps = [strokes(page("one", noise=noise)) for noise in range(4)]
    assert most_unlike(maps, 3) == [0]


def test_a_small_word_that_changes_makes_a_frame_of_its_own() -> None:
    shown = [
        page("SEVEN", noise=2),
        page("SEVEN", noise=3),
        page("EIGHT"),
        page("SEVEN"),
        page("NINE"),
        page(),
    ]
    assert most_unlike([strokes(one) for one in shown], 9) == [0, 2, 4, 5]
    assert len(most_unlike([strokes(one) for one in shown], 2)) == 2


def test_a_title_is_taken_before_what_only_moves() -> None:
    """Twelve steps of a pan over soft shapes, one of them with a title: it is among any three."""
    soft = cv2.resize(np.random.default_rng(4).integers(0, 256, (12, 40, 3), np.uint8), (1920, 540))
    steps = [np.array(soft[:, 70 * step : 70 * step + 960]) for step in range(12)]
    cv2.putText(steps[7], "THE TITLE", (300, 300), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
    assert 7 in most_unlike([strokes(one) for one in steps], 3)


def test_pictures_of_several_sizes_are_all_unlike() -> None:
    maps = [strokes(np.zeros((90, 160, 3), np.uint8)), strokes(np.zeros((40, 30, 3), np.uint8))]
    assert most_unlike(maps, 9) == [0, 1]
    assert most_unlike([], 9) == []
