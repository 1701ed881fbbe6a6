"""What a placed clip says about each coded bit, weighed by how loud the picture is around each point.

Everything here but `soft` and `correlation` is computed without the carrier key, which the bound of
`watermark.detector` rests on.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark import channel
from watermark.lattice import RING, TEMPLATE_POINTS, Complex, Lattice

RING_BINS = 10
LOUDEST = 4.0  # of its ring's level: what one point says about its surroundings
SURROUNDINGS = 1.5  # deviation of their weight, in points of the lattice
CLIP_DEVIATIONS = 3.0

Evidence = NDArray[np.float32]


def measure(spectra: Complex, gains: NDArray[np.float32], design: Lattice) -> Evidence:
    """Evidence ``float32[8, p]`` of each payload point, before any sign of the carrier key is used.

    `gains` float32[8]: how much of each state the clip shows. Noise grows with its root, the mark with it.
    """
    spectra = spectra[:, TEMPLATE_POINTS:]
    values = (spectra * np.conj(design.phasors[:, TEMPLATE_POINTS:])).real
    noise = _noise(np.abs(spectra), gains, design)
    robust = np.clip(values / noise, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
    weight = design.amplitudes[TEMPLATE_POINTS:] * gains[:, None] / noise
    evidence: Evidence = (robust * weight).astype(np.float32)
    return evidence


def _noise(magnitudes: NDArray[np.float32], gains: NDArray[np.float32], design: Lattice) -> Evidence:
    """Noise level of each point: its ring's, corrected by its surroundings in this state and in all.

    Edges of a picture are loud in their own direction, and stay so from state to state.
    """
    ring = _ring_deviation(magnitudes, design)
    power = np.minimum(magnitudes / ring, LOUDEST) ** 2
    reach = int(RING[1])
    kx, ky = design.points[TEMPLATE_POINTS:].T
    plane = np.zeros((2 * reach + 1, 2 * reach + 1, 1 + len(power)), dtype=np.float32)
    plane[reach + ky, reach + kx, 0] = plane[reach - ky, reach - kx, 0] = 1.0
    plane[reach + ky, reach + kx, 1:] = plane[reach - ky, reach - kx, 1:] = power.T
    blurred = np.stack([cv2.GaussianBlur(layer, (0, 0), SURROUNDINGS) for layer in np.moveaxis(plane, 2, 0)])
    around = blurred[1:, reach + ky, reach + kx] / blurred[0, reach + ky, reach + kx]
    everywhere = (gains @ around) / (gains.sum() + np.float32(1e-9))
    level = (around + everywhere) / 2 + np.float32(1e-3)
    return np.asarray(ring * np.sqrt(level), np.float32)


def _ring_deviation(magnitudes: NDArray[np.float32], design: Lattice) -> Evidence:
    """The median magnitude of each point's ring and state."""
    radius = np.hypot(*design.points[TEMPLATE_POINTS:].T)
    ring = np.minimum(((radius - radius.min()) / np.ptp(radius) * RING_BINS).astype(int), RING_BINS - 1)
    level = np.stack([np.median(magnitudes[:, ring == r], axis=1) for r in range(RING_BINS)], axis=1)
    floor = 1e-3 * float(level.max()) + 1e-9
    return np.asarray(np.maximum(level, floor)[:, ring], dtype=np.float32)


def soft(values: Evidence, design: Lattice) -> channel.Soft:
    """Soft values ``float32[384]`` of the coded bits, for `channel.decode`."""
    total = np.bincount(design.coded.ravel(), (values * design.signs).ravel(), channel.CODED_BITS)
    return np.asarray(total / (np.abs(total).mean() + 1e-12), np.float32)


def correlation(values: Evidence, design: Lattice, message: int) -> float:
    """z: agreement of all signs with the message, over the norm of the evidence."""
    expected = design.signs * channel.encode(message)[design.coded]
    return float(np.sum(values * expected) / (np.sqrt(np.sum(values * values)) + 1e-12))
