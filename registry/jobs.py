"""Durable jobs behind a port of three functions, submit, step and resume, and the end of a job.

A step's recorded result is returned on replay and the step is not run again. A process killed between
a step's effect and its record runs the effect twice: **effects must be idempotent** (content-addressed
names, UNIQUE columns). A job has one owner; ownership is a lock that the kernel drops when the
process dies, and a token in the database that fences off an owner who lost it all the same.
"""

import contextlib
import json
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from sqlalchemy import Connection, Engine, Row, select

from registry import decisions, holds, log
from registry.canonical import Json, JsonValue, stored
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.errors import JobNotOwned, KeyReused, NotFound
from registry.holds import AlsoHeld
from registry.ids import new_id
from registry.locks import make_folder, release, try_acquire
from registry.tables import job, job_step
from registry.types import DecisionLike, Job, JobState, Reason, ReasonLike

DEATHS_MAX: Final = 3
LOCK_SUFFIX: Final = ".lock"


class Jobs(Protocol):
    """The port. Another engine may stand behind it; no safety rests on it."""

    def submit(self, kind: str, key: str, inputs: Json) -> Job:
        """Accept a job once per key."""
        ...

    def step(self, job: Job, name: str, fn: Callable[[], JsonValue]) -> JsonValue:
        """Run a step at most once to a recorded result."""
        ...

    def resume(self) -> list[Job]:
        """Take over the jobs of dead processes."""
        ...

    def finish(
        self, job: Job, outcome: JobState, result: Json, *, reasons: Sequence[ReasonLike] = (),
        decided: DecisionLike | None = None, sign_checkpoint: NoteSigner | None = None,
        also_held: AlsoHeld = ...,
    ) -> Job:  # fmt: skip
        """Record how the job ended, as a workflow's return value does elsewhere."""
        ...


