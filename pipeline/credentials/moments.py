"""org.countermark.moments.1: small pictures of a clip's moments, in constant memory.

The fingerprint's 64 signs say that two clips have the same composition, which two clips of one generator may
well have. Moments say what is to be seen where: a release stores them, and `pipeline.verify.content` lays a
clip that bears its mark over them. They stay in the registry: a manifest carries the fingerprint only.

Pictures are taken on a regular grid of presentation time, counted from the clip's first frame; when there are
more than `Sampling.cap` of them every other one is dropped and the step doubles, as for the fingerprint.
"""

import itertools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.fingerprint import Fingerprint
from pipeline.errors import UsageError

Plane = NDArray[np.uint8]
Box = tuple[int, int, int, int]

VERSION: Final = 1
FINEST_STEP: Final = 0.0625  # seconds
MAX_DOUBLINGS: Final = 24
MAX_INDEX: Final = 0xFFFF
STORED_LINES: Final = 48  # of the short side
QUERY_LINES: Final = 128
MAX_RATIO: Final = 5  # of the sides: a longer picture keeps this many short sides of its middle
LOST_BITS: Final = 2  # of 8: steps of four levels, what a strong codec leaves
COVERED: Final = 0  # luma of a cell that a plate of the visible mark covers: it says nothing
LEAST: Final = 1 << LOST_BITS
_HEAD: Final = struct.Struct(">BHHHHHI")
_NOT_ONE: Final = "these are no moments of version 1; take them from the release store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Lines of the pictures' short side, the first step in doublings of `FINEST_STEP`, most pictures."""

    lines: int
    doublings: int
    cap: int


