"""The registry for a verifier: read-only, through versioned views; standard library only for a SQLite file.

A registry in PostgreSQL is read through psycopg (`registry.lookup_postgres`), loaded only then.

A machine without a registry is a normal case, so `open_lookup` returns None there; a registry that is
there and cannot be read raises, because silence would look like "not in the log".
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from registry.errors import EntryInvalid, RegistryDamaged, RegistryUnusable
from registry.locks import is_held
from registry.merkle import consistency_proof, inclusion_proof
from registry.types import FoundRelease, LogConsistency, LogProof, ReleaseState

WAIT_SECONDS: Final = 5.0
LOCK_SUFFIX: Final = ".lock"
_COLUMNS: Final = tuple(field.name for field in fields(FoundRelease))
_VIEW: Final = f"SELECT {', '.join(_COLUMNS)} FROM verify_release_v1 WHERE "  # noqa: S608 - constants


class Reader(Protocol):
    """One read-only connection; a query has question marks for its values."""

    def one(self, query: str, *values: str | int) -> Any:
        """Return the first row as a tuple, or None."""
        ...

    def some(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Return the rows of a query that says how many there may be."""
        ...

    def each(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield every row."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def open_lookup(where: Path | str) -> "Lookup | None":
    """Open a registry for reading, or return None when there is none.

    ``where``: the path of a SQLite file, or the URL of a PostgreSQL database.
    """
    if isinstance(where, Path):
        file = _open_file(where)
        return None if file is None else Lookup(_File(file))
    from registry.lookup_postgres import open_server

    server = open_server(where)
    return None if server is None else Lookup(server)


def _open_file(path: Path) -> sqlite3.Connection | None:
    """Open a file for reading, or return None when there is no registry in it.

    1. No file, or an empty one, is no registry. 2. Read-only, seeing what the write-ahead log holds.
    3. Where the folder allows no side files, read the file alone, if nothing waits beside it.
    4. The views of this version are there.
    """
    try:
        if path.stat().st_size == 0:  # 1
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RegistryUnusable(f"Cannot read the registry {path.name}: {error.strerror}.") from error
    with _translated(path):
        try:
            return _connect(path, "mode=ro")  # 2
        except sqlite3.OperationalError as error:
            if _side_file_size(path):
                text = f"{path.name} has unread changes beside it and cannot be read alone"
                raise RegistryUnusable(f"{text}; make its folder writable for a moment.") from error
            return _connect(path, "mode=ro&immutable=1")  # 3


class Lookup:
    """One read-only connection; every answer is of the moment it is asked."""

    def __init__(self, reader: Reader) -> None:
        """Take over a connection made by `open_lookup`."""
        self._reader = reader

    def find(
        self, *, payload: str | None = None, urn: str | None = None, file_sha256: str | None = None,
        release_id: str | None = None,
    ) -> FoundRelease | None:  # fmt: skip
        """Return the release with exactly this payload (16 hex digits), manifest URN, file digest or id."""
        asked = {"payload": payload, "urn": urn, "file_sha256": file_sha256, "release_id": release_id}
        given = [(name, value) for name, value in asked.items() if value is not None]
        if len(given) != 1:
            raise EntryInvalid("Ask by payload, URN, file digest or release id: by exactly one of them.")
        name, value = given[0]
        row = self._reader.one(f"{_VIEW}{name} = ?", value)  # the name is one of the four above
        if row is None:
            return None
        return _found(row)

    def releases(self) -> Iterator[FoundRelease]:
        """Yield every release, oldest first (for a search by fingerprint)."""
        for row in self._reader.each(f"{_VIEW}1 = 1 ORDER BY log_seq"):
            yield _found(row)

    def stored_after(self, seq: int, most: int) -> list[tuple[int, str, bytes]]:
        """The first `most` releases after a position of the log, in order: (position, id, fingerprint)."""
        wanted = "SELECT log_seq, release_id, fingerprint FROM verify_release_v1 WHERE log_seq > ?"
        rows = self._reader.some(f"{wanted} ORDER BY log_seq LIMIT ?", seq, most)
        return [(int(at), str(name), bytes(content)) for at, name, content in rows]

    def leaf(self, seq: int) -> str:
        """The hash of a log entry, hexadecimal; empty for none."""
        row = self._reader.one("SELECT leaf_hash FROM verify_log_v1 WHERE seq = ?", seq)
        return "" if row is None else bytes(row[0]).hex()

    def release_count(self) -> int:
        """How many releases there are."""
        return int(self._reader.one("SELECT COUNT(*) FROM verify_release_v1")[0])

    def newest_payload(self) -> str | None:
        """Return the payload (16 hex digits) of the last release, or None when there is none."""
        row = self._reader.one("SELECT payload FROM verify_release_v1 ORDER BY log_seq DESC LIMIT 1")
        return None if row is None else str(row[0])

    def payloads(self) -> Iterator[int]:
        """Yield the payload of every release, oldest first."""
        for (payload,) in self._reader.each("SELECT payload FROM verify_release_v1 ORDER BY log_seq"):
            yield int(payload, 16)

    def prove(self, seq: int) -> LogProof | None:
        """Return a log entry with its inclusion proof, or None when no checkpoint covers it.

        Nothing is trusted here: verify with `registry.merkle.verify_inclusion`, the note with
        `registry.checkpoint.open_note`.
        """
        latest = "SELECT tree_size, root, note FROM verify_checkpoint_v1 ORDER BY tree_size DESC LIMIT 1"
        last = self._reader.one(latest)
        row = self._reader.one("SELECT entry, leaf_hash FROM verify_log_v1 WHERE seq = ?", seq)
        if last is None or row is None or not 0 < seq <= last[0]:
            return None
        return LogProof(
            seq=seq, entry=row[0].encode(), leaf_hash=row[1], tree_size=last[0], root=last[1], note=last[2],
            path=tuple(inclusion_proof(seq - 1, last[0], self._node)),
        )  # fmt: skip

    def prove_extends(self, size: int) -> LogConsistency | None:
        """Return the proof that the latest checkpoint extends the tree of ``size`` entries.

        None without a checkpoint that large. Nothing is trusted here, as with `prove`.
        """
        latest = "SELECT tree_size, note FROM verify_checkpoint_v1 ORDER BY tree_size DESC LIMIT 1"
        last = self._reader.one(latest)
        if last is None or not 0 < size <= last[0]:
            return None
        path = consistency_proof(size, last[0], self._node)
        return LogConsistency(old=size, path=tuple(path), note=last[1])

    def interrupted_jobs(self, locks: Path) -> int:
        """Count the open jobs that no living process owns; ``locks`` is the folder of the job locks."""
        rows = [*self._reader.each("SELECT job_id FROM verify_open_job_v1")]
        return sum(not is_held(locks / f"{job_id}{LOCK_SUFFIX}") for (job_id,) in rows)

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def _node(self, level: int, index: int) -> bytes:
        query = "SELECT hash FROM verify_node_v1 WHERE level = ? AND idx = ?"
        row: tuple[bytes] | None = self._reader.one(query, level, index)
        if row is None:
            raise RegistryDamaged(f"The log lacks the hash ({level}, {index}); restore a backup.")
        return row[0]


class _File:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def one(self, query: str, *values: str | int) -> Any:
        with _translated():
            return self._connection.execute(query, values).fetchone()

    def some(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        with _translated():
            return self._connection.execute(query, values).fetchall()

    def each(self, query: str) -> Iterator[tuple[Any, ...]]:
        with _translated():
            yield from self._connection.execute(query)

    def close(self) -> None:
        self._connection.close()


def _found(row: tuple[Any, ...]) -> FoundRelease:
    values = dict(zip(_COLUMNS, row, strict=True))
    return FoundRelease(**values | {"state": ReleaseState(values["state"])})


def _connect(path: Path, options: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        views = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")}
        if "verify_release_v1" not in views:  # 4
            raise RegistryUnusable(f"{path.name} is not a registry that this version can read; update it.")
    except BaseException:
        connection.close()
        raise
    return connection


def _side_file_size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.with_name(f"{path.name}-wal").stat().st_size
    return 0


@contextmanager
def _translated(path: Path | None = None) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = path.name if path else "registry"
        raise RegistryUnusable(f"Cannot read {name}: {error}; see whether it is a registry.") from error
