"""What was decided against an account: holds, refusals, withdrawals, suspended keys, as they are recorded.

A restriction is no row of its own: it *is* the hold, the decision that refused a job, the stop against a
release, or the suspension of a key, and has that one's id. Pages are in the order of time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, or_, select

from registry import cases, recalls
from registry.db import read
from registry.errors import NotFound
from registry.tables import api_key, decision, held, job, log_entry, release, subject
from registry.tables_appeals import key_suspension
from registry.tables_parties import claim
from registry.tables_recalls import release_stop
from registry.types import JobState

HOLD, REFUSAL, WITHDRAWAL, SUSPENSION = "hold", "refusal", "withdrawal", "suspension"
MACHINE, PERSON, BOTH = "machine", "person", "both"
PAGE: Final = 100
_BY_PEOPLE: Final = frozenset({"refused_by_person", "permission_refused"})
"""Codes of what a person decided, after a machine had found it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A reason without what names anybody: its code, the check, and the kind of whom it is about, if any."""

    code: str
    check: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """Something decided against an account.

    ``at``: since when; ``ended_at``: until when, None while it stands; ``content_at``: when the content was
    made, or the key; ``found``: what it rests on; ``by``: machine | person | both (a machine found it, a
    person decided); ``notice``: the kind of claim that it follows, empty for the service's own initiative;
    ``made``: whether there was a clip, not a prompt alone; ``policy``: its name and version, where there is
    one.
    """

    id: str
    kind: str
    account: str
    job: str | None
    release: str | None
    at: str
    ended_at: str | None
    content_at: str
    found: tuple[Found, ...]
    by: str
    notice: str = ""
    made: bool = True
    policy: tuple[str, int] | None = None
    key: str | None = None
    cause: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in the order of pages."""
        return self.at, self.id


def page(
    conn: Connection, *, after: tuple[str, str] = ("", ""), limit: int = PAGE, account: str | None = None,
    since: str = "", until: str = "",
) -> list[Restriction]:  # fmt: skip
    """Restrictions by time; ``after``: the `place` of the last one of the page before; ``since`` and
    ``until``: bounds of `at`, the second excluded, empty for none.
    """
    found: list[Restriction] = []
    for source in _SOURCES:
        query = source.query
        if account is not None:
            query = query.where(source.account == account)
        query = query.where(*_between(source.at, source.id, after, since, until))
        rows = conn.execute(query.order_by(source.at, source.id).limit(limit)).all()
        found += [source.load(conn, row) for row in rows]
    return sorted(found, key=lambda one: one.place)[:limit]


def pages(engine: Engine, *, since: str, until: str) -> Iterator[list[Restriction]]:
    """Every restriction of a period, in the order of time, by pages.

    No transaction lasts as long as its reader does.
    """
    after = ("", "")
    while True:
        with read(engine) as conn:
            listed = page(conn, after=after, since=since, until=until)
        if not listed:
            return
        yield listed
        after = listed[-1].place


def get(conn: Connection, wanted: str) -> Restriction:
    """A restriction by its id. Raises `NotFound`."""
    for source in _SOURCES:
        row = conn.execute(source.query.where(source.id == wanted)).first()
        if row is not None:
            return source.load(conn, row)
    raise NotFound(f"There is no decision {wanted[:40]!r} that restricts anything.")


def of_job(conn: Connection, job_id: str) -> Restriction | None:
    """What stands against a job now: its refusal, or the hold that was not lifted."""
    standing = (_REFUSALS.query, _HOLDS.query.where(held.c.lifted_at.is_(None)))
    for source, query in zip((_REFUSALS, _HOLDS), standing, strict=True):
        row = conn.execute(query.where(job.c.id == job_id)).first()
        if row is not None:
            return source.load(conn, row)
    return None


