"""The carrier's design: which frequencies, phases and signs the keys draw. Shared by both sides.

Units: the pattern is a Fourier series on a square torus tile whose side is half the clip's short side, so
coefficient ``k`` means ``2·|k|`` cycles per short side, whatever the resolution. The template's points and
phases and every phase of the payload points come from the template key; only the signs and the interleaving
come from the carrier key. What is measured before the decision is therefore independent of the carrier
key, which is what the false-positive bound needs (docs/adr/0004-hidden-mark-v1.md).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from watermark.channel import CODED_BITS
from watermark.keys import DetectionKey, permutation, signs, uniform

STATES = 8
STATE_SECONDS = 0.5
PERIOD_SECONDS = STATES * STATE_SECONDS
RING = (6.0, 26.0)  # radius of the coefficients, in cycles per tile
TEMPLATE_RING = (8.0, 22.0)
TEMPLATE_POINTS = 48
TEMPLATE_ENERGY = 0.3  # share of the pattern's energy

Complex = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Everything that one detection key draws.

    ``points`` int32[n, 2]: (kx, ky) of the half plane, template points first. ``phasors`` complex64[8, n]:
    unit phases per state. ``amplitudes`` float32[n], for a pattern of unit variance. ``signs`` float32[8, p]
    and ``coded`` int64[8, p] (which coded bit) of the ``p`` payload points, which follow the template's.
    """

    points: NDArray[np.int32]
    phasors: Complex
    amplitudes: NDArray[np.float32]
    signs: NDArray[np.float32]
    coded: NDArray[np.int64]

    def coefficients(self, codeword: NDArray[np.float32]) -> Complex:
        """Fourier coefficients ``complex64[8, n]`` that carry `codeword` (``float32[384]`` of ±1)."""
        values = self.phasors * self.amplitudes
        values[:, TEMPLATE_POINTS:] *= self.signs * codeword[self.coded]
        return values


def half_plane(ring: tuple[float, float]) -> NDArray[np.int32]:
    """Integer points (kx, ky) of one half plane with ``ring[0] <= |k| <= ring[1]``."""
    reach = int(ring[1])
    kx, ky = np.meshgrid(np.arange(-reach, reach + 1), np.arange(0, reach + 1))
    radius = np.hypot(kx, ky)
    keep = (radius >= ring[0]) & (radius <= ring[1]) & ((ky > 0) | (kx > 0))
    return np.stack([kx[keep], ky[keep]], axis=1).astype(np.int32)


@lru_cache(maxsize=8)
def lattice(key: DetectionKey) -> Lattice:
    """Draw the lattice of `key` (cached: it is the same for every clip of an epoch)."""
    points = half_plane(RING)
    chosen = _template_choice(key.template, points)
    rest = np.setdiff1d(np.arange(len(points)), chosen)
    points = points[np.concatenate([chosen, rest])]
    turns = uniform(key.template, "phase", STATES * len(points)).reshape(STATES, -1)
    # Half a turn only where data goes: the other half is the sign, which belongs to the carrier key.
    turns[:, TEMPLATE_POINTS:] /= 2
    return Lattice(
        points=points,
        phasors=np.exp(2j * np.pi * turns).astype(np.complex64),
        amplitudes=_amplitudes(len(points)),
        signs=signs(key.carrier, "sign", STATES * len(rest)).reshape(STATES, -1),
        coded=np.stack([_interleave(key.carrier, state, len(rest)) for state in range(STATES)]),
    )


def _template_choice(key: bytes, points: NDArray[np.int32]) -> NDArray[np.int64]:
    radius = np.hypot(*points.T)
    candidates = np.flatnonzero((radius >= TEMPLATE_RING[0]) & (radius <= TEMPLATE_RING[1]))
    return np.sort(candidates[permutation(key, "template", len(candidates))[:TEMPLATE_POINTS]])


def _amplitudes(count: int) -> NDArray[np.float32]:
    # Flat: against 1/f it costs less VMAF and reads better after H.264 at equal PSNR (docs/adr/0004).
    energy = np.where(np.arange(count) < TEMPLATE_POINTS, TEMPLATE_ENERGY / TEMPLATE_POINTS, 0.0)
    energy[TEMPLATE_POINTS:] = (1 - TEMPLATE_ENERGY) / (count - TEMPLATE_POINTS)
    # A real pattern has each coefficient twice (k and −k), hence variance 2·Σ|c|².
    return np.sqrt(energy / 2).astype(np.float32)


def _interleave(key: bytes, state: int, count: int) -> NDArray[np.int64]:
    rounds = -(-count // CODED_BITS)
    orders = [permutation(key, f"interleave/{state}/{turn}", CODED_BITS) for turn in range(rounds)]
    return np.concatenate(orders)[:count]
