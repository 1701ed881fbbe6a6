"""Reading rows of `release`, inside the caller's transaction."""

from typing import Any

from sqlalchemy import Connection, Row, select

from registry.errors import NotFound
from registry.tables import release
from registry.types import Release, ReleaseState


def one(conn: Connection, condition: Any) -> Release | None:
    """The release that fulfils a condition."""
    row = conn.execute(select(release).where(condition)).first()
    return None if row is None else loaded(row)


def demand(conn: Connection, release_id: str) -> Release:
    """A release by its id. Raises `NotFound`."""
    found = one(conn, release.c.id == release_id)
    if found is None:
        raise NotFound(f"There is no release {release_id[:40]}.")
    return found


def loaded(row: Row[Any]) -> Release:
    """A whole row as a release."""
    values = row._asdict()
    for told in ("detected_payload", "reread_verdict", "decision_verdict"):  # the database fixes these
        del values[told]
    return Release(**values | {"state": ReleaseState(row.state)})
