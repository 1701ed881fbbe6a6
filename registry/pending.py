"""Decisions that can still be undone: nothing has happened yet, and nothing does before their time is over.

1. What somebody decides about a case waits for some seconds, by the database's own clock. The case stays as
   it is, and theirs.
2. Whoever carries it out first writes down that it has begun, in one transaction. Undoing it before that
   deletes it; after that it is refused. One of the two wins, on whatever host.
3. One that was begun by a process that died is carried out again after a while: a decision is made once, so
   that a second one finds it done.
4. What could not be carried out says why, and the case waits for people again. So does one that nobody came
   to within the time for which its case was taken: it is not carried out any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Select, or_, select

from registry.caseload import LEASE_MINUTES, demand_free, give_back, lease
from registry.db import read, seconds_now, write
from registry.errors import CaseClosed, CaseTaken
from registry.tables_reviews import pending_decision

RETRY_SECONDS: Final = 60.0  # before one that was begun is taken for left behind
VOID_SECONDS: Final = 60.0 * LEASE_MINUTES
KEPT_SECONDS: Final = 24 * 3600.0  # for which it is told that one could not be carried out
RELEASE, BLOCK, ASK = "release", "block", "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody decides: `RELEASE`, `BLOCK` or `ASK`; ``key``: the API key that they came with;
    ``subjects``: of `ASK`, whose holders, empty for all that were found.
    """

    case_id: str
    decision: str
    by: str
    key: str
    why: str
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending(Wanted):
    """One that waits. ``left``: seconds until it is carried out, below 0 when that is due; ``begun``: whether
    it is being carried out; ``trouble``: why it could not be.
    """

    left: float
    begun: bool
    trouble: str

    @property
    def void(self) -> bool:
        """Whether nobody came to it in time (4)."""
        return self.left < -VOID_SECONDS


def put(engine: Engine, wanted: Wanted, seconds: float, now: str) -> None:
    """Rule 1. Raises `CaseTaken` where somebody has the case, or has decided about it just now."""
    with write(engine) as conn:
        demand_free(conn, wanted.case_id, wanted.by, now)
        known = of(conn, wanted.case_id)
        if known is not None and not known.trouble:
            raise CaseTaken(f"{known.by} has decided about this case just now; undo that first.")
        _delete(conn, wanted.case_id)
        row: dict[str, Any] = {
            "case_id": wanted.case_id, "decision": wanted.decision, "voter": wanted.by, "key_id": wanted.key,
            "why": wanted.why, "subjects": list(wanted.subjects), "trouble": "",
        }  # fmt: skip
        conn.execute(pending_decision.insert().values(**row, due=_now(conn) + seconds))
        lease(conn, wanted.case_id, wanted.by, now)


def undo(engine: Engine, case_id: str, by: str) -> None:
    """Rule 2: forget what this person decided. Raises `CaseClosed` where carrying it out has begun."""
    waits = (pending_decision.c.begun.is_(None), pending_decision.c.trouble == "")
    with write(engine) as conn:
        mine = (pending_decision.c.case_id == case_id, pending_decision.c.voter == by)
        if conn.execute(pending_decision.delete().where(*mine, *waits)).rowcount != 1:
            raise CaseClosed("It is too late to undo this: it was carried out.")


def begin_due(engine: Engine) -> list[Pending]:
    """Rules 2 and 3: what is to be carried out now, by the caller. As it was before: ``begun`` says whether
    somebody tried.
    """
    with read(engine) as conn:  # it is asked all the time, and mostly in vain
        if conn.execute(_due(conn).limit(1)).first() is None:
            return []
    with write(engine) as conn:
        found = [_loaded(row) for row in conn.execute(_due(conn))]
        for one in found:
            same = pending_decision.c.case_id == one.case_id
            conn.execute(pending_decision.update().where(same).values(begun=_now(conn)))
        old = pending_decision.c.due + KEPT_SECONDS < _now(conn)
        conn.execute(pending_decision.delete().where(pending_decision.c.trouble != "", old))
    return found


def done(engine: Engine, case_id: str) -> None:
    """It was carried out, or is not to be: there is nothing more to do."""
    with write(engine) as conn:
        _delete(conn, case_id)


def fail(engine: Engine, one: Pending, trouble: str) -> None:
    """Rule 4."""
    with write(engine) as conn:
        same = pending_decision.c.case_id == one.case_id
        conn.execute(pending_decision.update().where(same).values(trouble=trouble))
    give_back(engine, one.case_id, one.by)


def of(conn: Connection, case_id: str) -> Pending | None:
    """What waits about a case, or could not be carried out."""
    row = conn.execute(_rows(conn).where(pending_decision.c.case_id == case_id)).first()
    return None if row is None else _loaded(row)


def _due(conn: Connection) -> Select[Any]:
    left_behind = pending_decision.c.begun + RETRY_SECONDS <= _now(conn)
    return _rows(conn).where(
        pending_decision.c.trouble == "", pending_decision.c.due <= _now(conn),
        or_(pending_decision.c.begun.is_(None), left_behind),
    )  # fmt: skip


def _rows(conn: Connection) -> Select[Any]:
    return select(pending_decision, (pending_decision.c.due - _now(conn)).label("left"))


def _now(conn: Connection) -> Any:
    return seconds_now(conn.dialect.name)


def _delete(conn: Connection, case_id: str) -> None:
    conn.execute(pending_decision.delete().where(pending_decision.c.case_id == case_id))


def _loaded(row: Row[Any]) -> Pending:
    subjects: Sequence[str] = row.subjects
    return Pending(
        case_id=row.case_id, decision=row.decision, by=row.voter, key=row.key_id, why=row.why,
        subjects=tuple(subjects), left=float(row.left), begun=row.begun is not None, trouble=row.trouble,
    )  # fmt: skip
