"""Reading what a clip begins with, and putting the new part after the old one."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.base import Clip
from pipeline.errors import LimitExceeded
from pipeline.media.reader import open_clip
from pipeline.media.rgb import planes, rgb
from pipeline.media.types import Colour, Frame, MediaLimits
from pipeline.release import beginnings

LIMITS = MediaLimits()
UNEVEN = (0, 1, 2, 3, 6, 7, 8, 15)  # in eighths of a second


def frames_of(path: Path) -> tuple[list[Frame], Any]:
    with open_clip(path, limits=LIMITS) as clip:
        return list(clip.frames()), clip.info


def grey(level: int, count: int) -> Iterator[Any]:
    return (np.full((96, 160, 3), level, np.uint8) for _ in range(count))


def new_part(count: int, rate: Fraction) -> Clip:
    return Clip(frames=grey(200, count), width=160, height=96, frame_rate=rate, generator="test", version="1")


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_clip_has_the_proportions_of_its_picture(width: int, height: int) -> None:
    wide, high = beginnings.size_of(np.zeros((height, width, 3), np.uint8))
    assert wide % 16 == high % 16 == 0
    assert 256 <= min(wide, high) <= max(wide, high) <= 1024
    if 1 / 3 < width / height < 3:
        assert wide / high == pytest.approx(width / height, rel=0.05)
        assert wide * high == pytest.approx(512 * 512, rel=0.07)


@given(
    st.tuples(*[st.integers(0, 255)] * 3), st.sampled_from([1, 5, 6, 7, 9]), st.sampled_from([0, 1, 2]),
)  # fmt: skip
def test_new_frames_have_the_colours_of_the_old_clip(level: Any, matrix: int, span: int) -> None:
    colour = Colour(range=span, primaries=2, transfer=2, matrix=matrix)
    picture = np.full((4, 6, 3), level, np.uint8)
    y, u, v = planes(picture, colour)
    assert (y.shape, u.shape, v.shape) == ((4, 6), (2, 3), (2, 3))
    frame = Frame(index=0, pts=0, time=0.0, duration=1, y=y, u=u, v=v)
    assert np.abs(rgb(frame, colour).astype(int) - picture).max() <= 3


def test_the_end_of_a_clip(tmp_path: Path, make_clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old = make_clip(tmp_path / "old.mp4", frames=12, fps=24)
    frames, info = frames_of(old)
    whole = beginnings.ending(old, 1, LIMITS)
    assert (whole.rate, len(whole.frames)) == (24, 12)
    assert np.array_equal(whole.frames[-1], rgb(frames[-1], info.colour))
    monkeypatch.setattr(beginnings, "SHOWN_BYTES", 3 * 160 * 96 * 3 // 2)
    assert np.array_equal(beginnings.ending(old, 1, LIMITS).frames, whole.frames[-3:])
    monkeypatch.setattr(beginnings, "SHOWN_SECONDS", 1 / 24 + 0.001)
    assert np.array_equal(beginnings.ending(old, 1, LIMITS).frames, whole.frames[-2:])


def test_the_end_of_an_uneven_clip_is_shown_at_even_moments(tmp_path: Path, make_clip: Any) -> None:
    old = make_clip(tmp_path / "old.mp4", frames=8, fps=8, pts=UNEVEN)
    frames, info = frames_of(old)
    found = beginnings.ending(old, 1, LIMITS)
    assert info.variable
    rate = float(found.rate)
    moments = [frames[-1].time - number / rate for number in range(len(found.frames))][::-1]
    wanted = [max(frame.index for frame in frames if frame.time <= moment + 1e-6) for moment in moments]
    assert len(set(wanted)) > 3
    shown = [rgb(frame, info.colour) for frame in frames]
    for picture, index in zip(found.frames, wanted, strict=True):
        assert np.array_equal(picture, shown[index])


@pytest.mark.parametrize("pts", [None, UNEVEN])
def test_old_frames_keep_their_moments(tmp_path: Path, make_clip: Any, pts: Any) -> None:
    old = make_clip(tmp_path / "old.mp4", frames=8, fps=8, pts=pts)
    before, info = frames_of(old)
    rate = beginnings.ending(old, 0.5, LIMITS).rate
    beginnings.join(old, new_part(4, rate), tmp_path / "new.mp4", LIMITS, sound=False)
    frames, joined = frames_of(tmp_path / "new.mp4")
    assert joined.frame_count == 12
    assert [frame.time for frame in frames[:8]] == [frame.time for frame in before]
    start = float((before[-1].pts + before[-1].duration - before[0].pts) * info.time_base)
    tick = float(info.time_base)
    for number, frame in enumerate(frames[8:]):
        assert frame.time == pytest.approx(start + number / float(rate), abs=tick)
        assert abs(float(frame.y.mean()) - 16 - 200 * 219 / 255) < 3


def test_one_that_would_be_too_long(tmp_path: Path, make_clip: Any) -> None:
    old = make_clip(tmp_path / "old.mp4", frames=12, fps=24)
    for limits in (MediaLimits(max_seconds=1.4), MediaLimits(max_frames=35)):
        with pytest.raises(LimitExceeded, match="ask for less"):
            beginnings.ending(old, 1, limits)
    assert len(beginnings.ending(old, 1, MediaLimits(max_seconds=1.5, max_frames=36)).frames) == 12
