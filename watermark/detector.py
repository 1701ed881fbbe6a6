"""Blind detection of the hidden mark with a proved chance of error.

The rules:
1. Registration (`watermark.sync`, `search`, `refine`) uses the template key only.
2. At most `CANDIDATES` placements of a block are handed to the decision, whatever the content.
3. The decision correlates the decoded codeword with signs of the carrier key. For any content and any
   one message, P(z ≥ t) ≤ exp(−t²/2) (Hoeffding 1963); the sum over every message that could be accepted,
   candidate, block and key epoch is the printed bound.
4. A payload is accepted only when that bound is at most 10⁻⁹.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from watermark import channel, search, sync
from watermark.base import Detection, Geometry, TimedLuma
from watermark.clocks import OTHER_SPEEDS, grid
from watermark.evidence import correlation, measure, soft
from watermark.geometry import FrameGeometry
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, Lattice, lattice
from watermark.payload import ID_BITS, VERSION
from watermark.windows import LINES, WINDOW_SECONDS, Block, blocks

MAX_LOG10_CHANCE = -9.0
PEAKS = 3  # placements handed on of a clip that was trimmed or mirrored, and of nothing else
CLOCKS = np.concatenate([grid(np.ones(1), 0.125), grid(OTHER_SPEEDS, WINDOW_SECONDS)])  # tried for those
CANDIDATES = 1 + 2 * PEAKS + sum(search.HANDED_ON)
# What the template's phases are compared at in one block: by the quick part and by the full search.
QUICK_PLACEMENTS = 2 * len(CLOCKS) * sync.FINEST**2
MAX_BLOCKS = 1000  # over three hours
MAX_EPOCHS = 8
CONFIRM_STATISTIC = 6.0  # one known message at one known place: exp(−18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A decoded candidate: the message, its correlation z, and where it lay."""

    message: int
    z: float
    placement: sync.Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An accepted reading, the key it was read with, how the clip lies, and the seconds it covers so far."""

    reading: Reading
    owner: DetectionKey
    geometry: Geometry
    span: tuple[float, float]


class HiddenMarkDetector:
    """Searches for payloads of any of `keys` (newest first).

    With `accepts` (the payload MAC check, which needs the minting key) 2⁴⁰ messages can be accepted,
    without it 2⁶⁰ (the version is always checked). Raises: ValueError for more than `MAX_EPOCHS` keys.
    """

    def __init__(self, keys: Sequence[DetectionKey], accepts: Callable[[int], bool] | None = None) -> None:
        if not 1 <= len(keys) <= MAX_EPOCHS:
            raise ValueError(f"between 1 and {MAX_EPOCHS} detection keys are searched, got {len(keys)}")
        self._keys = tuple(keys)
        self._accepts = accepts or _known_version
        self._log_messages = (ID_BITS if accepts else channel.MESSAGE_BITS - 4) * math.log10(2)

    def detect(self, frames: Iterable[TimedLuma]) -> Detection:
        """Search a clip of any length once, in constant memory; see `watermark.base.Detection`."""
        found: Found | None = None
        presence, count, searched = 0.0, 0, 0
        for block in blocks(frames):
            count += block.frames
            searched += 1  # noqa: SIM113 (enumerate would keep the last block alive)
            if searched <= MAX_BLOCKS and found:
                found = _followed(found, block)
            elif searched <= MAX_BLOCKS:
                found, seen = self._found(block)
                presence = min(presence, seen)
            del block  # its memory is free before the next one is gathered
        chance = self.log10_chance(found.reading.z) if found else 0.0
        return Detection(
            payload=found.reading.message if found else None,
            log10_chance=chance,
            presence_log10_chance=min(presence, chance),
            span=found.span if found else None,
            geometry=found.geometry if found else None,
            key_epoch=found.owner.epoch if found else None,
            frames=count,
        )

    def log10_chance(self, z: float) -> float:
        """The printed bound for a correlation `z`, over every hypothesis of a whole search."""
        hypotheses = self._log_messages + math.log10(CANDIDATES * MAX_BLOCKS * MAX_EPOCHS)
        return min(0.0, hypotheses - z * z / 2 * math.log10(math.e)) if z > 0 else 0.0

    def _found(self, block: Block) -> tuple[Found | None, float]:
        """What one block says, and the template's chance value; the quick part comes first for all keys."""
        presence = 0.0
        if len(block.windows) < 2:  # nothing is left of it once its mean is taken off
            return None, presence
        for helpings, places in ((_quick, QUICK_PLACEMENTS), (_full, search.PLACEMENTS)):
            for key in self._keys:
                for placements in helpings(block, lattice(key)):
                    presence = min(presence, presence_log10_chance(sync.strongest(placements), places))
                    good = [r for r in decode(placements, lattice(key)) if self._acceptable(r)]
                    if good:
                        best = max(good, key=lambda reading: reading.z)
                        return _kept(block, key, best), presence
        return None, presence

    def _acceptable(self, reading: Reading) -> bool:
        return self.log10_chance(reading.z) <= MAX_LOG10_CHANCE and self._accepts(reading.message)


