"""What a placed clip says about each coded bit, weighed by how loud the picture is around each point.

Everything here but `soft` and `correlation` is computed without the carrier key, which the bound of
`watermark.detector` rests on.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark import channel
from watermark.lattice import Complex, Lattice, Pattern
from watermark.sync import Placement, template_statistics

RING_BINS = 10
POINTS_PER_RING = 30  # at least, so that a median says something
LOUDEST = 4.0  # of its ring's level: what one point says about its surroundings
SURROUNDINGS = 1.5  # deviation of their weight, in points of the lattice
CLIP_DEVIATIONS = 3.0
LEAST_STATISTIC = 1.0  # of a template: about what noise reaches
SURELY = 4.0  # what it does not reach

Evidence = NDArray[np.float32]


def measure(placement: Placement, design: Lattice) -> Evidence:
    """Evidence ``float32[e]`` of all payload points, plane by plane, before any sign is used.

    How much each plane counts follows from its template: where colour was taken out, or luma blurred away, it
    says little of the mark there.
    """
    parts = []
    statistics = template_statistics(placement.spectra, design)
    for spectra, pattern, statistic in zip(
        placement.spectra.payloads, design.patterns, statistics, strict=True
    ):
        own, data = pattern.amplitudes
        found = _normal(spectra, placement.gains, pattern)
        # A hue turned by half a turn leaves a pattern as it is, but for its sign.
        agreement = statistic if statistic < -SURELY else max(statistic, LEAST_STATISTIC)
        expected = agreement * data / own / np.sqrt(pattern.template.phasors.size)
        parts.append(found.ravel() * np.float32(expected))
    return np.concatenate(parts)


def _normal(spectra: Complex, gains: NDArray[np.float32], pattern: Pattern) -> Evidence:
    """Of one plane ``complex64[8, p]``: in units of its noise, weighed by the noise around each point.

    `gains` float32[8]: how much of each state the clip shows. Noise grows with its root, the mark with it.
    """
    if not spectra.any():
        return np.zeros(spectra.shape, dtype=np.float32)
    noise = _noise(np.abs(spectra), gains, pattern)
    robust = np.clip((spectra * np.conj(pattern.phasors)).real / noise, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
    weight = gains[:, None] / noise
    weight /= np.sqrt(np.mean(weight * weight)) + np.float32(1e-12)
    return np.asarray(robust * weight, np.float32)


def _noise(magnitudes: NDArray[np.float32], gains: NDArray[np.float32], pattern: Pattern) -> Evidence:
    """Noise level of each point: its ring's, corrected by its surroundings in this state and in all.

    Edges of a picture are loud in their own direction, and stay so from state to state.
    """
    ring = _ring_deviation(magnitudes, pattern)
    power = np.minimum(magnitudes / ring, LOUDEST) ** 2
    reach = pattern.reach
    kx, ky = pattern.points.T
    plane = np.zeros((2 * reach + 1, 2 * reach + 1, 1 + len(power)), dtype=np.float32)
    plane[reach + ky, reach + kx, 0] = plane[reach - ky, reach - kx, 0] = 1.0
    plane[reach + ky, reach + kx, 1:] = plane[reach - ky, reach - kx, 1:] = power.T
    blurred = np.stack([cv2.GaussianBlur(layer, (0, 0), SURROUNDINGS) for layer in np.moveaxis(plane, 2, 0)])
    around = blurred[1:, reach + ky, reach + kx] / blurred[0, reach + ky, reach + kx]
    everywhere = (gains @ around) / (gains.sum() + np.float32(1e-9))
    level = (around + everywhere) / 2 + np.float32(1e-3)
    return np.asarray(ring * np.sqrt(level), np.float32)


def _ring_deviation(magnitudes: NDArray[np.float32], pattern: Pattern) -> Evidence:
    """The median magnitude of each point's ring and state."""
    radius = np.hypot(*pattern.points.T)
    bins = min(RING_BINS, max(1, len(radius) // POINTS_PER_RING))
    ring = np.minimum(((radius - radius.min()) / np.ptp(radius) * bins).astype(int), bins - 1)
    rings = np.unique(ring)
    level = np.zeros((len(magnitudes), bins), dtype=np.float32)
    level[:, rings] = np.stack([np.median(magnitudes[:, ring == r], axis=1) for r in rings], axis=1)
    floor = 1e-3 * float(level.max()) + 1e-9
    return np.asarray(np.maximum(level, floor)[:, ring], dtype=np.float32)


def soft(values: Evidence, design: Lattice) -> channel.Soft:
    """Soft values ``float32[256]`` of the coded bits, for `channel.decode`."""
    coded, signs = _carried(design)
    total = np.bincount(coded, values * signs, channel.CODED_BITS)
    return np.asarray(total / (np.abs(total).mean() + 1e-12), np.float32)


def correlation(values: Evidence, design: Lattice, message: int) -> float:
    """z: agreement of all signs with the message, over the norm of the evidence."""
    coded, signs = _carried(design)
    expected = signs * channel.encode(message)[coded]
    exact = values.astype(np.float64)  # rounding must not depend on signs
    return float(exact @ expected / (math.sqrt(exact @ exact) + 1e-12))


def _carried(design: Lattice) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    coded = np.concatenate([pattern.coded.ravel() for pattern in design.patterns])
    return coded, np.concatenate([pattern.signs.ravel() for pattern in design.patterns])
