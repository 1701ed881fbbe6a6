"""What is in force at one position of the log: subjects, names and vectors. Immutable."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from os import cpu_count
from sys import intern
from types import MappingProxyType
from typing import Final, NamedTuple

from registry.columns import Block, block
from registry.names import Layer, Names, Part
from registry.segments import Segment, Shelf, changed, dimension
from registry.subject_types import NameRow, SubjectRecord, VectorRow
from registry.vectors import Rows, VectorMatch, Vectors, best, checked, joined, marked

Key = tuple[str, str]
"""Space and kind."""
Shelves = dict[Key, Shelf]

SHARED_FROM: Final = 4_000_000
"""Rows times queries; a search of more is shared between threads. One of so many takes 40 ms."""
THREADS: Final = max(1, min(8, cpu_count() or 1))


class Snapshot:
    """What is in force as of log position ``seq``. Immutable; any number of threads may search in it."""

    def __init__(self, seq: int, subjects: dict[str, SubjectRecord], names: Names, shelves: Shelves) -> None:
        self._seq, self._subjects, self._names, self._shelves = seq, subjects, names, shelves
        self._strangers: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = {}

    @property
    def seq(self) -> int:
        """The last log entry that can change a verdict; 0 when there is none."""
        return self._seq

    @property
    def names(self) -> Names:
        """All names in force. As long as none changes, it is the same object in all later snapshots."""
        return self._names

    @property
    def subjects(self) -> Mapping[str, SubjectRecord]:
        """All subjects in force by id, without their vectors."""
        return MappingProxyType(self._subjects)

    @property
    def shelves(self) -> Mapping[Key, Shelf]:
        """The segments of each space and kind."""
        return MappingProxyType(self._shelves)

    def spaces(self) -> frozenset[str]:
        """The spaces in which there are vectors."""
        return frozenset(space for space, _kind in self._shelves)

    def strangers(self, kinds: Collection[str], spaces: Collection[str]) -> frozenset[str]:
        """Subjects that have vectors of `kinds`, but in none of `spaces`: what is seen there misses them."""
        asked = frozenset(kinds), frozenset(spaces)
        if asked not in self._strangers:
            keys = [key for key in self._shelves if key[1] in kinds]
            elsewhere = self._living(key for key in keys if key[0] not in spaces)
            if elsewhere:
                elsewhere -= self._living(key for key in keys if key[0] in spaces)
            self._strangers[asked] = elsewhere
        return self._strangers[asked]

    def _living(self, keys: Iterable[Key]) -> frozenset[str]:
        return frozenset(
            subject for key in keys for segment in self._shelves[key] for subject in segment.subjects()
        )

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> list[list[VectorMatch]]:
        """Return the nearest vectors of ``kinds`` in ``space`` for each of float32[n, d], best first.

        Raises ValueError for vectors of another size than the space's, or not made of numbers.
        """
        found: list[list[VectorMatch]] = [[] for _ in vectors]
        if not len(vectors):
            return found
        tasks: list[_Task] = []
        for shelf in (self._shelves.get((space, kind), ()) for kind in dict.fromkeys(kinds)):
            if shelf:
                queries = checked(vectors, dimension(shelf))
                tasks += [_Task(segment, start, part) for segment in shelf for start, part in _parts(queries)]
        for task, lines in zip(tasks, _searched(tasks, neighbours), strict=True):
            for place, line in enumerate(lines, start=task.start):
                found[place] += line
        return marked([best(matches, neighbours) for matches in found], self._subjects)

    def rows_of(self, space: str, kind: str, subjects: Sequence[str]) -> Rows:
        """All vectors of these subjects of a kind in a space: owners, ``float32[n, d]``, polarities.

        A subject's rows lie together.
        """
        return joined([segment.rows_of(subjects) for segment in self._shelves.get((space, kind), ())])

    def advanced(self, seq: int, news: Iterable[SubjectRecord]) -> "Snapshot":
        """The snapshot of ``seq``, when ``news`` are all subjects that changed since this one."""
        rows: dict[Key, list[Block]] = defaultdict(list)
        replaced: dict[Key, list[str]] = defaultdict(list)
        subjects, renamed, names = dict(self._subjects), set[str](), list[NameRow]()
        for record in news:
            before = subjects.pop(record.id, None)
            kept = lean(record) if record.state == "active" else None
            told = (before.names if before else ()), (kept.names if kept else ())
            if told[0] != told[1]:
                renamed |= {record.id} if told[0] else set()
                names += told[1]
            elif kept is not None and before is not None:
                kept = replace(kept, names=before.names)
            if kept is not None:
                subjects[record.id] = kept
            for key, groups in self._differing(record):
                replaced[key].append(record.id)
                rows[key] += groups
        made = {
            key: changed(self._shelves.get(key, ()), key[1], replaced[key], rows[key]) for key in replaced
        }
        shelves = {key: shelf for key, shelf in (self._shelves | made).items() if shelf}
        fresh = self._names.changed(renamed, names) if renamed or names else self._names
        return Snapshot(seq, subjects, fresh, shelves)

    def under(self, records: Iterable[SubjectRecord]) -> "Snapshot":
        """The same, in which these subjects in force are under other rules; names and vectors stay."""
        made = {one.id: replace(lean(one), names=self._subjects[one.id].names) for one in records}
        if not made:
            return self
        return Snapshot(self._seq, self._subjects | made, self._names, self._shelves)

    def _differing(self, record: SubjectRecord) -> Iterator[tuple[Key, list[Block]]]:
        """The keys in which a subject has other vectors than it had, with those that it has there now."""
        now = blocks(record) if record.state == "active" else {}
        for key in self._shelves.keys() | now.keys():
            fresh = now.get(key)
            held = (segment.holds(record.id, fresh) for segment in self._shelves.get(key, ()))
            known = next((same for same in held if same is not None), None)
            if known is False or (known is None and fresh is not None):
                yield key, [] if fresh is None else [fresh]

    def at(self, seq: int) -> "Snapshot":
        """The same at a later position, until which nothing of it has changed."""
        return self if seq == self._seq else Snapshot(seq, self._subjects, self._names, self._shelves)

    def without(self, spaces: Collection[str]) -> "Snapshot":
        """The same without the vectors of these spaces."""
        if not self.spaces() & frozenset(spaces):
            return self
        shelves = {key: shelf for key, shelf in self._shelves.items() if key[0] not in spaces}
        return Snapshot(self._seq, self._subjects, self._names, shelves)

    def with_names(self, names: Names) -> "Snapshot":
        """The same, with its names in other layers."""
        return Snapshot(self._seq, self._subjects, names, self._shelves)

    def with_shelf(self, key: Key, shelf: Shelf) -> "Snapshot":
        """The same, with its vectors of one space and kind in other segments."""
        shelves = {k: s for k, s in (self._shelves | {key: shelf}).items() if s}
        return Snapshot(self._seq, self._subjects, self._names, shelves)


EMPTY: Final = Snapshot(0, {}, Names(), {})


def blocks(record: SubjectRecord) -> dict[Key, Block]:
    """The vectors of a subject by space and kind. Raises: RegistryDamaged."""
    groups: dict[Key, list[VectorRow]] = defaultdict(list)
    for row in record.vectors:
        groups[row.space, row.kind].append(row)
    return {key: block([group]) for key, group in groups.items()}


def lean(record: SubjectRecord) -> SubjectRecord:
    """A subject without its vectors, in which texts that many have are there once."""
    names = tuple(
        replace(
            name, subject=record.id, tier=intern(name.tier), kind=intern(name.kind),
            language=intern(name.language),
        )
        for name in record.names
    )  # fmt: skip
    return replace(
        record, vectors=(), names=names, kind=intern(record.kind), owner=intern(record.owner),
        party=intern(record.party), mode=intern(record.mode), state=intern(record.state),
        standing=intern(record.standing),
    )  # fmt: skip


def all_names(subjects: Iterable[SubjectRecord]) -> Names:
    """The names of all these, in one layer."""
    layer = Layer([name for record in subjects for name in record.names])
    return Names([Part(layer)]) if len(layer) else Names()


class _Task(NamedTuple):
    """Queries from ``start`` on, to be searched for in one segment."""

    segment: Segment
    start: int
    queries: Vectors


def _parts(queries: Vectors) -> Iterator[tuple[int, Vectors]]:
    size = -(-len(queries) // THREADS)
    return ((start, queries[start : start + size]) for start in range(0, len(queries), size))


def _searched(tasks: Sequence[_Task], neighbours: int) -> Iterable[list[list[VectorMatch]]]:
    """What each finds. FAISS lets go of Python's lock, so that threads share a large search."""
    work = sum(len(task.segment.labels) * len(task.queries) for task in tasks)
    if len(tasks) > 1 and work > SHARED_FROM:
        return _pool().map(lambda task: task.segment.search(task.queries, neighbours), tasks)
    return (task.segment.search(task.queries, neighbours) for task in tasks)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "countermark-search")
