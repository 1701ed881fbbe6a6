"""Planes to RGB: the colours that were meant, by the clip's own tags, and sizes that stay even."""

import numpy as np
import pytest

from pipeline.media.pictures import frame_from_rgb
from pipeline.media.rgb import reduced, rgb
from pipeline.media.types import Colour, Frame

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40), (30, 90, 220)]


@pytest.mark.parametrize("colour", COLOURS)
def test_bt601(colour: tuple[int, int, int]) -> None:
    picture = np.full((16, 16, 3), colour, np.uint8)
    frame = frame_from_rgb(picture, 0, 0.0)
    assert np.abs(rgb(frame, Colour(range=1, matrix=6)).astype(int) - picture).max() <= 4


def frame(y: int, u: int, v: int) -> Frame:
    def plane(value: int, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return np.full((side, side), value, np.uint8)

    return Frame(index=0, pts=0, time=0, duration=1, y=plane(y, 8), u=plane(u, 4), v=plane(v, 4))


@pytest.mark.parametrize(
    ("colour", "height", "wanted"),
    [
        (Colour(range=1, matrix=1), 8, (255, 0, 0)),  # BT.709's red
        (Colour(range=1), 1080, (255, 0, 0)),  # untagged, but high definition
        (Colour(range=1), 480, (233, 0, 2)),
    ],
)
def test_matrix(colour: Colour, height: int, wanted: tuple[int, int, int]) -> None:
    found = rgb(frame(63, 102, 240), colour, height)[0, 0].astype(int)
    assert np.abs(found - wanted).max() <= 4


@pytest.mark.parametrize("colour", [Colour(range=1, matrix=1), Colour(range=2, matrix=6), Colour(range=1)])
def test_every_level_by_the_equations(colour: Colour) -> None:
    """ITU-R BT.601 and BT.709, as rational numbers, on random planes."""
    random = np.random.default_rng(3)
    y, u, v = (random.integers(0, 256, (32, 32), np.uint8) for _ in range(3))
    frame = Frame(index=0, pts=0, time=0, duration=1, y=np.kron(y, np.ones((2, 2), np.uint8)), u=u, v=v)
    wide = np.kron(np.stack([u, v], 2), np.ones((2, 2, 1)))
    red, blue = (0.2126, 0.0722) if colour.matrix == 1 else (0.299, 0.114)
    light = frame.y * 1.0 if colour.range == 2 else (frame.y - 16.0) * 255 / 219
    cb, cr = np.moveaxis((wide - 128) * 255 / (256 if colour.range == 2 else 224), 2, 0)
    r, b = light + 2 * (1 - red) * cr, light + 2 * (1 - blue) * cb
    g = (light - red * r - blue * b) / (1 - red - blue)
    wanted = np.clip(np.stack([r, g, b], 2), 0, 255)
    flat = Frame(index=0, pts=0, time=0, duration=1, y=frame.y, u=_doubled(u), v=_doubled(v))
    assert np.abs(rgb(flat, colour).astype(float) - wanted).max() <= 1.2


def _doubled(
    plane: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Chroma at luma's size, so that no interpolation is between."""
    return np.kron(plane, np.ones((2, 2), np.uint8))


def test_full_range() -> None:
    assert rgb(frame(255, 128, 128), Colour(range=2, matrix=6))[0, 0].tolist() == [255, 255, 255]
    assert rgb(frame(235, 128, 128), Colour(range=1, matrix=6))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("shape", "longest", "wanted"),
    [
        ((96, 160), 80, (48, 80)),
        ((96, 160), 1000, (96, 160)),
        ((2, 600), 100, (2, 100)),
        ((98, 130), 66, (50, 66)),
    ],
)
def test_reduced(shape: tuple[int, int], longest: int, wanted: tuple[int, int]) -> None:
    small = reduced(frame_from_rgb(np.zeros((*shape, 3), np.uint8), 3, 0.5), longest)
    assert small.u is not None
    assert (small.y.shape, small.u.shape) == (wanted, (wanted[0] // 2, wanted[1] // 2))
    assert (small.index, small.time) == (3, 0.5)


def test_a_frame_without_colour_stays_without() -> None:
    grey = Frame(index=0, pts=0, time=0, duration=1, y=np.zeros((8, 8), np.uint8))
    assert reduced(grey, 4).u is None
