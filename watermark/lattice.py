"""The carrier's design: which frequencies, phases and signs the keys draw. Shared by both sides.

Units: each pattern is a Fourier series on a square torus tile whose side is half the clip's short side, so
coefficient ``k`` means ``2·|k|`` cycles per short side, whatever the resolution. There are three patterns,
one per plane: a weak one of high frequencies in luma and two strong ones of low frequencies in the colour
difference planes (docs/adr/0040-hidden-mark-in-colour.md). The templates' points and phases and every phase
of the payload points come from the template key; only the signs and the interleaving come from the carrier
key. What is measured before the decision is therefore independent of the carrier key, which is what the
false-positive bound needs (docs/adr/0004-hidden-mark.md).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark.channel import CODED_BITS
from watermark.keys import DetectionKey, permutation, signs, stream, uniform

STATES = 8
STATE_SECONDS = 0.5
PERIOD_SECONDS = STATES * STATE_SECONDS
TEMPLATE_ENERGY = 0.3  # share of a pattern's energy
ORIGIN_STEPS = 8  # places along each axis of the tile where a clip's pattern may begin

Complex = NDArray[np.complex64]
Points = NDArray[np.int32]


class Band(NamedTuple):
    """Where a pattern's coefficients lie: radii in cycles per tile, and how many make the template."""

    ring: tuple[float, float]
    template_ring: tuple[float, float]
    template_points: int


LUMA: Final = Band(ring=(6.0, 26.0), template_ring=(8.0, 22.0), template_points=48)
CHROMA: Final = Band(ring=(2.0, 9.0), template_ring=(3.0, 9.0), template_points=32)
PLANES: Final = ("y", "u", "v")


