import cv2
import numpy as np
import pytest

from pipeline.release.strength import STRONGEST, WEAKEST, choose, excerpt_end, half_size
from watermark.base import TimedLuma
from watermark.carrier import MIN_SHORT_SIDE
from watermark.errors import GeometryError
from watermark.keys import DetectionKey

KEY = DetectionKey(epoch=1, secret=bytes(range(32)))
PAYLOAD = 0x1123456789ABCDEF
FPS = 12


def opening(grain: float = 0.0, *, moving: bool = False, seconds: float = 2.5) -> list[TimedLuma]:
    """A soft picture that stands still, under grain of so many grey levels that stands still or not."""
    rng, shape = np.random.default_rng(0), (240, 320)
    soft = np.full(shape, 115.0)
    for scale in (4, 8, 16, 32):
        coarse = rng.standard_normal((-(-shape[0] // scale), -(-shape[1] // scale))) * 4 * scale**0.5
        soft += cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    fixed = rng.normal(0, grain, shape)
    planes = (soft + (rng.normal(0, grain, shape) if moving else fixed) for _ in range(round(seconds * FPS)))
    return [TimedLuma(i / FPS, np.clip(y, 16, 235).astype(np.uint8)) for i, y in enumerate(planes)]


@pytest.fixture(scope="module")
def smooth():
    return opening()


@pytest.fixture(scope="module")
def grainy():
    return opening(12.0)


@pytest.mark.parametrize(
    ("size", "half"),
    [
        ((1920, 1080), (960, 540)),
        ((854, 480), (428, 240)),
        ((480, 854), (240, 428)),
        ((216, 216), (108, 108)),
        ((160, 120), (144, 108)),
        ((108, 1080), (108, 1080)),
    ],
)
def test_half_size(size, half):
    small = half_size(np.full(size[::-1], 77, np.uint8))
    assert small.shape[::-1] == half
    assert small.dtype == np.uint8
    assert min(small.shape) >= MIN_SHORT_SIDE
    assert np.all(small == 77)


@pytest.mark.parametrize("size", [(109, 109), (217, 300), (1919, 1079)])
def test_half_size_is_even_for_odd_clips(size):
    width, height = half_size(np.zeros(size[::-1], np.uint8)).shape[::-1]
    assert width % 2 == height % 2 == 0
    assert min(width, height) >= MIN_SHORT_SIDE


def test_where_the_codec_keeps_the_mark_less_is_drawn(smooth, grainy):
    # x264 spends bits on grain and smooths the rest, the mark with it.
    restless = opening(12.0, moving=True)
    wanted = [choose(frames, 8.0, KEY, PAYLOAD).psnr for frames in (smooth, grainy, restless)]
    assert max(wanted[:2]) < wanted[2]
    assert STRONGEST.psnr <= min(wanted)
    assert wanted[2] <= WEAKEST.psnr


@pytest.mark.parametrize(("duration", "end"), [(None, 2.5), (1.0, 2.5), (4.5, 3.5), (60.0, 6.5)])
def test_the_excerpt_lies_in_the_middle_but_not_late(duration, end):
    assert excerpt_end(duration) == pytest.approx(end)


def test_a_hopeless_clip_gets_the_strongest():
    black = [TimedLuma(index / FPS, np.zeros((120, 160), np.uint8)) for index in range(24)]
    assert choose(black, 2.0, KEY, PAYLOAD) == STRONGEST


def test_longer_clips_get_less_up_to_ten_seconds():
    frames = opening(6.0, moving=True)
    chosen = [choose(frames, seconds, KEY, PAYLOAD).psnr for seconds in (2.5, 7.0, 10.0, 3600.0)]
    assert chosen == sorted(chosen)
    assert STRONGEST.psnr < chosen[1]
    assert chosen[2] < WEAKEST.psnr
    # Between the limits the change is that of the square root of the length.
    assert chosen[2] - chosen[1] == pytest.approx(10 * np.log10(10 / 7), abs=0.01)
    assert chosen[3] == chosen[2]


def test_an_unknown_length_counts_what_was_seen(smooth):
    seen = smooth[-1].time
    assert choose(smooth, None, KEY, PAYLOAD) == choose(smooth, seen, KEY, PAYLOAD)
    assert choose(smooth, 0.0, KEY, PAYLOAD) == choose(smooth, seen, KEY, PAYLOAD)


def test_the_choice_repeats():
    frames = opening(6.0, moving=True)
    assert len({choose(frames, 7.0, KEY, PAYLOAD).psnr for _ in range(3)}) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_a_clip_of_a_frame_or_two_gets_the_strongest(smooth, count):
    assert choose(smooth[:count], None, KEY, PAYLOAD) == STRONGEST


def test_a_clip_too_small_to_mark_is_said():
    tiny = [TimedLuma(0.0, np.zeros((64, 64), np.uint8))]
    with pytest.raises(GeometryError, match="too small to mark"):
        choose(tiny, 1.0, KEY, PAYLOAD)
