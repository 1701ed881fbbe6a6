"""Synthetic clips of luma planes for the tests of the hidden mark, and their marked copies."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from watermark.base import TimedLuma
from watermark.carrier import HiddenMark, Strength
from watermark.channel import encode
from watermark.clocks import AS_MARKED, Clock, shares
from watermark.geometry import FrameGeometry, apply
from watermark.keys import DetectionKey
from watermark.lattice import Lattice
from watermark.windows import LINES, WINDOW_SECONDS

Plane = NDArray[np.uint8]
FPS = 12


@lru_cache(maxsize=8)
def texture(width: int, height: int, seed: int) -> NDArray[np.float32]:
    """Smooth noise at four scales, float32[h, w], deviation 1."""
    rng, whole = np.random.default_rng(seed), np.zeros((height, width), np.float32)
    for scale in (4, 8, 16, 32):
        grid = rng.standard_normal((-(-height // scale), -(-width // scale))).astype(np.float32)
        whole += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(scale**0.5)
    return whole / whole.std()


def plane(index: int, width: int, height: int, seed: int = 0, pan: float = 1.0) -> Plane:
    """Frame `index` of a camera that pans `pan` pixels per frame while a bright disc crosses."""
    moved = cv2.warpAffine(
        texture(width + 128, height + 64, seed),
        np.array([[1, 0, -pan * (index % 128)], [0, 1, -pan / 2 * (index % 128)]]),
        (width, height),
        borderMode=cv2.BORDER_REFLECT,
    )
    luma = 115 + 30 * moved
    rows, columns = np.ogrid[:height, :width]
    centre = width * (0.2 + 0.01 * index % 0.6)
    disc = (rows - height / 2) ** 2 + (columns - centre) ** 2 < (min(width, height) / 6) ** 2
    return np.clip(np.where(disc, luma * 0.5 + 100, luma), 16, 235).astype(np.uint8)


def film(
    seconds: float = 4.0, width: int = 320, height: int = 240, seed: int = 0, pan: float = 1.0
) -> Iterator[TimedLuma]:
    """Frames at 12 per second."""
    for index in range(round(seconds * FPS)):
        yield TimedLuma(index / FPS, plane(index, width, height, seed, pan))


def mark(
    frames: Iterable[TimedLuma], key: DetectionKey, payload: int, psnr: float = 44.0
) -> Iterator[TimedLuma]:
    """The frames with the hidden mark in them."""
    pen = None
    for time, luma in frames:
        pen = pen or HiddenMark(key, payload, *luma.shape[::-1], Strength(psnr=psnr))
        yield TimedLuma(time, pen.embed(luma, time))


def shown(
    design: Lattice,
    frame: FrameGeometry,
    *,
    clock: Clock = AS_MARKED,
    shift: tuple[float, float] = (0.0, 0.0),
    noise: float = 0.0,
    count: int = 16,
    size: tuple[int, int] = (320, 256),
    payload: int = 0x1123456789ABCDEF,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Windows ``float32[count, h, w]`` of nothing but the pattern, lying as `frame` says, and their times.

    `shift` is where its origin lies, in tiles; `noise` the deviation of grain over the pattern's.
    """
    side = 512
    kx, ky = design.points.T
    spectrum = np.zeros((8, side, side), np.complex64)
    spectrum[:, ky % side, kx % side] = design.coefficients(encode(payload))
    tiles = 2 * np.fft.ifft2(spectrum, norm="forward").real.astype(np.float32)
    columns, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    places = 2 * apply(frame.matrix, np.stack([columns.ravel(), rows.ravel()], axis=1) / LINES) - shift
    x, y = ((places % 1.0) * side).astype(np.float32).reshape(size[1], size[0], 2).transpose(2, 0, 1)
    times = (np.arange(count) + 0.5) * WINDOW_SECONDS
    still = [cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP) for tile in tiles]
    windows = np.tensordot(shares(times, np.array([clock]))[0].T, np.array(still), axes=1)
    grain = np.random.default_rng(17).standard_normal(windows.shape).astype(np.float32)
    return (windows + noise * grain).astype(np.float32), times


@pytest.fixture(scope="session", name="shown")
def shown_fixture() -> Callable[..., tuple[NDArray[np.float32], NDArray[np.float64]]]:
    return shown


@pytest.fixture(scope="session", name="film")
def film_fixture() -> Callable[..., Iterator[TimedLuma]]:
    return film


@pytest.fixture(scope="session", name="mark")
def mark_fixture() -> Callable[..., Iterator[TimedLuma]]:
    return mark


@pytest.fixture(scope="session")
def key() -> DetectionKey:
    return DetectionKey(epoch=3, secret=bytes(range(32)))


@pytest.fixture(scope="session")
def payload() -> int:
    return 0x1123456789ABCDEF


@pytest.fixture(scope="session")
def unmarked() -> list[TimedLuma]:
    """Four seconds at 320×240."""
    return list(film())


@pytest.fixture(scope="session")
def marked(unmarked: list[TimedLuma], key: DetectionKey, payload: int) -> list[TimedLuma]:
    """The same with a mark at 44 dB."""
    return list(mark(unmarked, key, payload))
