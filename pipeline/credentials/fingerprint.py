"""org.countermark.fingerprint.1: a perceptual fingerprint of a whole clip, in constant memory.

Frames are sampled on a regular grid of presentation time, counted from the clip's first frame. When more
than `Sampling.cap` samples are held, every other one is dropped and the grid's step doubles, so the length
of the clip need not be known and equal clips give equal samples. What is stored is sparse (64 samples);
what is compared with it is sampled densely, so that a trimmed clip, whose grid starts somewhere in between,
still has a sample near every stored one.

A sample is 64 bits: the signs of the 64 lowest AC coefficients (by anti-diagonals) of the DCT of the luma,
shrunk to 32 x 32. Scale, bit rate and brightness hardly move them. Mirroring a picture flips the signs of the
odd horizontal frequencies, so the mirrored comparison is an XOR with a constant. Frames that are almost flat
carry no signs worth comparing and are left out. Similarity never proves identity: see `MATCH_DISTANCE`.
"""

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UsageError

Luma = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

# Measured on six clips: the same clip after H.264 crf 35, 240p, trims, mirroring, and a crop of 10 % of each
# side stays at or below 0.16. Different material: none of 11,448 pairs (ninths of the pictures, halves of the
# clips) below 0.289, one in 10,000 below 0.297. To be calibrated on 100k pairs, hard ones among them (same
# prompt, title frames, talking heads). A corner crop of a fifth of the area (0.27 to 0.38) is beyond it.
MATCH_DISTANCE: Final = 0.25
# Painting the visible mark out of a short, smooth clip moves it far: in 400 drawn landscapes of 3 s up to
# 0.264 (1.5 % at or above 0.25). So only from here on is it another clip; in between it cannot be told.
OTHER_DISTANCE: Final = 0.28

FINEST_STEP: Final = 0.125  # seconds
MAX_DOUBLINGS: Final = 24
FLAT_DEVIATION: Final = 3.0  # luma levels, of the 32 x 32 picture
MIN_OVERLAP: Final = 4  # samples
MIN_OVERLAP_SHARE: Final = 0.5  # of the shorter clip

SIDE: Final = 32
BITS: Final = 64
VERSION: Final = 1
_HEAD: Final = struct.Struct(">BBH")
_SAMPLE: Final = struct.Struct(">HQ")
MAX_INDEX: Final = 0xFFFF
_NOT_ONE: Final = "this is not a fingerprint of version 1; take the one from the release store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How densely a clip is sampled: the first step is ``FINEST_STEP * 2**doublings`` seconds."""

    doublings: int
    cap: int


