"""Opening the database, and its two kinds of transactions.

SQLite in WAL mode, ``synchronous=FULL``: what was committed survives kill -9 and a power cut. A write
transaction begins with BEGIN IMMEDIATE, so that what it reads cannot change before it commits.
"""

import contextlib
import os
import random
import re
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, exc
from sqlalchemy.engine import URL

from registry.errors import (
    ConstraintBroken,
    RegistryBusy,
    RegistryDamaged,
    RegistryError,
    RegistryUnusable,
    SchemaNewer,
    StorageFull,
)
from registry.locks import exclusive

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "r0010"  # the newest migration; a test compares
SQLITE_MIN: Final = (3, 37, 0)  # STRICT tables
BUSY_SECONDS: Final = 30.0
WAIT_STEP_SECONDS: Final = (0.001, 0.003)
KEPT_CONNECTIONS: Final = 4  # open between transactions; closing the last one costs two syncs
_WRITE: Final = "registry_write"
_PRAGMAS: Final = ("foreign_keys=ON", "synchronous=FULL", "recursive_triggers=ON", "secure_delete=ON")


def open_database(path: Path) -> Engine:
    """Open the database, making or migrating it, and return its engine.

    1. SQLite is new enough.
    2. One process at a time makes or migrates; the others wait.
    3. A file that is not ours, or of a newer schema, is refused before anything is written to it.
    4. Migrations run in one transaction: all or nothing.
    """
    if sqlite3.sqlite_version_info < SQLITE_MIN:  # 1
        need = ".".join(map(str, SQLITE_MIN))
        raise RegistryUnusable(f"SQLite {sqlite3.sqlite_version} is too old; use a Python that has {need}.")
    engine = _engine(path)
    with translated(), exclusive(path.with_name(f"{path.name}.lock")):  # 2
        _create_file(path)
        current = _revision(path)  # 3
        if current != HEAD:
            _set_wal(path)
            _migrate(engine)  # 4
        elif not os.access(path, os.W_OK):
            raise RegistryUnusable(f"The registry {path.name} is read-only; make it writable.")
    return engine


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction; it commits at the end of the block and rolls back on any exception."""
    with translated(), engine.connect().execution_options(**{_WRITE: True}) as conn, conn.begin():
        yield conn


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """Open a read transaction: one snapshot for the whole block."""
    with translated(), engine.connect() as conn, conn.begin():
        yield conn


@contextmanager
def translated() -> Iterator[None]:
    """Turn database exceptions into this library's errors."""
    try:
        yield
    except exc.IntegrityError as error:
        raise ConstraintBroken(f"The registry refused the row: {error.orig}.") from error
    except exc.StatementError as error:
        if isinstance(error.orig, RegistryError):  # from JsonText, on the way to the database
            raise error.orig from error
        raise _error(str(error.orig)) from error
    except sqlite3.Error as error:
        raise _error(str(error)) from error


def _error(text: str) -> RegistryError:
    if re.search("disk is full|disk I/O|readonly|read-only", text):
        return StorageFull(f"The registry cannot be written ({text}); free space or fix its permissions.")
    if "locked" in text:
        return RegistryBusy(f"The registry was busy for {BUSY_SECONDS:.0f} seconds; try again.")
    if "not a database" in text:
        return RegistryUnusable("The registry file is not a database; move it away or restore a backup.")
    if "malformed" in text:
        return RegistryDamaged("The registry file is damaged; restore a backup.")
    return RegistryUnusable(f"The registry cannot be used: {text}.")


def _engine(path: Path) -> Engine:
    url = URL.create("sqlite+pysqlite", database=str(path))
    pool: dict[str, Any] = {"poolclass": QueuePool, "pool_size": KEPT_CONNECTIONS, "max_overflow": -1}
    engine = create_engine(url, **pool, connect_args={"timeout": BUSY_SECONDS})
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
        if conn.get_execution_options().get(_WRITE):
            _begin_write(conn.connection.dbapi_connection)
        else:
            conn.exec_driver_sql("BEGIN")

    return engine


def _begin_write(dbapi: Any) -> None:
    """Wait for the write lock in short steps; SQLite's own waits grow, and who waited long waits longer."""
    until = time.monotonic() + BUSY_SECONDS
    dbapi.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                dbapi.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(random.uniform(*WAIT_STEP_SECONDS))  # noqa: S311 - no secret
    finally:
        dbapi.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_dev, told.st_ino


def _create_file(path: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise RegistryUnusable(f"Cannot open the registry {path.name}: {error.strerror}.") from error


def _revision(path: Path) -> str | None:
    """Read the schema's revision without writing; None for an empty file; refuse what is not ours."""
    if path.stat().st_size == 0:
        return None
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as conn:
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return None
        if not {"alembic_version", "log_entry"} <= tables:
            raise RegistryUnusable(f"{path.name} is another program's database; choose another path.")
        rows = [str(row[0]) for row in conn.execute("SELECT version_num FROM alembic_version")]
    if rows != [HEAD] and (len(rows) != 1 or rows[0] not in _known_revisions()):
        raise SchemaNewer(
            f"{path.name} was written by a newer Countermark (schema {rows}); update this installation."
        )
    return rows[0]


def _set_wal(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as conn:
        (mode,) = conn.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise RegistryUnusable(f"The file system of {path.name} allows no WAL; use a local disk.")


def _migrate(engine: Engine) -> None:
    from alembic import command  # a tenth of a second, needed once per schema

    config = _config()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, HEAD)


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "registry:migrations")
    return config
