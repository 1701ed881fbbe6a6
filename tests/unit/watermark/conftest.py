"""Synthetic clips in colour for the tests of the hidden mark, and their marked copies."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from watermark.base import Picture
from watermark.carrier import HiddenMark, Strength
from watermark.channel import encode
from watermark.clocks import AS_MARKED, Clock, shares
from watermark.geometry import FrameGeometry, apply
from watermark.keys import DetectionKey
from watermark.lattice import Lattice, Pattern
from watermark.windows import CHROMA_LINES, LINES, WINDOW_SECONDS, Block

Plane = NDArray[np.uint8]
FPS = 12
COLOUR_SEEDS = (100, 200)  # added to luma's for U and V
PAYLOAD = 0x1123456789ABCDEF


@lru_cache(maxsize=16)
def texture(width: int, height: int, seed: int) -> NDArray[np.float32]:
    """Smooth noise at four scales, float32[h, w], deviation 1."""
    rng, whole = np.random.default_rng(seed), np.zeros((height, width), np.float32)
    for scale in (4, 8, 16, 32):
        grid = rng.standard_normal((-(-height // scale), -(-width // scale))).astype(np.float32)
        whole += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(scale**0.5)
    return whole / whole.std()


def plane(
    index: int, width: int, height: int, seed: int, pan: float, level: float, contrast: float, disc: float
) -> Plane:
    """Frame `index` of a camera that pans `pan` pixels per frame while a disc of another level crosses."""
    moved = cv2.warpAffine(
        texture(width + 128, height + 64, seed),
        np.array([[1, 0, -pan * (index % 128)], [0, 1, -pan / 2 * (index % 128)]]),
        (width, height),
        borderMode=cv2.BORDER_REFLECT,
    )
    picture = level + contrast * moved
    rows, columns = np.ogrid[:height, :width]
    centre = width * (0.2 + 0.01 * index % 0.6)
    inside = (rows - height / 2) ** 2 + (columns - centre) ** 2 < (min(width, height) / 6) ** 2
    return np.clip(np.where(inside, picture * 0.5 + disc, picture), 16, 235).astype(np.uint8)


def film(
    seconds: float = 4.0,
    width: int = 320,
    height: int = 240,
    seed: int = 0,
    pan: float = 1.0,
    *,
    colour: bool = True,
) -> Iterator[Picture]:
    """Frames of 4:2:0 at 12 per second; without `colour`, of luma alone."""
    for index in range(round(seconds * FPS)):
        y = plane(index, width, height, seed, pan, 115, 30, 100)
        u, v = (
            plane(index, width // 2, height // 2, seed + other, pan / 2, 120, 8, 70) for other in COLOUR_SEEDS
        )
        yield Picture(index / FPS, y, u, v) if colour else Picture(index / FPS, y)


def mark(frames: Iterable[Picture], key: DetectionKey, payload: int, psnr: float = 46.0) -> Iterator[Picture]:
    """The frames with the hidden mark in them."""
    pen = None
    for picture in frames:
        pen = pen or HiddenMark(key, payload, *picture.y.shape[::-1], Strength(psnr=psnr))
        yield pen.embed(picture)


def changed(frames: Iterable[Picture], change: Callable[[Plane], Plane]) -> list[Picture]:
    """The frames with each plane, colour at half the size of luma, passed through `change`."""
    return [
        Picture(
            time, *(None if part is None else np.ascontiguousarray(change(part)) for part in (y, u, v))
        )
        for time, y, u, v in frames
    ]  # fmt: skip


def grey(frames: Iterable[Picture]) -> list[Picture]:
    """The frames without their planes of colour."""
    return [Picture(frame.time, frame.y) for frame in frames]


def shown(
    pattern: Pattern,
    frame: FrameGeometry,
    *,
    clock: Clock = AS_MARKED,
    shift: tuple[float, float] = (0.0, 0.0),
    noise: float = 0.0,
    count: int = 16,
    lines: int = LINES,
    seed: int = 17,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Windows ``float32[count, h, w]`` of one plane's pattern alone, lying as `frame` says, and their times.

    `shift` is where its origin lies, in tiles; `noise` the deviation of grain over the pattern's.
    """
    side, size = 512, (lines * 5 // 4, lines)
    points, coefficients = pattern.coefficients(encode(PAYLOAD))
    kx, ky = points.T
    spectrum = np.zeros((8, side, side), np.complex64)
    spectrum[:, ky % side, kx % side] = coefficients
    tiles = 2 * np.fft.ifft2(spectrum, norm="forward").real.astype(np.float32)
    columns, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    places = 2 * apply(frame.matrix, np.stack([columns.ravel(), rows.ravel()], axis=1) / lines) - shift
    x, y = ((places % 1.0) * side).astype(np.float32).reshape(size[1], size[0], 2).transpose(2, 0, 1)
    times = (np.arange(count) + 0.5) * WINDOW_SECONDS
    still = [cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP) for tile in tiles]
    windows = np.tensordot(shares(times, np.array([clock]))[0].T, np.array(still), axes=1)
    grain = np.random.default_rng(seed).standard_normal(windows.shape).astype(np.float32)
    return (windows + noise * grain).astype(np.float32), times


def scene(
    design: Lattice,
    frame: FrameGeometry,
    *,
    colour: bool,
    clock: Clock = AS_MARKED,
    shift: tuple[float, float] = (0.0, 0.0),
    noise: float = 0.0,
    count: int = 16,
) -> Block:
    """A block of nothing but the patterns and grain; without `colour`, of luma's alone."""
    luma, times = shown(design.y, frame, clock=clock, shift=shift, noise=noise, count=count)
    chroma = None
    if colour:
        planes = [
            shown(
                pattern, frame, clock=clock, shift=shift, noise=noise, count=count, lines=CHROMA_LINES, seed=s
            )
            for pattern, s in ((design.u, 18), (design.v, 19))
        ]  # fmt: skip
        chroma = np.stack([windows for windows, _ in planes])
    return Block(windows=luma, chroma=chroma, times=times, frames=count, end=count * WINDOW_SECONDS)


@pytest.fixture(scope="session", name="shown")
def shown_fixture() -> Callable[..., tuple[NDArray[np.float32], NDArray[np.float64]]]:
    return shown


@pytest.fixture(scope="session", name="scene")
def scene_fixture() -> Callable[..., Block]:
    return scene


@pytest.fixture(scope="session", name="film")
def film_fixture() -> Callable[..., Iterator[Picture]]:
    return film


@pytest.fixture(scope="session", name="mark")
def mark_fixture() -> Callable[..., Iterator[Picture]]:
    return mark


@pytest.fixture(scope="session", name="changed")
def changed_fixture() -> Callable[..., list[Picture]]:
    return changed


@pytest.fixture(scope="session", name="grey")
def grey_fixture() -> Callable[..., list[Picture]]:
    return grey


@pytest.fixture(scope="session")
def key() -> DetectionKey:
    return DetectionKey(epoch=3, secret=bytes(range(32)))


@pytest.fixture(scope="session")
def payload() -> int:
    return PAYLOAD


@pytest.fixture(scope="session")
def unmarked() -> list[Picture]:
    """Four seconds at 320×240."""
    return list(film())


@pytest.fixture(scope="session")
def marked(unmarked: list[Picture], key: DetectionKey, payload: int) -> list[Picture]:
    """The same with a mark at 46 dB."""
    return list(mark(unmarked, key, payload))
