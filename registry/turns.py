"""Work that one process does at a time, of all that share a registry, until it is done or has died.

On one machine that is a lock file; in PostgreSQL a lock of the server's, which it drops with the connection
that has it, so that it holds over all machines.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, exc, text

from registry.db import translated
from registry.locks import exclusive, release, try_acquire
from registry.postgres import WRITERS_LOCK

_WAIT: Final = text("SELECT pg_advisory_lock(:ours, :which)")
_TRY: Final = text("SELECT pg_try_advisory_lock(:ours, :which)")
_END: Final = text("SELECT pg_advisory_unlock(:ours, :which)")


@contextmanager
def turn(engine: Engine, path: Path) -> Iterator[None]:
    """Have the turn that is named by a lock file, waiting for it as long as it takes."""
    if engine.dialect.name == "sqlite":
        with exclusive(path):
            yield
    else:
        with _server(engine, path, wait=True):
            yield


@contextmanager
def turn_if_free(engine: Engine, path: Path) -> Iterator[bool]:
    """Have the turn that is named by a lock file, or be told False at once that another process has it."""
    if engine.dialect.name != "sqlite":
        with _server(engine, path, wait=False) as had:
            yield had
        return
    lock = try_acquire(path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            release(lock)


@contextmanager
def _server(engine: Engine, path: Path, *, wait: bool) -> Iterator[bool]:
    named = {"ours": WRITERS_LOCK, "which": zlib.crc32(path.name.encode()) - (1 << 31)}
    with translated():
        connected = engine.connect()
    with connected.execution_options(isolation_level="AUTOCOMMIT") as conn:
        with translated():
            had = conn.execute(_WAIT if wait else _TRY, named).scalar() is not False
        try:
            yield had
        finally:
            try:
                conn.execute(_END, named)
            except exc.SQLAlchemyError:  # the connection is gone, and the lock with it
                conn.invalidate()
