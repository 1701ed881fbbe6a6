"""Blind detection of the hidden mark with a proved chance of error.

The rules:
1. Registration (`watermark.sync`, `search`, `refine`) uses the template key only.
2. A fixed number of placements of a block are handed to the decision, whatever the content.
3. The decision correlates the decoded codeword with signs of the carrier key. For any content and any one
   message z is a sum of independent signs with weights of norm 1, so P(z ≥ t) ≤ `SHARP`·Q(t), Q the normal
   tail (Bentkus and Dzindzalieta, A tight Gaussian bound for weighted sums of Rademacher random variables,
   Bernoulli 21, 2015).
4. Every key, block and placement has a share of what may be spent, fixed beforehand; the shares add up to at
   most 1. The printed bound is that of rule 3, times the messages that could be accepted, over the share.
   Where a list of issued payloads is at hand, half of each share is for them and half for all others.
5. A payload is accepted only when that bound is at most 10⁻⁹.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from watermark import channel, search, sync
from watermark.base import Detection, Geometry, Picture
from watermark.clocks import OTHER_SPEEDS, grid
from watermark.evidence import correlation, measure, soft
from watermark.geometry import FrameGeometry
from watermark.issued import Issued
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, STATE_SECONDS, Lattice, Origin, lattice, origin
from watermark.payload import ID_BITS, VERSION
from watermark.settling import settled
from watermark.windows import LINES, WINDOW_SECONDS, Block, blocks

MAX_LOG10_CHANCE = -9.0
SHARP = 1 / (2 * math.erfc(1.0))  # 1/(4·Q(√2)) = 3.18
BEGINNINGS = grid(np.ones(1), STATE_SECONDS)  # of the pattern in a clip that was not trimmed
PEAKS = 3  # placements handed on of a clip that was trimmed or mirrored, and of nothing else
CLOCKS = np.concatenate([grid(np.ones(1), 0.125), grid(OTHER_SPEEDS, WINDOW_SECONDS)])  # tried for those
# Placements of a block in each part of the search, and that part's share of the block's.
UNMOVED, QUICK, FULL = 2, 2 * PEAKS, sum(search.HANDED_ON)
SHARES = (1 / 2 / UNMOVED, 1 / 4 / QUICK, 1 / 4 / FULL)
# What the template's phases are compared at in one block: by the quick part and by the full search.
QUICK_PLACEMENTS = 2 * len(CLOCKS) * sync.FINEST**2
MAX_BLOCKS = 1000  # over three hours
LEAST_WINDOWS = 2  # of a block: the search compares neighbouring windows
MAX_EPOCHS = 8
# One known message at a known place and two clocks, in each later block: unmarked, below 10⁻⁸ a block.
CONFIRM_STATISTIC = 6.0
CONFIRM_SHARE = 0.8  # of what the best message reaches there
# A strong mark of a payload that is not on the list agrees a little with every codeword of it, with the best
# of a million at a third to a half; a listed one, however weak, reaches more of what the best message does.
LISTED_SHARE = 0.7
# Without the MAC key, nothing tells a payload misread by a bit or two from the right one; at this none is.
CERTAIN_STATISTIC = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A candidate: the message, its correlation z, whether it is of the list, and where it lay. ``best``: z
    of the message of all that fits that place best.
    """

    message: int
    z: float
    best: float
    listed: bool
    placement: sync.Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An accepted reading, the key it was read with, how the clip lies, and the seconds it covers so far."""

    reading: Reading
    log10_chance: float
    owner: DetectionKey
    geometry: Geometry
    span: tuple[float, float]


class HiddenMarkDetector:
    """Searches for payloads of any of `keys` (newest first).

    With `accepts` (the payload MAC check, which needs the minting key) 2⁴⁰ messages can be accepted,
    without it 2⁶⁰ (the version is always checked). With `issued` weaker marks of those payloads are read too.
    Raises: ValueError for more than `MAX_EPOCHS` keys.
    """

    def __init__(
        self,
        keys: Sequence[DetectionKey],
        accepts: Callable[[int], bool] | None = None,
        issued: Issued | None = None,
    ) -> None:
        if not 1 <= len(keys) <= MAX_EPOCHS:
            raise ValueError(f"between 1 and {MAX_EPOCHS} detection keys are searched, got {len(keys)}")
        self._keys = tuple(keys)
        self._accepts = accepts or _known_version
        self._issued = issued if issued else None  # an empty list is none
        self._least = 0.0 if accepts else CERTAIN_STATISTIC
        self._messages = math.log10(2) * (ID_BITS if accepts else channel.MESSAGE_BITS - 4)

    def detect(self, frames: Iterable[Picture]) -> Detection:
        """Search a clip of any length once, in constant memory; see `watermark.base.Detection`."""
        found: Found | None = None
        presence, count, number, searched = 0.0, 0, 0, 0
        for block in blocks(frames):
            count += block.frames
            number += 1
            if number <= MAX_BLOCKS and found:
                found = _followed(found, block)
            elif number <= MAX_BLOCKS and len(block.windows) >= LEAST_WINDOWS:
                found, seen = self._found(block, number)
                presence = min(presence, seen)
                searched += 1
            del block  # its memory is free before the next one is gathered
        chance = found.log10_chance if found else 0.0
        return Detection(
            payload=found.reading.message if found else None,
            log10_chance=chance,
            # Either of two shows it, so each may count for half.
            presence_log10_chance=min(0.0, min(presence, chance) + math.log10(2)),
            span=found.span if found else None,
            geometry=found.geometry if found else None,
            key_epoch=found.owner.epoch if found else None,
            frames=count,
            listed=bool(found and found.reading.listed),
            blocks=number,
            searched=searched,
        )

    def log10_chance(
        self, z: float, *, block: int = 1, part: int = 0, listed: bool = False, whatever: bool = False
    ) -> float:
        """The printed bound for a correlation `z` in the `block`-th block (from 1) and in a part of `SHARES`.

        `listed`: of an issued payload. `whatever`: of any message, acceptable or not, which shows that a mark
        is there; that has half of what presence may cost.
        """
        if z <= 0:
            return 0.0
        share = SHARES[part] / (block * (block + 1)) / len(self._keys)  # 1/2 + 1/6 + 1/12 + … = 1
        share /= 2 if self._issued else 1
        messages = math.log10(len(self._issued)) if listed and self._issued else self._messages
        messages = (channel.MESSAGE_BITS + 1) * math.log10(2) if whatever else messages
        return min(0.0, messages - math.log10(share) + math.log10(SHARP) + log10_normal_tail(z))

    def _found(self, block: Block, number: int) -> tuple[Found | None, float]:
        """What one block says, and the chance of its traces; the quick parts come first for all keys."""
        presence = 0.0
        for part, (helpings, places) in enumerate(
            ((_unmoved, QUICK_PLACEMENTS), (_quick, QUICK_PLACEMENTS), (search.helpings, search.PLACEMENTS))
        ):
            for key in self._keys:
                for placements in helpings(block, lattice(key)):
                    presence = min(presence, presence_log10_chance(sync.strongest(placements), places))
                    readings = decode(placements, lattice(key), self._issued)
                    # What can be decoded needs no list.
                    for reading in sorted(readings, key=lambda reading: (reading.listed, -reading.z)):
                        told = partial(self.log10_chance, reading.z, block=number, part=part)
                        chance = told(listed=reading.listed)
                        if self._acceptable(reading, chance):
                            return _kept(block, key, reading, chance), presence
                        anything = told(whatever=True)
                        presence = min(presence, anything)
        return None, presence

    def _acceptable(self, reading: Reading, chance: float) -> bool:
        if reading.listed:
            certain = reading.z >= LISTED_SHARE * reading.best
        else:
            certain = reading.z >= self._least and self._accepts(reading.message)
        return certain and chance <= MAX_LOG10_CHANCE


def _kept(block: Block, key: DetectionKey, reading: Reading, chance: float) -> Found:
    design = lattice(key)

    def fit(placement: sync.Placement) -> float:
        return correlation(measure(placement, design), design, reading.message)

    placement = settled(block, design, reading.placement, fit)
    return Found(
        reading=replace(reading, placement=placement),
        log10_chance=chance,
        owner=key,
        geometry=_geometry(placement, block, origin(key, reading.message)),
        span=(block.start, block.end),
    )


def _unmoved(block: Block, design: Lattice) -> Iterator[list[sync.Placement]]:
    """First and at nothing but origins: a clip that was not moved must not be read as slightly moved."""
    frame = FrameGeometry()
    found = sync.coefficients(block, design, frame)
    yield sync.at_origins(found, block.times, design, frame, BEGINNINGS, UNMOVED)


def _quick(block: Block, design: Lattice) -> Iterator[list[sync.Placement]]:
    """Placements in helpings: shifted, trimmed or at another speed; mirrored."""
    for frame in (FrameGeometry(), FrameGeometry.stretched(1, 1, mirrored=True)):
        found = sync.coefficients(block, design, frame)
        yield sync.place(found, block.times, design, frame, CLOCKS, PEAKS)


def decode(
    placements: Sequence[sync.Placement], design: Lattice, issued: Issued | None = None
) -> list[Reading]:
    """The message that fits each placement best, whatever it is worth; and that of the list."""
    if not placements:
        return []
    measured = [measure(placement, design) for placement in placements]
    bits = np.stack([soft(values, design) for values in measured])
    decoded, listed = channel.decode(bits), issued.best(bits) if issued else []
    best = [correlation(values, design, message) for values, message in zip(measured, decoded, strict=True)]
    readings = [
        Reading(message=message, z=z, best=z, listed=False, placement=placement)
        for placement, message, z in zip(placements, decoded, best, strict=True)
    ]
    return readings + [
        Reading(
            message=message, z=correlation(values, design, message), best=z, listed=True, placement=placement
        )
        for placement, values, message, z in zip(placements, measured, listed, best, strict=bool(listed))
    ]  # fmt: skip


def log10_normal_tail(z: float) -> float:
    """log₁₀ of Q(z) for z > 0; from 30 on of φ(z)/z, which is above it."""
    if z < 30:
        return math.log10(math.erfc(z / math.sqrt(2)) / 2)
    return -z * z / 2 * math.log10(math.e) - math.log10(z * math.sqrt(2 * math.pi))


def _followed(found: Found, block: Block) -> Found:
    """`found` with its span up to the end of a later block, where that carries the message at the same place.

    The clock may have drifted.
    """
    design, where = lattice(found.owner), found.reading.placement
    spectra = sync.coefficients(block, design, where.frame)
    there = sync.at(spectra, block.times, design, where.frame, where.clock, where.shift)
    if not _carries(there, design, found.reading.message):
        drifted = search.timed(spectra, block.times, design, where.frame, where.clock)
        if not _carries(drifted, design, found.reading.message):
            return found
    return replace(found, span=(found.span[0], block.end))


def _carries(placement: sync.Placement, design: Lattice, message: int) -> bool:
    values = measure(placement, design)
    agreement = correlation(values, design, message)
    if agreement < CONFIRM_STATISTIC:
        return False
    # Codewords of two payloads are not orthogonal: a strong mark of another release also correlates.
    (best,) = channel.decode(soft(values, design)[None])
    return agreement >= CONFIRM_SHARE * correlation(values, design, best)


def presence_log10_chance(statistic: float, places: int) -> float:
    """Bound on a template statistic this strong without a mark: P ≤ exp(−t²), times all places compared.

    `places` are those of one block and of one part of the search; there are two parts, which share half of
    what presence may cost: the other half is the codeword's.
    """
    searched = math.log10(places) + math.log10(4 * MAX_BLOCKS * MAX_EPOCHS)
    return min(0.0, searched - statistic * abs(statistic) * math.log10(math.e))


def _known_version(message: int) -> bool:
    return message >> (channel.MESSAGE_BITS - 4) == VERSION


def _geometry(placement: sync.Placement, block: Block, began: Origin) -> Geometry:
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
        shift=(_moved(placement.shift[0], began.shift[0]), _moved(placement.shift[1], began.shift[1])),
        time_offset=(placement.clock.offset - began.seconds) % PERIOD_SECONDS,
        speed=placement.clock.speed,
    )


def _moved(found: float, began: float) -> float:
    """Short sides between two places given in tiles, modulo the tile."""
    return (found - began) % 1.0 / 2
