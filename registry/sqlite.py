"""The registry in a SQLite file: WAL mode, ``synchronous=FULL``.

What was committed survives kill -9 and a power cut. A write transaction begins with BEGIN IMMEDIATE, so
that what it reads cannot change before it commits.
"""

import contextlib
import os
import random
import re
import sqlite3
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, exc
from sqlalchemy.engine import URL

from registry.errors import (
    ConstraintBroken,
    RegistryBusy,
    RegistryDamaged,
    RegistryError,
    RegistryUnusable,
    StorageFull,
)
from registry.schema import Schema

SQLITE_MIN: Final = (3, 37, 0)  # STRICT tables
WAIT_STEP_SECONDS: Final = (0.001, 0.003)
_PAUSES: Final = random.Random()  # noqa: S311 - no secret; of our own, so that no caller's seed is used up
KEPT_CONNECTIONS: Final = 4  # open between transactions; closing the last one costs two syncs
WRITE: Final = "registry_write"
"""Execution option of a connection that is about to write."""
_PRAGMAS: Final = ("foreign_keys=ON", "synchronous=FULL", "recursive_triggers=ON", "secure_delete=ON")


def check_version() -> None:
    """Refuse a SQLite that is too old."""
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        need = ".".join(map(str, SQLITE_MIN))
        raise RegistryUnusable(f"SQLite {sqlite3.sqlite_version} is too old; use a Python that has {need}.")


def make_engine(path: Path, busy: Callable[[], float]) -> Engine:
    """Return the engine of a file; ``busy``: how many seconds a writer waits for another one."""
    url = URL.create("sqlite+pysqlite", database=str(path))
    pool: dict[str, Any] = {"poolclass": QueuePool, "pool_size": KEPT_CONNECTIONS, "max_overflow": -1}
    engine = create_engine(url, **pool, connect_args={"timeout": busy()}, hide_parameters=True)
    weakref.finalize(engine, engine.pool.dispose)  # the last to close folds the write-ahead log in

    @event.listens_for(engine, "connect")
    def _connected(dbapi: sqlite3.Connection, record: Any) -> None:
        dbapi.isolation_level = None  # BEGIN is ours, below
        record.info["file"] = _identity(path)
        for pragma in _PRAGMAS:
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "checkout")
    def _checked_out(_dbapi: sqlite3.Connection, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _identity(path):  # a backup was restored under us: open that file
            raise exc.DisconnectionError

    @event.listens_for(engine, "begin")
    def _begun(conn: Connection) -> None:
        if conn.get_execution_options().get(WRITE):
            _begin_write(conn.connection.dbapi_connection, busy())
        else:
            conn.exec_driver_sql("BEGIN")

    return engine


def create_file(path: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise RegistryUnusable(f"Cannot open the registry {path.name}: {error.strerror}.") from error


def revision(path: Path, schema: Schema) -> str | None:
    """Read the schema's revision without writing; None for an empty file; refuse what is not ours."""
    if path.stat().st_size == 0:
        return None
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as conn:
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not schema.check_tables(tables, path.name):
            return None
        rows = [str(row[0]) for row in conn.execute("SELECT version_num FROM alembic_version")]
    return schema.check(rows, path.name)


def set_wal(path: Path, busy: float) -> None:
    """Switch the file to the write-ahead log; readers and the writer do not wait for each other then."""
    with contextlib.closing(sqlite3.connect(path, timeout=busy)) as conn:
        (mode,) = conn.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise RegistryUnusable(f"The file system of {path.name} allows no WAL; use a local disk.")


def translate(error: sqlite3.Error, busy: float) -> RegistryError:
    """Return this library's error for one of SQLite's."""
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintBroken(f"The registry refused the row: {text}.")
    if re.search("disk is full|disk I/O|readonly|read-only", text):
        return StorageFull(f"The registry cannot be written ({text}); free space or fix its permissions.")
    if "locked" in text:
        return RegistryBusy(f"The registry was busy for {busy:.0f} seconds; try again.")
    if "not a database" in text:
        return RegistryUnusable("The registry file is not a database; move it away or restore a backup.")
    if "malformed" in text:
        return RegistryDamaged("The registry file is damaged; restore a backup.")
    return RegistryUnusable(f"The registry cannot be used: {text}.")


def _begin_write(dbapi: Any, busy: float) -> None:
    """Wait for the write lock in short steps; SQLite's own waits grow, and who waited long waits longer."""
    until = time.monotonic() + busy
    dbapi.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                dbapi.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(_PAUSES.uniform(*WAIT_STEP_SECONDS))
    finally:
        dbapi.execute(f"PRAGMA busy_timeout = {busy * 1000:.0f}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_dev, told.st_ino
