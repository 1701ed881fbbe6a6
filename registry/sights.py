"""What was seen of each release: stored with it, read by the retro-scan, forgotten when told to.

The registry keeps the rows and reads nothing in them; those about faces come sealed.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, select

from registry.db import write
from registry.errors import EntryInvalid
from registry.ids import parse_time
from registry.tables import release, release_sight
from registry.types import SightRow

ROWS_MAX: Final = 668
"""What the largest order makes (a test of `pipeline.sights` computes it): 204 passes of 3 rows for 32 turns,
the words of 21 moments in each of 8 clips that it is made from, and prompt and enhanced prompt, each alone
and after all of these; 2 rows of judges of prompts; 6 of each of 9 clips.
"""
BYTES_MAX: Final = 64 << 20
FORGET_BATCH: Final = 500  # releases per write transaction, so that publishing does not wait long


def store(conn: Connection, release_id: str, rows: Sequence[SightRow]) -> None:
    """Keep what was seen, inside the transaction that publishes. Raises `EntryInvalid`: too much."""
    size = sum(len(row.vectors) + len(row.times) + len(row.boxes) for row in rows)
    if len(rows) > ROWS_MAX or size > BYTES_MAX:
        raise EntryInvalid(
            f"What was seen is too much to keep ({len(rows)} rows, {size} bytes); sample less."
        )
    if rows:
        numbered = [
            asdict(row) | {"sealed": int(row.sealed), "release_id": release_id, "number": n}
            for n, row in enumerate(rows)
        ]
        conn.execute(release_sight.insert(), numbered)


def of(
    conn: Connection, release_ids: Collection[str], kinds: Collection[str] | None = None
) -> dict[str, tuple[SightRow, ...]]:
    """Return what is kept of these releases, by release; ``kinds``: only these."""
    query = select(release_sight).where(release_sight.c.release_id.in_(release_ids))
    if kinds is not None:
        # joined to "" so that a database goes by the releases, and not by all that has these kinds
        query = query.where(release_sight.c.kind.concat("").in_(kinds))
    found: dict[str, list[SightRow]] = defaultdict(list)
    for row in conn.execute(query.order_by(release_sight.c.release_id, release_sight.c.number)):
        found[row.release_id].append(loaded(row))
    return {release_id: tuple(rows) for release_id, rows in found.items()}


def spaces(conn: Connection, release_ids: Collection[str]) -> dict[str, frozenset[tuple[str, str]]]:
    """Return the (kind, space) of what is kept of these releases, without reading it."""
    query = select(release_sight.c.release_id, release_sight.c.kind, release_sight.c.space)
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in conn.execute(query.where(release_sight.c.release_id.in_(release_ids))):
        found[row.release_id].add((row.kind, row.space))
    return {release_id: frozenset(listed) for release_id, listed in found.items()}


def forget_sights(engine: Engine, kind: str, *, before: str) -> int:
    """Delete what was seen of this kind in releases published before a time; return how many rows.

    A retro-scan can no longer compare these releases with pictures or faces of that kind.
    """
    parse_time(before)
    old = select(release_sight.c.release_id).join(release, release.c.id == release_sight.c.release_id)
    old = old.where(release_sight.c.kind == kind, release.c.published_at < before).distinct()
    gone = 0
    while True:
        with write(engine) as conn:
            ids = [row.release_id for row in conn.execute(old.limit(FORGET_BATCH))]
            if not ids:
                return gone
            these = (release_sight.c.kind == kind, release_sight.c.release_id.in_(ids))
            gone += conn.execute(delete(release_sight).where(*these)).rowcount


def loaded(row: Any) -> SightRow:
    """A row as what was seen."""
    told = row._asdict()
    del told["release_id"], told["number"]
    return SightRow(**told | {"sealed": bool(row.sealed)})