STORED: Final = Sampling(doublings=1, cap=64)
QUERY: Final = Sampling(doublings=0, cap=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Samples of a clip: grid indices (ascending), one hash each, and the grid's step in doublings."""

    doublings: int
    indices: tuple[int, ...]
    hashes: tuple[int, ...]

    @property
    def step(self) -> float:
        """Seconds between neighbouring grid points."""
        return float(FINEST_STEP * 2**self.doublings)

    def to_bytes(self) -> bytes:
        """Version, doublings, count; then index (16 bits) and hash (64 bits) of each sample, big-endian."""
        head = _HEAD.pack(VERSION, self.doublings, len(self.indices))
        rows = zip(self.indices, self.hashes, strict=True)
        return head + b"".join(_SAMPLE.pack(index, bits) for index, bits in rows)

    def paced(self, speed: float) -> "Fingerprint":
        """The fingerprint of the same frames played at ``1 / speed`` of their speed."""
        moved = dict(zip((round(index * speed) for index in self.indices), self.hashes, strict=True))
        return Fingerprint(doublings=self.doublings, indices=tuple(moved), hashes=tuple(moved.values()))

    @staticmethod
    def length(content: bytes) -> int:
        """How many of the first bytes are a fingerprint, by what they say themselves."""
        return _HEAD.size + _SAMPLE.size * int.from_bytes(content[2:4], "big")

    @classmethod
    def from_bytes(cls, content: bytes) -> "Fingerprint":
        """Read `to_bytes`. Raises: UsageError when the bytes are no fingerprint of this version."""
        try:
            version, doublings, count = _HEAD.unpack_from(content)
            rows = list(_SAMPLE.iter_unpack(content[_HEAD.size :]))
        except struct.error:
            raise UsageError(_NOT_ONE) from None
        indices, hashes = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
        ascending = all(a < b for a, b in itertools.pairwise(indices))
        if version != VERSION or doublings > MAX_DOUBLINGS or count != len(rows) or not ascending:
            raise UsageError(_NOT_ONE)
        return cls(doublings=doublings, indices=indices, hashes=hashes)


@dataclass(slots=True, kw_only=True)
class Fingerprinter:
    """Takes a clip's frames one by one. `add` in order of presentation, then `finish`."""

    sampling: Sampling = STORED
    _doublings: int = field(init=False, default=0)
    _start: float | None = field(init=False, default=None)
    _last: int = field(init=False, default=-1)
    _samples: list[tuple[int, int]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._doublings = self.sampling.doublings

    def add(self, time: float, luma: Luma) -> None:
        """One frame: presentation time in seconds and luma ``uint8[h, w]`` in display orientation.

        The first frame at or after each grid point is looked at; all others cost nothing.
        """
        if self._start is None:
            self._start = time
        # A millionth of a step forgives times that were rounded on their way through a container.
        index = int((time - self._start) / self._step + 1e-6)
        if index <= self._last:
            return
        self._last = index
        bits = frame_hash(luma)
        if bits is not None:
            self._samples.append((index, bits))
        while len(self._samples) > self.sampling.cap or self._last > MAX_INDEX:
            self._thin()

    def finish(self) -> Fingerprint:
        """The fingerprint of all frames so far."""
        indices = tuple(index for index, _ in self._samples)
        hashes = tuple(bits for _, bits in self._samples)
        return Fingerprint(doublings=self._doublings, indices=indices, hashes=hashes)

    @property
    def _step(self) -> float:
        return float(FINEST_STEP * 2**self._doublings)

    def _thin(self) -> None:
        self._samples = [(index // 2, bits) for index, bits in self._samples if index % 2 == 0]
        self._doublings += 1
        self._last //= 2


def fingerprint(frames: Iterable[tuple[float, Luma]], sampling: Sampling = STORED) -> Fingerprint:
    """The fingerprint of (time, luma) frames; see `Fingerprinter`."""
    maker = Fingerprinter(sampling=sampling)
    for time, luma in frames:
        maker.add(time, luma)
    return maker.finish()


def frame_hash(luma: Luma) -> int | None:
    """64 bits of one frame, None when it is almost flat."""
    small = cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float(small.std()) < FLAT_DEVIATION:
        return None
    coefficients = cv2.dct(small)
    signs = coefficients[LOW_FREQUENCIES] > 0
    return int.from_bytes(np.packbits(signs).tobytes(), "big")


def mirrored_hash(bits: int) -> int:
    """The hash of the same frame with left and right swapped, but for what lies on the edge of a sign."""
    return bits ^ MIRROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How well two clips match at their best alignment.

    `distance`: mean share of differing bits, 0 … 1: `MATCH_DISTANCE`, `OTHER_DISTANCE`. `offset`: seconds
    to add to a time of the query to get the time of the stored clip, in whole `step` seconds. `mirrored`:
    left and right are swapped.
    """

    distance: float
    offset: float
    step: float
    mirrored: bool


def distance(query: Fingerprint, stored: Fingerprint) -> float | None:
    """The distance at the best alignment; see `align`."""
    found = align(query, stored)
    return found.distance if found else None


def align(query: Fingerprint, stored: Fingerprint) -> Alignment | None:
    """The best alignment in time, over the plain and the mirrored clip.

    None when it cannot be decided: too short, or too few frames with structure. Meant for a densely sampled
    `query`, but works either way.
    """
    told = _Shifted.of(query, stored)
    return told.at(int(np.argmin(told.distances))) if told is not None and told.distances.size else None


def alignments(query: Fingerprint, stored: Fingerprint) -> tuple[Alignment, ...]:
    """All alignments with enough overlap, the best first; empty where `align` gives None.

    In a still scene many are about equally good, and noise says which is the best: whoever needs the offset
    has to look at the others too. Of equals the one with the smallest offset comes first.
    """
    told = _Shifted.of(query, stored)
    if told is None:
        return ()
    return tuple(told.at(int(one)) for one in np.argsort(told.distances, axis=None, kind="stable"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shifted:
    """All shifts by whole steps of the denser grid with enough overlap, the nearest first.

    ``distances``: ``float64[2, shifts]``, of the plain and of the mirrored clip. ``offsets``: seconds.
    """

    distances: NDArray[np.float64]
    offsets: NDArray[np.float64]
    step: float

    @classmethod
    def of(cls, query: Fingerprint, stored: Fingerprint) -> "_Shifted | None":
        """None where there are too few samples.

        It costs as much as there are pairs of samples, however far apart these say that they lie.
        """
        if min(len(query.indices), len(stored.indices)) < MIN_OVERLAP:
            return None
        swapped = query.doublings > stored.doublings
        dense, sparse = (stored, query) if swapped else (query, stored)
        factor = 2 ** (sparse.doublings - dense.doublings)
        dense_at = np.array(dense.indices, dtype=np.int64)
        sparse_at = np.array(sparse.indices, dtype=np.int64) * factor
        apart = (dense_at[:, None] - sparse_at[None, :]).ravel()
        shifts, pairs, overlap = np.unique(apart, return_inverse=True, return_counts=True)
        enough = np.flatnonzero(overlap >= _needed_overlap(dense_at, sparse_at, factor))
        order = enough[np.argsort(np.abs(shifts[enough]), kind="stable")]
        sums = [
            np.bincount(pairs, weights=_differing(dense.hashes, sparse.hashes, mask).ravel())
            for mask in (0, MIRROR)
        ]
        offsets = (1 if swapped else -1) * shifts[order] * dense.step
        return cls(distances=np.stack(sums)[:, order] / overlap[order], offsets=offsets, step=dense.step)

    def at(self, place: int) -> Alignment:
        """The alignment at this place of the flattened distances."""
        mirrored, shift = divmod(place, len(self.offsets))
        return Alignment(
            distance=float(self.distances.flat[place]), offset=float(self.offsets[shift]), step=self.step,
            mirrored=bool(mirrored),
        )  # fmt: skip


def _needed_overlap(dense_at: Indices, sparse_at: Indices, factor: int) -> int:
    """Half of the shorter clip, in samples of the sparser grid, and never less than `MIN_OVERLAP`."""
    usable = min(len(sparse_at), (len(dense_at) + factor - 1) // factor)
    return max(MIN_OVERLAP, int(np.ceil(usable * MIN_OVERLAP_SHARE)))


def _differing(dense: tuple[int, ...], sparse: tuple[int, ...], mask: int) -> NDArray[np.float64]:
    """Share of differing bits ``float64[dense, sparse]``."""
    left = np.array(dense, dtype=np.uint64)[:, None] ^ np.uint64(mask)
    right = np.array(sparse, dtype=np.uint64)[None, :]
    share: NDArray[np.float64] = np.bitwise_count(left ^ right).astype(np.float64) / BITS
    return share


def _low_frequencies() -> tuple[Indices, Indices]:
    """Row and column of the 64 lowest AC coefficients, by anti-diagonals, top right first."""
    order = [(total - column, column) for total in range(1, SIDE) for column in range(total, -1, -1)]
    chosen = np.array(order[:BITS], dtype=np.int64)
    return chosen[:, 0], chosen[:, 1]


LOW_FREQUENCIES: Final = _low_frequencies()
MIRROR: Final = int.from_bytes(np.packbits(LOW_FREQUENCIES[1] % 2 == 1).tobytes(), "big")
