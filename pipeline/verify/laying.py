"""How a clip may lie on the release that its mark names: places to try, and laying small pictures there.

Places are homographies from the clip's picture to the release's, ``float64[3, 3]``, in short sides from the
upper left corner.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Geometry

Matrix = NDArray[np.float64]
Field = NDArray[np.float32]
Sides = tuple[float, float]

TILE: Final = 0.5  # short sides: the mark repeats, and says where it is within a tile only
LEAST_OVERLAP: Final = 0.12  # of the release's picture that must be seen
SLACK: Final = 0.05  # of a cell, by which it may lie outside
BOX_DEVIATION: Final = 0.29  # standard deviation of a box over its width


def places(clip: Sides, release: Sides, geometry: Geometry) -> list[Matrix]:
    """Where the clip may lie: the whole frame on the whole frame, then as the mark says, tile by tile."""
    return [_whole(clip, release, geometry), *_by_mark(clip, release, geometry)]


def _whole(clip: Sides, release: Sides, geometry: Geometry) -> Matrix:
    stretch = np.diag([release[0] / clip[0], release[1] / clip[1], 1.0])
    if geometry.mirrored:
        stretch[0, 0], stretch[0, 2] = -stretch[0, 0], release[0]
    return stretch


def _by_mark(clip: Sides, release: Sides, geometry: Geometry) -> list[Matrix]:
    angle = math.radians(geometry.rotation)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([-1.0 if geometry.mirrored else 1.0, 1.0]) / geometry.scale
    corners = np.array([[0, 0], [clip[0], 0], [clip[0], clip[1]], [0, clip[1]]]) @ linear.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    found = []
    for column in _tiles(-geometry.shift[0], low[0], high[0], release[0]):
        for row in _tiles(-geometry.shift[1], low[1], high[1], release[1]):
            seen = [max(0.0, min(h + t, r) - max(low_ + t, 0.0)) for low_, h, t, r in zip(
                low, high, (column, row), release, strict=True)]  # fmt: skip
            if seen[0] * seen[1] >= LEAST_OVERLAP * release[0] * release[1]:
                matrix = np.eye(3)
                matrix[:2, :2], matrix[:2, 2] = linear, (column, row)
                found.append(matrix)
    return found


def _tiles(shift: float, low: float, high: float, side: float) -> list[float]:
    first, last = math.ceil((-high - shift) / TILE), math.floor((side - low - shift) / TILE)
    return [shift + TILE * count for count in range(first, last + 1)]


def lay(plane: NDArray[np.uint8], place: Matrix, clip: Sides, release: Sides, size: tuple[int, int]) -> Field:
    """A picture of the clip on the release's grid of `size` (columns, rows): ``float32[rows, columns]``."""
    inverse = back(plane.shape, place, clip, release, size)
    coarser = math.sqrt(abs(float(np.linalg.det(inverse[:2, :2]))))
    picture = plane.astype(np.float32)
    if coarser > 1:  # what a cell covers has to go into its mean
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), BOX_DEVIATION * coarser), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpPerspective(picture, inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(laid, np.float32)


def covered(place: Matrix, clip: Sides, release: Sides, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which cells of the release's grid the clip shows whole, ``bool[rows, columns]``."""
    columns, rows = size
    across = (np.arange(columns) + 0.5) / columns * release[0]
    x, y = np.meshgrid(across, (np.arange(rows) + 0.5) / rows * release[1])
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(place).T
    at = points[..., :2] / points[..., 2:]
    cell = release[0] / columns / math.sqrt(abs(float(np.linalg.det(place[:2, :2]))))
    edge = cell * (0.5 - SLACK)
    inside = (at >= edge).all(axis=-1) & (at <= np.array(clip) - edge).all(axis=-1)
    return np.asarray(inside & (points[..., 2] > 0))


def outside(place: Matrix, clip: Sides, release: Sides) -> float:
    """How far the clip's picture reaches beyond the release's, in short sides; 0 for a part of it."""
    corners = np.array([[0, 0, 1], [clip[0], 0, 1], [0, clip[1], 1], [*clip, 1]]) @ place.T
    at = corners[:, :2] / corners[:, 2:]
    return float(max(0.0, -at.min(), (at - np.array(release)).max()))


def back(shape: tuple[int, ...], place: Matrix, clip: Sides, release: Sides, size: tuple[int, int]) -> Matrix:
    """From cells of the release's grid of `size` (columns, rows) to pixels of a picture of `shape`."""
    cell = np.diag([release[0] / size[0], release[1] / size[1], 1.0])
    cell[:2, 2] = cell[0, 0] / 2, cell[1, 1] / 2
    pixel = np.diag([shape[1] / clip[0], shape[0] / clip[1], 1.0])
    pixel[:2, 2] = -0.5
    inverse: Matrix = pixel @ np.linalg.inv(place) @ cell
    return inverse
