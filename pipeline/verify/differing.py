"""By how much a clip that lies over a release differs from it, once its tone and colour are taken off.

1. Luma may have become any parabola of itself, colour (u, v) any affine map, one for the whole clip.
2. A cell counts where it lies outside of what the release shows in it and its neighbours: what was laid a
   little wrong or blurred does not.
3. Differences have to last for two moments in a row.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.moments import LOST_BITS, Moment
from pipeline.verify.laying import Field, Matrix

ROBUST: Final = 4.5  # mean absolute deviations beyond which a cell has no say in tone and colour
LEAST_GAIN: Final = 0.3  # of contrast: with less, differences cannot be seen
LEAST_COLOUR: Final = 0.25  # of the release's: with less, colour is not compared
COLOURED: Final = 2.0  # levels of spread below which a clip has no colour to compare

# Calibrated in benchmarks/copying.py; docs/adr/0043 has the figures.
DIFFERENT: Final = 6.0  # levels, mean of 3 × 3 cells
POINTED: Final = 14.0  # levels, of a single cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One moment laid over the release's: luma ``float32[h, w]``, colour ``float32[2, h / 2, w / 2]``, which
    cells are seen, and the correlation of the structure, None where there is none.
    """

    release: Moment
    y: Field
    uv: Field
    seen: NDArray[np.bool_]
    structure: float | None


def level(stored: NDArray[np.uint8]) -> Field:
    """Stored levels, at the middle of what was rounded off."""
    return stored.astype(np.float32) + np.float32(((1 << LOST_BITS) - 1) / 2)


def differing(looks: Sequence[Look]) -> float | None:
    """How much the worst place of any two moments in a row differs; from 1 on it does.

    None where that cannot be seen.
    """
    tone = _tone(looks)
    if tone is None:
        return None
    lumas = [_beyond(look.y, tone(level(look.release.y)), _inner(look.seen)) for look in looks]
    most = _worst(lumas) / tone.gain
    colour = _colour(looks)
    if colour is None:
        return most
    colours = [
        np.maximum.reduce([
            _beyond(plane, expected, _half(_inner(look.seen))) for plane, expected in zip(
                look.uv, colour(look.release.uv), strict=True)
        ])
        for look in looks
    ]  # fmt: skip
    return max(most, _worst(colours) / colour.gain)


def _worst(beyond: Sequence[Field]) -> float:
    pairs = list(itertools.pairwise(beyond)) or [(beyond[0], beyond[0])]
    lasting = [np.asarray(one + other, np.float32) / 2 for one, other in pairs]
    wide = max(float(cv2.blur(cells, (3, 3)).max()) for cells in lasting)
    return max(wide / DIFFERENT, max(float(cells.max()) for cells in lasting) / POINTED)


def _beyond(found: Field, expected: Field, seen: NDArray[np.bool_]) -> Field:
    """By how many levels a cell lies outside of what is expected in it and its neighbours."""
    around = np.ones((3, 3), np.uint8)
    high = cv2.dilate(np.where(seen, expected, np.float32(-1e3)).astype(np.float32), around)
    low = cv2.erode(np.where(seen, expected, np.float32(1e3)).astype(np.float32), around)
    return np.asarray(np.maximum(np.maximum(found - high, low - found), 0) * seen, np.float32)


def _inner(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the outermost cells: bars or a background around the release's picture blur into them."""
    inner = np.zeros_like(seen)
    inner[1:-1, 1:-1] = seen[1:-1, 1:-1]
    return inner


def _half(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = seen.shape
    return np.asarray(seen.reshape(rows // 2, 2, columns // 2, 2).all(axis=(1, 3)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tone:
    """How the whole clip's luma changed: a parabola, and the contrast that is left."""

    coefficients: NDArray[np.float64]
    gain: float

    def __call__(self, level: Field) -> Field:
        return np.asarray(np.polyval(self.coefficients, level / 255.0) * 255.0, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Colour:
    """How the whole clip's colour changed: an affine map of (u, v), and how much of the colour is left."""

    matrix: NDArray[np.float64]
    gain: float

    def __call__(self, stored: NDArray[np.uint8]) -> Field:
        flat = _rows(stored)
        shape = (2, *stored.shape[1:])
        return np.asarray((flat @ self.matrix).T.reshape(shape), np.float32)


def _tone(looks: Sequence[Look]) -> _Tone | None:
    ours = np.concatenate([level(look.release.y)[look.seen] for look in looks]).astype(np.float64) / 255
    theirs = np.concatenate([look.y[look.seen] for look in looks]).astype(np.float64) / 255
    if len(ours) < 3:
        return None
    fit = _robust(np.stack([ours**2, ours, np.ones_like(ours)], axis=1), theirs[:, None], 0.002)[:, 0]
    low, high = np.quantile(ours, [0.05, 0.95])
    if high - low < 1e-3:
        return None
    gain = float((np.polyval(fit, high) - np.polyval(fit, low)) / (high - low))
    return _Tone(coefficients=fit, gain=gain) if gain >= LEAST_GAIN else None


def _colour(looks: Sequence[Look]) -> _Colour | None:
    """None where one of the clips has next to no colour: then there is nothing to compare."""
    ours = np.concatenate([_rows(look.release.uv)[_half(look.seen).ravel()] for look in looks])
    theirs = np.concatenate([_rows_of(look.uv)[_half(look.seen).ravel()] for look in looks])
    if len(ours) < 3 or max(theirs.std(axis=0)) < COLOURED or max(ours[:, :2].std(axis=0)) < COLOURED:
        return None
    matrix = _robust(ours, theirs, 0.5)
    gain = math.sqrt(abs(float(np.linalg.det(matrix[:2]))))
    return _Colour(matrix=matrix, gain=gain) if gain >= LEAST_COLOUR else None


def _rows(stored: NDArray[np.uint8]) -> NDArray[np.float64]:
    flat = level(stored).reshape(2, -1).T.astype(np.float64)
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def _rows_of(uv: Field) -> NDArray[np.float64]:
    return uv.reshape(2, -1).T.astype(np.float64)


def _robust(inputs: Matrix, outputs: Matrix, floor: float) -> Matrix:
    """Least squares, four times, each without what is far off the fit before."""
    kept = np.ones(len(inputs), bool)
    fit: Matrix = np.zeros((inputs.shape[1], outputs.shape[1]))
    for _ in range(4):
        fit = np.asarray(np.linalg.lstsq(inputs[kept], outputs[kept], rcond=None)[0], np.float64)
        away = np.abs(outputs - inputs @ fit).max(axis=1)
        kept = away <= ROBUST * (float(np.median(away[kept])) + floor)
    return fit
