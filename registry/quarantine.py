"""Quarantine: what matches too much still holds, and refuses nothing, until an operator releases it.

1. What is quarantined is a picture (by its digest), a name (in its normal form), or all the words of a
   subject. It must be in force.
2. It is a log entry that can change a verdict, so that views, the publish fence and the retro-scan follow.
3. It outlives the opt-out: withdrawing and registering the same again does not end it. What was released
   once is not quarantined again for how it fitted at registration.
4. The portrait of a person is quarantined by an operator only; the database refuses anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, select

from registry import log
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.drafts import normal
from registry.errors import NotFound, OptOutInvalid
from registry.subject_types import QuarantineDraft
from registry.tables import embedding, name, reference, subject
from registry.tables_quarantine import quarantine as table

ENTRY_VERSION: Final = 1
PICTURE, WORDS, NAME = "picture", "words", "name"
KINDS: Final = (PICTURE, WORDS, NAME)
REGISTRATION, MATCHES, OPERATOR = "registration", "matches", "operator"
PREFIX_MIN: Final = 8  # digits of a digest by which an operator may name a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A row: ``cause`` is registration | matches | operator; ``removed_seq``: None while in force."""

    subject: str
    kind: str
    item: str
    cause: str
    why: str
    figures: Json
    since: str
    log_seq: int
    removed_seq: int | None


def place(
    conn: Connection, subject_id: str, drafts: Sequence[QuarantineDraft], cause: str, now: str
) -> int | None:
    """Quarantine parts of a subject in force, in the caller's write transaction.

    Returns the log position, or None where all of it is in quarantine (or, at registration, was) already.
    """
    known = _rows(conn, subject_id)
    held = {(row.kind, row.item) for row in known if cause == REGISTRATION or row.removed_seq is None}
    wanted = {(draft.kind, _item(draft.kind, draft.item)): draft for draft in drafts}
    fresh = {key: draft for key, draft in wanted.items() if key not in held}
    if not fresh:
        return None
    seq = _log(conn, subject_id, "quarantine", list(fresh), {"cause": cause}, now)
    rows = [
        {"subject_id": subject_id, "kind": kind, "item": item, "cause": cause, "why": draft.why,
         "figures": draft.figures, "since": now, "log_seq": seq}
        for (kind, item), draft in fresh.items()
    ]  # fmt: skip
    conn.execute(table.insert(), rows)
    return seq


def quarantine(
    engine: Engine, subject_id: str, drafts: Sequence[QuarantineDraft], *, cause: str, now: str,
    sign_checkpoint: NoteSigner,
) -> int | None:  # fmt: skip
    """`place` in a transaction of its own. Raises `NotFound` for what is not in force."""
    with write(engine) as conn:
        for draft in drafts:
            _demand(conn, subject_id, draft.kind, _item(draft.kind, draft.item))
        seq = place(conn, subject_id, drafts, cause, now)
        if seq is not None:
            log.add_checkpoint(conn, sign_checkpoint, now)
    return seq


def release(
    engine: Engine, subject_id: str, kind: str, item: str, *, why: str, now: str, sign_checkpoint: NoteSigner
) -> int:
    """End a quarantine; what it held counts as before. Raises `NotFound` where there is none in force."""
    wanted = _item(kind, item)
    with write(engine) as conn:
        here = (table.c.subject_id == subject_id, table.c.kind == kind, table.c.item == wanted)
        row = conn.execute(select(table).where(*here, table.c.removed_seq.is_(None))).first()
        if row is None:
            raise NotFound("That is not in quarantine; see: countermark reference list.")
        seq = _log(conn, subject_id, "release", [(kind, wanted)], {"why": why}, now)
        conn.execute(table.update().where(table.c.id == row.id).values(removed_seq=seq))
        log.add_checkpoint(conn, sign_checkpoint, now)
    return seq


def listed(
    engine: Engine, subject_id: str | None = None, *, released: bool = False
) -> tuple[Quarantined, ...]:
    """What is in quarantine (with ``released``, also what was), oldest first."""
    with read(engine) as conn:
        rows = _rows(conn, subject_id)
    return tuple(_loaded(row) for row in rows if released or row.removed_seq is None)


def find_picture(engine: Engine, subject_id: str, told: str) -> str:
    """The digest of a registered picture that begins with ``told``. Raises `NotFound`, `OptOutInvalid`."""
    if len(told) < PREFIX_MIN:
        raise OptOutInvalid(f"Name a picture by at least {PREFIX_MIN} digits of its SHA-256.")
    query = select(reference.c.sha256).where(
        reference.c.subject_id == subject_id, reference.c.removed_seq.is_(None)
    )
    with read(engine) as conn:
        found = [str(row.sha256) for row in conn.execute(query) if row.sha256.startswith(told.lower())]
    if len(found) != 1:
        raise NotFound(f"{len(found)} pictures of this opt-out begin with {told[:64]!r}; see: optout show.")
    return found[0]


def _item(kind: str, item: str) -> str:
    if kind not in KINDS:
        raise OptOutInvalid(f"{kind[:40]!r} cannot be quarantined; choose one of: {', '.join(KINDS)}.")
    return normal(item) if kind == NAME else item


def _rows(conn: Connection, subject_id: str | None) -> Sequence[Row[Any]]:
    query = select(table).order_by(table.c.id)
    if subject_id is not None:
        query = query.where(table.c.subject_id == subject_id)
    return conn.execute(query).all()


def _demand(conn: Connection, subject_id: str, kind: str, item: str) -> None:
    column = {
        PICTURE: reference.c.sha256, NAME: name.c.normal, WORDS: embedding.c.reference_sha256,
    }[kind]  # fmt: skip
    rows = column.table
    query = select(rows.c.id).where(
        rows.c.subject_id == subject_id, rows.c.removed_seq.is_(None), column == item
    )
    if conn.execute(query).first() is None:
        told = "no words to compare" if kind == WORDS else f"no {kind} {item[:40]!r}"
        raise NotFound(f"The opt-out {subject_id[:40]!r} has {told} in force; see: countermark optout show.")


def _log(
    conn: Connection, subject_id: str, action: str, items: Sequence[tuple[str, str]], why: Json, now: str
) -> int:
    """Log it, and move the subject there. What it is, is nobody else's business: a name, a picture."""
    row = conn.execute(select(subject.c.id, subject.c.kind).where(subject.c.id == subject_id)).first()
    if row is None:
        raise NotFound(f"There is no opt-out {subject_id[:40]!r}.")
    public: Json = {
        "v": ENTRY_VERSION, "subject": subject_id, "action": action, "kind": row.kind, "parts": len(items),
    }  # fmt: skip
    private: Json = why | {"parts": [[kind, item] for kind, item in items]}
    entry = log.append(conn, "reference", public, private, now)
    conn.execute(subject.update().where(subject.c.id == subject_id).values(changed_seq=entry.seq))
    return entry.seq


def _loaded(row: Row[Any]) -> Quarantined:
    return Quarantined(
        subject=row.subject_id, kind=row.kind, item=row.item, cause=row.cause, why=row.why,
        figures=row.figures, since=row.since, log_seq=row.log_seq, removed_seq=row.removed_seq,
    )  # fmt: skip
