"""The whole registry into memory: segments from files where they hold, the rest from the database.

1. A file counts only if the log entry that it is as of is in this history of the log, with the same leaf.
2. Of its subjects those are taken that the log has not moved since, and whose vectors in all spaces and
   kinds are found in files; each space and kind from the newest file that has the subject.
3. All others are read from the database. What a file says of them is kept where it is the same, byte for
   byte, and replaced where it is not.
4. Files of which nothing is left are deleted; one of which the log moved more than a quarter of the subjects
   is written anew.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Event
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from registry import indexes, spaces
from registry.building import Builder, Order, check_stop, opened
from registry.columns import Owners
from registry.segment_files import About, Loaded, SegmentFiles, Stamps
from registry.segments import Segment
from registry.snapshot import Key, Snapshot, all_names, blocks, lean
from registry.subject_types import SubjectRecord
from registry.subjects import records
from registry.tables import log_entry

log = logging.getLogger("countermark.registry")


class Position(NamedTuple):
    """Where the log is; the leaf's hash tells one history from another."""

    seq: int
    leaf: bytes


START = Position(0, b"")


def leaf(conn: Connection, seq: int) -> bytes:
    """The hash of a log entry, empty where there is none."""
    return bytes(conn.execute(select(log_entry.c.leaf_hash).where(log_entry.c.seq == seq)).scalar() or b"")


def load(conn: Connection, now: Position, files: SegmentFiles | None, stop: Event) -> Snapshot:
    """The state of this transaction, which is at ``now``. Raises: Stopped, `registry.errors`."""
    loading = _Loading(now, files, stop)
    if files is not None:
        loading.read_files(conn, files)
    loading.read_database(conn)
    return loading.finished()


def about(key: Key, dimension: int, at: Position) -> About:
    """What a segment of this state holds."""
    return About(
        space=key[0], kind=key[1], dimension=dimension, seq=at.seq, leaf=at.leaf.hex(),
        library=indexes.library(),
    )  # fmt: skip


@dataclass(slots=True)
class _Loading:
    now: Position
    files: SegmentFiles | None
    stop: Event
    subjects: dict[str, SubjectRecord] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    segments: dict[Key, list[Segment]] = field(default_factory=lambda: defaultdict(list))
    builders: dict[Key, Builder] = field(default_factory=dict)
    unread: list[str] | None = None  # None: everything

    def read_files(self, conn: Connection, files: SegmentFiles) -> None:
        """Rules 1 and 2."""
        found = list(self._usable(conn, files))
        if not found:
            return
        records_now = {r.id: lean(r) for r in records(conn, vectors=False) if r.state == "active"}
        taken: dict[Key, set[str]] = defaultdict(set)
        have: dict[str, int] = defaultdict(int)
        wanted: dict[str, int] = {}
        for loaded in found:
            check_stop(self.stop)
            key = loaded.about.space, loaded.about.kind
            fresh, known = self._owners(loaded, records_now, taken[key])
            for owner, (count, total) in fresh.items():
                have[owner] += count
                wanted[owner] = total
            segment = self._opened(loaded, known)
            if segment is not None:
                taken[key] |= known
                self.segments[key].append(replace(segment, stale=4 * len(fresh) < 3 * len(known)))
            elif not known:
                files.remove(loaded.name)  # 4
        whole = {owner for owner, total in wanted.items() if have[owner] == total}
        self.subjects = {owner: records_now[owner] for owner in whole}
        self.unread = [owner for owner in records_now if owner not in whole]

    def _usable(self, conn: Connection, files: SegmentFiles) -> Iterator[Loaded]:
        retired = spaces.retired(conn)
        for loaded in files.load(indexes.library()):
            check_stop(self.stop)
            seq = loaded.about.seq
            if loaded.about.space in retired:
                files.remove(loaded.name)
            elif seq <= self.now.seq and leaf(conn, seq).hex() == loaded.about.leaf:
                yield loaded
            elif seq <= self.now.seq:
                log.warning("the segment %s of the index is of another history; it is deleted", loaded.name)
                files.remove(loaded.name)

    @staticmethod
    def _owners(
        loaded: Loaded, now: dict[str, SubjectRecord], taken: set[str]
    ) -> tuple[dict[str, tuple[int, int]], set[str]]:
        """Subjects of a file with the number of its rows and of all their vectors; and all it may be for."""
        counts = np.diff(loaded.labels.starts).tolist()
        seqs, totals = loaded.stamps.seqs.tolist(), loaded.stamps.totals.tolist()
        fresh: dict[str, tuple[int, int]] = {}
        known: set[str] = set()
        for place, raw in enumerate(loaded.labels.owners.tolist()):
            owner = raw.decode()
            record = now.get(owner)
            if record is not None and owner not in taken:
                known.add(owner)
                if record.seq == seqs[place]:
                    fresh[owner] = counts[place], totals[place]
        return fresh, known

    @staticmethod
    def _opened(loaded: Loaded, known: set[str]) -> Segment | None:
        if not known:
            return None
        try:
            segment = opened(loaded)
        except RuntimeError as error:  # FAISS's own
            log.warning("the segment %s of the index is not used: %s", loaded.name, error)
            return None
        dropped = [owner for raw in loaded.labels.owners.tolist() if (owner := raw.decode()) not in known]
        return segment.without(dropped)

    def read_database(self, conn: Connection) -> None:
        """Rule 3."""
        everything = self.unread is None
        for record in records(conn) if everything else records(conn, self.unread):
            if record.state != "active":
                continue
            self.subjects[record.id] = lean(record)
            self.totals[record.id] = len(record.vectors)
            now = blocks(record)
            for key, segments in self.segments.items():
                held = [segment.holds(record.id, now.get(key)) for segment in segments]
                if True in held:
                    del now[key]
                elif False in held:
                    self.segments[key] = [segment.without([record.id]) for segment in segments]
            for key, fresh in now.items():
                self._builder(key, fresh.vectors.shape[1]).add(fresh)

    def _builder(self, key: Key, dimension: int) -> Builder:
        if key not in self.builders:
            self.builders[key] = Builder(
                Order(
                    about=about(key, dimension, self.now), stamps=self._stamps, files=self.files,
                    stop=self.stop,
                )
            )  # fmt: skip
        return self.builders[key]

    def _stamps(self, owners: Owners) -> Stamps:
        ids = [owner.decode() for owner in owners.tolist()]
        return Stamps(
            seqs=np.array([self.subjects[one].seq for one in ids], np.int64),
            totals=np.array([self.totals[one] for one in ids], np.int32),
        )

    def finished(self) -> Snapshot:
        """Everything that was read, as a snapshot."""
        try:
            for key, builder in self.builders.items():
                self.segments[key] += builder.finish()
        finally:
            for builder in self.builders.values():
                builder.close()
        for segments in self.segments.values():
            for segment in segments:
                if not segment.living and segment.file and self.files is not None:
                    self.files.remove(segment.file)  # 4
        shelves = {
            key: tuple(sorted((s for s in segments if s.living), key=lambda s: -s.living))
            for key, segments in self.segments.items()
        }
        shelves = {key: shelf for key, shelf in shelves.items() if shelf}
        return Snapshot(self.now.seq, self.subjects, all_names(self.subjects.values()), shelves)
