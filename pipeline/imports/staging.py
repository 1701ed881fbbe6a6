"""What an import has seen so far, so that an interrupted one does not look at anything again.

A small database beside the registry, for one file with its pictures; it is deleted when the import is done,
since it holds faces. Losing it costs time and nothing else.
"""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pipeline.errors import StorageFailed
from pipeline.optouts.looking import Seen, Words
from registry import locks
from registry.errors import ImportMoved

FILE: Final = "seen.db"
KEPT_SECONDS: Final = 24 * 3600
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, told TEXT NOT NULL, vectors BLOB NOT NULL)"
)


class Staging:
    """Pictures by digest, kind of look and space; words by what they are the words of; see `open_staging`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def has(self, key: str) -> bool:
        """Whether this was seen."""
        return self._database.execute("SELECT 1 FROM seen WHERE key = ?", (key,)).fetchone() is not None

    def put(self, seen: Iterable[tuple[str, Seen]]) -> None:
        """Keep what was seen of pictures, at once."""
        self._write((key, _told(one), one.vectors) for key, one in seen)

    def get(self, key: str, name: str) -> Seen | None:
        """What was seen of a picture, under the name that it has where it is asked for, if any."""
        found = self._read(key)
        if found is None:
            return None
        told, vectors = found
        return Seen(
            **(
                told
                | {
                    "name": name or told["name"],
                    "vectors": tuple(vectors),
                    "spaces": tuple(told.get("spaces", ())),
                }
            )
        )

    def put_words(self, key: str, words: Sequence[Words]) -> None:
        """Keep what was seen of words."""
        told = {"words": [[one.space, one.kind, one.polarity] for one in words]}
        self._write([(key, told, [one.vector for one in words])])

    def get_words(self, key: str) -> list[Words] | None:
        """What was seen of words."""
        found = self._read(key)
        if found is None:
            return None
        told, vectors = found
        return [
            Words(space=space, kind=kind, vector=vector, polarity=polarity)
            for (space, kind, polarity), vector in zip(told["words"], vectors, strict=True)
        ]  # fmt: skip

    def _write(self, rows: Iterable[tuple[str, dict[str, Any], Sequence[bytes]]]) -> None:
        told = [
            (key, json.dumps(one | {"vectors": [len(vector) for vector in vectors]}), b"".join(vectors))
            for key, one, vectors in rows
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", told)

    def _read(self, key: str) -> tuple[dict[str, Any], list[bytes]] | None:
        row = self._database.execute("SELECT told, vectors FROM seen WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        told, place, vectors = json.loads(row[0]), 0, []
        for length in told.pop("vectors"):
            vectors.append(row[1][place : place + length])
            place += length
        return told, vectors


def _told(one: Seen) -> dict[str, Any]:
    return {
        "name": one.name, "sha256": one.sha256, "width": one.width, "height": one.height,
        "space": one.space, "spaces": one.spaces, "kind": one.kind, "note": one.note,
    }  # fmt: skip


@contextmanager
def open_staging(root: Path, digest: str, now: float) -> Iterator[Staging]:
    """The staging of a file and its pictures, for one process at a time; what is older than a day goes.

    ``now``: seconds, as the file system's times. Raises: ImportMoved while another process has it.
    """
    root.mkdir(mode=0o700, exist_ok=True)
    _clean(root, now)
    lock = locks.try_acquire(root / f"{digest}.lock")
    if lock is None:
        raise ImportMoved("Another process imports this file; let it end.")
    try:
        with contextlib.closing(_open(root / digest)) as database:
            yield Staging(database)
    finally:
        locks.release(lock)


def forget(root: Path, digest: str) -> None:
    """Delete a staging that is not needed any more."""
    shutil.rmtree(root / digest, ignore_errors=True)


def _open(folder: Path) -> sqlite3.Connection:
    try:
        return _begun(folder)
    except sqlite3.DatabaseError:  # a power cut: nothing in it is needed
        shutil.rmtree(folder, ignore_errors=True)
        try:
            return _begun(folder)
        except sqlite3.Error as error:
            raise StorageFailed(f"{folder} cannot be written ({error}); free space") from None


def _begun(folder: Path) -> sqlite3.Connection:
    folder.mkdir(mode=0o700, exist_ok=True)
    database = sqlite3.connect(folder / FILE, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(_TABLE)
        if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
    except BaseException:
        database.close()
        raise
    return database


def _clean(root: Path, now: float) -> None:
    for folder in root.iterdir():
        old = folder.is_dir() and folder.stat().st_mtime < now - KEPT_SECONDS
        if old and not locks.is_held(root / f"{folder.name}.lock"):
            shutil.rmtree(folder, ignore_errors=True)
            (root / f"{folder.name}.lock").unlink(missing_ok=True)
