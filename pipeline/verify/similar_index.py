"""Keys of very many clips in memory, each compared with the few of a query, in blocks.

A full comparison is exact and has nothing to tune; on two cores it takes about a nanosecond a key. Keys lie
window by window, so that a search among whole pictures reads only them. A clip's numbers depend on its own
keys alone; only which clips are the nearest depends on the others.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.verify.similar_keys import WINDOWS, Keys, Times, Words

BLOCK: Final = 1 << 16  # keys compared at a time: what stays in a core's cache
THREADS: Final = 2
NEAREST: Final = 128  # keys of one block and window that are kept for one key of the query

Bits = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Keys of some clips: signs ``uint64[windows, keys]``, seconds, and whose each is, by number in `names`.

    Arrays may be mapped from a file.
    """

    names: NDArray[np.bytes_]
    words: Words
    times: Times
    owners: NDArray[np.int32]

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return int(self.names.nbytes + self.words.nbytes + self.times.nbytes + self.owners.nbytes)


class Ask(NamedTuple):
    """One way of looking at a query: signs ``uint64[moments]``, a mask of those that count for each, and the
    numbers of the `WINDOWS` of clips with which they are compared.
    """

    words: Words
    masks: Words
    windows: tuple[int, ...]


class Near(NamedTuple):
    """A clip that may be the query's, by one way of looking at it and one window of the clip.

    ``worth``: what clips are ranked by. ``bits``: for each moment of the query the signs that differ from the
    nearest key, -1 where none is near; ``times``: seconds of these keys.
    """

    name: str
    worth: int
    way: int
    window: int
    bits: NDArray[np.int16]
    times: Times


def joined(names: Sequence[str], keys: Sequence[Keys]) -> Segment:
    """One segment of these clips."""
    none = [np.empty((0, len(WINDOWS)), np.uint64)]
    words = np.concatenate([one.words for one in keys] or none)
    owners = np.repeat(np.arange(len(names), dtype=np.int32), [len(one.times) for one in keys])
    times = np.concatenate([one.times for one in keys] or [np.empty(0, np.float32)])
    named = np.array([name.encode() for name in names], np.bytes_)
    return Segment(names=named, words=np.ascontiguousarray(words.T), times=times, owners=owners)


def merged(segments: Sequence[Segment]) -> Segment:
    """All of them as one, in order."""
    firsts = np.cumsum([0, *(len(one.names) for one in segments)]).astype(np.int32)
    return Segment(
        names=np.concatenate([one.names for one in segments]),
        words=np.concatenate([one.words for one in segments], axis=1),
        times=np.concatenate([one.times for one in segments]),
        owners=np.concatenate([one.owners + f for one, f in zip(segments, firsts, strict=False)]),
    )  # fmt: skip


def nearest(
    segments: Sequence[Segment], asks: Sequence[Ask], radius: int, most: int,
    removed: frozenset[str] = frozenset(),
) -> list[Near]:  # fmt: skip
    """The `most` clips nearest to a query, best first, over all segments; of equals by name.

    `asks`: all have the same moments. `radius`: signs that may differ. A clip is worth, over its best way and
    window, the sum over the moments of by how much they are within the radius.
    """
    tasks = [(one, start) for one in segments for start in range(0, len(one.times), BLOCK)]
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(lambda task: _block(task[0], task[1], asks, radius), tasks)
        hits: dict[int, list[_Hits]] = {}
        for (segment, _), part in zip(tasks, parts, strict=True):
            hits.setdefault(id(segment), []).append(part)
    found = []
    for segment in segments:
        mine = (
            _Hits(*map(np.concatenate, zip(*hits[id(segment)], strict=True))) if len(segment.times) else None
        )
        if mine is not None and len(mine.key):
            found += _ranked(segment, mine, radius, most, removed)
    best: dict[str, Near] = {}
    for near in sorted(found, key=lambda near: (-near.worth, near.name)):
        best.setdefault(near.name, near)
    return list(best.values())[:most]


class _Hits(NamedTuple):
    """Pairs within the radius: way and moment of the query, window and key of the segment, signs apart."""

    way: Numbers
    moment: Numbers
    window: Numbers
    key: Numbers
    bits: Bits


def _block(segment: Segment, start: int, asks: Sequence[Ask], radius: int) -> _Hits:
    stop = min(start + BLOCK, len(segment.times))
    differing, bits = np.empty(stop - start, np.uint64), np.empty(stop - start, np.uint8)
    keys, kept, told = [], [], []
    for number, window in ((n, window) for n, ask in enumerate(asks) for window in ask.windows):
        words = segment.words[window, start:stop]
        for moment, (query, mask) in enumerate(zip(*asks[number][:2], strict=True)):
            np.bitwise_xor(words, query, out=differing)
            np.bitwise_and(differing, mask, out=differing)
            np.bitwise_count(differing, out=bits)
            within = np.flatnonzero(bits <= radius)
            if len(within) > NEAREST:  # a crowd of one composition: whoever is farther has no chance in it
                within = within[bits[within] <= np.partition(bits[within], NEAREST)[NEAREST]]
            keys.append(within + start)
            kept.append(bits[within])
            told.append((number, moment, window, len(within)))
    ways, moments, windows, counts = np.array(told, np.int64).reshape(-1, 4).T
    of = (np.repeat(ways, counts), np.repeat(moments, counts), np.repeat(windows, counts))
    return _Hits(*of, np.concatenate(keys), np.concatenate(kept))


def _ranked(segment: Segment, hits: _Hits, radius: int, most: int, removed: frozenset[str]) -> list[Near]:
    """The best clips of a segment, each by its best way and window."""
    owners = segment.owners[hits.key].astype(np.int64)
    moments = int(hits.moment.max()) + 1
    place = (owners * (int(hits.way.max()) + 1) + hits.way) * len(WINDOWS) + hits.window
    order = np.lexsort((hits.key, hits.bits, hits.moment, place))
    place, moment = place[order], hits.moment[order]
    first = np.ones(len(order), bool)  # for each moment of the query the nearest key alone counts
    first[1:] = (place[1:] != place[:-1]) | (moment[1:] != moment[:-1])
    order, place = order[first], place[first]
    begins = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    worth = np.add.reduceat(radius + 1 - hits.bits[order].astype(np.int64), begins)
    ends = np.append(begins[1:], len(order))
    found: dict[int, Near] = {}
    for one in np.argsort(-worth, kind="stable"):
        rows = order[begins[one] : ends[one]]
        owner = int(owners[rows[0]])
        name = bytes(segment.names[owner]).decode()
        if owner in found or name in removed:
            continue
        if len(found) == most and worth[one] < min(near.worth for near in found.values()):
            break
        found[owner] = _near(segment, hits, rows, int(worth[one]), moments)
    return list(found.values())


def _near(segment: Segment, hits: _Hits, rows: Numbers, worth: int, moments: int) -> Near:
    at = hits.moment[rows]
    bits, times = np.full(moments, -1, np.int16), np.zeros(moments, np.float32)
    bits[at], times[at] = hits.bits[rows], segment.times[hits.key[rows]]
    name = bytes(segment.names[segment.owners[hits.key[rows[0]]]]).decode()
    return Near(name, worth, int(hits.way[rows[0]]), int(hits.window[rows[0]]), bits, times)
