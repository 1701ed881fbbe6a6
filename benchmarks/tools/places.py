"""Where a benchmark's registry lies: in a SQLite file, or in a schema of its own of a PostgreSQL database."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.tools.local_postgres import LocalServer, programs

SQLITE: Final = "sqlite"
POSTGRES: Final = "postgresql"


def named(database: str | None) -> str:
    """Which of the two it is, for the conditions of a row."""
    return SQLITE if database is None else POSTGRES


@contextmanager
def place(folder: Path, database: str | None) -> Iterator[Path | str]:
    """An empty registry, as `registry.db.open_database` takes it; a schema goes with the end of the block."""
    if database is None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder / "registry.db"
        return
    import psycopg

    schema = f"bench_{secrets.token_hex(6)}"
    joined = "&" if "?" in database else "?"
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA {schema}".encode())
        try:
            yield f"{database}{joined}options=-csearch_path%3D{schema}"
        finally:
            conn.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@contextmanager
def databases(given: str | None, *, server: bool) -> Iterator[list[str | None]]:
    """SQLite, and PostgreSQL where one is given, or where ``server`` and one can be started here."""
    if given is not None:
        yield [None, given]
    elif server and programs() is not None:
        with LocalServer(durable=True) as local:
            yield [None, local.create("benchmark")]
    else:
        yield [None]