class LocalJobs:
    """Jobs of one machine, in the registry's database; liveness by lock files in ``locks``."""

    def __init__(self, engine: Engine, locks: Path, clock: Callable[[], str]) -> None:
        """Use ``locks`` (made if missing) for lock files and ``clock`` for UTC times, ISO 8601 with Z."""
        self._engine, self._locks, self._clock = engine, locks, clock
        self._held: dict[str, int] = {}
        self._guard = threading.Lock()
        make_folder(locks)
        _forget_in_children(self)

    def submit(self, kind: str, key: str, inputs: Json) -> Job:
        """Accept a job, or return the one that was accepted under this key.

        The returned ``owner`` is set when the caller may run it: the job is new, or its process died.
        `KeyReused` if the key was used for another kind or other inputs.
        """
        now = self._clock()
        fresh = new_id(now)
        try:
            with write(self._engine) as conn:
                known = _row(conn, job.c.key == key)
                if known is None:
                    self._lock(fresh)
                    _insert(conn, id=fresh, kind=kind, key=key, inputs=inputs, created_at=now)
                    made = self._own(conn, fresh)
        except BaseException:
            self._let_go(fresh, unlink=True)
            raise
        if known is None:
            return made
        if known.kind != kind or stored(known.inputs) != stored(inputs):
            raise KeyReused(f"The key {key!r} was used for another job; choose a new key.")
        return self._take_over(known.id) or self.get(known.id)

    def step(self, job: Job, name: str, fn: Callable[[], JsonValue]) -> JsonValue:
        """Return the recorded result of the step, running ``fn`` outside any transaction if there is none.

        An exception of ``fn`` passes through and records nothing; the caller decides (`finish`, or again).
        Steps of one job run one after another, in one thread.
        """
        with write(self._engine) as conn:
            row = _owned(conn, job)
            done = conn.execute(_step(job.id, name)).first()
            if done is not None:
                return _json(done.result)
            if row.current_step != name:
                _update(conn, job.id, current_step=name, deaths=0)
        result = stored(fn())
        with write(self._engine) as conn:
            _owned(conn, job)
            values = {"job_id": job.id, "name": name, "recorded_at": self._clock()}
            conn.execute(job_step.insert().values(**values, result=result))
            _update(conn, job.id, current_step="", deaths=0)
        return _json(result)

    def resume(self) -> list[Job]:
        """Take over every open job that no living process owns; each goes to exactly one caller.

        A job that died `DEATHS_MAX` times at the same place is held and not returned.
        """
        with read(self._engine) as conn:
            query = select(job.c.id).where(job.c.state == JobState.OPEN).order_by(job.c.id)
            ids = [row.id for row in conn.execute(query)]
        return [taken for job_id in ids if (taken := self._take_over(job_id)) is not None]

    def finish(
        self, job: Job, outcome: JobState, result: Json, *, reasons: Sequence[ReasonLike] = (),
        decided: DecisionLike | None = None, sign_checkpoint: NoteSigner | None = None,
        also_held: AlsoHeld = holds.nothing_more,
    ) -> Job:  # fmt: skip
        """Record how the job ended and let it go.

        ``released`` needs a release, ``held`` a reason or a hold that is there already; ``also_held`` is
        told of a new hold in its transaction. The decision that ended it, if any, is recorded and logged in
        the same transaction; it needs ``sign_checkpoint``. Finishing again with the same outcome changes
        nothing.
        """
        now = self._clock()
        with write(self._engine) as conn:
            row = _row_of(conn, job.id)
            if row.state != outcome or row.result is None:
                _check_owner(row, job)
                if decided is not None and sign_checkpoint is not None:
                    decisions.record(conn, job.id, decided, now)
                    log.add_checkpoint(conn, sign_checkpoint, now)
                if outcome is JobState.HELD and holds.open_hold(conn, job.id) is None:
                    # What it was decided by: people who look at it are shown nothing newer.
                    seq = log.registry_seq(conn) if decided is None else decided.registry_seq
                    also_held(conn, holds.hold(conn, job.id, reasons, seq, now))
                _update(conn, job.id, state=outcome, result=result, finished_at=now, current_step="")
        self._let_go(job.id, unlink=True)
        return self.get(job.id)

    def abandon(self, job: Job) -> None:
        """Let go of a job without finishing it, so that another process can resume it; no death counts."""
        with write(self._engine) as conn:
            _owned(conn, job)
            _update(conn, job.id, owner=None)
        self._let_go(job.id, unlink=False)

    def leave(self, job: Job) -> None:
        """Let go of a job as if this process had died: whoever takes it over charges it a death."""
        self._let_go(job.id, unlink=False)

    def get(self, job_id: str) -> Job:
        """Return a job as anybody may see it, without ownership."""
        with read(self._engine) as conn:
            return _loaded(_row_of(conn, job_id), None)

    def recorded(self, job_id: str, name: str) -> JsonValue:
        """What a step of a job recorded; None where it has not run."""
        with read(self._engine) as conn:
            done = conn.execute(_step(job_id, name)).first()
        return None if done is None else _json(done.result)

    def close(self) -> None:
        """Let go of every job of this object, as if the process had died."""
        for job_id in list(self._held):
            self._let_go(job_id, unlink=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def _take_over(self, job_id: str) -> Job | None:
        """Become the owner of an open job whose owner is dead; None if it is not to be had.

        1. The lock is free, so no living process owns the job. 2. It is still open.
        3. The death of the last owner is charged; too many at the same place hold the job instead.
        """
        if not self._lock(job_id):  # 1
            return None
        taken: Job | None = None
        try:
            with write(self._engine) as conn:
                row = _row_of(conn, job_id)
                if row.state == JobState.OPEN:  # 2
                    taken = self._charge(conn, row)  # 3
        except BaseException:
            self._let_go(job_id, unlink=False)
            raise
        if taken is None:
            self._let_go(job_id, unlink=False)
        return taken

    def _charge(self, conn: Connection, row: Row[Any]) -> Job | None:
        """Count the death of the last owner, and own the job or hold it."""
        deaths = row.deaths + (row.owner is not None)
        if deaths < DEATHS_MAX:
            _update(conn, row.id, deaths=deaths)
            return self._own(conn, row.id)
        self._hold(conn, row, deaths)
        return None

    def _hold(self, conn: Connection, row: Row[Any], deaths: int) -> None:
        place = f"in step {row.current_step!r}" if row.current_step else "between steps"
        detail = f"The process died {deaths} times {place}; look at its log, then lift the hold."
        reason = Reason(code="job_died", check="jobs", detail=detail)
        holds.hold(conn, row.id, [reason], log.registry_seq(conn), self._clock())

    def _own(self, conn: Connection, job_id: str) -> Job:
        token = new_id(self._clock())
        _update(conn, job_id, owner=token)
        return _loaded(_row_of(conn, job_id), token)

    def _lock(self, job_id: str) -> bool:
        with self._guard:
            if job_id in self._held:
                return False
            fd = try_acquire(self._locks / f"{job_id}{LOCK_SUFFIX}")
            if fd is not None:
                self._held[job_id] = fd
            return fd is not None

    def _let_go(self, job_id: str, *, unlink: bool) -> None:
        with self._guard:
            fd = self._held.pop(job_id, None)
            if fd is None:
                return
            if unlink:
                (self._locks / f"{job_id}{LOCK_SUFFIX}").unlink(missing_ok=True)
            release(fd)

    def _forget(self) -> None:
        """In a forked child: drop the inherited descriptors, or the child would keep the locks alive."""
        for fd in self._held.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self._held, self._guard = {}, threading.Lock()


def of_account(engine: Engine, account: str, *, after: str = "", limit: int = 100) -> list[Job]:
    """The jobs of an account, oldest first; ``after``: the last id of the page before."""
    query = select(job).where(job.c.account == account, job.c.id > after).order_by(job.c.id).limit(limit)
    with read(engine) as conn:
        return [_loaded(row, None) for row in conn.execute(query)]


def queue(conn: Connection, kind: str, key: str, inputs: Json, now: str) -> str:
    """Accept a job inside the caller's transaction for whoever resumes open jobs; its id."""
    made = new_id(now)
    _insert(conn, id=made, kind=kind, key=key, inputs=inputs, created_at=now)
    return made


def _forget_in_children(jobs: LocalJobs) -> None:
    weak = weakref.ref(jobs)

    def forget() -> None:
        alive = weak()
        if alive is not None:
            alive._forget()

    os.register_at_fork(after_in_child=forget)


def _step(job_id: str, name: str) -> Any:
    return select(job_step.c.result).where(job_step.c.job_id == job_id, job_step.c.name == name)


def _insert(conn: Connection, **values: Any) -> None:
    account = str(values["inputs"].get("account") or "")
    begun = {"state": JobState.OPEN, "current_step": "", "deaths": 0}
    conn.execute(job.insert().values(**values, **begun, account=account))


def _row(conn: Connection, condition: Any) -> Row[Any] | None:
    return conn.execute(select(job).where(condition)).first()


def _row_of(conn: Connection, job_id: str) -> Row[Any]:
    row = _row(conn, job.c.id == job_id)
    if row is None:
        raise NotFound(f"There is no job {job_id}.")
    return row


def _owned(conn: Connection, job: Job) -> Row[Any]:
    row = _row_of(conn, job.id)
    _check_owner(row, job)
    if row.state != JobState.OPEN:
        raise JobNotOwned(f"The job {job.id} is {row.state}; submit a new one.")
    return row


def _check_owner(row: Row[Any], job: Job) -> None:
    if job.owner is None or row.owner != job.owner:
        raise JobNotOwned(f"The job {job.id} is run by another process; wait for it.")


def _update(conn: Connection, job_id: str, **values: Any) -> None:
    conn.execute(job.update().where(job.c.id == job_id).values(**values))


def _json(text: str) -> JsonValue:
    """Read a recorded result; the first run returns it through here too, so that a replay is the same."""
    value: JsonValue = json.loads(text)
    return value


def _loaded(row: Row[Any], owner: str | None) -> Job:
    return Job(
        id=row.id, kind=row.kind, key=row.key, inputs=row.inputs, state=JobState(row.state),
        result=row.result, created_at=row.created_at, finished_at=row.finished_at, owner=owner,
    )  # fmt: skip
