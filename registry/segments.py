"""Immutable pieces of a FAISS index, of which a view is made.

FAISS crashes when something is added during a search, so nothing is ever added: a change makes a new small
segment and marks what it replaces as dead in a copy of the old segment's bit map; searches that are under
way keep what they have. Small segments are merged into larger ones, each at least twice the next, so that
a vector is copied a number of times that grows with the logarithm of the registry's size.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from registry.subject_types import VectorRow
from registry.vectors import PORTRAIT, VectorMatch, Vectors, decoded

Alive = NDArray[np.bool_]

GROWTH: Final = 2  # a segment is at least so many times as large as the next one
THREADS: Final = 1  # two OpenMP threads on a busy host were 4 to 30 times slower than one


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """What is known of a vector besides its numbers."""

    subject: str
    reference: str
    polarity: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Vectors of one space and kind in one index. ``alive``: bool[n]; the rest of the rows was replaced."""

    kind: str
    index: Any
    labels: tuple[Label, ...]
    rows: dict[str, tuple[int, ...]]
    alive: Alive
    living: int

    def without(self, subjects: Collection[str]) -> "Segment":
        """The same without the vectors of these subjects."""
        dead = [row for subject in subjects for row in self.rows.get(subject, ()) if self.alive[row]]
        if not dead:
            return self
        alive = self.alive.copy()
        alive[dead] = False
        return Segment(
            kind=self.kind, index=self.index, labels=self.labels, rows=self.rows, alive=alive,
            living=self.living - len(dead),
        )  # fmt: skip

    def subjects(self) -> Iterator[str]:
        """Those of whom there are living vectors; those of one live or are dead together."""
        return (subject for subject, rows in self.rows.items() if self.alive[rows[0]])

    def search(self, queries: Vectors, neighbours: int) -> list[list[VectorMatch]]:
        """The nearest living vectors for each of the queries float32[n, d]."""
        faiss = _faiss()
        wanted = min(neighbours, self.living)
        if wanted <= 0:
            return [[] for _ in queries]
        chosen = None
        if self.living < len(self.labels):
            bits = np.packbits(self.alive, bitorder="little")
            chosen = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        values, found = self.index.search(queries, wanted, params=chosen)
        scores = -np.sqrt(np.maximum(values, 0)) if self.kind == PORTRAIT else values
        return [
            [self._match(int(row), float(score)) for row, score in zip(*line, strict=True) if row >= 0]
            for line in zip(found, scores, strict=True)
        ]

    def _match(self, row: int, score: float) -> VectorMatch:
        label = self.labels[row]
        return VectorMatch(
            subject=label.subject, reference=label.reference, kind=self.kind, polarity=label.polarity,
            score=score,
        )  # fmt: skip

    def living_part(self) -> tuple[Vectors, list[Label]]:
        """Numbers and labels of the rows that are alive."""
        vectors = self.index.reconstruct_n(0, len(self.labels))[self.alive]
        return vectors, [label for label, alive in zip(self.labels, self.alive, strict=True) if alive]


Shelf = tuple[Segment, ...]
"""All segments of one space and kind, the largest first."""


def changed(shelf: Shelf, kind: str, replaced: Collection[str], rows: Sequence[VectorRow]) -> Shelf:
    """A shelf in which these subjects have these vectors and no others; the old shelf stays as it is."""
    segments = [segment for old in shelf if (segment := old.without(replaced)).living]
    if rows:
        labels = [Label(row.subject, row.reference, row.polarity) for row in rows]
        segments.append(_built(kind, decoded(rows, rows[0].dimension), labels))
    return _merged(segments)


def dimension(shelf: Shelf) -> int:
    """How many numbers the vectors of a shelf have."""
    return int(shelf[0].index.d)


def _merged(segments: list[Segment]) -> Shelf:
    """Merge what is too alike in size, and rebuild what is more dead than alive."""
    kept: list[Segment] = []
    for segment in sorted(segments, key=lambda segment: -segment.living):
        kept.append(_joined([segment]) if 2 * segment.living < len(segment.labels) else segment)
        while len(kept) > 1 and kept[-2].living < GROWTH * kept[-1].living:
            small = kept.pop()
            kept.append(_joined([kept.pop(), small]))
    return tuple(kept)


def _joined(segments: Sequence[Segment]) -> Segment:
    parts = [segment.living_part() for segment in segments]
    labels = [label for _, part in parts for label in part]
    return _built(segments[0].kind, np.concatenate([vectors for vectors, _ in parts]), labels)


def _built(kind: str, vectors: Vectors, labels: Sequence[Label]) -> Segment:
    faiss = _faiss()
    flat = faiss.IndexFlatL2 if kind == PORTRAIT else faiss.IndexFlatIP
    index = flat(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, np.float32))
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label.subject, []).append(row)
    return Segment(
        kind=kind, index=index, labels=tuple(labels), living=len(labels),
        rows={subject: tuple(found) for subject, found in rows.items()}, alive=np.ones(len(labels), np.bool_),
    )  # fmt: skip


def _faiss() -> Any:
    """FAISS, imported when there are vectors at all; each thread has its own OpenMP setting."""
    import faiss

    faiss.omp_set_num_threads(THREADS)
    return faiss
