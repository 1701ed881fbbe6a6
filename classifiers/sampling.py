"""Which frames of a clip are looked at, and which parts of them. Pure and deterministic, constant memory.

1. Regular times: from the first frame on, at an interval that doubles whenever more frames than the limit
   have been kept; then every other one of them is dropped. So nothing needs to be known of the length.
2. Cuts and changes: the frame after a cut, and one that has become very unlike the last that was kept. Of
   more than the limit, the one that is most like another kept one is dropped.
3. The last frame.

What is not kept cannot be found later either: the stored sight is all that a retro-scan has. Nothing that is
kept is left out of a look, but what has not changed since it was looked at last (`Alike`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Box, Picture

Thumbnail = NDArray[np.float32]
T = TypeVar("T")

THUMBNAIL: Final = (32, 18)
CUT: Final = 14.0
"""Grey levels (of 255) that a thumbnail changes by on average from one frame to the next at a cut, ..."""
CUT_OVER_USUAL: Final = 3.0
"""... and so many times the usual change of this clip, so that neither noise nor fast motion is a cut."""
USUAL_WEIGHT: Final = 0.1
CELLS: Final = (6, 8)
CHANGE: Final = 24.0
"""Grey levels by which one cell of a frame differs from that of the last kept one when something is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """When two pictures count as the same: made smaller to ``size`` (width and height), no pixel differs by
    more than ``levels`` of 255 in any colour.
    """

    size: tuple[int, int]
    levels: int


LOOKED_AT: Final = Likeness(size=(96, 54), levels=4)
"""For models that see a frame at some 200 pixels: coding noise averages out, whatever has a shape shows."""
STROKES: Final = (480, 270)
"""Pixels at which the strokes of small letters still show, ..."""
STROKE_CELLS: Final = (30, 17)
"""... and cells of a few letters each."""
SAME_STROKES: Final = 4.0
"""By how much (of 255) the edges in no cell differ on average where two frames have the same words."""

