"""What is searched for, a clip or a picture: its moments, and the ways of looking at it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np

from pipeline.credentials import fingerprint as prints
from pipeline.credentials import moments as shown
from pipeline.credentials.fingerprint import BITS, MIRROR, Fingerprint, Fingerprinter
from pipeline.credentials.moments import Moments, Plane, Taker
from pipeline.verify.similar_index import Ask
from pipeline.verify.similar_keys import (
    CROPS,
    WHOLE,
    WINDOWS,
    Pictures,
    Window,
    distinct,
    query_signs,
    signs,
)
from pipeline.verify.similar_windows import inner_windows

TimedFrame = tuple[float, Plane, Plane | None, Plane | None]

KEYS: Final = 4  # moments of the query by which candidates are found
ALL_BITS: Final = np.uint64(2**BITS - 1)
EDGED: Final = 16  # moments by which lasting edges are found
DETAIL_LINES: Final = 48
AROUND: Final = 5  # cells to a side, over which a cell's deviation is taken
DETAILED: Final = 2.0  # luma levels of deviation from which a cell has detail
LEAST_DETAIL: Final = (
    0.29  # of the cells: two lines of a title have 0.20 to 0.24, plain drawings 0.36 and more
)
MOVED: Final = 4.0  # luma levels of deviation over time from which a cell moves
LEAST_MOVED: Final = 0.004  # of the cells

FLAT: Final = "flat"
"""Almost no structure in any moment: nothing was searched."""
PLAIN: Final = "plain"
"""Structure in a small part of the picture only, as titles have: nothing was searched."""
STILL: Final = "still"
"""One picture, or next to no motion: hits look like it, and more cannot be said."""

_CROPS: Final = tuple(range(1, 1 + len(CROPS)))
_UNCAPTIONED: Final = range(1 + len(CROPS), len(WINDOWS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipQuery:
    """What a clip or a picture shows: a dense fingerprint and dense moments (`QUERY` of both modules).

    `observe.Observation` has both already.
    """

    fingerprint: Fingerprint
    moments: Moments

    @classmethod
    def from_frames(cls, frames: Iterable[TimedFrame]) -> "ClipQuery":
        """From frames in order of presentation, a single one for a picture; in constant memory.

        Each is (seconds, luma ``uint8[h, w]``, colour ``uint8[h / 2, w / 2]`` twice, or None twice for grey).
        """
        dense, taker = Fingerprinter(sampling=prints.QUERY), Taker(sampling=shown.QUERY)
        for time, y, u, v in frames:
            dense.add(time, y)
            taker.add(time, y, u, v)
        return cls(fingerprint=dense.finish(), moments=taker.finish())


class Look(NamedTuple):
    """A way of looking at a query: a part of its picture, mirrored or not."""

    part: Window
    mirrored: bool


class Asked(NamedTuple):
    """What is asked of an index: the looks, and an `Ask` for each in every stage.

    The first stage asks for whole releases, the second for parts of them: that takes four times as long.
    """

    looks: tuple[Look, ...]
    stages: tuple[tuple[Ask, ...], ...]


def asked(moments: Moments) -> Asked | str:
    """By what a clip is searched for, or why it cannot be: `FLAT` or `PLAIN`."""
    pictures = _pictures(moments)
    words, structured = signs(pictures, [WHOLE])
    usable = np.flatnonzero(structured[:, 0]) if len(pictures) else np.empty(0, int)
    if not len(usable):
        return FLAT
    detailed = [int(index) for index in usable if _detail(pictures[index]) >= LEAST_DETAIL]
    if not detailed:
        return PLAIN
    chosen = [detailed[i] for i in distinct(words[detailed, 0])]
    if len(chosen) < KEYS:  # a calm clip: evenly spread ones tell more than one
        chosen = detailed
    chosen = [chosen[i] for i in np.unique(np.linspace(0, len(chosen) - 1, KEYS).round().astype(int))]
    spread = np.unique(np.linspace(0, len(pictures) - 1, EDGED).round().astype(int))
    return _looks(pictures[chosen], inner_windows(pictures[spread]))


def asked_by_print(fingerprint: Fingerprint) -> Asked | str:
    """The same for a fingerprint alone: the whole picture on wholes and parts. `FLAT` for an empty one."""
    if not fingerprint.indices:
        return FLAT
    words = np.array(fingerprint.hashes, np.uint64)
    chosen = distinct(words)
    chosen = [chosen[i] for i in np.unique(np.linspace(0, len(chosen) - 1, KEYS).round().astype(int))]
    masks = np.full(len(chosen), ALL_BITS)
    asks = tuple(Ask(words[chosen] ^ np.uint64(turned), masks, (0, *_CROPS)) for turned in (0, MIRROR))
    return Asked((Look(WHOLE, False), Look(WHOLE, True)), (asks,))


def moves(moments: Moments) -> bool:
    """Whether the picture changes enough in the course of the clip to prove more than one picture does."""
    if len(moments.taken) < 2:
        return False
    lines = round(DETAIL_LINES * max(1.0, moments.height / moments.width))
    across = round(lines * moments.width / moments.height)
    size = (max(2, across), max(2, lines))
    small = np.stack([cv2.resize(m.y, size, interpolation=cv2.INTER_AREA) for m in moments.taken])
    return bool((small.astype(np.float32).std(axis=0) >= MOVED).mean() >= LEAST_MOVED)


def _pictures(moments: Moments) -> Pictures:
    if not moments.taken:
        return np.empty((0, 2, 2), np.float32)
    return np.stack([moment.y for moment in moments.taken]).astype(np.float32)


def _looks(pictures: Pictures, inner: list[Window]) -> Asked:
    parts = [(WHOLE, (0,), _CROPS), *((window, (0,), ()) for window in inner),
             *((WINDOWS[number], (number,), ()) for number in _UNCAPTIONED)]  # fmt: skip
    words, masks = query_signs(pictures, [part for part, _, _ in parts])
    looks: list[Look] = []
    first: list[Ask] = []
    second: list[Ask] = []
    for turned in (0, MIRROR):
        for number, (part, whole, parted) in enumerate(parts):
            looks.append(Look(part, bool(turned)))
            for stage, windows in ((first, whole), (second, parted)):
                stage.append(Ask(words[:, number] ^ np.uint64(turned), masks[:, number], windows))
    return Asked(tuple(looks), (tuple(first), tuple(second)))


def _detail(picture: Pictures) -> float:
    """Share of cells with detail, in a picture of `DETAIL_LINES` of its short side."""
    short = min(picture.shape)
    size = tuple(max(2, round(side * DETAIL_LINES / short)) for side in picture.shape[::-1])
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    middle = cv2.blur(small, (AROUND, AROUND))
    spread = cv2.blur(small * small, (AROUND, AROUND)) - middle * middle
    return float((spread >= DETAILED**2).mean())