STORED: Final = Sampling(lines=STORED_LINES, doublings=3, cap=64)
QUERY: Final = Sampling(lines=QUERY_LINES, doublings=0, cap=384)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment: seconds from the clip's start, luma ``uint8[h, w]``, colour ``uint8[2, h / 2, w / 2]``.

    A luma of `COVERED` says nothing. Sides are even.
    """

    time: float
    y: Plane
    uv: Plane


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments of a clip whose frames have this size in pixels, in order; all of one size."""

    width: int
    height: int
    taken: tuple[Moment, ...]

    @property
    def sides(self) -> tuple[float, float]:
        """Width and height in short sides."""
        short = min(self.width, self.height)
        return self.width / short, self.height / short

    def to_bytes(self) -> bytes:
        """Version, sizes, times, and the pictures, each as its difference to the one before, deflated."""
        shape = self.taken[0].y.shape if self.taken else (0, 0)
        rows = [np.concatenate([m.y.ravel(), m.uv.ravel()]) >> LOST_BITS for m in self.taken]
        steps = [b - a for a, b in itertools.pairwise([np.zeros_like(rows[0]), *rows])] if rows else []
        times = np.array([m.time for m in self.taken], ">f4").tobytes()
        packed = zlib.compress(times + b"".join(step.tobytes() for step in steps), 9)
        head = (len(self.taken), self.width, self.height, shape[0] // 2, shape[1] // 2, len(packed))
        return _HEAD.pack(VERSION, *head) + packed

    @classmethod
    def from_bytes(cls, content: bytes) -> "Moments":
        """Read `to_bytes`. Raises: UsageError when the bytes are no moments of this version."""
        try:
            version, count, width, height, half_height, half_width, length = _HEAD.unpack_from(content)
            if version != VERSION or count > STORED.cap or length != len(content) - _HEAD.size:
                raise UsageError(_NOT_ONE)
            taken = _unpacked(content[_HEAD.size :], count, 2 * half_height, 2 * half_width)
            return cls(width=width, height=height, taken=taken)
        except (struct.error, zlib.error, ValueError):
            raise UsageError(_NOT_ONE) from None


def with_moments(fingerprint: Fingerprint, moments: Moments) -> bytes:
    """What a release stores: its fingerprint, and behind it its moments."""
    return fingerprint.to_bytes() + moments.to_bytes()


def stored(content: bytes) -> tuple[Fingerprint, Moments | None]:
    """Read `with_moments`; older releases have no moments. Raises: UsageError for bytes that are neither."""
    length = Fingerprint.length(content)
    rest = content[length:]
    return Fingerprint.from_bytes(content[:length]), Moments.from_bytes(rest) if rest else None


@dataclass(slots=True, kw_only=True)
class Taker:
    """Takes a clip's frames one by one: `add` in order of presentation, then `finish`.

    ``covered``: the boxes (x0, y0, x1, y1) in pixels of the frame that the visible mark covers at a time.
    """

    sampling: Sampling = STORED
    covered: Callable[[float], tuple[Box, ...]] | None = None
    _doublings: int = field(init=False, default=0)
    _start: float | None = field(init=False, default=None)
    _last: int = field(init=False, default=-1)
    _size: tuple[int, int] = field(init=False, default=(0, 0))
    _taken: list[tuple[int, Moment]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._doublings = self.sampling.doublings

    def add(self, time: float, y: Plane, u: Plane | None, v: Plane | None) -> None:
        """One frame: seconds and planes in display orientation; no colour counts as grey.

        The first frame at or after each grid point is looked at; all others cost nothing.
        """
        if self._start is None:
            self._start = time
        since = time - self._start
        index = int(since / self._step + 1e-6)
        if index <= self._last:
            return
        self._last = index
        self._size = (y.shape[1], y.shape[0])
        self._taken.append((index, self._small(since, time, y, u, v)))
        while len(self._taken) > self.sampling.cap or self._last > MAX_INDEX:
            self._taken = [(index // 2, moment) for index, moment in self._taken if index % 2 == 0]
            self._doublings += 1
            self._last //= 2

    def finish(self) -> Moments:
        """What was taken so far."""
        return Moments(width=self._size[0], height=self._size[1], taken=tuple(one for _, one in self._taken))

    @property
    def _step(self) -> float:
        return float(FINEST_STEP * 2**self._doublings)

    def _small(self, since: float, time: float, y: Plane, u: Plane | None, v: Plane | None) -> Moment:
        width, height = _size(y.shape[1], y.shape[0], self.sampling.lines)
        luma = _shrunk(y, width, height)
        if self.covered is not None:
            for box in self.covered(time):
                _cover(luma, box, (width / y.shape[1], height / y.shape[0]))
        grey = np.full((height // 2, width // 2), 128, np.uint8)
        colour = [grey if plane is None else _shrunk(plane, width // 2, height // 2, 0) for plane in (u, v)]
        return Moment(time=since, y=luma, uv=np.stack(colour))


def _unpacked(packed: bytes, count: int, height: int, width: int) -> tuple[Moment, ...]:
    if count == 0:
        return ()
    if max(height, width) > MAX_RATIO * STORED_LINES + 2:
        raise ValueError(_NOT_ONE)
    cells, colours = height * width, height * width // 2
    wanted = count * (4 + cells + colours)
    engine = zlib.decompressobj()
    plain = engine.decompress(packed, wanted)
    if len(plain) != wanted or not engine.eof or not cells:
        raise ValueError(_NOT_ONE)
    times = np.frombuffer(plain[: 4 * count], ">f4")
    steps = np.frombuffer(plain[4 * count :], np.uint8).reshape(count, -1)
    rows = np.asarray(np.cumsum(steps, axis=0, dtype=np.uint8) << LOST_BITS, np.uint8)
    if not np.isfinite(times).all():
        raise ValueError(_NOT_ONE)
    return tuple(
        Moment(time=float(time), y=row[:cells].reshape(height, width),
               uv=row[cells:].reshape(2, height // 2, width // 2))
        for time, row in zip(times, rows, strict=True)
    )  # fmt: skip


def _size(width: int, height: int, lines: int) -> tuple[int, int]:
    short = min(width, height)
    sides = (min(side / short, MAX_RATIO) * lines for side in (width, height))
    across, down = (max(2, 2 * round(side / 2)) for side in sides)
    return across, down


def _shrunk(plane: Plane, width: int, height: int, least: int = LEAST) -> Plane:
    while plane.shape[0] >= 4 * height and plane.shape[1] >= 4 * width and not (
        plane.shape[0] | plane.shape[1]
    ) & 1:  # an exact 2×2 mean is far faster than a wide area filter  # fmt: skip
        half = (plane.shape[1] // 2, plane.shape[0] // 2)
        plane = np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8)
    small = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    return np.maximum(np.asarray(small, np.uint8), np.uint8(least))


def _cover(luma: Plane, box: Box, scale: tuple[float, float]) -> None:
    x0, y0, x1, y1 = box
    left, top = max(0, int(x0 * scale[0])), max(0, int(y0 * scale[1]))
    luma[top : -int(-y1 * scale[1] // 1), left : -int(-x1 * scale[0] // 1)] = COVERED
