"""Durable jobs behind a port of three functions, submit, step and resume, and the end of a job.

A step's recorded result is returned on replay and the step is not run again. A process killed between
a step's effect and its record runs the effect twice: **effects must be idempotent** (content-addressed
names, UNIQUE columns). A job has one owner, by a token in the database that fences off an owner who lost
it; how the death of an owner is known is the ownership's (`registry.owners`).
"""

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

from sqlalchemy import Connection, Engine, Row, and_, bindparam, func, select

from registry import decisions, holds, log
from registry.canonical import Json, JsonValue, stored
from registry.checkpoint import NoteSigner
from registry.db import beside, glance, read, write
from registry.errors import (
    KeyReused,
    QueueFull,
    RegistryBusy,
    RegistryError,
    RegistryUnusable,
    StorageAway,
    StorageFull,
)
from registry.holds import AlsoHeld
from registry.ids import new_id
from registry.owners import Ownership, demand, demand_token, not_owned, row_of
from registry.tables import held, job, job_step, release
from registry.types import DecisionLike, Job, JobState, Reason, ReasonLike

DEATHS_MAX: Final = 3
TRIES: Final = 8  # free jobs that are looked at together; others may be faster at some
NOT_OF_A_JOB: Final = (RegistryBusy, RegistryUnusable, StorageFull, StorageAway)
"""What goes wrong with all jobs alike."""

