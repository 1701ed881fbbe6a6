"""What a scan reads of every release, in a narrow table and in indexes that hold all of it."""

import json
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from registry.migrations import r0012_triggers as triggers
from registry.migrations.r0001_triggers import apply
from registry.migrations.versions import r0001_release_store as r0001
from registry.migrations.versions import r0002_opt_outs as r0002

revision = "r0012"
down_revision = "r0011"
branch_labels = None
depends_on = None

_any = r0002._any

ROWS: Final = 1000
READING: Final = ("v", "letters", "runs")


def upgrade() -> None:
    """Make the table, fill it from the facts of releases, and make the indexes."""
    r0001._table(
        "release_look",
        r0001._id("release_id"), _any("policy"), r0001._int("asked", "{0} IN (0, 1)"), _any("api_key"),
        _any("version"), _any("letters"), _any("runs"),
        sa.PrimaryKeyConstraint("release_id"),
    )  # fmt: skip
    _fill()
    op.create_index("release_look_by", "release_look", ["release_id", "policy", "asked", "api_key"])
    op.create_index("release_out", "release", ["state", "id", "registry_seq", "log_seq"])
    op.create_index("release_sight_of", "release_sight", ["kind", "space", "release_id", "sealed", "count"])
    apply(triggers.ALL)


def _fill() -> None:
    names = ("release_id", "policy", "asked", "api_key", "version", "letters", "runs")
    table = sa.table("release_look", *map(sa.column, names))
    for rows in _releases():
        op.get_bind().execute(table.insert(), [_look(row.id, json.loads(row.facts)) for row in rows])


def _releases() -> Iterator[list[Any]]:
    release = sa.table("release", sa.column("id"), sa.column("facts"))
    query, last = sa.select(release).order_by(release.c.id).limit(ROWS), ""
    while rows := list(op.get_bind().execute(query.where(release.c.id > last))):
        yield rows
        last = rows[-1].id


def _look(release_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    told = facts.get("reading") or {}
    version, letters, runs = (str(told.get(name, "")) for name in READING)
    if "letters" not in told or "\0" in letters + runs:
        version = letters = runs = ""
    return {
        "release_id": release_id, "policy": str(facts.get("policy") or ""),
        "asked": int(facts.get("prompt") is not None), "api_key": str(facts.get("key") or ""),
        "version": version, "letters": letters, "runs": runs,
    }  # fmt: skip
