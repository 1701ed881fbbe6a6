"""Who runs a job: one owner, by a token in the database, and what tells that an owner's process has died.

The token fences: whatever an owner writes down, publishes or ends is refused once another token stands in
the job's row. How the death of a process is known has two implementations: `LockFiles` on one machine, and
`registry.leases.Leases` on several.
"""

import contextlib
import os
import threading
import weakref
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Row, Select, select

from registry.errors import JobNotOwned, NotFound
from registry.locks import make_folder, release, try_acquire
from registry.tables import job
from registry.types import JobState

LOCK_SUFFIX: Final = ".lock"


class Ownership(Protocol):
    """How a process comes to run a job, and how others know that it does not live any more."""

    @property
    def worker(self) -> str | None:
        """What stands in a job's row beside the token; None where the row does not say who lives."""
        ...

    def free(self, query: Select[Any]) -> Select[Any]:
        """Narrow a query of open jobs down to those that no living process seems to have."""
        ...

    def reach(self, job_id: str) -> bool:
        """Before the write transaction that takes a job: False if it is not to be had."""
        ...

    def claim(self, conn: Connection, row: Row[Any]) -> bool:
        """Inside of it: False if a living process has the job."""
        ...

    def check(self, job_id: str) -> None:
        """Raise JobNotOwned where this process has to take itself for dead; asks no database."""
        ...

    def let_go(self, job_id: str, *, ended: bool = False) -> None:
        """Have a job no more, whose row says so; ``ended``: and nobody ever will."""
        ...

    def leave(self, job_id: str, token: str) -> None:
        """Have a job no more, as if this process had died; its row may still say otherwise."""
        ...

    def close(self) -> None:
        """Have no job any more, as if this process had died."""
        ...


class LockFiles:
    """A job is had by who holds its lock file; the kernel drops the lock when the process dies."""

    worker: None = None

    def __init__(self, folder: Path) -> None:
        """Use ``folder`` (made if missing), on a local file system. Raises: RegistryUnusable."""
        self._folder = folder
        self._held: dict[str, int] = {}
        self._guard = threading.Lock()
        make_folder(folder)
        _forget_in_children(self)

    def free(self, query: Select[Any]) -> Select[Any]:
        """Whether a lock is held is known when it is tried; those of this process need not be."""
        return query.where(job.c.id.not_in(list(self._held)))

    def reach(self, job_id: str) -> bool:
        """Take the lock."""
        with self._guard:
            if job_id in self._held:
                return False
            fd = try_acquire(self._folder / f"{job_id}{LOCK_SUFFIX}")
            if fd is not None:
                self._held[job_id] = fd
            return fd is not None

    def claim(self, conn: Connection, row: Row[Any]) -> bool:
        """Whoever has the lock has the job."""
        return True

    def check(self, job_id: str) -> None:
        """Raise JobNotOwned if the lock was dropped."""
        if job_id not in self._held:
            raise not_owned(job_id)

    def let_go(self, job_id: str, *, ended: bool = False) -> None:
        """Drop the lock, and delete the file of a job that has ended."""
        with self._guard:
            fd = self._held.pop(job_id, None)
            if fd is None:
                return
            if ended:
                (self._folder / f"{job_id}{LOCK_SUFFIX}").unlink(missing_ok=True)
            release(fd)

    def leave(self, job_id: str, token: str) -> None:
        """Drop the lock."""
        self.let_go(job_id)

    def close(self) -> None:
        """Drop all locks."""
        for job_id in list(self._held):
            self.let_go(job_id)

    def _forget(self) -> None:
        """In a forked child: drop the inherited descriptors, or the child would keep the locks alive."""
        for fd in self._held.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self._held, self._guard = {}, threading.Lock()


def _forget_in_children(locks: LockFiles) -> None:
    weak = weakref.ref(locks)

    def forget() -> None:
        alive = weak()
        if alive is not None:
            alive._forget()

    os.register_at_fork(after_in_child=forget)


def row_of(conn: Connection, job_id: str) -> Row[Any]:
    """The row of a job. Raises: NotFound."""
    row = conn.execute(select(job).where(job.c.id == job_id)).first()
    if row is None:
        raise NotFound(f"There is no job {job_id}.")
    return row


def demand(conn: Connection, job_id: str, owner: str | None) -> Row[Any]:
    """The row of an open job, for its owner. Raises: NotFound; JobNotOwned for anybody else."""
    row = row_of(conn, job_id)
    demand_token(row, owner)
    if row.state != JobState.OPEN:
        raise JobNotOwned(f"The job {job_id} is {row.state}; submit a new one.")
    return row


def demand_token(row: Row[Any], owner: str | None) -> None:
    """Raise JobNotOwned unless this is the token of the job's owner."""
    if owner is None or row.owner != owner:
        raise not_owned(row.id)


def not_owned(job_id: str) -> JobNotOwned:
    """What somebody is told who does not run the job."""
    return JobNotOwned(f"The job {job_id} is run by another process; wait for it.")
