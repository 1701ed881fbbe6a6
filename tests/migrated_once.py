"""Most tests make a registry, and its migrations take a third of a second: in SQLite they run once a process.

From then on an empty file gets the tables, triggers and rows that the migrations left in the first one. If a
database is not empty, or another revision is asked for, the real migrations run.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from registry.schema import Schema

MIGRATE = Schema.upgrade  # for tests of the migrations
_TABLES = "SELECT count(*) FROM sqlite_master"
_NOT_STATEMENTS = ("BEGIN TRANSACTION;", "COMMIT;")


def install() -> None:
    """Let every further empty SQLite file of this process begin with what the first migration made."""
    made: dict[str, list[str]] = {}

    def upgrade(schema: Schema, conn: Connection) -> None:
        empty = conn.dialect.name == "sqlite" and not conn.exec_driver_sql(_TABLES).scalar()
        file: Any = conn.connection.driver_connection
        if empty and schema.head in made:
            for statement in made[schema.head]:
                file.execute(statement)
            return
        MIGRATE(schema, conn)
        if empty:
            made[schema.head] = [*_statements(file)]

    Schema.upgrade = upgrade  # type: ignore[method-assign]


def _statements(file: Any) -> Iterator[str]:
    """What makes the same database again: SQL, and the one number of its head that the migrations set."""
    yield f"PRAGMA application_id = {file.execute('PRAGMA application_id').fetchone()[0]}"
    yield from (line for line in file.iterdump() if line not in _NOT_STATEMENTS)
