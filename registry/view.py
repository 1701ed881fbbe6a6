"""Names and vectors of everything in force, to compare with: a view in memory that follows the log.

1. Whoever compares asks for the current state; the database is asked each time whether it moved.
2. What changed since is read in one transaction, so that position and rows belong together.
3. The next snapshot is made beside the old one; whoever still searches in the old one is not disturbed.
4. A database that went back, or has another history, is read anew from the beginning.
5. What cannot be read raises: nothing is compared with a state that may be too old.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from registry import log
from registry.db import read
from registry.segments import Shelf, changed, dimension
from registry.subject_types import NameRow, SubjectRecord, VectorRow
from registry.subjects import records
from registry.tables import log_entry
from registry.vectors import VectorMatch, Vectors, best, checked, marked

_Key = tuple[str, str]
_Shelves = dict[_Key, Shelf]


class Snapshot:
    """What is in force as of log position ``seq``. Immutable; any number of threads may search in it."""

    def __init__(
        self,
        seq: int,
        subjects: dict[str, SubjectRecord],
        names: tuple[NameRow, ...],
        shelves: _Shelves,
    ) -> None:
        self._seq, self._subjects, self._names, self._shelves = seq, subjects, names, shelves

    @property
    def seq(self) -> int:
        """The last log entry that can change a verdict; 0 when there is none."""
        return self._seq

    @property
    def names(self) -> tuple[NameRow, ...]:
        """All names in force. As long as none changes, it is the same object in all later snapshots."""
        return self._names

    @property
    def subjects(self) -> Mapping[str, SubjectRecord]:
        """All subjects in force by id, without their vectors."""
        return MappingProxyType(self._subjects)

    def spaces(self) -> frozenset[str]:
        """The spaces in which there are vectors."""
        return frozenset(space for space, _kind in self._shelves)

    def strangers(self, kinds: Collection[str], spaces: Collection[str]) -> frozenset[str]:
        """Subjects that have vectors of `kinds`, but in none of `spaces`: what is seen there misses them."""
        keys = [key for key in self._shelves if key[1] in kinds]
        elsewhere = self._living(key for key in keys if key[0] not in spaces)
        return elsewhere - self._living(key for key in keys if key[0] in spaces) if elsewhere else elsewhere

    def _living(self, keys: Iterable[_Key]) -> frozenset[str]:
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
        shelves = [self._shelves.get((space, kind), ()) for kind in dict.fromkeys(kinds)]
        for shelf in shelves if len(vectors) else ():
            queries = checked(vectors, dimension(shelf)) if shelf else vectors
            for segment in shelf:
                for matches, more in zip(found, segment.search(queries, neighbours), strict=True):
                    matches += more
        return marked([best(matches, neighbours) for matches in found], self._subjects)

    def advanced(self, seq: int, news: Iterable[SubjectRecord]) -> "Snapshot":
        """The snapshot of ``seq``, when ``news`` are all subjects that changed since this one."""
        rows: dict[_Key, list[VectorRow]] = defaultdict(list)
        subjects, replaced, renamed = dict(self._subjects), set[str](), False
        for record in news:
            before = subjects.pop(record.id, None)
            renamed |= (before.names if before else ()) != record.names
            if before is not None:
                replaced.add(record.id)
            if record.state == "active":
                for row in record.vectors:
                    rows[row.space, row.kind].append(row)
                subjects[record.id] = replace(record, vectors=())
        names = tuple(n for record in subjects.values() for n in record.names) if renamed else self._names
        return Snapshot(seq, subjects, names, _advanced(self._shelves, replaced, rows))


EMPTY: Final = Snapshot(0, {}, (), {})


def _advanced(shelves: _Shelves, replaced: set[str], rows: dict[_Key, list[VectorRow]]) -> _Shelves:
    touched = rows.keys() | (shelves.keys() if replaced else ())
    made = {key: changed(shelves.get(key, ()), key[1], replaced, rows.get(key, ())) for key in touched}
    return {key: shelf for key, shelf in (shelves | made).items() if shelf}


class _Position(NamedTuple):
    """Where the log is; the leaf's hash tells one history from another."""

    seq: int
    leaf: bytes


_START: Final = _Position(0, b"")


class View:
    """Follows one database. One for a process: it holds every registered vector in memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = Lock()
        self._state = (_START, EMPTY)

    def current(self) -> Snapshot:
        """Return the state of the registry as it is now.

        Raises `RegistryError` when the database cannot be read or holds what cannot be compared.
        """
        with read(self._engine) as conn:  # 1
            now = _position(conn)
        at, snapshot = self._state
        return snapshot if at == now else self._follow()

    def _follow(self) -> Snapshot:
        with self._writing, read(self._engine) as conn:  # 2
            now, (at, snapshot) = _position(conn), self._state
            if at != now:
                base = snapshot if _leads_to(conn, at, now) else EMPTY  # 4
                snapshot = base.advanced(now.seq, records(conn, after_seq=base.seq))
                self._state = (now, snapshot)  # 3
            return snapshot


def _position(conn: Connection) -> _Position:
    seq = log.registry_seq(conn)
    return _Position(seq, _leaf(conn, seq)) if seq else _START


def _leads_to(conn: Connection, at: _Position, now: _Position) -> bool:
    """Whether the state at ``at`` is part of this history."""
    return at.seq <= now.seq and (at == _START or _leaf(conn, at.seq) == at.leaf)


def _leaf(conn: Connection, seq: int) -> bytes:
    return bytes(conn.execute(select(log_entry.c.leaf_hash).where(log_entry.c.seq == seq)).scalar() or b"")
