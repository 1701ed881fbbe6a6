"""Ownership of jobs over several machines: a process that gives no sign of life loses its jobs.

1. A process that runs jobs has a row, and says now and then, by the database's own clock, that it lives.
2. Whoever wants a job of a process that has been silent for longer than its lease first writes down that the
   process has ended. That is one conditional update: one of two wins, and a late sign of life finds it done.
3. A process that was taken for dead stays dead. It goes on under another id, without its jobs.
4. A process that cannot give signs of life stops its own work before its lease is over (`check`). Where it
   cannot know, since it was stopped itself, the job's token fences off all that it still writes.
"""

import contextlib
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Select, or_, select

from registry.db import beside, seconds_now, write
from registry.errors import RegistryBusy, RegistryError
from registry.ids import new_id
from registry.owners import not_owned
from registry.tables import job
from registry.tables_workers import worker

LEASE_SECONDS: Final = 15.0
SIGNS: Final = 5  # of life, within one lease
KEPT_SECONDS: Final = 7 * 24 * 3600.0  # for which the rows of ended processes are kept
CLOSE_SECONDS: Final = 5.0  # that a sign of life which is under way is waited for
MAX_HOST: Final = 200


class Leases:
    """The jobs of one process, had for as long as it gives signs of life; it begins to with its first job."""

    def __init__(self, engine: Engine, clock: Callable[[], str], lease: float = LEASE_SECONDS) -> None:
        """``lease``: seconds of silence after which others take this process for dead."""
        self._engine, self._clock, self._lease = engine, clock, lease
        self._now: Any = seconds_now(engine.dialect.name)
        self._start_over()
        weak = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _start_over(weak))

    def _start_over(self) -> None:
        self._id: str | None = None
        self._sure_until = 0.0  # on the monotonic clock
        self._had: dict[str, str | None] = {}  # job -> under which id
        self._left: set[str] = set()  # tokens whose rows do not say yet that the job was left
        self._guard, self._beginning = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def worker(self) -> str | None:
        """The id of this process in the database, once it has one."""
        return self._id

    def free(self, query: Select[Any]) -> Select[Any]:
        """Open jobs of nobody, or of a process that has ended or been silent for too long."""
        silent = worker.c.seen_at + worker.c.lease < self._now
        gone = or_(worker.c.id.is_(None), worker.c.ended_at.is_not(None), silent)
        return query.outerjoin_from(job, worker, worker.c.id == job.c.worker).where(gone)

    def reach(self, job_id: str) -> bool:
        """Be known to the database. Raises: RegistryError."""
        self._begin()
        with self._guard:
            self._had[job_id] = self._id
        return True

    def claim(self, conn: Connection, row: Row[Any]) -> bool:
        """Whether nobody has the job; a process that was silent for too long is written down as ended."""
        own = select(worker.c.id).where(worker.c.id == self._id, worker.c.ended_at.is_(None))
        if conn.execute(own).first() is None:
            self._lose(self._id)
            raise RegistryBusy("This process was taken for dead, having been silent too long; try again.")
        if row.worker is None:
            return True
        theirs = worker.c.id == row.worker
        silent = worker.c.seen_at + worker.c.lease < self._now
        conn.execute(
            worker.update().where(theirs, worker.c.ended_at.is_(None), silent).values(ended_at=self._now)
        )
        living = select(worker.c.id).where(theirs, worker.c.ended_at.is_(None))
        return conn.execute(living).first() is None

    def check(self, job_id: str) -> None:
        """Raise JobNotOwned if the lease may be over before the next sign of life (4)."""
        with self._guard:
            known = self._id is not None and self._had.get(job_id) == self._id
            if not known or time.monotonic() > self._sure_until:
                raise not_owned(job_id)

    def let_go(self, job_id: str, *, ended: bool = False) -> None:
        """The row says that nobody has the job."""
        with self._guard:
            self._had.pop(job_id, None)

    def leave(self, job_id: str, token: str) -> None:
        """Write down that nobody has the job; where that fails now, the next sign of life does it."""
        with self._guard:
            self._had.pop(job_id, None)
            self._left.add(token)
        with contextlib.suppress(RegistryError):
            self._write_left()

    def close(self) -> None:
        """End this process's row; it may begin again, under another id."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
        ended = self._id
        self._start_over()
        if ended is not None:
            with contextlib.suppress(RegistryError), beside(self._engine) as conn:  # else its lease ends it
                mine = worker.update().where(worker.c.id == ended, worker.c.ended_at.is_(None))
                conn.execute(mine.values(ended_at=self._now))

    def _begin(self) -> None:
        """Have a row and give signs of life, unless that is so."""
        with self._beginning:
            if self._id is None:
                made, asked = new_id(self._clock()), time.monotonic()
                row = {"id": made, "host": socket.gethostname()[:MAX_HOST] or "unknown", "pid": os.getpid()}
                times = {"lease": self._lease, "started_at": self._now, "seen_at": self._now}
                with write(self._engine) as conn:
                    conn.execute(worker.insert().values(**row, **times))
                    self._forget_old(conn)
                with self._guard:
                    self._id = made
                self._seen(made, asked)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_keep_living, args=(weakref.ref(self), self._closing, self._lease / SIGNS),
                    name="leases", daemon=True,
                )  # fmt: skip
                self._thread.start()

    def _forget_old(self, conn: Connection) -> None:
        """Delete rows of processes that ended long ago and have no job in their name."""
        theirs = select(job.c.id).where(job.c.worker == worker.c.id).exists()
        old = worker.c.ended_at < self._now - KEPT_SECONDS
        conn.execute(worker.delete().where(old, ~theirs))

    def live(self) -> None:
        """Give one sign of life, if this process is known. Raises: RegistryError."""
        mine, asked = self._id, time.monotonic()
        if mine is None:
            return
        with beside(self._engine) as conn:
            here = worker.update().where(worker.c.id == mine, worker.c.ended_at.is_(None))
            alive = conn.execute(here.values(seen_at=self._now)).rowcount == 1
        if alive:
            self._seen(mine, asked)
            self._write_left()
        else:
            self._lose(mine)  # (3)

    def _seen(self, mine: str, asked: float) -> None:
        """Others wait at least a lease from the moment at which this was asked for; one sign less is sure."""
        with self._guard:
            if self._id == mine:
                self._sure_until = asked + self._lease * (SIGNS - 1) / SIGNS

    def _lose(self, mine: str | None) -> None:
        with self._guard:
            if self._id == mine:
                self._id, self._left = None, set()

    def _write_left(self) -> None:
        with self._guard:
            mine, left = self._id, list(self._left)
        if left:
            with beside(self._engine) as conn:
                rows = job.update().where(job.c.worker == mine, job.c.owner.in_(left))
                conn.execute(rows.values(worker=None))
            with self._guard:
                self._left.difference_update(left)


def _start_over(weak: "weakref.ref[Leases]") -> None:
    """In a forked child: it has no job, and gives no signs of life for its parent."""
    alive = weak()
    if alive is not None:
        alive._start_over()


def _keep_living(weak: "weakref.ref[Leases]", closing: threading.Event, every: float) -> None:
    while not closing.wait(every):
        alive = weak()
        if alive is None:
            return
        with contextlib.suppress(RegistryError):  # `check` stops the work before the lease is over
            alive.live()
        del alive
