"""The registry in PostgreSQL, through psycopg 3.

1. One writer at a time: a write transaction takes an advisory lock first, which the server drops when the
   transaction ends or its client dies. READ COMMITTED, so that what it reads afterwards is what the writer
   before it committed; nothing can change until it commits.
2. A read transaction is REPEATABLE READ, READ ONLY: one snapshot.
3. A writer that does nothing for a while inside its transaction (its process was stopped) loses it, since
   everybody waits for the lock that it has.
4. No text of an error or of the log holds the password or a row's content: the server's DETAIL is left out.
"""

import math
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, exc
from sqlalchemy.engine import URL, make_url

from registry.errors import (
    ConstraintBroken,
    RegistryBusy,
    RegistryDamaged,
    RegistryError,
    RegistryUnusable,
    StorageFull,
)
from registry.postgres_url import MISSING, WRONG, libpq, primary
from registry.schema import Schema
from registry.sqlite import WRITE

NAME: Final = "The registry's database"
SERVER_MIN: Final = 140000
WRITERS_LOCK: Final = 0x434D524B  # "CMRK": the lock that every write transaction takes
KEPT_CONNECTIONS: Final = 4
PING_AFTER_SECONDS: Final = 1.0  # for which nobody used a connection: it may be gone, and is asked first
IDLE_SECONDS: Final = 20.0  # between two statements of a write transaction; less than others wait for it
READ_OPTIONS: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
GLANCE_OPTIONS: Final[dict[str, Any]] = {"isolation_level": "AUTOCOMMIT"}
# A client whose machine vanished is noticed, by both sides, within half a minute.
_CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "application_name": "countermark",
}  # fmt: skip
_SESSION: Final = (
    "SELECT set_config('tcp_keepalives_idle', '10', false), "
    "set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)"
)
# One question for all that a write transaction needs first. What was committed is on the disk, also where
# the server's setting would let it wait; a stronger setting (of replicas) stays.
_LIMITS: Final = (
    "SELECT set_config('lock_timeout', '{busy:.0f}ms', true), "
    "set_config('idle_in_transaction_session_timeout', '{idle:.0f}ms', true), "
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)"
)
_BEGIN_WRITE: Final = f"{_LIMITS}, pg_advisory_xact_lock({{lock}})"
_HERE: Final = (
    "SELECT current_setting('server_version_num')::integer AS version, current_schema() AS schema, "
    "current_setting('server_encoding') AS encoding, current_setting('transaction_read_only') AS read_only, "
    "pg_is_in_recovery() AS replica"
)
_TABLES: Final = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')"
)


