"""The registry, measured: index, fence, latency, retro-scan, imports and log, section by section.

With ``--postgres URL`` the sections that use a database run a second time on that server; URL names an empty
database that may be filled. Every figure names its database in its conditions.
"""

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import common
from benchmarks.common import Row, say

SUITE: Final = "registry"
SECTIONS: Final = ("index", "latency", "fence", "retroscan", "imports", "log")
NO_DATABASE: Final = frozenset({"index"})
"""Sections that measure files and memory: a second database would tell nothing new."""

Measure = Callable[..., list[Row]]


def section(name: str) -> Measure:
    """The function that measures a section."""
    measure: Measure = importlib.import_module(f"benchmarks.tools.registry_{name}").measure
    return measure


def run(name: str, *, quick: bool, database: str | None) -> list[Row]:
    """One section on one database, in a scratch folder of its own."""
    say(f"{name} on {'PostgreSQL' if database else 'SQLite'}")
    with tempfile.TemporaryDirectory(prefix=f"registry-{name}-") as folder:
        rows = section(name)(Path(folder), quick=quick, database=database)
    kind = "postgresql" if database else "sqlite"
    return [_of(row, name, None if name in NO_DATABASE else kind) for row in rows]


def _of(row: Row, name: str, database: str | None) -> Row:
    told = {"section": name} | ({"database": database} if database else {})
    return Row(
        metric=row.metric, value=row.value, unit=row.unit, n=row.n, interval=row.interval,
        conditions=told | dict(row.conditions),
    )  # fmt: skip


def main() -> int:
    """Measure what was asked for and print it."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds instead of minutes")
    parser.add_argument("--postgres", metavar="URL", help="also run on this PostgreSQL database")
    asked = parser.parse_args()
    at_commit, rows = common.commit(), common.machine()
    for name in asked.only or SECTIONS:
        rows += run(name, quick=asked.quick, database=None)
        if asked.postgres and name not in NO_DATABASE:
            rows += run(name, quick=asked.quick, database=asked.postgres)
    rows += common.machine()
    common.present(SUITE, rows, at_commit, as_json=asked.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
