"""Immutable pieces of a FAISS index, of which a view is made.

FAISS crashes when something is added during a search, so nothing is ever added: a change makes a new small
segment and marks what it replaces as dead in a copy of the old segment's bit map; searches that are under
way keep what they have. The vectors of one subject in one space and kind lie in one segment. Segments are
merged into larger ones, each at least twice the next, so that a vector is copied a number of times that
grows with the logarithm of the registry's size; merges of more than `AT_ONCE` rows are made off-line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from registry import indexes
from registry.columns import Block, Columns, Digests, Marks, block, same
from registry.indexes import Bits
from registry.subject_types import VectorRow
from registry.vectors import Halves, VectorMatch, Vectors

GROWTH: Final = 2  # a segment is at least so many times as large as the next one
AT_ONCE: Final = 4_096  # rows that are merged while somebody waits: some 10 ms
PIECE: Final = 4_096  # rows copied at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Vectors of one space and kind in one index.

    ``stored``: the numbers of an index of codes, None where the index has them; ``gone``: bool[owners], whose
    rows were replaced, and ``alive``: the same as a bit map of rows; None for both: everything is alive;
    ``file``: the name of its file, if it has one; ``stale``: that should be written anew.
    """

    kind: str
    index: Any
    stored: Halves | None
    labels: Columns
    living: int
    gone: NDArray[np.bool_] | None = None
    alive: Bits | None = None
    file: str = ""
    stale: bool = False

    @property
    def small(self) -> bool:
        """Whether it is merged with others at once; large ones are merged off-line."""
        return len(self.labels) <= AT_ONCE

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.index.d)

    def without(self, subjects: Sequence[str]) -> "Segment":
        """The same without the vectors of these subjects."""
        places = self.labels.find(subjects)
        dead = places if self.gone is None else places[~self.gone[places]]
        if not len(dead):
            return self
        size, starts = len(self.labels), self.labels.starts
        gone = np.zeros(len(self.labels.owners), np.bool_) if self.gone is None else self.gone.copy()
        gone[dead] = True
        alive = np.full(-(-size // 8), 255, np.uint8) if self.alive is None else self.alive.copy()
        rows = np.concatenate([np.arange(starts[place], starts[place + 1]) for place in dead])
        np.bitwise_and.at(alive, rows >> 3, ~(1 << (rows & 7)).astype(np.uint8))
        return replace(self, gone=gone, alive=alive, living=self.living - len(rows))

    def subjects(self) -> list[str]:
        """Those of whom there are living vectors; those of one live or are dead together."""
        owners = self.labels.owners if self.gone is None else self.labels.owners[~self.gone]
        return [owner.decode() for owner in owners.tolist()]

    def counts(self) -> Iterator[tuple[str, int]]:
        """Each living subject with the number of its vectors here."""
        sizes = np.diff(self.labels.starts)
        yield from zip(
            self.subjects(), (sizes if self.gone is None else sizes[~self.gone]).tolist(), strict=True
        )

    def holds(self, subject: str, rows: Block | None) -> bool | None:
        """Whether it has just these vectors of a subject; None where it has none of it alive."""
        places = self.labels.find([subject])
        if not len(places) or (self.gone is not None and self.gone[places[0]]):
            return None
        start, stop = (int(end) for end in self.labels.starts[places[0] : places[0] + 2])
        return rows is not None and same(rows, self.labels, slice(start, stop), self._numbers(start, stop))

    def search(self, queries: Vectors, neighbours: int) -> list[list[VectorMatch]]:
        """The nearest living vectors for each of the queries float32[n, d]."""
        wanted = min(neighbours, self.living)
        if wanted <= 0:
            return [[] for _ in queries]
        if self.stored is None:
            found = indexes.search_flat(self.index, self.kind, queries, wanted, self.alive)
        else:
            found = indexes.search_coarse(self.index, self.stored, self.kind, queries, wanted, self.alive)
        return [self._matches(rows, scores) for rows, scores in found]

    def rows_of(self, subjects: Sequence[str]) -> tuple[list[str], Vectors, Marks]:
        """The living rows of these subjects: owners, vectors ``float32[n, d]`` and polarities."""
        places = self.labels.find(subjects)
        places = places if self.gone is None else places[~self.gone[places]]
        owners: list[str] = []
        vectors: list[Vectors] = [np.zeros((0, self.dimension), np.float32)]
        marks: list[Marks] = [np.zeros(0, np.int8)]
        for place in places.tolist():
            start, stop = (int(end) for end in self.labels.starts[place : place + 2])
            owners += [self.labels.owners[place].decode()] * (stop - start)
            vectors.append(self._numbers(start, stop).astype(np.float32))
            marks.append(np.sign(self.labels.marks[start:stop]))
        return owners, np.concatenate(vectors), np.concatenate(marks)

    def _matches(self, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> list[VectorMatch]:
        return [
            VectorMatch(subject=subject, reference=reference, kind=self.kind, polarity=polarity, score=score)
            for (subject, reference, polarity), score in zip(
                self.labels.labels(rows), scores.tolist(), strict=True
            )
        ]

    def blocks(self) -> Iterator[Block]:
        """What is alive, some thousand rows at a time."""
        starts, first = self.labels.starts, 0
        while first < len(self.labels.owners):
            last = int(np.searchsorted(starts, starts[first] + PIECE, side="right")) - 1
            last = min(max(last, first + 1), len(self.labels.owners))
            yield from self._block(first, last)
            first = last

    def _block(self, first: int, last: int) -> Iterator[Block]:
        labels = self.labels
        owners = np.arange(first, last)
        if self.gone is not None:
            owners = owners[~self.gone[first:last]]
        if not len(owners):
            return
        start, stop = int(labels.starts[first]), int(labels.starts[last])
        counts = np.diff(labels.starts)[owners]
        rows = np.concatenate([np.arange(labels.starts[o], labels.starts[o + 1]) for o in owners])
        digests: Digests = labels.digests[rows]
        yield Block(
            owners=labels.owners[owners], counts=counts, marks=labels.marks[rows], digests=digests,
            vectors=self._numbers(start, stop)[rows - start],
        )  # fmt: skip

    def _numbers(self, start: int, stop: int) -> Halves:
        return indexes.numbers(self.index, start, stop) if self.stored is None else self.stored[start:stop]


Shelf = tuple[Segment, ...]
"""All segments of one space and kind, the largest first."""


def flat_segments(kind: str, blocks: Sequence[Block]) -> list[Segment]:
    """Segments of these subjects that are compared in full, none much larger than such a one should be."""
    made: list[Segment] = []
    pending: list[Block] = []
    rows = 0
    for one in blocks:
        if pending and rows + len(one.marks) > indexes.COARSE_FROM:
            made.append(_flat(kind, pending))
            pending, rows = [], 0
        pending.append(one)
        rows += len(one.marks)
    return [*made, _flat(kind, pending)] if pending else made


def changed(shelf: Shelf, kind: str, replaced: Sequence[str], blocks: Sequence[Block]) -> Shelf:
    """A shelf in which these subjects have these vectors and no others; the old shelf stays as it is."""
    kept = [segment for old in shelf if (segment := old.without(replaced)).living]
    return _merged_at_once([*kept, *flat_segments(kind, blocks)])


def blocks_of(rows: Sequence[VectorRow]) -> list[Block]:
    """The rows of some subjects of one space and kind, each subject's together."""
    groups: dict[str, list[VectorRow]] = {}
    for row in rows:
        groups.setdefault(row.subject, []).append(row)
    return [block(list(groups.values()))] if groups else []


def dimension(shelf: Shelf) -> int:
    """How many numbers the vectors of a shelf have."""
    return shelf[0].dimension


def to_merge(shelf: Shelf) -> Shelf:
    """Large segments that should become one, too alike in size or more dead than alive; or none."""
    groups: list[list[Segment]] = []
    for segment in sorted((s for s in shelf if not s.small), key=lambda segment: -segment.living):
        groups.append([segment])
        while len(groups) > 1 and _living(groups[-2]) < GROWTH * _living(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    return next((tuple(group) for group in groups if len(group) > 1 or _worn(group[0])), ())


def swapped(shelf: Shelf, old: Sequence[Segment], made: Sequence[Segment]) -> Shelf:
    """A shelf with other segments instead of those that were ``old`` in an earlier state of it.

    What went since then is gone in the new ones as well.
    """
    now = {id(segment.index): segment for segment in shelf}
    gone: list[str] = []
    for segment in old:
        left = now.pop(id(segment.index), None)
        gone += set(segment.subjects()) - set(left.subjects() if left else ())
    kept = [segment for one in made if (segment := one.without(gone)).living]
    return tuple(sorted([*now.values(), *kept], key=lambda segment: -segment.living))


def _merged_at_once(segments: Sequence[Segment]) -> Shelf:
    """Merge small segments that are alike in size, and rebuild those that are more dead than alive."""
    kept: list[Segment] = []
    for segment in sorted((s for s in segments if s.small), key=lambda segment: -segment.living):
        kept.append(_joined([segment]) if _half_dead(segment) else segment)
        while len(kept) > 1 and kept[-2].small and kept[-2].living < GROWTH * kept[-1].living:
            last = kept.pop()
            kept.append(_joined([kept.pop(), last]))
    large = (segment for segment in segments if not segment.small)
    return tuple(sorted([*large, *kept], key=lambda segment: -segment.living))


def _living(segments: Sequence[Segment]) -> int:
    return sum(segment.living for segment in segments)


def _worn(segment: Segment) -> bool:
    return segment.stale or _half_dead(segment)


def _half_dead(segment: Segment) -> bool:
    return 2 * segment.living < len(segment.labels)


def _joined(segments: Sequence[Segment]) -> Segment:
    return _flat(segments[0].kind, [one for segment in segments for one in segment.blocks()])


def _flat(kind: str, blocks: Sequence[Block]) -> Segment:
    vectors = np.concatenate([one.vectors for one in blocks])
    return Segment(
        kind=kind, index=indexes.flat(kind, vectors), stored=None, labels=Columns.of(blocks),
        living=len(vectors),
    )  # fmt: skip
