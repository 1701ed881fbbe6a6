"""The survey of a clip before it is marked: the same choice as from whole frames, in little memory."""

import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.release.marking import survey
from pipeline.release.strength import choose, excerpt_end, half_size
from watermark.base import Picture, TimedLuma
from watermark.keys import DetectionKey
from watermark.visible import choose_variant

KEY = DetectionKey(epoch=1, secret=bytes(range(32)))
PAYLOAD = 0x1123456789ABCDEF
INPUTS = {"label": "AI-generated", "service": "countermark"}
LIMITS = MediaLimits()
WIDTH, HEIGHT = 320, 240


@pytest.mark.parametrize("frames", [80, 200])  # at 20 per second
def test_an_ordinary_clip_is_judged_by_the_frames_around_its_middle(
    tmp_path: Path, make_clip: Any, frames: int
) -> None:
    clip = make_clip(tmp_path / "a.mp4", WIDTH, HEIGHT, frames, fps=20)
    duration = frames / 20
    end = excerpt_end(duration)
    with open_clip(clip, limits=LIMITS) as opened:
        read = [frame for frame in opened.frames() if frame.time <= end]
    last = read[-1].time
    excerpt = [half_size(Picture(one.time, one.y, one.u, one.v)) for one in read if last - one.time <= 2.5]
    sampled: list[TimedLuma] = []
    for one in read:
        if len(sampled) < one.time * 3 + 1:
            sampled.append(TimedLuma(one.time, one.y))
    found = survey(clip, LIMITS, KEY, PAYLOAD, INPUTS)
    assert found.strength == choose(excerpt, duration, KEY, PAYLOAD)
    assert found.variant == choose_variant(sampled, KEY.visible, PAYLOAD, "AI-generated", "countermark")


@pytest.mark.parametrize("apart", [26, 130])  # tenths of a second
def test_frames_that_lie_far_apart_are_not_all_kept(tmp_path: Path, make_clip: Any, apart: int) -> None:
    count = 200
    clip = make_clip(
        tmp_path / "a.mp4", WIDTH, HEIGHT, count, fps=10, pts=[apart * index for index in range(count)],
        time_base=Fraction(1, 10), seed=3,
    )  # fmt: skip
    tracemalloc.start()
    try:
        found = survey(clip, LIMITS, KEY, PAYLOAD, INPUTS)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 60 * WIDTH * HEIGHT
    assert 0 <= found.variant < 16
