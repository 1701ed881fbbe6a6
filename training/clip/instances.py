"""Things that no caption names: pieces of photographs and of made-up pictures, each to be known again.

The drawn world teaches to tell its own designs apart and nothing else, so that all other pictures came to
lie in one place. Two views of one piece, cut, lit, coded and surrounded otherwise, are a design of their own
here, so that what is registered from a film has a place too.
"""

from typing import Final

import cv2
import numpy as np

from training.clip.cache import SIDE, worn
from training.clip.others import Material, Picture, random_backdrop, random_other

# A piece of a photograph, in shares of its sides, and what a view shows of the piece.
SMALLEST, LARGEST = 0.18, 0.6
KEPT: Final = 0.72
DRAWN_SHARE: Final = 0.35
DRAWN_SIDE: Final = 144
PASTED_SHARE: Final = 0.3


def random_instance(stock: Material, views: int, rng: np.random.Generator) -> list[Picture]:
    """Views ``uint8[side, side, 3]`` of one thing."""
    piece = _piece(stock, rng)
    return [_view(piece, stock, rng) for _ in range(views)]


def _piece(stock: Material, rng: np.random.Generator) -> Picture:
    if not stock.photos or rng.random() < DRAWN_SHARE:
        return random_other(stock, DRAWN_SIDE, rng)
    photo = stock.photos[rng.integers(len(stock.photos))]
    return _cut(photo, rng.uniform(SMALLEST, LARGEST, 2), rng)


def _cut(
    picture: Picture, shares: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator
) -> Picture:
    high, wide = (max(16, round(share * side)) for share, side in zip(shares, picture.shape[:2], strict=True))
    top, left = (
        int(rng.integers(0, side - part + 1))
        for side, part in zip(picture.shape[:2], (high, wide), strict=True)
    )
    return picture[top : top + high, left : left + wide]


def _view(piece: Picture, stock: Material, rng: np.random.Generator) -> Picture:
    """The piece, or most of it, in other light, mirrored or not, now and then before something else."""
    part = _cut(piece, rng.uniform(KEPT, 1.0, 2), rng)
    if rng.random() < 0.5:
        part = np.ascontiguousarray(part[:, ::-1])
    gain, lift = (
        rng.uniform(0.35, 1.25) * rng.uniform(0.85, 1.15, 3),
        rng.uniform(-20, 90) * (rng.random() < 0.5),
    )
    part = np.asarray(np.clip(part * gain + lift, 0, 255), dtype=np.uint8)
    if rng.random() < PASTED_SHARE:
        behind = random_backdrop(stock, SIDE, rng)
        high, wide = (int(rng.uniform(0.5, 0.9) * SIDE) for _ in range(2))
        top, left = int(rng.integers(0, SIDE - high + 1)), int(rng.integers(0, SIDE - wide + 1))
        behind = np.array(behind)
        behind[top : top + high, left : left + wide] = cv2.resize(
            part, (wide, high), interpolation=cv2.INTER_AREA
        )
        part = behind
    return worn(part, rng)