def make_engine(where: str, busy: Callable[[], float]) -> Engine:
    """Return the engine of a URL; ``busy``: how many seconds a writer waits for another one."""
    url, hidden = _parsed(where)
    given = {key: value for key, value in _CONNECT.items() if key not in url.query} | hidden
    pool: dict[str, Any] = {"poolclass": QueuePool, "pool_size": KEPT_CONNECTIONS, "max_overflow": -1}
    try:
        engine = create_engine(
            url, **pool, connect_args=given, isolation_level="READ COMMITTED", hide_parameters=True,
        )  # fmt: skip
    except ImportError as error:
        raise RegistryUnusable(MISSING) from error
    weakref.finalize(engine, engine.pool.dispose)

    @event.listens_for(engine, "connect")
    def _connected(dbapi: Any, _record: Any) -> None:
        dbapi.execute(_SESSION)
        dbapi.commit()

    @event.listens_for(engine, "checkin")
    def _checked_in(_dbapi: Any, record: Any) -> None:
        record.info["left"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _checked_out(dbapi: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("left", math.inf) > PING_AFTER_SECONDS:
            _ping(engine, dbapi)

    @event.listens_for(engine, "begin")
    def _begun(conn: Connection) -> None:
        if conn.get_execution_options().get(WRITE):
            limits = {"busy": busy() * 1000, "idle": IDLE_SECONDS * 1000}
            conn.exec_driver_sql(_BEGIN_WRITE.format(**limits, lock=WRITERS_LOCK))

    return engine


def _ping(engine: Engine, dbapi: Any) -> None:
    """Have the pool replace all its connections where this one is gone, since the server was started anew.

    The pool's own way asks before every transaction, which took a tenth of what small ones do.
    """
    try:
        alive = engine.dialect.do_ping(dbapi)
    except engine.dialect.loaded_dbapi.Error as error:
        raise exc.InvalidatePoolError from error
    if not alive:
        raise exc.InvalidatePoolError


def limit(conn: Connection, busy: float) -> None:
    """Begin a write transaction without the writers' lock, but with the limits of one that has it."""
    conn.exec_driver_sql(_LIMITS.format(busy=busy * 1000, idle=IDLE_SECONDS * 1000))


def revision(conn: Connection, schema: Schema) -> str | None:
    """Read the schema's revision without writing; None for an empty database; refuse what is not ours.

    1. The server is new enough, speaks UTF-8 and takes writes. 2. There is a schema of the search path.
    3. What is in it is ours, 4. and not newer than this installation.
    """
    here = conn.exec_driver_sql(_HERE).one()
    if here.version < SERVER_MIN:  # 1
        raise RegistryUnusable(f"PostgreSQL {here.version // 10000} is too old; use {SERVER_MIN // 10000}.")
    if here.encoding != "UTF8":
        raise RegistryUnusable(f"{NAME} holds {here.encoding} text; make one with ENCODING 'UTF8'.")
    if here.replica:
        raise RegistryUnusable(f"{NAME} is a replica and takes no writes; name the primary server.")
    if here.schema is None:  # 2
        raise RegistryUnusable(f"{NAME} has no schema for this role; create one, or set its search_path.")
    tables = {str(name) for (name,) in conn.exec_driver_sql(_TABLES)}
    if not schema.check_tables(tables, NAME):  # 3
        return None
    rows = [str(row[0]) for row in conn.exec_driver_sql("SELECT version_num FROM alembic_version")]
    return schema.check(rows, NAME)  # 4


def check_writable(conn: Connection) -> None:
    """Refuse a role that may only read, before the first opt-out fails on it."""
    if not conn.exec_driver_sql("SELECT has_table_privilege('log_entry', 'INSERT')").scalar_one():
        raise RegistryUnusable(f"{NAME} is read-only for this role; grant it the rights to write.")


def translate(error: Any, busy: float) -> RegistryError:
    """Return this library's error for one of psycopg's, by its SQLSTATE."""
    import psycopg  # the error is one of its own

    state, text = str(error.sqlstate or ""), primary(error)
    unsendable = isinstance(error, psycopg.DataError) and not state  # text with a NUL
    if unsendable or state[:2] in ("22", "23") or state in ("54000", "42804"):
        return ConstraintBroken(f"The registry refused the row: {text}.")
    if state in ("55P03", "57014", "40001", "40P01", "25P03"):
        return RegistryBusy(f"The registry was busy for {busy:.0f} seconds; try again.")
    if state in ("53300", "57P03"):
        return RegistryBusy(f"The registry's server takes no connection now ({text}); try again.")
    if state in ("53100", "58030"):
        return StorageFull(f"The registry cannot be written ({text}); free space on its server.")
    if state[:2] == "XX":
        return RegistryDamaged(f"The registry's database is damaged ({text}); restore a backup.")
    if state == "42501":
        return RegistryUnusable(f"The registry's server refused this role ({text}); grant it the rights.")
    if state == "25006":
        return RegistryUnusable(f"The registry cannot be written ({text}); name a server that takes writes.")
    lost = isinstance(error, psycopg.OperationalError) and not state
    if lost or state[:2] in ("08", "28", "57", "3D"):
        return RegistryUnusable(f"The registry's server cannot be reached: {text}; see database_url.")
    return RegistryUnusable(f"The registry cannot be used: {text}.")


def _parsed(where: str) -> tuple[URL, dict[str, Any]]:
    """Return the URL for psycopg, and apart from it the secrets of its query, which a URL would show."""
    try:
        url = make_url(libpq(where))
    except (exc.ArgumentError, ValueError):
        raise RegistryUnusable(WRONG) from None  # the exception before may hold the text
    if not url.database:
        raise RegistryUnusable("database_url names no database; end it with /database.")
    hidden = {key: value for key, value in url.query.items() if "password" in key}
    return url.set(drivername="postgresql+psycopg").difference_update_query([*hidden]), hidden
