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

from watermark.clocks import Clocks, Weights, shares
from watermark.lattice import PERIOD_SECONDS, Complex, Template
from watermark.windows import WINDOW_SECONDS, Plane

CLIP_POWER = 8.0  # one bright peak of the picture must not outweigh all points

Power = NDArray[np.float32]
Maps = NDArray[np.float64]


class Look(NamedTuple):
    """Spectra of cycles per bin, in how many pieces at most, tapered to their edges or not.

    ``highest``: frequency in cycles per short side, that of a pattern at half size. ``even``: cycles over
    which the noise is even.
    """

    bin: float
    pieces: int
    tapered: bool
    highest: float
    even: float

    @property
    def reach(self) -> int:
        """Bins from 0 to the highest frequency."""
        return round(self.highest / self.bin)


class Spectra(NamedTuple):
    """Whitened spectra, one row per bin of the half plane; row 0 stands for all bins beyond it and is 0.

    ``values`` complex64[bins, pieces, windows]; ``excess`` float32[bins]: power of neighbouring windows in
    sum, less its mean.
    """

    values: Complex
    excess: Power
    look: Look


class Places(NamedTuple):
    """Where each template point lies under each hypothesis.

    ``bins`` int32[h, t]: row of `Spectra`. ``turned`` bool[h, t]: its conjugate lies there, since a real
    picture has only half a plane.
    """

    bins: NDArray[np.int32]
    turned: NDArray[np.bool_]

    def only(self, rows: NDArray[np.int64]) -> "Places":
        """Of some hypotheses."""
        return Places(self.bins[rows], self.turned[rows])


def spectra(windows: Plane, look: Look) -> Spectra:
    """Spectra of ``float32[n, h, w]``, n ≥ 2."""
    height, width = windows.shape[1:]
    size = round(min(height, width) / look.bin)
    pieces = _pieces(height, width, look, size)
    rows, columns = 2 * look.reach + 1, look.reach + 1
    values = np.zeros((1 + rows * columns, len(pieces), len(windows)), dtype=np.complex64)
    excess = np.zeros(1 + rows * columns, dtype=np.float32)
    for index, (down, across) in enumerate(pieces):
        part = _spectrum(windows[:, down, across], look, size)
        own = np.mean(part.real**2 + part.imag**2, axis=0)
        # A bin that is loud all the time says no more for it.
        part /= np.sqrt(np.maximum(own, _even(own, look)))
        both = part[1:] + part[:-1]
        pairs = np.mean(both.real**2 + both.imag**2, axis=0)
        excess[1:] += (np.minimum(pairs / _even(pairs, look), CLIP_POWER) - 1).ravel() / len(pieces)
        values[1:, index] = part.reshape(len(part), -1).T
    return Spectra(values, excess, look)


def folded(windows: Plane, times: NDArray[np.float64]) -> tuple[Plane, NDArray[np.float64], Weights]:
    """Windows a period apart in sum, of even noise: planes, times, and the root of how many each holds."""
    position = np.round((times % PERIOD_SECONDS) / WINDOW_SECONDS, 6)
    places, member, counts = np.unique(position, return_inverse=True, return_counts=True)
    roots = np.sqrt(counts).astype(np.float32)
    sums = np.zeros((len(places), *windows.shape[1:]), dtype=np.float32)
    for window, place in zip(windows, member, strict=True):
        sums[place] += window / roots[place]
    return sums, places * WINDOW_SECONDS, roots


