"""How a clip's plane lies on the marked clip's: homographies, and turning windows upright.

Units: short sides, of the clip on one side and of the marked clip on the other. A translation is free
(the pattern repeats with every tile, and the shift is searched), so the clip's corner (0, 0) always stays
at (0, 0).
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.windows import Plane

MAX_CANVAS = 4.0  # area of an upright canvas over the clip's: a turned frame needs 2
MAX_FORESHORTENING = 2.0  # ratio of the homography's denominators at the corners
CORNER_STEPS = 128  # per tile: the grid on which corners of a resampled frame lie
CORNER_REACH = 64  # tiles from the first corner to any other, along each axis
CORNER_PLACES = (2 * CORNER_STEPS * CORNER_REACH + 1) ** 6  # of three corners relative to the first
EXACT = 1e-9  # entries below are zero: the frame is turned by quarters only, nothing is resampled

Matrix = NDArray[np.float64]
Rows = tuple[tuple[float, float, float], ...]
IDENTITY: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGeometry:
    """A homography from the clip's plane to the marked clip's, as rows of a 3×3 matrix; the identity."""

    rows: Rows = IDENTITY

    @classmethod
    def of(cls, matrix: Matrix) -> "FrameGeometry":
        """From ``float64[3, 3]`` or the linear part ``float64[2, 2]``; the translation is taken off."""
        whole = np.eye(3)
        whole[: len(matrix), : len(matrix)] = matrix
        moved = np.eye(3)
        moved[:2, 2] = -whole[:2, 2] / whole[2, 2]
        whole = moved @ whole
        (a, b, c), (d, e, f), (g, h, i) = (whole / whole[2, 2]).tolist()
        return cls(rows=((a, b, c), (d, e, f), (g, h, i)))

    @classmethod
    def stretched(cls, scale_x: float, scale_y: float, *, mirrored: bool = False) -> "FrameGeometry":
        """Of a pattern that is `scale_x` × `scale_y` times as large as in an untouched clip."""
        return cls.of(np.diag([(-1 if mirrored else 1) / scale_x, 1 / scale_y]))

    @property
    def matrix(self) -> Matrix:
        """``float64[3, 3]``."""
        return np.array(self.rows, dtype=np.float64)

    def linear(self, width: float, height: float) -> Matrix:
        """The derivative ``float64[2, 2]`` in the middle of a clip of this size (short sides)."""
        middle: Matrix = jacobian(self.matrix, np.array([[width / 2, height / 2]]))[0]
        return middle


def apply(matrix: Matrix, points: Matrix) -> Matrix:
    """Images ``float64[n, 2]`` of points ``float64[n, 2]``."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    images: Matrix = mapped[:, :2] / mapped[:, 2:]
    return images


def jacobian(matrix: Matrix, points: Matrix) -> Matrix:
    """Derivatives ``float64[n, 2, 2]`` at points ``float64[n, 2]``."""
    below = (points @ matrix[2, :2] + matrix[2, 2])[:, None, None]
    images = apply(matrix, points)
    derivative: Matrix = (matrix[None, :2, :2] - images[:, :, None] * matrix[2, None, None, :2]) / below
    return derivative


def corners(width: float, height: float) -> Matrix:
    """The four corners ``float64[4, 2]`` of a frame, clockwise from (0, 0)."""
    return np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])


def snapped(frame: FrameGeometry, width: float, height: float) -> FrameGeometry | None:
    """The nearest of the `CORNER_PLACES` geometries whose corners are on the grid; None beyond its reach."""
    frame_corners = corners(width, height)
    steps = np.rint(2 * CORNER_STEPS * apply(frame.matrix, frame_corners))
    if not np.abs(steps).max() <= CORNER_STEPS * CORNER_REACH:
        return None
    images = steps / (2 * CORNER_STEPS)
    matrix = cv2.getPerspectiveTransform(frame_corners.astype(np.float32), images.astype(np.float32))
    return FrameGeometry.of(matrix.astype(np.float64)) if np.isfinite(matrix).all() else None


def possible(frame: FrameGeometry, width: float, height: float) -> bool:
    """Whether a frame of this size could lie so: the horizon far outside, and no wild foreshortening."""
    below = corners(width, height) @ frame.matrix[2, :2] + frame.matrix[2, 2]
    return bool(below.min() > 0 and below.max() / below.min() < MAX_FORESHORTENING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upright:
    """Windows turned so that the pattern's axes are theirs: planes ``float32[n, h, w]``.

    ``pitch`` (x, y): one pixel in short sides of the marked clip. ``origin`` (x, y): where the corner of the
    first pixel lies there.
    """

    planes: Plane
    pitch: tuple[float, float]
    origin: tuple[float, float]


def upright(planes: Plane, frame: FrameGeometry, *, cubic: bool = True) -> Upright:
    """Turn `planes` upright. Quarter turns, mirrors and stretches are exact; others are resampled.

    What lies outside the clip is 0, which is what the windows' mean is.
    """
    m = frame.matrix
    if max(abs(m[2, 0]), abs(m[2, 1])) < EXACT:
        if max(abs(m[0, 1]), abs(m[1, 0])) < EXACT:
            return _axes(planes, m[0, 0], m[1, 1])
        if max(abs(m[0, 0]), abs(m[1, 1])) < EXACT:
            return _axes(planes.transpose(0, 2, 1), m[0, 1], m[1, 0])
    return _resampled(planes, frame, cubic=cubic)


def _axes(planes: Plane, along_x: float, along_y: float) -> Upright:
    height, width = planes.shape[1:]
    lines = min(height, width)
    origin = (min(0.0, along_x * width / lines), min(0.0, along_y * height / lines))
    turned = planes[:, :: 1 if along_y > 0 else -1, :: 1 if along_x > 0 else -1]
    return Upright(planes=turned, pitch=(abs(along_x) / lines, abs(along_y) / lines), origin=origin)


def _resampled(planes: Plane, frame: FrameGeometry, *, cubic: bool) -> Upright:
    height, width = planes.shape[1:]
    lines = min(height, width)
    place = apply(frame.matrix, corners(width / lines, height / lines))
    low, size = place.min(axis=0), np.ptp(place, axis=0)
    pitch = math.sqrt(abs(float(np.linalg.det(frame.linear(width / lines, height / lines))))) / lines
    # A frame far from square, lying slanted, gets coarser pixels before it gets a huge canvas.
    pitch = max(pitch, math.sqrt(float(size.prod()) / (MAX_CANVAS * width * height)))
    columns, rows = (max(1, math.ceil(side / pitch)) for side in size)
    # Pixel i of the canvas lies at low + (i + ½)·pitch, pixel j of the clip at (j + ½)/lines.
    to_plane = np.array([[pitch, 0, low[0] + pitch / 2], [0, pitch, low[1] + pitch / 2], [0, 0, 1]])
    to_pixel = np.array([[lines, 0, -0.5], [0, lines, -0.5], [0, 0, 1.0]])
    back = to_pixel @ np.linalg.inv(frame.matrix) @ to_plane
    flags = (cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    turned = np.stack([cv2.warpPerspective(plane, back, (columns, rows), flags=flags) for plane in planes])
    return Upright(
        planes=turned.astype(np.float32, copy=False),
        pitch=(pitch, pitch),
        origin=(float(low[0]), float(low[1])),
    )
