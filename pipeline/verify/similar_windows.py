"""Where in the query another clip may be shown: inside of bars, borders, or as a picture in a picture.

Bars and borders are rows and columns of one colour at the edge. A picture in a picture has straight edges
that stay while what is in it moves: luma differences that last, by their median over the moments, are
summed along rows and columns, and the rectangles with the strongest sides are taken.
"""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.verify.similar_keys import WHOLE, Pictures, Window

LINES: Final = 10  # of the strongest edges in each direction, by which rectangles are made
LEAST_SIDE: Final = 0.25  # of the query's
MOST_STRETCH: Final = 1.6  # of a rectangle's shape against the query's: releases have few shapes
LEAST_EDGE: Final = 2.0  # luma levels a side differs by, in the mean
CAP: Final = 24.0  # levels beyond which an edge is no stronger
APART: Final = 3  # cells between two lines
MOST: Final = 3  # rectangles
PLAIN: Final = 2.5  # levels: standard deviation along a row or column of a bar
MOST_BAR: Final = 0.4  # of the side, at each end

Edge = NDArray[np.float64]


def inner_windows(pictures: Pictures) -> list[Window]:
    """Where in luma ``float32[moments, h, w]`` a clip may lie, besides the whole picture, likeliest first."""
    return _apart([_without_bars(pictures), *_rectangles(pictures)])


def _without_bars(pictures: Pictures) -> Window:
    rows, columns = pictures.std(axis=2).max(axis=0), pictures.std(axis=1).max(axis=0)
    (top, bottom), (left, right) = _unbarred(rows), _unbarred(columns)
    # A bar's corners may be plain in one direction only once those of the other are off.
    inner = pictures[:, round(top * len(rows)) : round(bottom * len(rows))]
    left, right = _unbarred(inner.std(axis=1).max(axis=0))
    inner = pictures[:, :, round(left * len(columns)) : round(right * len(columns))]
    top, bottom = _unbarred(inner.std(axis=2).max(axis=0))
    return Window(left, top, right, bottom)


def _unbarred(deviations: Pictures) -> tuple[float, float]:
    """Between the first and the last that is not plain, in shares; everything where too much is."""
    most, structured = MOST_BAR * len(deviations), np.flatnonzero(deviations > PLAIN)
    if not len(structured) or structured[0] > most or len(deviations) - 1 - structured[-1] > most:
        return 0.0, 1.0
    return float(structured[0] / len(deviations)), float((structured[-1] + 1) / len(deviations))


def _rectangles(pictures: Pictures) -> list[Window]:
    across = np.minimum(np.median(np.abs(np.diff(pictures, axis=2)), axis=0), CAP).astype(np.float64)
    down = np.minimum(np.median(np.abs(np.diff(pictures, axis=1)), axis=0), CAP).astype(np.float64)
    height, width = pictures.shape[1:]
    columns, rows = _lines(across.mean(axis=0), width), _lines(down.mean(axis=1), height)
    # sums[n] is over the first n cells along an edge
    upright = np.concatenate([np.zeros((1, across.shape[1])), np.cumsum(across, axis=0)])
    level = np.concatenate([np.zeros((down.shape[0], 1)), np.cumsum(down, axis=1)], axis=1)
    found = []
    for (left, right), (top, bottom) in itertools.product(_pairs(columns, width), _pairs(rows, height)):
        stretch = (right - left) / (bottom - top) * height / width
        if (left, top, right, bottom) == (
            0,
            0,
            width,
            height,
        ) or not 1 / MOST_STRETCH < stretch < MOST_STRETCH:
            continue
        sides = [(upright[bottom, at - 1] - upright[top, at - 1]) / (bottom - top) for at in (left, right)
                 if 0 < at < width]  # fmt: skip
        sides += [(level[at - 1, right] - level[at - 1, left]) / (right - left) for at in (top, bottom)
                  if 0 < at < height]  # fmt: skip
        if min(sides) >= LEAST_EDGE:
            found.append((min(sides), Window(left / width, top / height, right / width, bottom / height)))
    return [window for _, window in sorted(found, key=lambda one: (-one[0], one[1]))]


def _lines(strength: Edge, size: int) -> list[int]:
    """Positions between cells: both ends, and where the strongest edges are."""
    chosen: list[int] = []
    for at in np.argsort(-strength, kind="stable") + 1:
        if len(chosen) == LINES:
            break
        if all(abs(int(at) - other) >= APART for other in chosen):
            chosen.append(int(at))
    return sorted({0, size, *chosen})


def _pairs(lines: Sequence[int], size: int) -> list[tuple[int, int]]:
    return [(a, b) for a, b in itertools.combinations(lines, 2) if b - a >= LEAST_SIDE * size]


def _apart(windows: Sequence[Window]) -> list[Window]:
    """The first of those that are nearly the same."""
    kept: list[Window] = []
    for window in windows:
        if len(kept) < MOST and all(_differs(window, other) for other in (WHOLE, *kept)):
            kept.append(window)
    return kept


def _differs(one: Window, other: Window) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) > 0.04
