"""The patterns of a coat, as polygons over a box; the figure cuts them to its own shape."""

from typing import Final

import numpy as np

from generator.embedded.world.canvas import CIRCLE, Points, moved

_STRIPES: Final = 3
# Middles and sizes of the spots in shares of the box.
_SPOTS: Final = (
    (0.2, 0.18, 0.11), (0.55, 0.1, 0.08), (0.82, 0.3, 0.12), (0.42, 0.42, 0.1), (0.12, 0.58, 0.1),
    (0.7, 0.62, 0.11), (0.36, 0.8, 0.12), (0.9, 0.9, 0.1),
)  # fmt: skip


def pattern_parts(pattern: str, low: Points, high: Points) -> list[Points]:
    """Polygons of a pattern over the box from ``low`` to ``high`` (x, y)."""
    return [part * (high - low) + low for part in _MAKERS[pattern]]


def _belly() -> list[Points]:
    return [CIRCLE * (0.32, 0.36) + (0.5, 0.62)]


def _stripes() -> list[Points]:
    step = 1 / _STRIPES
    bar = np.array([[-0.1, 0.0], [1.1, 0.0], [1.1, 0.5 * step], [-0.1, 0.5 * step]])
    return [moved(bar, 0.0, (index + 0.25) * step) for index in range(_STRIPES)]


def _spots() -> list[Points]:
    return [CIRCLE * size + (x, y) for x, y, size in _SPOTS]


def _zigzags() -> list[Points]:
    xs = np.linspace(-0.05, 1.05, 9)
    teeth = np.where(np.arange(9) % 2 == 0, 0.0, 0.16)
    edge = np.stack([xs, teeth], axis=1)
    return [np.concatenate([moved(edge, 0, y), moved(edge[::-1], 0, y + 0.17)]) for y in (0.08, 0.52)]


def _halves() -> list[Points]:
    return [np.array([[0.5, -0.1], [1.1, -0.1], [1.1, 1.1], [0.5, 1.1]])]


def _rings() -> list[Points]:
    """Two rings, each one polygon: the outer turn forwards, the inner backwards."""
    closed = np.concatenate([CIRCLE, CIRCLE[:1]])
    sizes = ((0.5, 0.38), (0.24, 0.12))
    return [moved(np.concatenate([closed * big, closed[::-1] * small]), 0.5, 0.5) for big, small in sizes]


_MAKERS: Final[dict[str, list[Points]]] = {
    "belly": _belly(),
    "stripes": _stripes(),
    "spots": _spots(),
    "zigzags": _zigzags(),
    "halves": _halves(),
    "rings": _rings(),
}
