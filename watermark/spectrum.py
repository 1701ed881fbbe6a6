"""Rough geometries out of spectra: where the template's points lie in frequency, whatever the shift.

Two looks, both blind to where the pattern lies:

1. Power of neighbouring windows in sum, knowing nothing about time: says which geometries are worth more.
2. For those, all windows summed by a clock with the template's phases taken off, point by point: what
   belongs together adds up over the whole clip, and the shift, one phase per point, falls out of the power.

The frame is looked at in pieces about as wide as high, so that one hypothesis tolerates as much in width as
in height.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.clocks import Clocks, shares
from watermark.lattice import TEMPLATE_POINTS, Complex, Lattice
from watermark.windows import LINES, Plane

BIN = 0.5  # cycles per short side
SIZE = round(LINES / BIN)
HIGHEST = 90.0  # cycles per short side: the template of a pattern at half size
REACH = round(HIGHEST / BIN)
COLUMNS, ROWS = REACH + 1, 2 * REACH + 1
NEIGHBOURHOOD = 31  # bins over which the noise is even
CLIP_POWER = 8.0  # one bright peak of the picture must not outweigh 48 points
MAX_PIECES = 3

Power = NDArray[np.float32]
Maps = NDArray[np.float64]


class Spectra(NamedTuple):
    """Whitened spectra, one row per bin of the half plane; row 0 stands for all bins beyond it and is 0.

    ``values`` complex64[bins, pieces, windows]; ``excess`` float32[bins]: power of neighbouring windows in
    sum, less its mean.
    """

    values: Complex
    excess: Power


class Places(NamedTuple):
    """Where each template point lies under each hypothesis.

    ``bins`` int32[h, 48]: row of `Spectra`. ``turned`` bool[h, 48]: its conjugate lies there, since a real
    picture has only half a plane.
    """

    bins: NDArray[np.int32]
    turned: NDArray[np.bool_]

    def only(self, rows: NDArray[np.int64]) -> "Places":
        """Of some hypotheses."""
        return Places(self.bins[rows], self.turned[rows])


def spectra(windows: Plane) -> Spectra:
    """Spectra of ``float32[n, h, w]``, n ≥ 2."""
    pieces = _pieces(*windows.shape[1:])
    values = np.zeros((1 + ROWS * COLUMNS, len(pieces), len(windows)), dtype=np.complex64)
    excess = np.zeros(1 + ROWS * COLUMNS, dtype=np.float32)
    for index, (rows, columns) in enumerate(pieces):
        part = _spectrum(windows[:, rows, columns])
        own = np.mean(part.real**2 + part.imag**2, axis=0)
        # A bin that is loud all the time says no more for it.
        part /= np.sqrt(np.maximum(own, _even(own)))
        both = part[1:] + part[:-1]
        pairs = np.mean(both.real**2 + both.imag**2, axis=0)
        excess[1:] += (np.minimum(pairs / _even(pairs), CLIP_POWER) - 1).ravel() / len(pieces)
        values[1:, index] = part.reshape(len(part), -1).T
    return Spectra(values, excess)


def _pieces(height: int, width: int) -> list[tuple[slice, slice]]:
    """Overlapping parts of the frame, about square, that cover it or at least its middle."""
    short, long = min(height, width), max(height, width)
    count = min(MAX_PIECES, max(1, round(long / short)))
    side = min(max(short, -(-long // count)), SIZE)
    starts = np.linspace(0, long - side, count).astype(int)
    along = [slice(int(start), int(start) + side) for start in starts]
    return [(slice(0, short), part) if width >= height else (part, slice(0, short)) for part in along]


def _spectrum(part: Plane) -> Complex:
    """``complex64[n, ROWS, COLUMNS]``: fy from −HIGHEST to HIGHEST, fx from 0."""
    down, across = (np.sin(np.pi * (np.arange(n) + 0.5) / n) for n in part.shape[1:])
    taper = np.outer(down, across).astype(np.float32)
    found = np.empty((len(part), ROWS, COLUMNS), dtype=np.complex64)
    for plane, out in zip(part, found, strict=True):
        half = np.fft.rfft(plane * taper, n=SIZE, axis=1)[:, :COLUMNS]
        whole = np.fft.fft(half, n=SIZE, axis=0)
        out[:REACH], out[REACH:] = whole[-REACH:], whole[:COLUMNS]
    return found


def _even(power: Power) -> Power:
    level = cv2.blur(power, (NEIGHBOURHOOD, NEIGHBOURHOOD), borderType=cv2.BORDER_REFLECT)
    return np.asarray(level + 1e-6 * level.max() + 1e-12, np.float32)


def places(design: Lattice, hypotheses: Maps) -> Places:
    """Of linear maps ``float64[h, 2, 2]`` from the clip's plane to the marked clip's."""
    points = 2 * design.points[:TEMPLATE_POINTS].astype(np.float64)
    x, y = (np.rint(points @ hypotheses[:, :, axis].T / BIN).astype(np.int32).T for axis in (0, 1))
    turned = x < 0
    x, y = np.where(turned, -x, x), np.where(turned, -y, y)
    seen = (x <= REACH) & (np.abs(y) <= REACH)
    return Places(np.where(seen, 1 + (y + REACH) * COLUMNS + x, 0).astype(np.int32), turned)


def by_power(found: Spectra, where: Places) -> Power:
    """Score ``float32[h]`` of each hypothesis without time: 0 by chance, and the same upside down."""
    score: Power = found.excess[where.bins].sum(axis=1)
    return score


def by_clock(
    found: Spectra, where: Places, times: NDArray[np.float64], design: Lattice, clocks: Clocks
) -> Power:
    """Score ``float32[2, h, c]`` of each hypothesis with each clock: as it is, and upside down."""
    weights = shares(times, clocks)
    pieces = found.values.shape[1]
    scores = np.zeros((2, len(where.bins), len(clocks)), dtype=np.float32)
    for k in range(TEMPLATE_POINTS):
        phases = np.einsum("csn,s->nc", weights, np.conj(design.phasors[:, k])).astype(np.complex64)
        phases /= np.sqrt(np.sum(np.abs(phases) ** 2, axis=0)) + np.float32(1e-9)
        values = found.values[where.bins[:, k]].reshape(-1, len(times))
        seen, turned = where.bins[:, k] > 0, where.turned[:, k]
        # What lies there conjugated takes the conjugate phases; so does all of it, upside down.
        for taken, straight in ((phases, 0), (np.conj(phases), 1)):
            sums = values @ taken
            power = np.minimum(sums.real**2 + sums.imag**2, CLIP_POWER)
            power = power.reshape(-1, pieces, len(clocks)).mean(axis=1) - 1
            scores[straight, seen & ~turned] += power[seen & ~turned]
            scores[1 - straight, seen & turned] += power[seen & turned]
    return scores
