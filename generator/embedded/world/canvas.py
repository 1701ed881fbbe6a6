"""A picture to draw on in units of the world, at twice or more the size asked for, with smooth edges."""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[float, float, float]

# Sub-pixel positions: OpenCV takes fixed point with so many binary digits.
SHIFT: Final = 4
_TURN: Final = np.linspace(0, 2 * np.pi, 32, endpoint=False)
CIRCLE: Final[Points] = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_HALF_TURN: Final = np.linspace(np.pi, 2 * np.pi, 17)
UPPER: Final[Points] = np.stack([np.cos(_HALF_TURN), np.sin(_HALF_TURN)], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Pixels ``uint8[h, w, 3]``, what was covered ``uint8[h, w]``, and how the units become pixels.

    ``matrix`` is ``float64[2, 3]``. With ``outline`` every filled shape gets an edge of that width (in
    units) and colour.
    """

    pixels: Picture
    cover: Picture
    matrix: NDArray[np.float64]
    outline: float = 0.0
    ink: Colour = (30.0, 30.0, 40.0)

    def within(self, *, x: float, y: float, scale: tuple[float, float], angle: float = 0.0) -> "Canvas":
        """The same pixels in other units: origin at (x, y), scaled (x, y), turned by so many radians."""
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        inner = self.matrix[:, :2] @ turn @ np.diag(scale)
        origin = self.matrix[:, :2] @ np.array([x, y]) + self.matrix[:, 2]
        return replace(self, matrix=np.concatenate([inner, origin[:, None]], axis=1))

    def fill(self, points: Points, colour: Colour, *, edge: bool = True) -> None:
        """Fill a polygon ``float64[n, 2]``."""
        corners = self.fixed(points)
        cv2.fillPoly(self.pixels, [corners], colour, cv2.LINE_AA, SHIFT)
        cv2.fillPoly(self.cover, [corners], 255, cv2.LINE_AA, SHIFT)
        if edge and self.outline:
            self._stroke(corners, self.ink, self.outline, closed=True)

    def oval(
        self, x: float, y: float, wide: float, high: float, colour: Colour, *, edge: bool = True
    ) -> None:
        """Fill an ellipse with these half-axes."""
        self.fill(CIRCLE * (wide, high) + (x, y), colour, edge=edge)

    def box(self, x: float, y: float, wide: float, high: float, colour: Colour, *, edge: bool = True) -> None:
        """Fill a rectangle: middle, half its width and half its height."""
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (wide, high) + (x, y)
        self.fill(corners, colour, edge=edge)

    def line(self, points: Points, colour: Colour, width: float, *, edge: bool = False) -> None:
        """Draw an open line of a width in units; with ``edge`` it has an outline, as a limb has."""
        corners = self.fixed(points)
        if edge and self.outline:
            self._stroke(corners, self.ink, width + 1.6 * self.outline, closed=False)
        self._stroke(corners, colour, width, closed=False)

    def fill_inside(self, shape: Points, parts: list[Points], colour: Colour) -> None:
        """Fill polygons, but only where they lie inside a shape: patterns."""
        corners = self.fixed(shape)
        inside = np.zeros(self.cover.shape, np.uint8)
        cv2.fillPoly(inside, [corners], 255, cv2.LINE_AA, SHIFT)
        pattern = np.zeros(self.cover.shape, np.uint8)
        for part in parts:
            cv2.fillPoly(pattern, [self.fixed(part)], 255, cv2.LINE_AA, SHIFT)
        blend(self.pixels, np.minimum(inside, pattern), colour)
        if self.outline:
            self._stroke(corners, self.ink, self.outline, closed=True)

    def fixed(self, points: Points) -> NDArray[np.int32]:
        """Pixel positions in OpenCV's fixed point ``int32[n, 2]``."""
        moved = np.asarray(points) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.asarray(np.clip(np.rint(moved * (1 << SHIFT)), -(1 << 24), 1 << 24), dtype=np.int32)

    def _stroke(self, corners: NDArray[np.int32], colour: Colour, width: float, *, closed: bool) -> None:
        thick = max(1, round(width * float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))))
        cv2.polylines(self.pixels, [corners], closed, colour, thick, cv2.LINE_AA, SHIFT)
        cv2.polylines(self.cover, [corners], closed, 255, thick, cv2.LINE_AA, SHIFT)


def moved(points: Points, x: float, y: float) -> Points:
    """The polygon, put elsewhere."""
    return np.asarray(points + np.array([x, y]), dtype=np.float64)


def blend(pixels: Picture, amount: Picture, colour: Colour) -> None:
    """Mix a colour into pixels by amounts ``uint8[h, w]``, in place."""
    rows, columns = np.flatnonzero(amount.any(axis=1)), np.flatnonzero(amount.any(axis=0))
    if not rows.size:
        return
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    share = amount[part][..., None].astype(np.float32) / 255
    mixed = pixels[part] * (1 - share) + np.array(colour, np.float32) * share
    pixels[part] = np.rint(mixed).astype(np.uint8)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """So much of the other colour in the one."""
    first, second, third = (a * (1 - share) + b * share for a, b in zip(one, other, strict=True))
    return first, second, third
