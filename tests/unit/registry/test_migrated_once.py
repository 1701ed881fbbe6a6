"""The short cut that tests take to a registry (`migrated_once`), against the migrations themselves."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from registry.db import open_database

USER = "import sys, pathlib; from registry.db import open_database; open_database(pathlib.Path(sys.argv[1]))"


def test_a_registry_of_the_tests_is_that_of_a_user(tmp_path: Path) -> None:
    first, further, of_users = (tmp_path / f"{name}.db" for name in ("first", "further", "of_users"))
    for path in (first, further):
        open_database(path).dispose()
    subprocess.run([sys.executable, "-c", USER, str(of_users)], check=True)
    assert len(whole(of_users)[0]) > 100
    assert whole(first) == whole(further) == whole(of_users)


def whole(path: Path) -> tuple[list[Any], dict[str, list[Any]], list[Any]]:
    """Everything that a SQLite file says: what is in it, all rows, and what its head says."""
    with closing(sqlite3.connect(path)) as file:
        schema = file.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        tables = [name for kind, name, *_ in schema if kind == "table"]
        rows = {name: file.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
        heads = [
            file.execute(f"PRAGMA {name}").fetchone()
            for name in ("application_id", "user_version", "journal_mode")
        ]
    return schema, rows, heads
