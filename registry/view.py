"""Names and vectors of everything in force, to compare with: a view in memory that follows the log.

1. Whoever compares asks for the current state; the database is asked each time whether it moved.
2. What changed since is read in one transaction, so that position and rows belong together.
3. The next snapshot is made beside the old one; whoever still searches in the old one is not disturbed.
4. A database that went back, or has another history, is read anew from the beginning.
5. What cannot be read raises: nothing is compared with a state that may be too old.
6. A view that does not catch up in time raises `RegistryBehind`: the caller holds, the view goes on.
7. What is large is merged beside all this, and swapped in when it is ready; a change made meanwhile counts.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from threading import Event, Lock, Thread, current_thread
from time import monotonic
from typing import Final

import numpy as np
from sqlalchemy import Connection, Engine

from registry import log, segments, spaces
from registry.building import Order, Stopped, check_stop, merged
from registry.columns import Owners
from registry.db import glance, read
from registry.errors import RegistryBehind
from registry.loading import START, Position, about, leaf, load
from registry.names import Layer, Prepare
from registry.segment_files import SegmentFiles, Stamps
from registry.snapshot import EMPTY, Key, Snapshot
from registry.subjects import records

__all__ = ["EMPTY", "Snapshot", "View"]

BEHIND_SECONDS: Final = 2.0
"""How far behind the log a view may be before it refuses to answer."""
LOADING_SECONDS: Final = 180.0
"""How long a caller waits for the first state of all, which nothing can be answered without."""
BATCH: Final = 500  # subjects that are brought up to date at a time
NAMES: Final = "names"

logger = logging.getLogger("countermark.registry")


class View:
    """Follows one database. One for a process: it holds every registered vector in memory.

    ``folder``: where large segments are kept, so that the next start is quick; ``prepare``: indexes the
    names of a layer, off-line; ``behind``, ``loading``: the two limits, in seconds.
    """

    def __init__(
        self, engine: Engine, folder: Path | None = None, *, prepare: Prepare | None = None,
        behind: float | None = None, loading: float = LOADING_SECONDS,
    ) -> None:  # fmt: skip
        self._engine, self._prepare = engine, prepare
        self._files = SegmentFiles(folder) if folder is not None else None
        self._limits = BEHIND_SECONDS if behind is None else behind, loading
        self._state = (START, EMPTY)
        self._loaded = False
        self._swap = Lock()  # held while the state is replaced
        self._starting = Lock()  # held while a thread is started
        self._following: Future[Snapshot] | None = None
        self._merging: Thread | None = None
        self._threads: set[Thread] = set()
        self._stop = Event()

    def current(self) -> Snapshot:
        """Return the state of the registry as it is now.

        Raises `RegistryError` when the database cannot be read or holds what cannot be compared, and
        `RegistryBehind` when this view could not catch up in time.
        """
        with glance(self._engine) as conn:  # 1
            now = _position(conn)
        until = monotonic() + self._limits[not self._loaded]
        while True:
            at, snapshot = self._state
            if at == now:
                return snapshot
            task, ours = self._follower()
            try:
                found = task.result(max(0.0, until - monotonic()))
            except TimeoutError:
                raise RegistryBehind(  # 6
                    f"This process has not caught up with the registry's last change (entry {now.seq}) yet; "
                    "try again in a moment."
                ) from None
            if ours:  # it began after we asked
                return found

    @property
    def followed(self) -> int:
        """The position that the last answer was about."""
        return self._state[0].seq

    def settle(self, seconds: float) -> bool:
        """Wait until nothing goes on beside; whether that is so. For whoever measures."""
        until = monotonic() + seconds
        while (threads := self._running()) and monotonic() < until:
            threads[0].join(max(0.0, until - monotonic()))
        return not self._running()

    def close(self) -> None:
        """Stop what goes on beside. What was asked before ends with an error."""
        self._stop.set()
        for thread in self._running():
            if thread is not current_thread():
                thread.join()

    def _running(self) -> tuple[Thread, ...]:
        with self._starting:  # whatever is in the set has been started
            return tuple(self._threads)

    def _follower(self) -> tuple["Future[Snapshot]", bool]:
        """The work that catches up, and whether it was begun just now."""
        with self._starting:
            if self._following is not None:
                return self._following, False
            task = self._following = Future()
            self._start(lambda: self._follow(task))
            return task, True

    def _follow(self, task: "Future[Snapshot]") -> None:
        try:
            snapshot = self._caught_up()
        except Stopped:
            error: BaseException = RegistryBehind("The view of the registry was closed.")
        except BaseException as raised:  # noqa: BLE001 - it is raised where somebody waits
            error = raised
        else:
            self._ended(lambda: task.set_result(snapshot))
            self._merge_beside()
            return
        self._ended(lambda: task.set_exception(error))

    def _ended(self, tell: Callable[[], None]) -> None:
        with self._starting:
            self._following = None
        tell()

    def _caught_up(self) -> Snapshot:
        with read(self._engine) as conn:  # 2
            now, (at, snapshot) = _position(conn), self._state
            if at == now:
                return snapshot
            if not self._loaded or not _leads_to(conn, at, now):  # 4
                snapshot = load(conn, now, self._files, self._stop)
                if self._prepare is not None:
                    for part in snapshot.names.parts:
                        self._prepare(part.layer)
                with self._swap:
                    self._state = (now, snapshot)
                self._loaded = True
                return snapshot
            with self._swap:
                snapshot = self._state[1].without(spaces.retired(conn))
                news = records(conn, after_seq=at.seq, vectors=False)
                while batch := list(islice(news, BATCH)):
                    check_stop(self._stop)
                    own = [record.id for record in batch if record.seq > at.seq]
                    # The rest are under a portfolio that changed: their names and vectors are as they were.
                    snapshot = snapshot.under(record for record in batch if record.seq <= at.seq)
                    snapshot = snapshot.advanced(now.seq, records(conn, own))
                self._state = (now, snapshot.at(now.seq))  # 3
                return self._state[1]

    def _merge_beside(self) -> None:
        """Begin to merge what is large, if there is anything and nobody does."""
        with self._starting:
            if self._merging is None and not self._stop.is_set() and _next(self._state[1]) is not None:
                self._merging = self._start(self._merge)

    def _merge(self) -> None:
        try:
            while (key := _next(self._state[1])) is not None:  # 7
                if isinstance(key, str):
                    self._merge_names()
                else:
                    self._merge_segments(key)
        except Stopped:
            pass
        except Exception:
            logger.exception("the index could not be merged; it is tried again after the next change")
        finally:
            with self._starting:
                self._merging = None

    def _merge_names(self) -> None:
        old = self._state[1].names.to_merge()
        layer = Layer([name for part in old for name in part.living()])
        if self._prepare is not None:
            self._prepare(layer)
        check_stop(self._stop)
        with self._swap:
            at, snapshot = self._state
            if all(any(part.layer is now.layer for now in snapshot.names.parts) for part in old):
                self._state = (at, snapshot.with_names(snapshot.names.merged(old, layer)))

    def _merge_segments(self, key: Key) -> None:
        at, snapshot = self._state
        old = segments.to_merge(snapshot.shelves.get(key, ()))
        if not old:
            return
        order = Order(
            about=about(key, old[0].dimension, at), files=self._files, stop=self._stop,
            stamps=lambda owners: _stamps(snapshot, owners),
        )  # fmt: skip
        made = merged(order, old)
        with self._swap:
            at, snapshot = self._state
            shelf = snapshot.shelves.get(key, ())
            there = {id(segment.index) for segment in shelf}
            # One that is not there any more lost its last subject; all of them: the registry was read anew.
            holds = any(id(segment.index) in there for segment in old)
            if holds:
                self._state = (at, snapshot.with_shelf(key, segments.swapped(shelf, old, made)))
        for segment in old if holds else made:
            if segment.file and self._files is not None:
                self._files.remove(segment.file)

    def _start(self, work: Callable[[], None]) -> Thread:
        """Begin work beside; whoever calls holds `_starting`."""

        def run() -> None:
            try:
                work()
            finally:
                self._threads.discard(thread)

        thread = Thread(target=run, name="countermark-view")
        self._threads.add(thread)
        thread.start()
        return thread


def _next(snapshot: Snapshot) -> Key | str | None:
    """What is to be merged: names, or the segments of a space and kind."""
    if snapshot.names.to_merge():
        return NAMES
    return next((key for key, shelf in snapshot.shelves.items() if segments.to_merge(shelf)), None)


def _stamps(snapshot: Snapshot, owners: Owners) -> Stamps:
    totals = {owner.decode(): 0 for owner in owners.tolist()}
    for shelf in snapshot.shelves.values():
        for segment in shelf:
            for subject, count in segment.counts():
                if subject in totals:
                    totals[subject] += count
    return Stamps(
        seqs=np.array([snapshot.subjects[subject].seq for subject in totals], np.int64),
        totals=np.array(list(totals.values()), np.int32),
    )


def _position(conn: Connection) -> Position:
    found = log.position(conn)
    return START if found is None else Position(*found)


def _leads_to(conn: Connection, at: Position, now: Position) -> bool:
    """Whether the state at ``at`` is part of this history."""
    return at.seq <= now.seq and (at == START or leaf(conn, at.seq) == at.leaf)
