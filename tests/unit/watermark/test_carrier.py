import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from watermark.base import Picture
from watermark.carrier import (
    COLOUR_LOUDER,
    FADE_SECONDS,
    HiddenMark,
    Strength,
    deviation,
    mixture,
    perceptual_mask,
    tiles,
)
from watermark.channel import encode
from watermark.errors import GeometryError
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, PLANES, STATE_SECONDS, STATES, lattice, origin
from watermark.quality import psnr, squared_error

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "hidden_mark.json").read_text())
KEY = DetectionKey(epoch=0, secret=bytes.fromhex(VECTOR["secret"]))
PAYLOAD = int(VECTOR["payload"], 16)
STRONG = Strength(psnr=24.0, louder=4.0)
LOUD = {"y": deviation(STRONG.psnr), "u": deviation(STRONG.chroma), "v": deviation(STRONG.chroma)}
PIXELS = [(plane, pixel) for plane in PLANES for pixel in VECTOR["planes"][plane]["pixels"]]

every_plane = pytest.mark.parametrize("plane", PLANES)


def pen(width: int = 320, height: int = 240, psnr: float = 46.0) -> HiddenMark:
    return HiddenMark(KEY, PAYLOAD, width, height, Strength(psnr=psnr, louder=4.0))


def flat(width: int, height: int, level: int = 128, time: float = 0.0) -> Picture:
    half = np.full((height // 2, width // 2), level, np.uint8)
    return Picture(time, np.full((height, width), level, np.uint8), half, half.copy())


def pattern(mark: HiddenMark, width: int, height: int, time: float, plane: str = "y") -> np.ndarray:
    """The change of one plane of a grey frame, float64[h, w]."""
    marked = mark.embed(flat(width, height, time=time))
    return getattr(marked, plane).astype(float) - 128


@pytest.mark.parametrize(("plane", "pixel"), PIXELS)
def test_tiles_are_pinned(plane, pixel):
    # A flat frame has a flat mask, so that its change is the tile times the strength, in whole grey levels.
    side = pixel["side"]
    short = round((2 if plane == "y" else 4) * side)
    time = pixel["state"] * STATE_SECONDS - origin(KEY, PAYLOAD).seconds + PERIOD_SECONDS
    change = pattern(pen(short, short, psnr=24.0), short, short, time, plane)
    repeats = (0, side) if side == int(side) else (0,)
    for row in repeats:  # the tile repeats
        for column in repeats:
            got = change[pixel["y"] + row, pixel["x"] + column]
            assert got == pytest.approx(pixel["value"] * LOUD[plane], abs=0.55)


@every_plane
@pytest.mark.parametrize("short", [240, 242])
def test_tiles_have_unit_variance(plane, short):
    mark = pen(short, short, psnr=24.0)
    for state in range(STATES):
        change = pattern(mark, short, short, state * STATE_SECONDS, plane)
        assert change.std() == pytest.approx(LOUD[plane], rel=0.01)
        assert abs(change.mean()) < 0.05


def test_colour_is_louder():
    assert Strength(psnr=55.0).chroma == 55.0 - COLOUR_LOUDER == 47.0
    assert Strength(psnr=57.5, louder=9.0).chroma == 48.5
    assert psnr(deviation(47.0) ** 2) == pytest.approx(47.0)


@pytest.mark.parametrize("target", [46.0, 48.0, 50.5, 54.0])
@pytest.mark.parametrize("size", [(320, 240), (240, 426), (646, 362)])
def test_quality_target_is_met(film, target, size):
    mark, errors = pen(*size, psnr=target), []
    wanted = {"y": target, **dict.fromkeys("uv", target - 4.0)}
    for frame in film(2.5, *size):
        if round(frame.time * 12) % 6 == 0:
            marked = mark.embed(frame)
            errors.append([squared_error(getattr(frame, p), getattr(marked, p)) for p in PLANES])
    for plane, own in zip(PLANES, np.transpose(errors), strict=True):
        expected = psnr(deviation(wanted[plane]) ** 2 + 1 / 12)  # whole grey levels cost a little
        assert [psnr(error) for error in own] == pytest.approx([expected] * len(own), abs=0.5)
        assert psnr(float(np.mean(own))) == pytest.approx(expected, abs=0.3)


@every_plane
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_are_clipped_not_wrapped(plane, level):
    picture = flat(320, 240, level)
    marked = getattr(pen(psnr=36.0).embed(picture), plane)
    assert marked.dtype == np.uint8
    assert np.abs(marked.astype(int) - level).max() < 45
    assert np.any(marked != level)


def test_the_original_is_left_alone_and_the_result_repeats():
    picture = flat(320, 240, time=0.3)
    first = pen().embed(picture)
    assert all(np.all(getattr(picture, plane) == 128) for plane in PLANES)
    mark = pen()
    for time in (3.9, 0.45, 0.3):  # whatever was asked before
        again = mark.embed(picture._replace(time=time))
    assert first.time == again.time == 0.3
    assert all(np.array_equal(getattr(first, plane), getattr(again, plane)) for plane in PLANES)


def test_without_colour_luma_is_marked_the_same():
    grey = Picture(0.3, flat(320, 240).y)
    marked = pen().embed(grey)
    assert (marked.u, marked.v) == (None, None)
    assert np.array_equal(marked.y, pen().embed(flat(320, 240, time=0.3)).y)


@every_plane
def test_every_plane_gets_more_where_luma_is_busy(plane):
    busy = np.random.default_rng(1).integers(60, 200, (240, 160), np.uint8)
    picture = flat(320, 240, time=0.3)
    picture = picture._replace(y=np.hstack([np.full((240, 160), 120, np.uint8), busy]))
    change = getattr(pen(psnr=30.0).embed(picture), plane).astype(float) - getattr(picture, plane)
    half = change.shape[1] // 2
    quiet, loud = change[:, : half - 8].std(), change[:, half + 8 :].std()
    assert 1.5 * quiet < loud < 4 * quiet


@every_plane
@pytest.mark.parametrize(
    ("size", "larger"),
    [
        ((320, 240), (640, 480)),
        ((320, 240), (480, 360)),
        ((320, 240), (1280, 960)),
        ((330, 242), (660, 484)),  # a quarter of the short side is no whole number
        ((130, 110), (520, 440)),
    ],
)
def test_the_pattern_is_the_same_at_every_size(plane, size, larger):
    small = pattern(pen(*size, psnr=24.0), *size, 1.0, plane)
    big = pattern(pen(*larger, psnr=24.0), *larger, 1.0, plane)
    shrunk = cv2.resize(big, small.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.97


@every_plane
def test_a_cross_fade_does_not_jump(plane):
    mark, step = pen(psnr=24.0), 1 / 120
    previous, largest = pattern(mark, 320, 240, 0.0, plane), 0.0
    for index in range(1, round(2 * STATE_SECONDS / step) + 1):
        current = pattern(mark, 320, 240, index * step, plane)
        largest = max(largest, float(np.sqrt(np.mean((current - previous) ** 2))))
        previous = current
    # A fade of a quarter turn in 0.16 s moves by π/2 · step / 0.16 of its strength; a jump moves by √2.
    assert largest < 1.3 * np.pi / 2 * step / FADE_SECONDS * LOUD[plane] + 0.5


@every_plane
def test_power_is_even_through_a_fade(plane):
    mark = pen(psnr=24.0)
    powers = [pattern(mark, 320, 240, time, plane).std() for time in np.linspace(0.3, 0.55, 12)]
    assert max(powers) / min(powers) < (1.15 if plane == "y" else 1.25)  # fewer points are less alike


@every_plane
def test_the_carrier_moves_and_returns(plane):
    mark = pen(psnr=24.0)
    states = [
        pattern(mark, 320, 240, state * STATE_SECONDS + 0.1, plane).ravel() for state in range(STATES)
    ]  # fmt: skip
    # The template has other phases in each state, and the payload other signs and bits.
    likeness = np.abs(np.corrcoef(states) - np.eye(STATES))
    assert likeness.max() < 0.4
    assert np.array_equal(states[0], pattern(mark, 320, 240, PERIOD_SECONDS + 0.1, plane).ravel())


@every_plane
def test_a_pattern_begins_where_its_payload_says(plane):
    # The same coefficients, begun elsewhere, are the same pattern moved.
    points, values = getattr(lattice(KEY), plane).coefficients(encode(PAYLOAD))
    at_zero, moved = tiles(points, values, 120), tiles(points, values, 120, (0.25, 0.625))
    assert moved == pytest.approx(np.roll(at_zero, (75, 30), (1, 2)), abs=1e-4)
    began = origin(KEY, PAYLOAD)
    change = pattern(pen(240, 240, psnr=24.0), 240, 240, PERIOD_SECONDS - began.seconds, plane)
    side = 120 if plane == "y" else 60
    wanted = tiles(points, values, side, began.shift)[0] * LOUD[plane]
    assert change[:side, :side] == pytest.approx(wanted, abs=0.55)


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
        pen().embed(flat(*size))


@pytest.mark.parametrize("size", [(320, 240), (162, 120), (160, 118)])
def test_colour_of_another_size_is_refused(size):
    odd = np.zeros(size[::-1], np.uint8)
    picture = flat(320, 240)
    for wrong in (picture._replace(u=odd), picture._replace(v=odd), picture._replace(u=odd, v=odd)):
        with pytest.raises(GeometryError, match="half the frame"):
            pen().embed(wrong)


@pytest.mark.parametrize("size", [(108, 108), (108, 110), (110, 110)])
def test_the_smallest_clips_are_marked(size):
    picture = flat(*size)
    marked = pen(*size).embed(picture)
    assert psnr(squared_error(picture.y, marked.y)) == pytest.approx(46.0, abs=0.6)
    for plane in ("u", "v"):
        error = squared_error(getattr(picture, plane), getattr(marked, plane))
        assert psnr(error) == pytest.approx(42.0, abs=0.6)


def test_planes_with_a_stride_are_taken():
    wide = np.zeros((240, 400), np.uint8) + np.uint8(90)
    strided = Picture(0.0, wide[:, 40:360], wide[:120, 40:200], wide[120:, 40:200])
    marked, wanted = pen().embed(strided), pen().embed(flat(320, 240, 90))
    assert all(np.array_equal(getattr(marked, plane), getattr(wanted, plane)) for plane in PLANES)


def test_the_mask_prefers_busy_places_a_little():
    luma = flat(320, 240).y
    luma[:, 160:] = np.random.default_rng(0).integers(0, 256, (240, 160))
    mask = perceptual_mask(luma)
    half = mask.shape[1] // 2
    ratio = mask[:, half + 4 :].mean() / mask[:, : half - 4].mean()
    assert 1.3 < ratio < 4
    assert mask.min() > 0


@every_plane
def test_payloads_and_keys_give_different_patterns(plane):
    plain = pattern(pen(psnr=24.0), 320, 240, 0.0, plane).ravel()
    other = HiddenMark(KEY, PAYLOAD ^ 0xFF00FF00, 320, 240, STRONG)
    stranger = HiddenMark(DetectionKey(epoch=0, secret=b"\x01" * 32), PAYLOAD, 320, 240, STRONG)
    for mark in (other, stranger):
        assert abs(np.corrcoef(plain, pattern(mark, 320, 240, 0.0, plane).ravel())[0, 1]) < 0.3
