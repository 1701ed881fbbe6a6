import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from watermark.carrier import FADE_SECONDS, HiddenMark, Strength, mixture, perceptual_mask
from watermark.errors import GeometryError
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, STATE_SECONDS, STATES
from watermark.quality import psnr, squared_error

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "hidden_mark.json").read_text())
KEY = DetectionKey(epoch=0, secret=bytes.fromhex(VECTOR["secret"]))
PAYLOAD = int(VECTOR["payload"], 16)
STRONG = Strength(psnr=24.0)


def pen(width: int = 320, height: int = 240, psnr: float = 44.0) -> HiddenMark:
    return HiddenMark(KEY, PAYLOAD, width, height, Strength(psnr=psnr))


def grey(width: int, height: int, level: int = 128) -> np.ndarray:
    return np.full((height, width), level, np.uint8)


def pattern(mark: HiddenMark, width: int, height: int, time: float) -> np.ndarray:
    """The change of a grey frame, float64[h, w]."""
    return mark.embed(grey(width, height), time).astype(float) - 128


@pytest.mark.parametrize("side", sorted({pixel["side"] for pixel in VECTOR["pixels"]}))
def test_tiles_are_pinned(side):
    # A flat frame has a flat mask, so that its change is the tile times the strength, in whole grey levels.
    short = 2 * side
    mark = pen(short, short, psnr=24.0)
    for pixel in (pixel for pixel in VECTOR["pixels"] if pixel["side"] == side):
        change = pattern(mark, short, short, pixel["state"] * STATE_SECONDS)
        for row, column in ((0, 0), (side, 0), (0, side), (side, side)):  # the tile repeats
            got = change[pixel["y"] + row, pixel["x"] + column]
            assert got == pytest.approx(pixel["value"] * STRONG.rms, abs=0.55)


def test_tiles_have_unit_variance():
    mark = pen(240, 240, psnr=24.0)
    for state in range(STATES):
        change = pattern(mark, 240, 240, state * STATE_SECONDS)
        assert change.std() == pytest.approx(STRONG.rms, rel=0.01)
        assert abs(change.mean()) < 0.05


@pytest.mark.parametrize("target", [42.0, 44.0, 47.0, 50.0])
@pytest.mark.parametrize("size", [(320, 240), (240, 426), (640, 360)])
def test_quality_target_is_met(film, target, size):
    errors = []
    mark = pen(*size, psnr=target)
    for frame in film(2.5, *size):
        if round(frame.time * 12) % 6 == 0:
            errors.append(squared_error(frame.luma, mark.embed(frame.luma, frame.time)))
            assert psnr(errors[-1]) == pytest.approx(target, abs=0.7)
    assert psnr(float(np.mean(errors))) == pytest.approx(target, abs=0.6)


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_are_clipped_not_wrapped(level):
    luma = grey(320, 240, level)
    marked = pen(psnr=36.0).embed(luma, 0.0)
    assert marked.dtype == np.uint8
    assert np.abs(marked.astype(int) - level).max() < 30
    assert np.any(marked != luma)


def test_the_original_is_left_alone_and_the_result_repeats():
    luma = grey(320, 240)
    first = pen().embed(luma, 0.3)
    assert np.all(luma == 128)
    mark = pen()
    for time in (3.9, 0.45, 0.3):  # whatever was asked before
        again = mark.embed(luma, time)
    assert np.array_equal(first, again)


