"""Most tests make a registry, and its migrations take a third of a second: in SQLite they run once a process.

From then on an empty file begins as a copy of the first one, unless a test asks for an older revision.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from registry import db, sqlite

CREATE = sqlite.create_file  # for tests of the migrations
HEAD = db.HEAD


def install() -> None:
    """Let every empty SQLite file of this process begin as the migrations leave it."""
    sqlite.create_file = _create


def _create(path: Path) -> None:
    CREATE(path)
    if db.HEAD == HEAD and not path.stat().st_size:
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "create_file", CREATE)
        path = Path(folder) / "registry.db"
        db.open_database(path).dispose()
        return path.read_bytes()
