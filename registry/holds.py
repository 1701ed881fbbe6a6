"""Holds: jobs whose clip may not leave. Nothing serves what is held; a hold is lifted, never deleted.

Every function works inside the caller's write transaction.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from registry.canonical import Json
from registry.errors import EntryInvalid, NotFound
from registry.ids import new_id
from registry.tables import held, job
from registry.types import Held, Reason, ReasonLike

AlsoHeld = Callable[[Connection, Held], None]
"""Told of a new hold inside its transaction, to write down what belongs to it."""


def nothing_more(_conn: Connection, _held: Held) -> None:
    """Where nothing else belongs to a hold."""


def hold(conn: Connection, job_id: str, reasons: Sequence[ReasonLike], registry_seq: int, at: str) -> Held:
    """Hold a job and finish it as held; if it is held already, that hold stays and is returned."""
    known = open_hold(conn, job_id)
    if known is not None:
        return known
    if not reasons:
        raise EntryInvalid("A hold needs a reason that a person can read.")
    listed = [reason_json(reason) for reason in reasons]
    row: dict[str, Any] = {"id": new_id(at), "job_id": job_id, "registry_seq": registry_seq, "held_at": at}
    conn.execute(held.insert().values(**row, reasons=listed))
    conn.execute(job.update().where(job.c.id == job_id).values(state="held", finished_at=at))
    return Held(**row, reasons=_reasons(listed))


def reason_json(reason: ReasonLike) -> Json:
    """Return a reason as it is stored."""
    return {
        "code": reason.code, "check": reason.check, "detail": reason.detail, "evidence": reason.evidence,
    }  # fmt: skip


def open_hold(conn: Connection, job_id: str) -> Held | None:
    """Return the hold that keeps the job from leaving, if any."""
    row = conn.execute(select(held).where(held.c.job_id == job_id, held.c.lifted_at.is_(None))).first()
    return None if row is None else loaded(row)


def open_holds(conn: Connection, *, after: str = "", limit: int = 100) -> list[Held]:
    """Return open holds by id, oldest first; ``after`` is the last id of the page before."""
    query = select(held).where(held.c.lifted_at.is_(None), held.c.id > after)
    return [loaded(row) for row in conn.execute(query.order_by(held.c.id).limit(limit))]


def lifted(conn: Connection, job_id: str) -> int:
    """How many holds of the job were lifted: as often it is judged anew."""
    query = select(func.count()).where(held.c.job_id == job_id, held.c.lifted_at.is_not(None))
    return int(conn.execute(query).scalar_one())


def lift(conn: Connection, job_id: str, because: str, at: str) -> None:
    """Lift the hold and open the job again; the publish fence still asks every question anew."""
    values = {"lifted_at": at, "lifted_because": because}
    query = held.update().where(held.c.job_id == job_id, held.c.lifted_at.is_(None))
    if conn.execute(query.values(**values)).rowcount != 1:
        raise NotFound(f"The job {job_id} is not held.")
    reopened = {
        "state": "open", "finished_at": None, "result": None, "owner": None, "worker": None, "deaths": 0,
    }  # fmt: skip
    conn.execute(job.update().where(job.c.id == job_id).values(**reopened))


def loaded(row: Row[Any]) -> Held:
    """A row of the table as it is told."""
    return Held(
        id=row.id, job_id=row.job_id, reasons=_reasons(row.reasons),
        registry_seq=row.registry_seq, held_at=row.held_at,
    )  # fmt: skip


def _reasons(listed: Sequence[Any]) -> tuple[Reason, ...]:
    return tuple(Reason(**reason) for reason in listed)
