"""Imports that accounts asked for: they wait, run, and end; what is told of their lines.

1. The name that an account gives a request makes it one: asked again it is the same, for something else it is
   refused.
2. Who has its turn (`registry.turns`) begins it, and says what it writes by; one that has ended stays so.
3. What is told of lines holds names of the catalogue: it is deleted after a while, and the counts stay.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, and_, delete, func, select

from registry.canonical import Json, stored
from registry.db import read, write
from registry.errors import KeyReused, NotFound, QueueFull
from registry.ids import new_id
from registry.jobs import Room
from registry.tables_imports import import_line, import_request, import_told

WAITING, RUNNING, DONE, REFUSED, FAILED = "waiting", "running", "done", "refused", "failed"
PROBLEM: Final = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """``wanted``: what files are called and hold, and the options; ``folder``: where they lie until it ends;
    ``tries``: how often it was begun; ``run_id``: of the import that writes it; ``progress``, ``counts``,
    ``error``: as far as there are any.
    """

    id: str
    account: str
    key_id: str
    wanted: Json
    folder: str
    state: str
    tries: int
    run_id: str | None
    progress: Json | None
    counts: Json | None
    error: Json | None
    created_at: str
    changed_at: str
    finished_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told of a line: new | extends | unchanged | waits | skipped | problem, and why it is wrong."""

    line: int
    outcome: str
    code: str | None = None
    message: str | None = None
    notes: tuple[str, ...] = ()
    subject: str | None = None
    seq: int | None = None


def accept(
    engine: Engine, *, account: str, key: str, request: str, wanted: Json, folder: str, room: Room, now: str
) -> ImportRequest:
    """Have an import wait, or return the one of that name (1). Raises: KeyReused, QueueFull."""
    named = hashlib.sha256(json.dumps([account, request]).encode()).hexdigest()
    with write(engine) as conn:
        known = conn.execute(select(import_request).where(import_request.c.named == named)).first()
        if known is None:
            demand_room(conn, room)
            made = new_id(now)
            conn.execute(
                import_request.insert().values(
                    id=made, account=account, key_id=key, named=named, wanted=wanted, folder=folder,
                    state=WAITING, tries=0, created_at=now, changed_at=now,
                )
            )  # fmt: skip
            return _demand(conn, made)
    if stored(known.wanted) != stored(wanted):
        raise KeyReused("The Idempotency-Key was used for another import; choose a new one.")
    return _loaded(known)


def demand_room(conn: Connection, room: Room) -> None:
    """Raises: QueueFull if as many imports wait as may, in all or of the account."""
    waiting = select(func.count()).where(import_request.c.state == WAITING)
    if conn.execute(waiting).scalar_one() >= room.all:
        raise QueueFull("As many imports wait as this service takes; try again later.")
    if conn.execute(waiting.where(import_request.c.account == room.account)).scalar_one() >= room.each:
        raise QueueFull(
            "As many imports of this account wait as may; try again when one has ended.", own=True
        )


def unfinished(engine: Engine) -> list[ImportRequest]:
    """Those that have not ended, oldest first."""
    query = select(import_request).where(import_request.c.finished_at.is_(None)).order_by(import_request.c.id)
    with read(engine) as conn:
        return [_loaded(row) for row in conn.execute(query)]


def begin(engine: Engine, request_id: str, now: str) -> ImportRequest | None:
    """Begin an import, or go on with it (2), and count that; None where it has ended."""
    with write(engine) as conn:
        known = _demand(conn, request_id)
        if known.finished_at is not None:
            return None
        _set(conn, request_id, state=RUNNING, tries=known.tries + 1, changed_at=now)
        return _demand(conn, request_id)


def put_back(engine: Engine, request_id: str, now: str) -> None:
    """Let another process, or a later moment, go on with it: this try does not count."""
    with write(engine) as conn:
        known = _demand(conn, request_id)
        if known.finished_at is None:
            _set(conn, request_id, tries=max(0, known.tries - 1), changed_at=now)


def note_run(engine: Engine, request_id: str, run_id: str, told: Sequence[Told]) -> None:
    """The import has begun to write, as this run; what is told of its lines, where that was not before."""
    with write(engine) as conn:
        if _demand(conn, request_id).run_id != run_id:
            _set(conn, request_id, run_id=run_id)
        _tell(conn, request_id, told)


def note_progress(engine: Engine, request_id: str, progress: Json, now: str, *, wrote: bool = False) -> None:
    """How far it is. ``wrote``: lines are in force that were not: earlier tries do not count any more."""
    forgiven: Json = {"tries": 0} if wrote else {}
    with write(engine) as conn:
        _set(conn, request_id, progress=progress, changed_at=now, **forgiven)


