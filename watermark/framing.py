"""Where a point of the marked clip lies in the clip that is looked at, and when it was shown there.

Positions are shares of a frame's width and height, from its upper left corner, so that the size at which a
frame is looked at changes nothing. What the hidden mark says of a clip (`watermark.base.Geometry`) leaves
some choice: the pattern repeats with every tile of half a short side, and its states every four seconds.
`framings` lists every place that is left.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from watermark.base import MAX_SLANT, Geometry
from watermark.lattice import PERIOD_SECONDS

TILE = 0.5  # short sides after which the pattern repeats
SAME_SIZE = 0.01  # relative: sizes so alike count as that of the whole frame
SAME_PLACE = 0.01  # short sides
MOST = 8  # framings of one geometry, the likeliest
LEAST_OVERLAP = 0.5  # of the smaller of the two frames that lies in the other
OVERLAP_SLACK = 0.15  # by which a framing may fall short of the best one

Matrix = NDArray[np.float64]
Rows = tuple[tuple[float, float, float], tuple[float, float, float]]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How the clip frames the marked one. ``rows``: 2×3, from shares of the marked frame to shares of the
    clip's. ``speed``, ``start``: the marked clip's second is ``speed`` times the clip's plus ``start``.
    ``whole``: the clip shows the whole marked frame and nothing else.
    """

    rows: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    speed: float = 1.0
    start: float = 0.0
    whole: bool = True

    def marked_time(self, time: float) -> float:
        """The marked clip's second at `time` of the clip."""
        return self.speed * time + self.start

    def begun(self, start: float) -> "Framing":
        """The same with another start."""
        return replace(self, start=start)

    def after(self, change: Matrix) -> "Framing":
        """The framing in a picture made from the clip's: `change` is 2×3, of shares to shares."""
        rows = np.array(self.rows)
        moved = np.column_stack([change[:, :2] @ rows[:, :2], change[:, :2] @ rows[:, 2] + change[:, 2]])
        return replace(self, rows=_rows(moved), whole=False)

    def pixels(self, marked: Size, frame: Size) -> Matrix:
        """``float64[2, 3]`` from pixels of the marked frame to pixels of a frame; sizes (width, height)."""
        rows = np.array(self.rows)
        rows[:, :2] /= np.array(marked)
        placed: Matrix = rows * np.array(frame, np.float64)[:, None]
        return placed

    def box(self, marked: Size, corners: tuple[float, float, float, float]) -> tuple[float, ...]:
        """A box (x0, y0, x1, y1) in pixels of the marked frame as shares of the clip's: what encloses it."""
        x0, y0, x1, y1 = corners
        points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) / np.array(marked)
        rows = np.array(self.rows)
        placed = points @ rows[:, :2].T + rows[:, 2]
        return (*placed.min(axis=0).tolist(), *placed.max(axis=0).tolist())

    def point(self, marked: Size, x: float, y: float) -> tuple[float, float]:
        """A position in pixels of the marked frame as shares of the clip's."""
        rows = np.array(self.rows)
        placed = rows[:, :2] @ (np.array([x, y]) / np.array(marked)) + rows[:, 2]
        return float(placed[0]), float(placed[1])


WHOLE = Framing()
MIRRORED = Framing(rows=((-1.0, 0.0, 1.0), (0.0, 1.0, 0.0)))


def upright(framing: Framing, marked: Size, frame: Size) -> tuple[Matrix, Size]:
    """What turns a frame of this size upright and unmirrored: 2×3 of shares to shares, and the new size."""
    placed = framing.pixels(marked, frame)[:, :2]
    back = np.linalg.inv(placed) * math.sqrt(abs(float(np.linalg.det(placed))))
    corners = np.array([[0, 0], [frame[0], 0], [frame[0], frame[1]], [0, frame[1]]]) @ back.T
    low, size = corners.min(axis=0), np.ptp(corners, axis=0)
    change = np.column_stack([back * np.array(frame), -low]) / size[:, None]
    width, height = (max(1, round(side)) for side in size.tolist())
    return change, (width, height)


