"""The registry, measured: index, latency, fence, retro-scan, imports and log, section by section.

The sections that are about a database run on SQLite and on PostgreSQL: the one that ``--postgres URL`` names,
in schemas of its own that go again, else a server that is started here for the purpose. Without either the
document says so. Every figure names its section and its database.
"""

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import common
from benchmarks.common import Row, once, say
from benchmarks.tools.places import databases, named

SUITE: Final = "registry"
SECTIONS: Final = ("index", "latency", "fence", "retroscan", "imports", "log")
NO_DATABASE: Final = frozenset({"index", "retroscan"})
"""Sections that measure files, memory and comparisons: a second database would tell nothing new."""

Measure = Callable[..., list[Row]]


def section(name: str) -> Measure:
    """The function that measures a section."""
    measure: Measure = importlib.import_module(f"benchmarks.tools.registry_{name}").measure
    return measure


def run(name: str, *, quick: bool, database: str | None) -> list[Row]:
    """One section on one database, in a scratch folder of its own."""
    say(f"{name} on {named(database)}")
    with tempfile.TemporaryDirectory(prefix=f"registry-{name}-") as folder:
        rows = section(name)(Path(folder), quick=quick, database=database)
    about = {"section": name} | ({} if name in NO_DATABASE else {"database": named(database)})
    return [
        Row(
            metric=row.metric, value=row.value, unit=row.unit, n=row.n, interval=row.interval,
            conditions=about | dict(row.conditions),
        )
        for row in rows
    ]  # fmt: skip


def main() -> int:
    """Measure what was asked for and print it."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds instead of minutes")
    parser.add_argument("--postgres", metavar="URL", help="a database to use instead of a server of our own")
    asked = parser.parse_args()
    at_commit, rows = common.commit(), common.machine()
    with databases(asked.postgres, server=True) as places:
        rows.append(once("databases", len(places), "count"))
        for name in asked.only or SECTIONS:
            for database in places:
                if database is None or name not in NO_DATABASE:
                    rows += run(name, quick=asked.quick, database=database)
    rows += common.machine()
    common.present(SUITE, rows, at_commit, as_json=asked.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
