"""Opening the database, and its two kinds of transactions.

SQLite (`registry.sqlite`) or PostgreSQL (`registry.postgres`), with the same promises: writers go one after
another, and what a write transaction reads cannot change before it commits; a read transaction sees one
snapshot; what was committed survives kill -9 and a power cut.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, exc, literal_column

from registry import postgres, sqlite
from registry.errors import RegistryError, RegistryUnusable
from registry.locks import exclusive
from registry.postgres_url import is_url
from registry.schema import Schema

HEAD: Final = "r0026"  # the newest migration; a test compares
BUSY_SECONDS: Final = 30.0
_NOW: Final = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
}
_READ_OPTIONS: Final[dict[str, dict[str, Any]]] = {"sqlite": {}, "postgresql": postgres.READ_OPTIONS}
_GLANCE_OPTIONS: Final[dict[str, dict[str, Any]]] = {"sqlite": {}, "postgresql": postgres.GLANCE_OPTIONS}


def open_database(where: Path | str) -> Engine:
    """Open the database, making or migrating it, and return its engine.

    ``where``: the path of a SQLite file, or the URL of a PostgreSQL database.

    1. SQLite or the server is new enough.
    2. One process at a time makes or migrates; the others wait.
    3. A database that is not ours, or of a newer schema, is refused before anything is written to it.
    4. Migrations run in one transaction: all or nothing.
    """
    schema = Schema(HEAD)
    if isinstance(where, Path):
        return _open_file(where, schema)
    if not is_url(where):
        raise RegistryUnusable("The registry's database is a path, or a URL that begins with postgresql://.")
    return _open_server(where, schema)


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction; it commits at the end of the block and rolls back on any exception."""
    with translated(), engine.connect().execution_options(**{sqlite.WRITE: True}) as conn, conn.begin():
        yield conn


@contextmanager
def beside(engine: Engine) -> Iterator[Connection]:
    """Open a short write transaction that does not wait for other writers, where the database can do that.

    Only where nothing has to agree with other rows than those that it changes, such as a process's sign of
    life. In SQLite it waits all the same.
    """
    if engine.dialect.name == "sqlite":
        with write(engine) as conn:
            yield conn
    else:
        with translated(), engine.connect() as conn, conn.begin():
            postgres.limit(conn, BUSY_SECONDS)
            yield conn


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """Open a read transaction: one snapshot for the whole block."""
    options = _READ_OPTIONS[engine.dialect.name]
    with translated(), engine.connect().execution_options(**options) as conn, conn.begin():
        yield conn


@contextmanager
def glance(engine: Engine) -> Iterator[Connection]:
    """Open a connection for a single question: a transaction around it would take two more trips."""
    options = _GLANCE_OPTIONS[engine.dialect.name]
    with translated(), engine.connect().execution_options(**options) as conn, conn.begin():
        yield conn


@contextmanager
def translated() -> Iterator[None]:
    """Turn database exceptions into this library's errors."""
    try:
        yield
    except exc.StatementError as error:
        if isinstance(error.orig, RegistryError):  # from JsonText, on the way to the database
            raise error.orig from error
        told = _error(error.orig)
        if isinstance(error, exc.IntegrityError | exc.DataError):  # PostgreSQL's says what is in the row
            raise told from None
        raise told from error
    except sqlite3.Error as error:
        raise _error(error) from error


def seconds_now(dialect: str) -> ColumnElement[float]:
    """Seconds since 1970 by the database's own clock, so that the clocks of hosts do not matter."""
    return literal_column(_NOW[dialect])


def _error(error: BaseException | None) -> RegistryError:
    if isinstance(error, sqlite3.Error):
        return sqlite.translate(error, BUSY_SECONDS)
    if hasattr(error, "sqlstate"):
        return postgres.translate(error, BUSY_SECONDS)
    return RegistryUnusable(f"The registry cannot be used: {error}.")


def _busy() -> float:
    return BUSY_SECONDS


def _open_file(path: Path, schema: Schema) -> Engine:
    sqlite.check_version()  # 1
    engine = sqlite.make_engine(path, _busy)
    with translated(), exclusive(path.with_name(f"{path.name}.lock")):  # 2
        sqlite.create_file(path)
        current = sqlite.revision(path, schema)  # 3
        if current != schema.head:
            sqlite.set_wal(path, BUSY_SECONDS)
            with write(engine) as conn:
                schema.upgrade(conn)  # 4
        elif not os.access(path, os.W_OK):
            raise RegistryUnusable(f"The registry {path.name} is read-only; make it writable.")
    return engine


def _open_server(where: str, schema: Schema) -> Engine:
    engine = postgres.make_engine(where, _busy)
    try:
        with read(engine) as conn:
            current = postgres.revision(conn, schema)  # 1, 3
        if current != schema.head:
            with write(engine) as conn:  # 2
                if postgres.revision(conn, schema) != schema.head:
                    schema.upgrade(conn)  # 4
        with read(engine) as conn:
            postgres.check_writable(conn)
    except BaseException:
        engine.dispose()
        raise
    return engine