def framings(geometry: Geometry, marked: Size, clip: Size) -> tuple[Framing, ...]:
    """Every way in which the clip can lie, the likeliest first; starts are those nearest to 0.

    `marked`, `clip`: width and height in pixels of any resolution. Where the clip shows the whole frame there
    is only that; an aspect that was changed otherwise, or perspective, is not known to `Geometry`.
    """
    start = (geometry.time_offset + PERIOD_SECONDS / 2) % PERIOD_SECONDS - PERIOD_SECONDS / 2
    timed = replace(MIRRORED if geometry.mirrored else WHOLE, speed=geometry.speed, start=start)
    if _shows_all(geometry, marked, clip):
        return (timed,)
    found = sorted(_placed(geometry, marked, clip), key=lambda one: -one[0])
    best = found[0][0] if found else 0.0
    least = max(LEAST_OVERLAP, best - OVERLAP_SLACK)
    return tuple(replace(timed, rows=rows, whole=False) for overlap, rows in found[:MOST] if overlap >= least)


def _shows_all(geometry: Geometry, marked: Size, clip: Size) -> bool:
    """Whether size, turn and shift are those of a clip that shows the whole frame, at any aspect."""
    size, shown = _in_short_sides(marked), _in_short_sides(clip)
    expected = math.sqrt(shown[0] * shown[1] / (size[0] * size[1]))
    corner = size[0] if geometry.mirrored else 0.0  # of the marked frame that lies at the clip's (0, 0)
    away = max(
        abs((part + place + TILE / 2) % TILE - TILE / 2)
        for part, place in zip(geometry.shift, (corner, 0.0), strict=True)
    )
    as_large = abs(geometry.scale / expected - 1) < SAME_SIZE
    return as_large and abs(geometry.rotation) < MAX_SLANT and away < SAME_PLACE


def _placed(geometry: Geometry, marked: Size, clip: Size) -> Iterator[tuple[float, Rows]]:
    """Overlap and rows of every shift by whole tiles that keeps the two frames over each other."""
    size, shown = np.array(_in_short_sides(marked)), np.array(_in_short_sides(clip))
    angle = math.radians(geometry.rotation)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([-1.0 if geometry.mirrored else 1.0, 1.0]) / geometry.scale
    outline = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    corners = (outline * shown) @ linear.T - np.array(geometry.shift)
    smaller = min(float(size.prod()), float(shown.prod()) / geometry.scale**2)
    for shift in _tiles(corners, size):
        shared = _area(_within(corners + shift, size))
        # p = linear⁻¹ (X + shift − n/2), in shares on both sides.
        back = np.linalg.inv(linear) / shown[:, None]
        moved = back @ (np.array(geometry.shift) - shift)
        rows = np.column_stack([back * size, moved])
        yield shared / smaller, _rows(rows)


def _within(corners: Matrix, size: Matrix) -> Matrix:
    """The part of a convex outline that lies in the frame (Sutherland and Hodgman 1974).

    OpenCV's `intersectConvexConvex` tells areas many times too large where edges coincide, as do those of a
    crop from the frame's side.
    """
    for axis, end in enumerate(size):
        corners = _cut(corners, corners[:, axis])
        corners = _cut(corners, end - corners[:, axis])
    return corners


def _cut(corners: Matrix, depth: NDArray[np.float64]) -> Matrix:
    """The part of an outline where `depth`, given at its corners, is not negative."""
    kept = []
    for here, there, at, then in zip(
        corners, np.roll(corners, -1, 0), depth, np.roll(depth, -1), strict=True
    ):
        if at >= 0:
            kept.append(here)
        if at * then < 0:
            kept.append(here + (there - here) * at / (at - then))
    return np.array(kept).reshape(-1, 2)


def _area(corners: Matrix) -> float:
    """Of an outline, by the shoelace formula."""
    x, y = corners.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _tiles(corners: Matrix, size: Matrix) -> Iterable[Matrix]:
    """Shifts by whole tiles for which the corners' box and the frame overlap."""
    low = np.ceil((-corners.max(axis=0)) / TILE).astype(int)
    high = np.floor((size - corners.min(axis=0)) / TILE).astype(int)
    return (
        TILE * np.array([column, row], np.float64)
        for row in range(low[1], high[1] + 1)
        for column in range(low[0], high[0] + 1)
    )


def _in_short_sides(size: Size) -> tuple[float, float]:
    short = min(size)
    return size[0] / short, size[1] / short


def _rows(matrix: Matrix) -> Rows:
    (a, b, c), (d, e, f) = matrix.tolist()
    return (a, b, c), (d, e, f)