WHOLE: Final[Box] = (0.0, 0.0, 1.0, 1.0)
FULL_SIDE, FULL_STEP = 1.0, 0.4
"""Squares as high as a wide frame (as wide as a high one): their side, and how far apart they lie at most, in
shares of the frame's short side, ..."""
NEAR_SIDE, NEAR_STEP = 0.7, 0.56
"""... and smaller ones in two rows: a character of half the frame's height lies within one of them."""
MOST_ALONG: Final = 5
"""Squares in a row, whatever the frame's proportions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingLimits:
    """How many frames of a clip are kept at most: ``regular`` + ``changes`` + 1.

    ``interval``: seconds between regular frames of a short clip. ``gap``: seconds that must lie between a
    slow change and the frame before; cuts may follow one another at once.
    """

    regular: int = 14
    changes: int = 9
    interval: float = 0.25
    gap: float = 0.2


# For clips of many shots; the sampler is the same.
LONG: Final = SamplingLimits(regular=30, changes=33)
LONG_SECONDS: Final = 60.0


def limits_for(duration: float | None) -> SamplingLimits:
    """The limits for a clip of so many seconds; None where its header does not say."""
    return LONG if duration is not None and duration > LONG_SECONDS else SamplingLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Generic[T]):
    """A kept frame: its time in seconds and what the caller keeps of it."""

    time: float
    content: T


@dataclass(frozen=True, slots=True)
class _Offered(Generic[T]):
    order: int
    time: float
    thumbnail: Thumbnail
    make: Callable[[], T]


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    order: int
    time: float
    thumbnail: Thumbnail
    content: T


class Sampler(Generic[T]):
    """Offer every frame in order of time, then take `samples`."""

    def __init__(self, limits: SamplingLimits | None = None) -> None:
        self._limits = limits or SamplingLimits()
        self._interval = self._limits.interval
        self._regular: list[_Kept[T]] = []
        self._changes: list[_Kept[T]] = []
        self._latest: _Offered[T] | None = None
        self._usual = 0.0

    def offer(self, time: float, luma: NDArray[np.uint8], make: Callable[[], T]) -> None:
        """A frame at `time`, its luma ``uint8[h, w]``; `make` is called only if the frame is kept."""
        before = self._latest
        frame = _Offered(before.order + 1 if before else 0, time, thumbnail_of(luma), make)
        changed = before is not None and self._is_change(frame, before)
        if self._is_due(time):
            self._keep_regular(_kept(frame))
        elif changed:
            self._keep_change(_kept(frame))
        self._latest = frame

    def samples(self) -> tuple[Sample[T], ...]:
        """What was kept, and the last frame, in order of time."""
        kept = sorted((*self._regular, *self._changes), key=lambda kept: kept.order)
        if self._latest and kept[-1].order != self._latest.order:
            kept.append(_kept(self._latest))
        return tuple(Sample(time=frame.time, content=frame.content) for frame in kept)

    def _is_due(self, time: float) -> bool:
        return not self._regular or time >= self._regular[-1].time + self._interval * (1 - 1e-6)

    def _keep_regular(self, frame: _Kept[T]) -> None:
        self._regular.append(frame)
        if len(self._regular) > self._limits.regular:
            self._regular = self._regular[::2]
            self._interval *= 2

    def _is_change(self, frame: _Offered[T], before: _Offered[T]) -> bool:
        """Whether a cut lies before this frame, or it has become unlike the last that was kept."""
        step = unlikeness(frame.thumbnail, before.thumbnail)
        if step > CUT and step > CUT_OVER_USUAL * self._usual:
            return True
        self._usual += USUAL_WEIGHT * (step - self._usual)
        latest = max((*self._regular, *self._changes[-1:]), key=lambda kept: kept.order)
        late = frame.time >= latest.time + self._limits.gap
        return late and float(local_unlikeness(frame.thumbnail, latest.thumbnail)) > CHANGE

    def _keep_change(self, frame: _Kept[T]) -> None:
        self._changes.append(frame)
        if len(self._changes) > self._limits.changes:
            del self._changes[self._least_novel()]

    def _least_novel(self) -> int:
        """Which of the changes is most like another kept frame."""
        frames = np.stack([frame.thumbnail for frame in (*self._changes, *self._regular)])
        count = len(self._changes)
        apart = np.stack([local_unlikeness(change.thumbnail, frames) for change in self._changes])
        apart[np.arange(count), np.arange(count)] = np.inf
        return int(apart.min(axis=1).argmin())


def _kept(frame: _Offered[T]) -> _Kept[T]:
    return _Kept(frame.order, frame.time, frame.thumbnail, frame.make())


def thumbnail_of(luma: NDArray[np.uint8]) -> Thumbnail:
    """The luma plane at `THUMBNAIL` size, ``float32``."""
    return np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), dtype=np.float32)


def unlikeness(one: Thumbnail, other: Thumbnail) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(one - other).mean())


def local_unlikeness(one: Thumbnail, others: Thumbnail) -> Thumbnail:
    """The mean difference in grey levels of the cell that differs most, for each of ``others[..., h, w]``."""
    rows, columns = CELLS
    apart = np.abs(others - one)
    shape = *apart.shape[:-2], rows, apart.shape[-2] // rows, columns, apart.shape[-1] // columns
    return np.asarray(apart.reshape(shape).mean(axis=(-3, -1)).max(axis=(-2, -1)), dtype=np.float32)


class Alike:
    """Whether something looks as it did when it was last new."""

    def __init__(self, likeness: Likeness) -> None:
        self._levels = likeness.levels
        self._latest: Picture | None = None

    def again(self, small: Picture) -> bool:
        """Whether a picture (of `glimpse`) is as the last one that was not; it is that one from now on."""
        if self._latest is not None and _within(self._latest, small, self._levels):
            return True
        self._latest = np.array(small)
        return False


def _within(one: Picture, other: Picture, levels: int) -> bool:
    return one.shape == other.shape and int(cv2.absdiff(one, other).max()) <= levels


def glimpse(picture: Picture, size: tuple[int, int]) -> Picture:
    """``picture[h, w, 3]`` within `size` (width, height), whatever its proportions; never made larger."""
    height, width = picture.shape[:2]
    wide, high = min(size[0], width), min(size[1], height)
    return np.asarray(cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def strokes(picture: Picture) -> Picture:
    """Where ``picture[h, w, 3]`` has edges, and how strong: ``uint8[h, w]`` within `STROKES`."""
    grey = cv2.cvtColor(glimpse(picture, STROKES), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S)), dtype=np.uint8)


def most_unlike(maps: Sequence[Picture], count: int) -> list[int]:
    """At most `count` of these maps of strokes, the first among them.

    Each time the one that is most unlike all that were taken, where the edges in some cell differ most; none
    that is the same as another.
    """
    taken: list[int] = []
    nearest = np.full(len(maps), np.inf)
    while len(taken) < min(count, len(maps)) and (furthest := int(nearest.argmax())) not in taken:
        if nearest[furthest] <= SAME_STROKES:
            break
        taken.append(furthest)
        apart = [_strokes_apart(one, maps[furthest]) for one in maps]
        nearest = np.minimum(nearest, apart)
    return sorted(taken)


def _strokes_apart(one: Picture, other: Picture) -> float:
    if one.shape != other.shape:  # pictures that are no frames of one clip
        return float("inf") if one is not other else 0.0
    return float(cv2.resize(cv2.absdiff(one, other), STROKE_CELLS, interpolation=cv2.INTER_AREA).max())


@lru_cache(maxsize=64)
def regions_of(width: int, height: int) -> tuple[Box, ...]:
    """The parts of a frame that are looked at: all of it, and squares that overlap.

    Models look at squares, and squeeze or cut what is none: only in a square all keeps its proportions.
    """
    aspect = max(width, height) / min(width, height)
    full = [(start, 0.0, FULL_SIDE) for start in _starts(aspect, FULL_SIDE, FULL_STEP) if aspect > 1]
    near = [
        (start, across, NEAR_SIDE)
        for across in (0.0, 1 - NEAR_SIDE)
        for start in _starts(aspect, NEAR_SIDE, NEAR_STEP)
    ]
    boxes = [
        (along / aspect, across, (along + side) / aspect, across + side)
        for along, across, side in (*full, *near)
    ]
    if height > width:
        boxes = [(top, left, bottom, right) for left, top, right, bottom in boxes]
    return (WHOLE, *boxes)


def _starts(length: float, side: float, step: float) -> list[float]:
    """Where squares begin that cover a length, all as far apart, at most by `step` if they are few enough."""
    count = min(MOST_ALONG, math.ceil(round((length - side) / step, 6)) + 1)
    return [number * (length - side) / max(1, count - 1) for number in range(count)]


def cut_out(picture: Picture, box: Box) -> Picture:
    """The part of ``picture[h, w, 3]`` in `box`, at least one pixel; a view."""
    height, width = picture.shape[:2]
    left, right = _span(box[0], box[2], width)
    top, bottom = _span(box[1], box[3], height)
    return picture[top:bottom, left:right]


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    start = min(round(low * size), size - 1)
    return start, max(start + 1, min(round(high * size), size))
