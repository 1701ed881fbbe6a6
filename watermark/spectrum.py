"""Rough geometries out of spectra: where the template's points lie in frequency, whatever the shift.

Two looks, both blind to where the pattern lies:

1. Power of neighbouring windows in sum, knowing nothing about time: says which geometries are worth more.
2. For those, all windows of a clock summed with the template's phases taken off, point by point: what
   belongs together adds up over the whole clip, and the shift, one phase per point, falls out of the power.

The frame is looked at in pieces about as wide as high, so that one hypothesis tolerates as much in width as
in height.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.clocks import shares
from watermark.lattice import TEMPLATE_POINTS, Complex, Lattice
from watermark.windows import LINES, Plane

BIN = 0.5  # cycles per short side
SIZE = round(LINES / BIN)
HIGHEST = 90.0  # cycles per short side: the template of a pattern at half size
REACH = round(HIGHEST / BIN)
NEIGHBOURHOOD = 31  # bins over which the noise is even
CLIP_POWER = 8.0  # one bright peak of the picture must not outweigh 48 points
MAX_PIECES = 4

Power = NDArray[np.float32]


class Spectra(NamedTuple):
    """Whitened spectra, one row per bin of the half plane: complex64[bins, pieces, windows].

    ``power`` float32[bins] is that of neighbouring windows in sum, 1 on the average. Row 0 is of no bin.
    """

    values: Complex
    power: Power


def spectra(windows: Plane) -> Spectra:
    """Spectra of ``float32[n, h, w]``, n ≥ 2."""
    parts = [_spectrum(windows[:, rows, columns]) for rows, columns in _pieces(*windows.shape[1:])]
    whitened, power = [], np.zeros(parts[0].shape[1:], dtype=np.float32)
    for part in parts:
        own = np.mean(np.abs(part) ** 2, axis=0)
        # A bin that is loud at all times says no more by it.
        part /= np.sqrt(np.maximum(own, _even(own)))
        pairs = np.mean(np.abs(part[1:] + part[:-1]) ** 2, axis=0)
        power += np.minimum(pairs / _even(pairs), CLIP_POWER) / len(parts)
        whitened.append(part)
    values = np.stack(whitened).transpose(2, 3, 0, 1).reshape(power.size, len(parts), -1)
    return Spectra(np.concatenate([values[:1] * 0, values]), np.concatenate([[1.0], power.ravel()]).astype(np.float32))


def _pieces(height: int, width: int) -> list[tuple[slice, slice]]:
    """Overlapping parts of the frame that together cover its middle."""
    short, long = min(height, width), max(height, width)
    count = min(MAX_PIECES, max(1, round(long / short)))
    side = max(short, -(-long // count)) if count < MAX_PIECES else short
    starts = np.linspace(0, long - side, count).astype(int)
    along = [slice(int(start), int(start) + side) for start in starts]
    return [(slice(0, short), part) if width >= height else (part, slice(0, short)) for part in along]


def _spectrum(part: Plane) -> Complex:
    """``complex64[n, 2·REACH + 1, REACH + 1]``: fy from −HIGHEST to HIGHEST, fx from 0."""
    taper = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) for n in part.shape[1:])).astype(np.float32)
    found = []
    for plane in part:
        rows = np.fft.rfft(plane * taper, n=SIZE, axis=1)[:, : REACH + 1]
        both = np.fft.fft(rows, n=SIZE, axis=0)
        found.append(np.concatenate([both[-REACH:], both[: REACH + 1]]).astype(np.complex64))
    return np.stack(found)


def _even(power: Power) -> Power:
    level: Power = cv2.blur(power, (NEIGHBOURHOOD, NEIGHBOURHOOD), borderType=cv2.BORDER_REFLECT)
    return level + np.float32(1e-6 * level.max() + 1e-12)


class Places(NamedTuple):
    """Where each template point lies under each hypothesis.

    ``bins`` int32[h, 48]: row in the spectra, 0 beyond them. ``turned`` bool[h, 48]: it is the conjugate
    that lies there, since a real picture has only half a plane.
    """

    bins: NDArray[np.int32]
    turned: NDArray[np.bool_]


def places(design: Lattice, hypotheses: NDArray[np.float64]) -> Places:
    """Of linear maps ``float64[h, 2, 2]`` from the clip's plane to the marked clip's."""
    points = 2 * design.points[:TEMPLATE_POINTS].astype(np.float64)
    f = np.einsum("hij,ki->hkj", hypotheses, points) / BIN
    x, y = np.rint(f).astype(np.int32).transpose(2, 0, 1)
    turned = x < 0
    x, y = np.where(turned, -x, x), np.where(turned, -y, y)
    seen = (x <= REACH) & (np.abs(y) <= REACH)
    bins = np.where(seen, 1 + (y + REACH) * (REACH + 1) + x, 0)
    return Places(bins.astype(np.int32), turned)


def by_power(found: Spectra, where: Places) -> NDArray[np.float32]:
    """Score ``float32[h]`` of each hypothesis without time; 0 where nothing is, and the same upside down."""
    score: NDArray[np.float32] = (found.power[where.bins] - 1).sum(axis=1)
    return score


def by_clock(
    found: Spectra, where: Places, times: NDArray[np.float64], design: Lattice, clocks: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Score ``float32[2, h, c]`` of each hypothesis with each clock: as it is, and upside down."""
    weights = shares(times, clocks)
    count = len(where.bins)
    scores = np.zeros((2, count, len(clocks)), dtype=np.float32)
    for k in range(TEMPLATE_POINTS):
        phases = np.einsum("csn,s->nc", weights, np.conj(design.phasors[:, k])).astype(np.complex64)
        phases /= np.sqrt(np.sum(np.abs(phases) ** 2, axis=0)) + 1e-9
        values = found.values[where.bins[:, k]]
        pieces = values.shape[1]
        flat = values.reshape(count * pieces, -1)
        straight, conjugate = flat @ phases, flat @ np.conj(phases)
        powers = [
            np.minimum(p.real**2 + p.imag**2, CLIP_POWER).reshape(count, pieces, -1).mean(axis=1) - 1
            for p in (straight, conjugate)
        ]
        for power in powers:
            power[where.bins[:, k] == 0] = 0
        turned = where.turned[:, k, None]
        scores[0] += np.where(turned, powers[1], powers[0])
        scores[1] += np.where(turned, powers[0], powers[1])
    return scores