class Origin(NamedTuple):
    """Where a clip's pattern begins: (x, y) in tiles, and seconds into the carrier's period."""

    shift: tuple[float, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What registration looks for: distinct points int32[t, 2] and their phases complex64[8, t]."""

    points: Points
    phasors: Complex

    @property
    def reach(self) -> int:
        """The highest coefficient along an axis."""
        return int(np.abs(self.points).max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What one plane carries: its template, and payload points with their phases, signs and coded bits.

    ``points`` int32[p, 2]: (kx, ky) of the half plane. ``phasors`` complex64[8, p]: unit phases per state.
    ``signs`` float32[8, p] and ``coded`` int64[8, p] (which coded bit). ``amplitudes``: of a template's and
    of a payload's point, for a pattern of unit variance.
    """

    template: Template
    points: Points
    phasors: Complex
    signs: NDArray[np.float32]
    coded: NDArray[np.int64]
    amplitudes: tuple[float, float]

    @property
    def reach(self) -> int:
        """The highest coefficient along an axis."""
        return max(self.template.reach, int(np.abs(self.points).max()))

    def coefficients(self, codeword: NDArray[np.float32]) -> tuple[Points, Complex]:
        """Points int32[t + p, 2], coefficients ``complex64[8, t + p]`` for a codeword ``float32[256]``."""
        own, data = self.amplitudes
        carried = data * self.phasors * self.signs * codeword[self.coded]
        points = np.concatenate([self.template.points, self.points])
        values = np.concatenate([own * self.template.phasors, carried], axis=1)
        return points, values.astype(np.complex64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Everything that one detection key draws: the patterns of Y, U and V. U and V share one template."""

    y: Pattern
    u: Pattern
    v: Pattern

    @property
    def patterns(self) -> tuple[Pattern, Pattern, Pattern]:
        """In the order of `PLANES`."""
        return self.y, self.u, self.v

    @property
    def template(self) -> Template:
        """Luma's points and then those of colour."""
        parts = self.y.template, self.u.template
        return Template(
            points=np.concatenate([part.points for part in parts]),
            phasors=np.concatenate([part.phasors for part in parts], axis=1),
        )


def origin(key: DetectionKey, payload: int) -> Origin:
    """The origin of a clip with this payload, one of 512: many clips in sum do not show the template."""
    x, y, state = (int(byte) for byte in stream(key.template, f"origin/{payload:016x}", 3))
    shift = (x % ORIGIN_STEPS / ORIGIN_STEPS, y % ORIGIN_STEPS / ORIGIN_STEPS)
    return Origin(shift, state % STATES * STATE_SECONDS)


def half_plane(ring: tuple[float, float]) -> Points:
    """Integer points (kx, ky) of one half plane with ``ring[0] <= |k| <= ring[1]``."""
    reach = int(ring[1])
    kx, ky = np.meshgrid(np.arange(-reach, reach + 1), np.arange(0, reach + 1))
    radius = np.hypot(kx, ky)
    keep = (radius >= ring[0]) & (radius <= ring[1]) & ((ky > 0) | (kx > 0))
    return np.stack([kx[keep], ky[keep]], axis=1).astype(np.int32)


@lru_cache(maxsize=8)
def lattice(key: DetectionKey) -> Lattice:
    """Draw the lattice of `key` (cached: it is the same for every clip of an epoch)."""
    colour = _chosen(key.template, "chroma", CHROMA, half_plane(CHROMA.ring))
    # Both templates are compared over one tile: they must not meet at a point.
    luma = _chosen(key.template, "luma", LUMA, _without(half_plane(LUMA.ring), colour))
    u, v = (_pattern(key, plane, CHROMA, colour, "chroma") for plane in ("u", "v"))
    return Lattice(y=_pattern(key, "y", LUMA, luma, "luma"), u=u, v=v)


def _pattern(key: DetectionKey, plane: str, band: Band, chosen: Points, template: str) -> Pattern:
    points = _without(half_plane(band.ring), chosen)
    count = len(points)
    turns = uniform(key.template, f"template-phase/{template}", STATES * len(chosen)).reshape(STATES, -1)
    # Half a turn only where data goes: the other half is the sign, which belongs to the carrier key.
    half_turns = uniform(key.template, f"phase/{plane}", STATES * count).reshape(STATES, -1) / 2
    energies = TEMPLATE_ENERGY / len(chosen), (1 - TEMPLATE_ENERGY) / count
    return Pattern(
        template=Template(points=chosen, phasors=np.exp(2j * np.pi * turns).astype(np.complex64)),
        points=points,
        phasors=np.exp(2j * np.pi * half_turns).astype(np.complex64),
        signs=signs(key.carrier, f"sign/{plane}", STATES * count).reshape(STATES, -1),
        coded=_interleave(key.carrier, plane, STATES * count).reshape(STATES, -1),
        # A real pattern has each coefficient twice (k and −k), hence variance 2·Σ|c|². Flat within the band:
        # against 1/f it costs less and reads better after H.264 (docs/adr/0004-hidden-mark.md).
        amplitudes=((energies[0] / 2) ** 0.5, (energies[1] / 2) ** 0.5),
    )


def _chosen(key: bytes, label: str, band: Band, points: Points) -> Points:
    radius = np.hypot(*points.T)
    candidates = points[(radius >= band.template_ring[0]) & (radius <= band.template_ring[1])]
    order = permutation(key, f"template/{label}", len(candidates))[: band.template_points]
    return np.asarray(candidates[np.sort(order)], dtype=np.int32)


def _without(points: Points, others: Points) -> Points:
    taken = {tuple(point) for point in others.tolist()}
    return np.array([point for point in points.tolist() if tuple(point) not in taken], dtype=np.int32)


def _interleave(key: bytes, plane: str, count: int) -> NDArray[np.int64]:
    """Which coded bit each point carries: all of them in every run of 256, however short the clip is."""
    rounds = -(-count // CODED_BITS)
    orders = [permutation(key, f"interleave/{plane}/{turn}", CODED_BITS) for turn in range(rounds)]
    return np.concatenate(orders)[:count]