def _pieces(height: int, width: int, look: Look, size: int) -> list[tuple[slice, slice]]:
    """Overlapping parts of the frame, about square if there may be several, that cover it or its middle."""
    short, long = min(height, width), max(height, width)
    count = min(look.pieces, max(1, round(long / short)))
    side = min(max(short, -(-long // count)), size)
    starts = np.linspace(0, long - side, count).astype(int) if count > 1 else [(long - side) // 2]
    along = [slice(int(start), int(start) + side) for start in starts]
    return [(slice(0, short), part) if width >= height else (part, slice(0, short)) for part in along]


def _spectrum(part: Plane, look: Look, size: int) -> Complex:
    """``complex64[n, 2·reach + 1, reach + 1]`` of `part` padded to `size`: fy from −highest on, fx from 0."""
    columns, reach = look.reach + 1, look.reach
    taper = np.ones(part.shape[1:], dtype=np.float32)
    if look.tapered:
        down, across = (np.sin(np.pi * (np.arange(n) + 0.5) / n) for n in part.shape[1:])
        taper = np.outer(down, across).astype(np.float32)
    found = np.empty((len(part), 2 * reach + 1, columns), dtype=np.complex64)
    for plane, out in zip(part, found, strict=True):
        half = np.fft.rfft(plane * taper, n=size, axis=1)[:, :columns]
        whole = np.fft.fft(half, n=size, axis=0)
        out[:reach], out[reach:] = whole[-reach:], whole[:columns]
    return found


def _even(power: Power, look: Look) -> Power:
    side = 2 * round(look.even / look.bin / 2) + 1
    level = cv2.blur(power, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(level + 1e-6 * level.max() + 1e-12, np.float32)


def places(template: Template, hypotheses: Maps, look: Look) -> Places:
    """Of linear maps ``float64[h, 2, 2]`` from the clip's plane to the marked clip's."""
    points = 2 * template.points.astype(np.float64)
    x, y = (np.rint(points @ hypotheses[:, :, axis].T / look.bin).astype(np.int32).T for axis in (0, 1))
    turned = x < 0
    x, y = np.where(turned, -x, x), np.where(turned, -y, y)
    seen = (x <= look.reach) & (np.abs(y) <= look.reach)
    bins = np.where(seen, 1 + (y + look.reach) * (look.reach + 1) + x, 0)
    return Places(bins.astype(np.int32), turned)


def by_power(found: Spectra, where: Places) -> Power:
    """Score ``float32[h]`` of each hypothesis without time: 0 by chance, and the same upside down."""
    score: Power = found.excess[where.bins].sum(axis=1)
    return score


def by_clock(
    found: Spectra,
    where: Places,
    times: NDArray[np.float64],
    template: Template,
    clocks: Clocks,
    roots: Weights | None = None,
) -> Power:
    """Score ``float32[2, h, c]`` of each hypothesis with each clock: as it is, and upside down.

    `roots` are those of `folded` windows.
    """
    phases = _phases(times, template, clocks, roots)
    pieces = found.values.shape[1]
    scores = np.zeros((2, len(where.bins), len(clocks)), dtype=np.float32)
    for k in range(len(phases)):
        values = found.values[where.bins[:, k]].reshape(-1, len(times))
        seen, turned = where.bins[:, k] > 0, where.turned[:, k]
        # What lies there conjugated takes the conjugate phases; so does all of it, upside down.
        for taken, straight in ((phases[k], 0), (np.conj(phases[k]), 1)):
            sums = values @ taken
            power = np.minimum(sums.real**2 + sums.imag**2, CLIP_POWER)
            power = power.reshape(-1, pieces, len(clocks)).mean(axis=1) - 1
            scores[straight, seen & ~turned] += power[seen & ~turned]
            scores[1 - straight, seen & turned] += power[seen & turned]
    return scores


def of_pairs(
    found: Spectra,
    where: Places,
    times: NDArray[np.float64],
    template: Template,
    clocks: Clocks,
    roots: Weights | None = None,
) -> Power:
    """Score ``float32[h]`` of hypotheses ``h``, each with its own clock, in spectra of one piece."""
    phases = np.moveaxis(_phases(times, template, clocks, roots), 2, 0)  # [h, t, n]
    values = found.values[where.bins, 0]
    values = np.where(where.turned[..., None], np.conj(values), values)
    sums = np.einsum("hkn,hkn->hk", values, phases)
    power = np.minimum(sums.real**2 + sums.imag**2, CLIP_POWER) - 1
    score: Power = np.where(where.bins > 0, power, 0).sum(axis=1)
    return score


def _phases(times: NDArray[np.float64], template: Template, clocks: Clocks, roots: Weights | None) -> Complex:
    """Matched filters ``complex64[t, n, c]`` over the windows, of unit norm, for each point and clock."""
    weights = shares(times, clocks)
    if roots is not None:
        weights = weights * roots
    keyed = np.conj(template.phasors)
    phases: Complex = np.einsum("csn,sk->knc", weights, keyed).astype(np.complex64)
    phases /= np.sqrt(np.sum(np.abs(phases) ** 2, axis=1, keepdims=True)) + np.float32(1e-9)
    return phases