@pytest.mark.parametrize("larger", [(640, 480), (480, 360), (1280, 960)])
def test_the_pattern_is_the_same_at_every_size(larger):
    small = pattern(pen(psnr=24.0), 320, 240, 1.0)
    big = pattern(pen(*larger, psnr=24.0), *larger, 1.0)
    shrunk = cv2.resize(big, (320, 240), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.98


def test_a_cross_fade_does_not_jump():
    mark, step = pen(psnr=24.0), 1 / 120
    previous, largest = pattern(mark, 320, 240, 0.0), 0.0
    for index in range(1, round(2 * STATE_SECONDS / step) + 1):
        current = pattern(mark, 320, 240, index * step)
        largest = max(largest, float(np.sqrt(np.mean((current - previous) ** 2))))
        previous = current
    # A fade of a quarter turn in 0.16 s moves by π/2 · step / 0.16 of its strength; a jump moves by √2.
    assert largest < 1.3 * np.pi / 2 * step / FADE_SECONDS * STRONG.rms + 0.5


def test_power_is_even_through_a_fade():
    mark = pen(psnr=24.0)
    powers = [pattern(mark, 320, 240, time).std() for time in np.linspace(0.3, 0.55, 12)]
    assert max(powers) / min(powers) < 1.15


def test_the_carrier_moves_and_returns():
    mark = pen(psnr=24.0)
    states = [pattern(mark, 320, 240, state * STATE_SECONDS + 0.1).ravel() for state in range(STATES)]
    # The template has other phases in each state, and the payload other signs and bits.
    likeness = np.abs(np.corrcoef(states) - np.eye(STATES))
    assert likeness.max() < 0.4
    assert np.array_equal(states[0], pattern(mark, 320, 240, PERIOD_SECONDS + 0.1).ravel())


def test_mixture_at_its_edges():
    assert mixture(0.0) == (0, 1, 0.0)
    assert mixture(STATE_SECONDS - FADE_SECONDS) == pytest.approx((0, 1, 0.0), abs=1e-9)
    assert mixture(STATE_SECONDS - 1e-9) == pytest.approx((0, 1, 1.0), abs=1e-6)
    assert mixture(PERIOD_SECONDS - 0.01)[:2] == (7, 0)
    assert mixture(PERIOD_SECONDS)[0] == 0
    assert mixture(3600.0 * 24)[0] == 0
    assert mixture(-1e-17)[:2] == (0, 1)  # −1e−17 % 4 is 4.0 in floating point


@pytest.mark.parametrize("size", [(106, 106), (320, 106), (106, 4000), (2, 2)])
def test_small_clips_are_refused(size):
    with pytest.raises(GeometryError, match=f"{size[0]}×{size[1]} is too small to mark: 108"):
        pen(*size)


@pytest.mark.parametrize("size", [(321, 240), (320, 241), (109, 109)])
def test_odd_sides_are_refused(size):
    with pytest.raises(GeometryError, match="even"):
        pen(*size)


@pytest.mark.parametrize("size", [(240, 320), (318, 240), (320, 242)])
def test_frames_of_another_size_are_refused(size):
    with pytest.raises(GeometryError, match=f"{size[0]}×{size[1]}"):
        pen().embed(grey(*size), 0.0)


def test_the_smallest_clip_is_marked():
    marked = pen(108, 108).embed(grey(108, 108), 0.0)
    assert psnr(squared_error(grey(108, 108), marked)) == pytest.approx(44.0, abs=0.6)


def test_planes_with_a_stride_are_taken():
    wide = np.zeros((240, 400), np.uint8) + np.uint8(90)
    marked = pen().embed(wide[:, 40:360], 0.0)
    assert np.array_equal(marked, pen().embed(grey(320, 240, 90), 0.0))


def test_the_mask_prefers_busy_places_a_little():
    luma = grey(320, 240)
    luma[:, 160:] = np.random.default_rng(0).integers(0, 256, (240, 160))
    mask = perceptual_mask(luma)
    half = mask.shape[1] // 2
    ratio = mask[:, half + 4 :].mean() / mask[:, : half - 4].mean()
    assert 1.3 < ratio < 4
    assert mask.min() > 0


def test_payloads_and_keys_give_different_patterns():
    plain = pattern(pen(psnr=24.0), 320, 240, 0.0).ravel()
    other = HiddenMark(KEY, PAYLOAD ^ 1, 320, 240, STRONG)
    stranger = HiddenMark(DetectionKey(epoch=0, secret=b"\x01" * 32), PAYLOAD, 320, 240, STRONG)
    same_template = np.corrcoef(plain, pattern(other, 320, 240, 0.0).ravel())[0, 1]
    assert 0.2 < same_template < 0.95
    assert abs(np.corrcoef(plain, pattern(stranger, 320, 240, 0.0).ravel())[0, 1]) < 0.15
