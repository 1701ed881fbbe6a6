"""Which release was made from which: recorded when it is published, inside the caller's transaction."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from registry.tables_recalls import release_parent
from registry.types import Parent

BATCH: Final = 500  # ids in one query


def store(conn: Connection, release_id: str, given: Sequence[Parent]) -> None:
    """Keep the parents of a release that is being published."""
    if given:
        rows = [
            {"release_id": release_id, "parent_id": p.release, "relation": p.relation, "evidence": p.evidence}
            for p in given
        ]
        conn.execute(release_parent.insert(), rows)


def of(conn: Connection, release_id: str) -> tuple[Parent, ...]:
    """The parents of a release."""
    query = select(release_parent).where(release_parent.c.release_id == release_id)
    return tuple(
        Parent(release=row.parent_id, relation=row.relation, evidence=row.evidence)
        for row in conn.execute(query.order_by(release_parent.c.parent_id))
    )


def ancestors(conn: Connection, release_ids: Iterable[str]) -> frozenset[str]:
    """These releases, and everything that they were made from."""
    given = frozenset(release_ids)
    return given | _reached(conn, given, release_parent.c.release_id, release_parent.c.parent_id)


def descendants(conn: Connection, release_id: str) -> frozenset[str]:
    """Everything that was made from a release, and from that, without the release itself."""
    return _reached(conn, {release_id}, release_parent.c.parent_id, release_parent.c.release_id) - {
        release_id
    }


def _reached(conn: Connection, start: Collection[str], known: Any, wanted: Any) -> frozenset[str]:
    found: set[str] = set()
    edge = list(start)
    while edge:
        batch, edge = edge[:BATCH], edge[BATCH:]
        query = select(wanted).where(known.in_(batch))
        fresh = {str(row[0]) for row in conn.execute(query)} - found
        found |= fresh
        edge += sorted(fresh)
    return frozenset(found)