logger = logging.getLogger("countermark.registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many jobs may wait to be begun, when one is to wait with them: in all, and of its account."""

    all: int
    each: int
    account: str


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


class StoredJobs:
    """Jobs in the registry's database, which processes that share it take from it."""

    def __init__(self, engine: Engine, ownership: Ownership, clock: Callable[[], str]) -> None:
        """``clock``: UTC times, ISO 8601 with Z."""
        self._engine, self._ownership, self._clock = engine, ownership, clock

    def submit(self, kind: str, key: str, inputs: Json) -> Job:
        """Accept a job, or return the one that was accepted under this key.

        The returned ``owner`` is set when the caller may run it: the job is new, or its process died.
        `KeyReused` if the key was used for another kind or other inputs.
        """
        now = self._clock()
        fresh, token = new_id(now), new_id(now)
        self._ownership.reach(fresh)
        try:
            with write(self._engine) as conn:
                known = _row(conn, job.c.key == key)
                if known is None:
                    _insert(conn, id=fresh, kind=kind, key=key, inputs=inputs, created_at=now)
                    self._ownership.claim(conn, row_of(conn, fresh))
                    made = self._own(conn, fresh, token)
        except BaseException:
            self._ownership.let_go(fresh, ended=True)
            self._ownership.leave(fresh, token)  # it may have been written all the same
            raise
        if known is None:
            return made
        self._ownership.let_go(fresh, ended=True)
        _check_same(known, kind, inputs)
        return self._take_over(known.id) or self.get(known.id)

    def enqueue(self, kind: str, key: str, inputs: Json, room: Room) -> Job:
        """Accept a job that waits for whoever takes it, or return the one that was accepted under this key.

        `KeyReused` as for `submit`; `QueueFull` if as many wait as may.
        """
        now = self._clock()
        with write(self._engine) as conn:
            known = _row(conn, job.c.key == key)
            if known is None:
                demand_room(conn, room)
                fresh = new_id(now)
                _insert(conn, id=fresh, kind=kind, key=key, inputs=inputs, created_at=now, queued=1)
                known = row_of(conn, fresh)
        _check_same(known, kind, inputs)
        return _loaded(known, None)

    def demand_room(self, room: Room) -> None:
        """Raise QueueFull if as many jobs wait as may, so that nobody sends a file in vain."""
        with read(self._engine) as conn:
            demand_room(conn, room)

    def take(
        self, kinds: Collection[str] = (), *, after: str = "", besides: Collection[str] = (),
        begun: bool = False,
    ) -> Job | None:  # fmt: skip
        """Become the owner of the oldest open job that no living process owns; None if there is none.

        ``kinds``: only of one of these, if any is named; ``after``: only of those after this id; ``besides``:
        of none of these; ``begun``: only of those that somebody has begun. A job that died
        `DEATHS_MAX` times at the same place is held and passed over, unless it has a release. One that the
        database does not give out is passed over, too: it must not keep the younger ones.
        """
        query = _OPEN.where(job.c.id > after, job.c.id.not_in(list(besides)))
        if kinds:
            query = query.where(job.c.kind.in_(list(kinds)))
        if begun:
            query = query.where(~_UNBEGUN)
        while True:
            with glance(self._engine) as conn:
                ids = list(conn.execute(self._ownership.free(query).limit(TRIES)).scalars())
            for job_id in ids:
                try:
                    taken = self._take_over(job_id)
                except NOT_OF_A_JOB:
                    raise
                except RegistryError as error:
                    logger.warning("the job %s cannot be taken: %s", job_id, error)
                    continue
                if taken is not None:
                    return taken
            if len(ids) < TRIES:
                return None
            query = query.where(job.c.id > ids[-1])

    def step(self, job: Job, name: str, fn: Callable[[], JsonValue]) -> JsonValue:
        """Return the recorded result of the step, running ``fn`` outside any transaction if there is none.

        An exception of ``fn`` passes through and records nothing; the caller decides (`finish`, or again).
        Steps of one job run one after another, in one thread.
        """
        done = self._recorded(job, name)
        if done is not None:
            return _json(done)
        result = stored(fn())
        # Its row fences off whoever took the job over, so other writers need not wait for this.
        with beside(self._engine) as conn:
            _update_owned(conn, job, last_step=name, deaths=0)
            values = {"job_id": job.id, "name": name, "recorded_at": self._clock()}
            conn.execute(job_step.insert().values(**values, result=result))
        return _json(result)

    def _recorded(self, owned: Job, name: str) -> str | None:
        """What a step of the owner's job recorded, if it is done. Raises: NotFound; JobNotOwned."""
        with glance(self._engine) as conn:
            row = conn.execute(_BEFORE_STEP, {"id": owned.id, "step": name}).first()
        if row is None or (row.owner, row.state) != (owned.owner, JobState.OPEN):
            self.demand(owned)  # says why
            raise not_owned(owned.id)
        return None if row.result is None else str(row.result)

    def resume(self) -> list[Job]:
        """Take over every open job that no living process owns; each goes to exactly one caller.

        A job that died `DEATHS_MAX` times at the same place is held and not returned.
        """
        taken: list[Job] = []
        while (found := self.take(after=taken[-1].id if taken else "")) is not None:
            taken.append(found)
        return taken

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
            row = row_of(conn, job.id)
            if row.state != outcome or row.result is None:
                demand_token(row, job.owner)
                if decided is not None and sign_checkpoint is not None:
                    decisions.record(conn, job.id, decided, now)
                    log.add_checkpoint(conn, sign_checkpoint, now)
                if outcome is JobState.HELD and holds.open_hold(conn, job.id) is None:
                    # What it was decided by: people who look at it are shown nothing newer.
                    seq = log.registry_seq(conn) if decided is None else decided.registry_seq
                    also_held(conn, holds.hold(conn, job.id, reasons, seq, now))
                ended = {"state": outcome, "result": result, "finished_at": now}
                row = _updated(conn, job.id, **ended, worker=None)
        self._ownership.let_go(job.id, ended=True)
        return _loaded(row, None)

    def check(self, job: Job) -> None:
        """Raise JobNotOwned where this process has to take itself for dead; asks no database."""
        self._ownership.check(job.id)

    def demand(self, job: Job) -> None:
        """Raise JobNotOwned unless the job is open and this process its owner."""
        with read(self._engine) as conn:
            demand(conn, job.id, job.owner)

    def abandon(self, job: Job) -> None:
        """Let go of a job without finishing it, so that another process can resume it; no death counts."""
        with write(self._engine) as conn:
            demand(conn, job.id, job.owner)
            _updated(conn, job.id, owner=None, worker=None)
        self._ownership.let_go(job.id)

    def leave(self, job: Job) -> None:
        """Let go of a job as if this process had died: whoever takes it over charges it a death."""
        self._ownership.leave(job.id, str(job.owner))

    def get(self, job_id: str) -> Job:
        """Return a job as anybody may see it, without ownership."""
        with read(self._engine) as conn:
            return _loaded(row_of(conn, job_id), None)

    def recorded(self, job_id: str, name: str) -> JsonValue:
        """What a step of a job recorded; None where it has not run."""
        with read(self._engine) as conn:
            done = conn.execute(_step(job_id, name)).first()
        return None if done is None else _json(done.result)

    def close(self) -> None:
        """Let go of every job of this object, as if the process had died."""
        self._ownership.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def _take_over(self, job_id: str) -> Job | None:
        """Become the owner of an open job whose owner is dead; None if it is not to be had.

        1. It is still open. 2. No living process owns it.
        3. The death of the last owner is charged; too many at the same place hold the job instead.
        """
        if not self._ownership.reach(job_id):
            return None
        taken, token = None, new_id(self._clock())
        try:
            with write(self._engine) as conn:
                row = row_of(conn, job_id)
                if row.state == JobState.OPEN and self._ownership.claim(conn, row):  # 1, 2
                    taken = self._charge(conn, row, token)  # 3
        except BaseException:
            self._ownership.leave(job_id, token)
            raise
        if taken is None:
            self._ownership.let_go(job_id)
        return taken

    def _charge(self, conn: Connection, row: Row[Any], token: str) -> Job | None:
        """Count the death of the last owner, and own the job or hold it; what has left is held no more."""
        deaths = row.deaths + (row.owner is not None)
        if deaths < DEATHS_MAX or conn.execute(select(_released(row.id))).scalar():
            return self._own(conn, row.id, token, deaths=deaths)
        self._hold(conn, row, deaths)
        return None

    def _hold(self, conn: Connection, row: Row[Any], deaths: int) -> None:
        place = f"after step {row.last_step!r}" if row.last_step else "before its first step was done"
        detail = f"The process died {deaths} times {place}; look at its log, then lift the hold."
        reason = Reason(code="job_died", check="jobs", detail=detail)
        holds.hold(conn, row.id, [reason], log.registry_seq(conn), self._clock())

    def _own(self, conn: Connection, job_id: str, token: str, **values: Any) -> Job:
        owned = _updated(conn, job_id, owner=token, worker=self._ownership.worker, **values)
        return _loaded(owned, token)


def of_account(engine: Engine, account: str, *, after: str = "", limit: int = 100) -> list[Job]:
    """The jobs of an account, oldest first; ``after``: the last id of the page before."""
    query = select(job).where(job.c.account == account, job.c.id > after).order_by(job.c.id).limit(limit)
    with read(engine) as conn:
        return [_loaded(row, None) for row in conn.execute(query)]


def queue(conn: Connection, kind: str, key: str, inputs: Json, now: str) -> str:
    """Accept a job inside the caller's transaction for whoever takes it; its id. It waits beside all room."""
    made = new_id(now)
    _insert(conn, id=made, kind=kind, key=key, inputs=inputs, created_at=now, queued=1)
    return made


_OPEN: Final = select(job.c.id).where(job.c.state == JobState.OPEN).order_by(job.c.id)
_STEPS: Final = select(job_step.c.name).where(job_step.c.job_id == job.c.id)
_BEFORE_STEP: Final = (
    select(job.c.owner, job.c.state, job_step.c.result)
    .outerjoin(job_step, and_(job_step.c.job_id == job.c.id, job_step.c.name == bindparam("step")))
    .where(job.c.id == bindparam("id"))
)
"""Made once: it is asked before every step."""
_HOLDS: Final = select(held.c.id).where(held.c.job_id == job.c.id)
_UNBEGUN: Final = and_(job.c.queued == 1, job.c.owner.is_(None), ~_STEPS.exists(), ~_HOLDS.exists())
"""Accepted by `enqueue`, and nobody has come to its first record."""


def demand_room(conn: Connection, room: Room) -> None:
    """Raise QueueFull if as many jobs wait to be begun as may."""
    waiting = select(func.count()).where(job.c.state == JobState.OPEN, _UNBEGUN)
    if conn.execute(waiting).scalar_one() >= room.all:
        raise QueueFull("As many jobs wait as this service takes; try again later.")
    mine = waiting.where(job.c.account == room.account)
    if conn.execute(mine).scalar_one() >= room.each:
        raise QueueFull("As many jobs of this account wait as may; try again when one has ended.", own=True)


def _check_same(known: Row[Any], kind: str, inputs: Json) -> None:
    if known.kind != kind or stored(known.inputs) != stored(inputs):
        raise KeyReused(f"The key {known.key!r} was used for another job; choose a new key.")


def _released(job_id: str) -> Any:
    return select(release.c.id).where(release.c.job_id == job_id).exists()


def _step(job_id: str, name: str) -> Any:
    return select(job_step.c.result).where(job_step.c.job_id == job_id, job_step.c.name == name)


def _insert(conn: Connection, **values: Any) -> None:
    account = str(values["inputs"].get("account") or "")
    begun = {"state": JobState.OPEN, "last_step": "", "deaths": 0}
    conn.execute(job.insert().values(**values, **begun, account=account))


def _row(conn: Connection, condition: Any) -> Row[Any] | None:
    return conn.execute(select(job).where(condition)).first()


def _update_owned(conn: Connection, owned: Job, **values: Any) -> None:
    """Change the row of an open job for its owner. Raises: NotFound; JobNotOwned for anybody else."""
    mine = (job.c.id == owned.id, job.c.owner == owned.owner, job.c.state == JobState.OPEN)
    if conn.execute(job.update().where(*mine).values(**values)).rowcount != 1:
        demand(conn, owned.id, owned.owner)  # says why
        raise not_owned(owned.id)


def _updated(conn: Connection, job_id: str, **values: Any) -> Row[Any]:
    return conn.execute(job.update().where(job.c.id == job_id).values(**values).returning(job)).one()


def _json(text: str) -> JsonValue:
    """Read a recorded result; the first run returns it through here too, so that a replay is the same."""
    value: JsonValue = json.loads(text)
    return value


def _loaded(row: Row[Any], owner: str | None) -> Job:
    return Job(
        id=row.id, kind=row.kind, key=row.key, inputs=row.inputs, state=JobState(row.state),
        result=row.result, created_at=row.created_at, finished_at=row.finished_at, owner=owner,
    )  # fmt: skip
