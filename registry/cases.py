"""Cases: releases that a person has to look at, and what was decided. Inside the caller's transaction.

Whether a release is served meanwhile is not said here but by its stops (`registry.recalls`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from registry import log
from registry.canonical import Json
from registry.errors import NotFound
from registry.ids import new_id
from registry.tables_recalls import review_case

ENTRY_VERSION: Final = 1
RETRO_MATCH, DERIVATIVE, KEY_REVOKED = "retro_match", "derivative", "key_revoked"
OPEN, UPHELD, DISMISSED = "open", "upheld", "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case about a release.

    ``kind`` and ``about``: retro_match and the subject that it may show, derivative and the withdrawn
    release that it was made from, key_revoked and the key that it was asked with; ``reasons``: why, for the
    person; ``state``: open | upheld | dismissed; ``decision``: the decider's words.
    """

    id: str
    kind: str
    release_id: str
    about: str
    reasons: tuple[Json, ...]
    state: str
    opened_at: str
    log_seq: int
    closed_at: str | None
    closed_seq: int | None
    decided_by: str
    decision: str


def add(
    conn: Connection, kind: str, release_id: str, about: str, reasons: Sequence[Json], at: str
) -> Case | None:
    """Open a case; None where there is an open one about the same."""
    if find_open(conn, kind, release_id, about) is not None:
        return None
    made = new_id(at)
    public: Json = {"v": ENTRY_VERSION, "case": made, "action": OPEN, "kind": kind, "release": release_id}
    entry = log.append(conn, "case", public, {"about": about, "codes": _codes(reasons)}, at)
    row: dict[str, Any] = {
        "id": made, "kind": kind, "release_id": release_id, "about": about, "reasons": [*reasons],
        "state": OPEN, "opened_at": at, "log_seq": entry.seq, "decided_by": "", "decision": "",
    }  # fmt: skip
    conn.execute(review_case.insert().values(**row))
    return get(conn, made)


def find_open(conn: Connection, kind: str, release_id: str, about: str) -> str | None:
    """The id of the open case about this."""
    same = (
        review_case.c.release_id == release_id, review_case.c.kind == kind, review_case.c.about == about,
        review_case.c.state == OPEN,
    )  # fmt: skip
    found: str | None = conn.execute(select(review_case.c.id).where(*same)).scalar()
    return found


def close(conn: Connection, case: Case, state: str, by: str, decision: str, at: str) -> Case:
    """Close an open case as upheld or dismissed, with a log entry."""
    public: Json = {
        "v": ENTRY_VERSION, "case": case.id, "action": state, "kind": case.kind, "release": case.release_id,
    }  # fmt: skip
    entry = log.append(conn, "case", public, {"by": by, "decision": decision}, at)
    values = {
        "state": state, "closed_at": at, "closed_seq": entry.seq, "decided_by": by, "decision": decision,
    }  # fmt: skip
    conn.execute(review_case.update().where(review_case.c.id == case.id).values(**values))
    return get(conn, case.id)


def get(conn: Connection, case_id: str) -> Case:
    """Return a case. Raises `NotFound`."""
    row = conn.execute(select(review_case).where(review_case.c.id == case_id)).first()
    if row is None:
        raise NotFound(f"There is no case {case_id[:40]!r}; see countermark case list.")
    return _loaded(row)


def page(
    conn: Connection, *, state: str | None = OPEN, release_id: str | None = None, after: str = "",
    limit: int = 100,
) -> list[Case]:  # fmt: skip
    """Return cases, oldest first; ``after``: the last id of the page before."""
    query = select(review_case).where(review_case.c.id > after).order_by(review_case.c.id).limit(limit)
    if state is not None:
        query = query.where(review_case.c.state == state)
    if release_id is not None:
        query = query.where(review_case.c.release_id == release_id)
    return [_loaded(row) for row in conn.execute(query)]


def derived_from(conn: Connection, release_id: str) -> list[Case]:
    """The open cases of what was made from a release, opened since it was withdrawn."""
    query = select(review_case).where(
        review_case.c.about == release_id, review_case.c.kind == DERIVATIVE, review_case.c.state == OPEN
    )
    return [_loaded(row) for row in conn.execute(query.order_by(review_case.c.id))]


def decided(conn: Connection, release_id: str) -> dict[str, int]:
    """Subjects that a person decided about in a release, with the log position of the case's opening."""
    query = select(review_case.c.about, review_case.c.log_seq).where(
        review_case.c.release_id == release_id, review_case.c.kind == RETRO_MATCH,
        review_case.c.state != OPEN,
    )  # fmt: skip
    found: dict[str, int] = {}
    for row in conn.execute(query):
        found[row.about] = max(row.log_seq, found.get(row.about, 0))
    return found


def _codes(reasons: Sequence[Json]) -> list[Any]:
    return [reason.get("code") for reason in reasons]


def _loaded(row: Row[Any]) -> Case:
    return Case(**row._asdict() | {"reasons": tuple(row.reasons)})