def end(
    engine: Engine, request_id: str, state: str, *, now: str, counts: Json | None = None,
    error: Json | None = None, told: Sequence[Told] = (),
) -> None:  # fmt: skip
    """How it ended, and what is told of its lines; nothing where it has ended already."""
    with write(engine) as conn:
        if _demand(conn, request_id).finished_at is None:
            _tell(conn, request_id, told)
            _set(
                conn, request_id, state=state, counts=counts, error=error, progress=None, changed_at=now,
                finished_at=now,
            )  # fmt: skip


def get(engine: Engine, request_id: str) -> ImportRequest:
    """One import. Raises: NotFound."""
    with read(engine) as conn:
        return _demand(conn, request_id)


def of_account(engine: Engine, account: str, *, after: str = "", limit: int = 100) -> list[ImportRequest]:
    """The imports of an account, oldest first; ``after``: the last id of the page before."""
    table = import_request
    query = select(table).where(table.c.account == account, table.c.id > after)
    with read(engine) as conn:
        return [_loaded(row) for row in conn.execute(query.order_by(table.c.id).limit(limit))]


def lines(
    engine: Engine, request: ImportRequest, *, after: int = 0, limit: int = 100, problems: bool = False
) -> list[Told]:
    """What is told of lines, in the order of the file, after line ``after``; ``problems``: of wrong ones
    only.
    """
    told, line = import_told.c, import_line.c
    if request.run_id is None or problems:
        query = select(
            told.line, told.outcome, told.code, told.message, told.notes, line.subject_id, line.seq
        ).outerjoin_from(import_told, import_line, _same_line(request.run_id))
        query = query.where(told.request_id == request.id, told.line > after)
        query = query.where(told.outcome == PROBLEM) if problems else query
        query = query.order_by(told.line)
    else:
        joined = and_(told.request_id == request.id, told.line == line.line)
        query = select(
            line.line, line.outcome, line.code, told.message, told.notes, line.subject_id, line.seq
        ).outerjoin_from(import_line, import_told, joined)
        query = query.where(line.run_id == request.run_id, line.line > after).order_by(line.line)
    with read(engine) as conn:
        return [
            Told(
                line=row.line, outcome=row.outcome, code=row.code, message=row.message,
                notes=tuple(row.notes or ()), subject=row.subject_id, seq=row.seq,
            )
            for row in conn.execute(query.limit(limit))
        ]  # fmt: skip


def forget_told(engine: Engine, *, before: str) -> int:
    """Delete what is told of lines of imports that ended before a time (3); how many."""
    old = select(import_request.c.id).where(import_request.c.finished_at < before)
    with write(engine) as conn:
        return conn.execute(delete(import_told).where(import_told.c.request_id.in_(old))).rowcount


def forget_subject(conn: Connection, subject_id: str) -> None:
    """Delete what is told of the lines that a subject came by."""
    came_by = (
        select(import_line.c.line)
        .join(import_request, import_request.c.run_id == import_line.c.run_id)
        .where(
            import_line.c.subject_id == subject_id, import_request.c.id == import_told.c.request_id,
            import_line.c.line == import_told.c.line,
        )
    )  # fmt: skip
    conn.execute(delete(import_told).where(came_by.exists()))


def folders(engine: Engine) -> set[Path]:
    """Where files lie that imports have still to read."""
    return {Path(one.folder) for one in unfinished(engine)}


def _same_line(run_id: str | None) -> Any:
    return and_(import_line.c.run_id == (run_id or ""), import_line.c.line == import_told.c.line)


def _tell(conn: Connection, request_id: str, told: Sequence[Told]) -> None:
    known = set(
        conn.execute(select(import_told.c.line).where(import_told.c.request_id == request_id)).scalars()
    )
    rows = [
        {"request_id": request_id, "line": one.line, "outcome": one.outcome, "code": one.code,
         "message": one.message, "notes": list(one.notes)}
        for one in told if one.line not in known
    ]  # fmt: skip
    if rows:
        conn.execute(import_told.insert(), rows)


def _demand(conn: Connection, request_id: str) -> ImportRequest:
    row = conn.execute(select(import_request).where(import_request.c.id == request_id)).first()
    if row is None:
        raise NotFound(f"There is no import {request_id[:40]!r}.")
    return _loaded(row)


def _set(conn: Connection, request_id: str, **values: Any) -> None:
    conn.execute(import_request.update().where(import_request.c.id == request_id).values(**values))


def _loaded(row: Row[Any]) -> ImportRequest:
    told = row._asdict()
    del told["named"]
    return ImportRequest(**told)
