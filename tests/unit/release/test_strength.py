import cv2
import numpy as np
import pytest

from pipeline.media.trial import through_h264
from pipeline.release.strength import (
    BUSY,
    COLOUR,
    GREY,
    QUIET,
    QUIETEST,
    STRONGEST,
    TRIAL,
    TRIAL_CRF,
    choose,
    excerpt_end,
    half_size,
)
from watermark.base import Picture
from watermark.carrier import MIN_SHORT_SIDE, HiddenMark
from watermark.errors import GeometryError
from watermark.keys import DetectionKey
from watermark.survey import agreement

KEY = DetectionKey(epoch=1, secret=bytes(range(32)))
PAYLOAD = 0x1123456789ABCDEF
FPS = 12


def soft(rng: np.random.Generator, shape: tuple[int, int], level: float, contrast: float) -> np.ndarray:
    picture = np.full(shape, level)
    for scale in (4, 8, 16, 32):
        coarse = rng.standard_normal((-(-shape[0] // scale), -(-shape[1] // scale))) * contrast * scale**0.5
        picture += cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return picture


def opening(
    grain: float = 0.0, *, moving: bool = False, seconds: float = 2.5, colour: bool = True
) -> list[Picture]:
    """A soft picture that stands still, under grain of so many grey levels that stands still or not."""
    rng, frames = np.random.default_rng(0), []
    still = [
        soft(rng, (240, 320), 115.0, 4),
        soft(rng, (120, 160), 120.0, 2),
        soft(rng, (120, 160), 130.0, 2),
    ]
    fixed = [rng.normal(0, grain, plane.shape) for plane in still]
    for index in range(round(seconds * FPS)):
        over = [rng.normal(0, grain, plane.shape) for plane in still] if moving else fixed
        planes = [np.clip(a + b, 16, 235).astype(np.uint8) for a, b in zip(still, over, strict=True)]
        frames.append(Picture(index / FPS, *(planes if colour else planes[:1])))
    return frames


def flat(width: int, height: int, level: int = 77) -> Picture:
    half = np.full((-(-height // 2), -(-width // 2)), level, np.uint8)
    return Picture(0.0, np.full((height, width), level, np.uint8), half, half)


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
    small = half_size(flat(*size))
    assert small.y.shape[::-1] == half
    assert small.u.shape == small.v.shape == (half[1] // 2, half[0] // 2)
    assert min(small.y.shape) >= MIN_SHORT_SIDE
    for plane in small[1:]:
        assert plane.dtype == np.uint8
        assert np.all(plane == 77)


def test_half_size_of_a_grey_picture_is_grey():
    small = half_size(flat(854, 480)._replace(u=None, v=None, time=2.5))
    assert small.y.shape == (240, 428)
    assert (small.u, small.v, small.time) == (None, None, 2.5)


@pytest.mark.parametrize("size", [(109, 109), (217, 300), (1919, 1079)])
def test_half_size_is_even_for_odd_clips(size):
    small = half_size(flat(*size))
    height, width = small.y.shape
    assert small.u.shape == (height // 2, width // 2)
    assert width % 2 == height % 2 == 0
    assert min(width, height) >= MIN_SHORT_SIDE


def test_where_the_codec_keeps_the_mark_less_is_drawn(smooth, grainy):
    # x264 spends bits on grain and smooths the rest, the mark with it.
    restless = opening(12.0, moving=True)
    wanted = [choose(frames, 8.0, KEY, PAYLOAD).chroma for frames in (smooth, grainy, restless)]
    assert max(wanted[:2]) <= wanted[2]
    assert wanted[0] < wanted[2]
    assert COLOUR.strongest <= min(wanted)
    assert wanted[2] <= COLOUR.weakest


def test_luma_is_weaker_where_it_is_quiet(smooth, restless):
    quiet, busy = (choose(frames, 8.0, KEY, PAYLOAD) for frames in (smooth, restless))
    assert BUSY <= busy.psnr < quiet.psnr <= QUIET
    still = [flat(320, 240)._replace(time=index / FPS) for index in range(24)]
    assert choose(still, 8.0, KEY, PAYLOAD).psnr == QUIET
    noise = np.random.default_rng(5).integers(0, 255, (24, 240, 320), dtype=np.uint8)
    loud = [frame._replace(y=y) for frame, y in zip(still, noise, strict=True)]
    assert choose(loud, 8.0, KEY, PAYLOAD).psnr == BUSY


@pytest.mark.parametrize(("lines", "fainter"), [(120, 0.0), (240, 0.0), (360, 1.76), (540, 3.52)])
def test_luma_is_fainter_in_larger_pictures(lines, fainter):
    # Squares of the same share of the picture at every size, smaller than those that deviations are taken of.
    board = np.kron(np.indices((60, 80)).sum(axis=0) % 2, np.ones((lines // 60, lines // 60)))
    half = np.full((lines // 2, lines * 2 // 3), 128, np.uint8)
    busy = Picture(0.0, (100 + 40 * board).astype(np.uint8), half, half)
    frames = [busy._replace(time=index / FPS) for index in range(12)]
    assert choose(frames, 8.0, KEY, PAYLOAD).psnr == pytest.approx(BUSY + fainter, abs=0.01)


def test_luma_is_not_made_fainter_than_whole_grey_levels_hold():
    still = [flat(960, 540)._replace(time=index / FPS) for index in range(12)]
    assert choose(still, 8.0, KEY, PAYLOAD).psnr == QUIETEST


@pytest.mark.parametrize(("duration", "end"), [(None, 2.5), (1.0, 2.5), (4.5, 3.5), (60.0, 6.5)])
def test_the_excerpt_lies_in_the_middle_but_not_late(duration, end):
    assert excerpt_end(duration) == pytest.approx(end)


def test_a_hopeless_clip_gets_the_strongest():
    black = [flat(160, 120, 0)._replace(time=index / FPS) for index in range(24)]
    assert choose(black, 2.0, KEY, PAYLOAD).chroma == pytest.approx(COLOUR.strongest)
    assert choose([f._replace(u=None, v=None) for f in black], 2.0, KEY, PAYLOAD).psnr == GREY.strongest
    assert STRONGEST.chroma <= COLOUR.strongest
    assert STRONGEST.psnr < BUSY


@pytest.fixture(scope="module")
def restless():
    return opening(12.0, moving=True)


def test_longer_clips_get_less_up_to_five_seconds(restless):
    chosen = [choose(restless, seconds, KEY, PAYLOAD).chroma for seconds in (2.5, 3.5, 5.0, 3600.0)]
    assert chosen == sorted(chosen)
    assert chosen[3] == chosen[2]
    between = [psnr for psnr in chosen if COLOUR.strongest < psnr < COLOUR.weakest]
    assert between
    # Between the limits the change is that of the square root of the length.
    seen = restless[-1].time
    wanted = TRIAL.chroma + 20 * np.log10(left(restless) / COLOUR.wanted)
    for seconds, psnr in zip((2.5, 3.5, 5.0), chosen, strict=False):
        if psnr in between:
            assert psnr - wanted == pytest.approx(10 * np.log10(seconds / seen), abs=0.01)


def left(frames: list[Picture]) -> float:
    """What a trial leaves of the mark, told by a separate encode."""
    mark = HiddenMark(KEY, PAYLOAD, *frames[0].y.shape[::-1], TRIAL)
    decoded = through_h264((mark.embed(frame)[1:] for frame in frames), crf=TRIAL_CRF)
    return agreement((Picture(f.time, *p) for f, p in zip(frames, decoded, strict=True)), KEY, PAYLOAD)


def test_an_unknown_length_counts_what_was_seen(smooth):
    seen = smooth[-1].time
    assert choose(smooth, None, KEY, PAYLOAD) == choose(smooth, seen, KEY, PAYLOAD)
    assert choose(smooth, 0.0, KEY, PAYLOAD) == choose(smooth, seen, KEY, PAYLOAD)


def test_the_choice_repeats():
    frames = opening(6.0, moving=True, seconds=1.0)
    assert len({choose(frames, 7.0, KEY, PAYLOAD) for _ in range(3)}) == 1


def test_a_grey_clip_needs_more(smooth):
    grey = [frame._replace(u=None, v=None) for frame in smooth]
    assert choose(grey, 4.0, KEY, PAYLOAD).psnr <= choose(smooth, 4.0, KEY, PAYLOAD).psnr
    assert left([f._replace(u=np.full_like(f.u, 128), v=np.full_like(f.v, 128)) for f in smooth]) > 0


@pytest.mark.parametrize("count", [1, 2])
def test_a_clip_of_a_frame_or_two_gets_the_strongest(smooth, count):
    assert choose(smooth[:count], None, KEY, PAYLOAD).chroma == pytest.approx(COLOUR.strongest)


def test_a_clip_too_small_to_mark_is_said():
    tiny = [flat(64, 64)]
    with pytest.raises(GeometryError, match="too small to mark"):
        choose(tiny, 1.0, KEY, PAYLOAD)