def _kept(block: Block, key: DetectionKey, reading: Reading) -> Found:
    placement = search.paced(block.windows, block.times, lattice(key), reading.placement)
    return Found(
        reading=replace(reading, placement=placement),
        owner=key,
        geometry=_geometry(placement, block),
        span=(block.start, block.end),
    )


def _quick(block: Block, design: Lattice) -> Iterator[list[sync.Placement]]:
    """Placements in helpings: unmoved; shifted, trimmed or at another speed; mirrored."""
    for frame in (FrameGeometry(), FrameGeometry.stretched(1, 1, mirrored=True)):
        found = sync.coefficients(block.windows, design, frame)
        if frame == FrameGeometry():
            # By itself and first: a clip that was not moved must not be read as slightly moved.
            yield [sync.at(found, block.times, design, frame)]
        yield sync.place(found, block.times, design, frame, CLOCKS, PEAKS)


def _full(block: Block, design: Lattice) -> Iterator[list[sync.Placement]]:
    """Placements of the full search, in helpings."""
    return search.helpings(block.windows, block.times, design)


def decode(placements: Sequence[sync.Placement], design: Lattice) -> list[Reading]:
    """Decode each placement; only readings whose CRC fits are returned."""
    if not placements:
        return []
    measured = [measure(p.spectra, p.gains, design) for p in placements]
    bits = np.stack([soft(values, design) for values in measured])
    return [
        Reading(message=message, z=correlation(values, design, message), placement=placement)
        for placement, values, (message, fits) in zip(placements, measured, channel.decode(bits), strict=True)
        if fits
    ]


def _followed(found: Found, block: Block) -> Found:
    """`found` with its span up to the end of a later block, where that carries the message at the same place.

    The clock may have drifted.
    """
    design, where = lattice(found.owner), found.reading.placement
    spectra = sync.coefficients(block.windows, design, where.frame)
    there = sync.at(spectra, block.times, design, where.frame, where.clock, where.shift)
    if not _carries(there, design, found.reading.message):
        drifted = search.timed(spectra, block.times, design, where.frame, where.clock)
        if not _carries(drifted, design, found.reading.message):
            return found
    return replace(found, span=(found.span[0], block.end))


def _carries(placement: sync.Placement, design: Lattice, message: int) -> bool:
    values = measure(placement.spectra, placement.gains, design)
    ((read, fits),) = channel.decode(soft(values, design)[None])
    # Codewords of two payloads are not orthogonal: a strong mark of another release also correlates.
    return not (fits and read != message) and correlation(values, design, message) >= CONFIRM_STATISTIC


def presence_log10_chance(statistic: float, places: int) -> float:
    """Bound on a template statistic this strong without a mark: P ≤ exp(−t²), times all places compared.

    `places` are those of one block and of one part of the search; there are two parts.
    """
    searched = math.log10(places) + math.log10(2 * MAX_BLOCKS * MAX_EPOCHS)
    return min(0.0, searched - statistic * abs(statistic) * math.log10(math.e))


def _known_version(message: int) -> bool:
    return message >> (channel.MESSAGE_BITS - 4) == VERSION


def _geometry(placement: sync.Placement, block: Block) -> Geometry:
    height, width = block.windows.shape[1:]
    linear = placement.frame.linear(width / LINES, height / LINES)
    mirrored = bool(np.linalg.det(linear) < 0)
    # Upright again, unmirrored: the nearest rotation to what is left says how it was turned.
    turned = np.linalg.inv(linear @ np.diag([-1.0 if mirrored else 1.0, 1.0]))
    angle = math.degrees(math.atan2(turned[0, 1] - turned[1, 0], turned[0, 0] + turned[1, 1]))
    return Geometry(
        scale=math.sqrt(abs(float(np.linalg.det(turned)))),
        mirrored=mirrored,
        rotation=angle,
        shift=(placement.shift[0] / 2, placement.shift[1] / 2),
        time_offset=placement.clock.offset % PERIOD_SECONDS,
        speed=placement.clock.speed,
    )