def of_release(conn: Connection, release_id: str) -> list[Restriction]:
    """What stands against a release now, oldest first."""
    query = _WITHDRAWALS.query.where(
        release_stop.c.release_id == release_id, release_stop.c.lifted_seq.is_(None)
    )
    rows = conn.execute(query.order_by(release_stop.c.since_seq, release_stop.c.id)).all()
    return [_withdrawal(conn, row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One kind of row: its query, what the query is ordered by, and how a row is told."""

    query: Select[Any]
    at: ColumnElement[str]
    id: ColumnElement[str]
    load: Callable[[Connection, Row[Any]], Restriction]
    account: ColumnElement[Any] = job.c.account


def _between(
    at: ColumnElement[str], ident: ColumnElement[str], after: tuple[str, str], since: str, until: str
) -> Sequence[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = [or_(at > after[0], and_(at == after[0], ident > after[1]))]
    return [*bounds, *([at >= since] if since else []), *([at < until] if until else [])]


def _hold(_conn: Connection, row: Row[Any]) -> Restriction:
    return Restriction(
        id=row.id, kind=HOLD, account=row.account, job=row.job_id, release=None, at=row.held_at,
        ended_at=row.lifted_at, content_at=row.created_at, found=_found(row.reasons), by=MACHINE,
        made=_made(row),
    )  # fmt: skip


def _refusal(_conn: Connection, row: Row[Any]) -> Restriction:
    found = _found(row.reasons)
    by = BOTH if any(one.code in _BY_PEOPLE for one in found) else MACHINE
    return Restriction(
        id=row.id, kind=REFUSAL, account=row.account, job=row.job_id, release=None, at=row.decided_at,
        ended_at=None, content_at=row.created_at, found=found, by=by, made=_made(row),
        policy=(row.policy, row.policy_version),
    )  # fmt: skip


def _withdrawal(conn: Connection, row: Row[Any]) -> Restriction:
    found, by, notice = _ground(conn, row)
    return Restriction(
        id=row.id, kind=WITHDRAWAL, account=row.account, job=row.job_id, release=row.release_id, at=row.at,
        ended_at=row.lifted_at, content_at=row.published_at, found=found, by=by, notice=notice,
        cause=row.cause,
    )  # fmt: skip


def _ground(conn: Connection, row: Row[Any]) -> tuple[tuple[Found, ...], str, str]:
    """What a stop rests on: what was found, who decided, which kind of notice."""
    if row.cause == recalls.WISH:
        kind = conn.execute(select(subject.c.kind).where(subject.c.id == row.about)).scalar()
        return (Found(code="opted_out", check="retroscan", kind=str(kind or "")),), MACHINE, ""
    if row.cause == recalls.CLAIM:
        kind = conn.execute(select(claim.c.kind).where(claim.c.id == row.about)).scalar()
        return (Found(code="notice", check="claim"),), PERSON, str(kind or "")
    if row.cause == recalls.CASE:
        case = cases.get(conn, row.about)
        found = _found(case.reasons) or (Found(code=case.kind, check="case"),)
        return found, BOTH if case.state == cases.UPHELD else MACHINE, ""
    return (Found(code="withdrawn_by_operator", check="operator"),), PERSON, ""


def _suspension(_conn: Connection, row: Row[Any]) -> Restriction:
    return Restriction(
        id=row.id, kind=SUSPENSION, account=row.account, job=None, release=None, at=row.since,
        ended_at=row.lifted_at, content_at=row.created_at, by=MACHINE, made=False, key=row.key_id,
        found=(Found(code="key_many_addresses", check="api_key"),),
    )  # fmt: skip


def _made(row: Row[Any]) -> bool:
    """Whether a clip came with the order; a prompt that is refused is drawn by nobody."""
    return "sha256" in row.inputs


def _found(reasons: Sequence[Any]) -> tuple[Found, ...]:
    listed = [
        Found(
            code=str(one.get("code")), check=str(one.get("check")),
            kind=str((one.get("evidence") or {}).get("subject_kind") or ""),
        )
        for one in reasons
    ]  # fmt: skip
    return tuple(dict.fromkeys(listed))


_OF_JOB: Final = (job.c.inputs, job.c.created_at, job.c.account)
_LATER: Final = decision.alias("later")
_SINCE, _LIFTED = log_entry.alias("since"), log_entry.alias("lifted")

_HOLDS: Final = _Source(
    query=select(held, *_OF_JOB).join(job, job.c.id == held.c.job_id),
    at=held.c.held_at, id=held.c.id, load=_hold,
)  # fmt: skip
_REFUSALS: Final = _Source(
    query=select(decision, *_OF_JOB).join(job, job.c.id == decision.c.job_id).where(
        job.c.state == JobState.REFUSED, decision.c.verdict == "block",
        ~select(_LATER.c.id)
        .where(_LATER.c.job_id == decision.c.job_id, _LATER.c.log_seq > decision.c.log_seq)
        .exists(),
    ),
    at=decision.c.decided_at, id=decision.c.id, load=_refusal,
)  # fmt: skip
_WITHDRAWALS: Final = _Source(
    query=select(
        release_stop, release.c.job_id, release.c.published_at, *_OF_JOB, _SINCE.c.at,
        _LIFTED.c.at.label("lifted_at"),
    )
    .join(release, release.c.id == release_stop.c.release_id)
    .join(job, job.c.id == release.c.job_id)
    .join(_SINCE, _SINCE.c.seq == release_stop.c.since_seq)
    .outerjoin(_LIFTED, _LIFTED.c.seq == release_stop.c.lifted_seq),
    at=_SINCE.c.at, id=release_stop.c.id, load=_withdrawal,
)  # fmt: skip
_SUSPENSIONS: Final = _Source(
    query=select(key_suspension, api_key.c.account, api_key.c.created_at).join(
        api_key, api_key.c.id == key_suspension.c.key_id
    ),
    at=key_suspension.c.since, id=key_suspension.c.id, load=_suspension, account=api_key.c.account,
)  # fmt: skip
_SOURCES: Final = (_HOLDS, _REFUSALS, _WITHDRAWALS, _SUSPENSIONS)
