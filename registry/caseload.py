"""The cases that wait for people, and who has taken which.

Three kinds of row are cases: a hold on a clip that has not left (`registry.reviews`), a case about a
release (`registry.cases`), and an appeal (`registry.appeals`). Ids are in the order of time, so that the
oldest of all comes first. A lease keeps two people from the same case; it ends by itself. What waits for a
rights holder's answer waits for nobody here, and neither does a hold, or an appeal, for who has decided
about it already; nor what somebody has decided just now and can still undo (`registry.pending`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, literal, or_, select, union_all

from registry.cases import OPEN
from registry.db import read, write
from registry.errors import CaseTaken
from registry.ids import later
from registry.permissions import ASKED
from registry.tables import held
from registry.tables_appeals import appeal, appeal_vote
from registry.tables_recalls import review_case
from registry.tables_reviews import case_lease, hold_vote, pending_decision
from registry.tables_rules import permission

LEASE_MINUTES: Final = 10
HELD, RELEASED, APPEALED = "held", "released", "appealed"

Column = ColumnElement[Any]
Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A case by its id, and whether it is a hold (`HELD`), about a release (`RELEASED`) or an appeal."""

    id: str
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who has taken a case, and until when."""

    holder: str
    until: str


def waiting(conn: Connection, *, after: str = "", limit: int = 100) -> list[Waiting]:
    """Open cases of all kinds, oldest first, whoever has taken them; ``after``: the last id before."""
    held_ones = select(held.c.id, literal(HELD).label("of")).where(
        held.c.lifted_at.is_(None), held.c.id > after, ~_asked()
    )
    about_releases = select(review_case.c.id, literal(RELEASED).label("of")).where(
        review_case.c.state == OPEN, review_case.c.id > after
    )
    appeals = select(appeal.c.id, literal(APPEALED).label("of")).where(
        appeal.c.state == OPEN, appeal.c.id > after
    )
    every = union_all(held_ones, about_releases, appeals).subquery()
    rows = conn.execute(select(every).order_by(every.c.id).limit(limit))
    return [Waiting(id=row.id, of=row.of) for row in rows]


def with_holders(conn: Connection, *, after: str = "", limit: int = 100) -> list[Waiting]:
    """Holds that wait for the answers of rights holders, oldest first; ``after``: the last id before."""
    query = select(held.c.id).where(held.c.lifted_at.is_(None), held.c.id > after, _asked())
    return [
        Waiting(id=one, of=HELD) for one in conn.execute(query.order_by(held.c.id).limit(limit)).scalars()
    ]


def take_next(engine: Engine, by: str, now: str) -> Waiting | None:
    """Take the oldest case that this person may decide, for `LEASE_MINUTES`; the one they have, if any."""
    with write(engine) as conn:
        found = _first(conn, by, partial(_taken_by, by, now)) or _first(conn, by, partial(_free, by, now))
        if found is not None:
            lease(conn, found.id, by, now)
    return found


def take(engine: Engine, case_id: str, by: str, now: str) -> Lease:
    """Take this case, or keep it for longer. Raises `CaseTaken`."""
    with write(engine) as conn:
        demand_free(conn, case_id, by, now)
        return lease(conn, case_id, by, now)


def give_back(engine: Engine, case_id: str, by: str) -> None:
    """Let somebody else have a case; nothing happens where this person has not taken it."""
    with write(engine) as conn:
        conn.execute(case_lease.delete().where(case_lease.c.case_id == case_id, case_lease.c.holder == by))


def lease_of(engine: Engine, case_id: str, now: str) -> Lease | None:
    """Who has a case now."""
    with read(engine) as conn:
        return _standing(conn, case_id, now)


def demand_free(conn: Connection, case_id: str, by: str, now: str) -> None:
    """Raises `CaseTaken` while somebody else has the case."""
    lease = _standing(conn, case_id, now)
    if lease is not None and lease.holder != by:
        raise CaseTaken(f"Somebody else has taken this case until {lease.until}; take another one.")


def drop(conn: Connection, case_id: str) -> None:
    """End the lease of a case that was decided."""
    conn.execute(case_lease.delete().where(case_lease.c.case_id == case_id))


def lease(conn: Connection, case_id: str, by: str, now: str) -> Lease:
    """Give a case to somebody for `LEASE_MINUTES`."""
    until = later(now, timedelta(minutes=LEASE_MINUTES))
    drop(conn, case_id)
    conn.execute(case_lease.insert().values(case_id=case_id, holder=by, until=until))
    return Lease(holder=by, until=until)


def _first(conn: Connection, by: str, leased: Callable[[Column], Condition]) -> Waiting | None:
    """The oldest case of which `leased` is true, and which is this person's to decide."""

    def open_to(case_id: Column) -> Condition:
        decided = (pending_decision.c.case_id == case_id, pending_decision.c.trouble == "")
        return and_(leased(case_id), ~exists().where(*decided))

    voted = exists().where(hold_vote.c.held_id == held.c.id, hold_vote.c.voter == by)
    holds = select(held.c.id).where(held.c.lifted_at.is_(None), ~voted, ~_asked(), open_to(held.c.id))
    about_releases = select(review_case.c.id).where(review_case.c.state == OPEN, open_to(review_case.c.id))
    appeals = select(appeal.c.id).where(appeal.c.state == OPEN, ~_took_part(by), open_to(appeal.c.id))
    oldest = {
        APPEALED: conn.execute(appeals.order_by(appeal.c.id).limit(1)).scalar(),
        HELD: conn.execute(holds.order_by(held.c.id).limit(1)).scalar(),
        RELEASED: conn.execute(about_releases.order_by(review_case.c.id).limit(1)).scalar(),
    }
    found = [Waiting(id=one, of=of) for of, one in oldest.items() if one]
    return min(found, key=lambda one: one.id, default=None)


def _took_part(by: str) -> Condition:
    """Whether this person took the decision that an appeal is against, or has voted on the appeal."""
    of_hold = exists().where(
        held.c.job_id == appeal.c.job_id, hold_vote.c.held_id == held.c.id, hold_vote.c.voter == by
    )
    of_release = exists().where(
        review_case.c.release_id == appeal.c.release_id, review_case.c.decided_by == by
    )
    voted = exists().where(appeal_vote.c.appeal_id == appeal.c.id, appeal_vote.c.voter == by)
    return or_(of_hold, of_release, voted)


def _asked() -> Condition:
    """Whether a hold waits for the answer of a rights holder."""
    return exists().where(permission.c.held_id == held.c.id, permission.c.state == ASKED)


def _taken_by(by: str, now: str, case_id: Column) -> Condition:
    mine = (case_lease.c.holder == by, case_lease.c.until > now)
    return exists().where(case_lease.c.case_id == case_id, *mine)


def _free(by: str, now: str, case_id: Column) -> Condition:
    others = (case_lease.c.holder != by, case_lease.c.until > now)
    return ~exists().where(case_lease.c.case_id == case_id, *others)


def _standing(conn: Connection, case_id: str, now: str) -> Lease | None:
    query = select(case_lease).where(case_lease.c.case_id == case_id, case_lease.c.until > now)
    row = conn.execute(query).first()
    return None if row is None else Lease(holder=row.holder, until=row.until)
