"""Can a clip overtake a change? So many publishes against so many changes of all kinds, with kill -9.

The load and its audit are those of `benchmarks.fence`, which says what they do; here it runs until a number
of clips was published, with the changes spread evenly over them, and again without the fence as a control.
Then a writer is killed in the middle of its transaction, again and again: how long the next one waits is how
long a dead process keeps the registry's lock.
"""

import multiprocessing
import os
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks import common, fence
from benchmarks.common import Row, once, say
from benchmarks.tools import fence_load as load
from benchmarks.tools import fence_world as world
from benchmarks.tools.places import databases, named, place
from registry import log
from registry.db import open_database, write

PUBLISHES: Final = 10_000
CHANGES: Final = 1_000
QUICK: Final = (200, 66)
CONTROL_SHARE: Final = 5  # the control finds its releases in a fifth of the load
PUBLISHERS: Final = 16
SECONDS_MAX: Final = 3_000.0
DEATHS: Final = (5, 40)
FORK: Final = multiprocessing.get_context("fork")


def measure(folder: Path, *, quick: bool, database: str | None) -> list[Row]:
    """The fence and its control under load, and how long the lock of a killed writer is held."""
    publishes, changes = QUICK if quick else (PUBLISHES, CHANGES)
    found = []
    for publish, clips in (
        (load.fenced, publishes),
        (load.unfenced, publishes if quick else publishes // CONTROL_SHARE),
    ):
        audit, made = _run(folder / publish.__name__, database, publish, clips, changes * clips // publishes)
        found += fence.rows(audit, made, publish.__name__)
        if publish is load.unfenced:
            missed = [k for k in world.KINDS if not audit.overtook[k] + audit.unasked[k]]
            told: dict[str, Any] = {"database": named(database), "goal": 0, "missed": ", ".join(missed)}
            found.append(once("kinds of change that the control missed", len(missed), "kinds", told))
    return [
        *(_with_goal(row) for row in found),
        *_deaths(folder, database, DEATHS[0] if quick else DEATHS[1]),
    ]


def _run(
    folder: Path, database: str | None, publish: load.Publish, publishes: int, changes: int
) -> tuple[fence.Audit, load.Load]:
    with place(folder, database) as where:
        made = load.Load(
            folder=folder, where=where, publish=publish, seconds=SECONDS_MAX, rate=1.0, publishers=PUBLISHERS,
            kill=True, publishes=publishes, changes=changes,
        )  # fmt: skip
        say(f"{named(database)}, {publish.__name__}: {publishes} publishes against {changes} changes")
        return fence.measure(made), made


def _with_goal(row: Row) -> Row:
    if row.conditions.get("publisher") != fence.FENCED or not row.metric.startswith("releases that overtook"):
        return row
    return replace(row, conditions=dict(row.conditions) | {"goal": 0})


def _deaths(folder: Path, database: str | None, times: int) -> list[Row]:
    """Kill a writer that holds the lock, and write."""
    say(f"{named(database)}: {times} writers killed in their transaction")
    waited = []
    with place(folder / "deaths", database) as where:
        open_database(where).dispose()
        for number in range(times):
            ready, told = FORK.Pipe(duplex=False)
            child = FORK.Process(target=_hold, args=(where, told))
            child.start()
            told.close()
            ready.recv()
            os.kill(child.pid or 0, signal.SIGKILL)
            began = time.perf_counter()
            engine = open_database(where)
            with write(engine) as conn:
                assert log.append(conn, "name", {"n": number}, None, load.now()).seq == number + 1
            waited.append(time.perf_counter() - began)
            engine.dispose()
            child.join()
    told_by: dict[str, Any] = {"database": named(database)}
    return [
        common.median("next write after kill -9 of the writer", [1000 * s for s in waited], "ms", told_by),
        once("next write after kill -9 of the writer, worst", 1000 * max(waited), "ms", told_by),
    ]


def _hold(where: Path | str, told: Any) -> None:
    """Write and never commit."""
    with write(open_database(where)) as conn:
        log.append(conn, "name", {"never": "committed"}, None, load.now())
        told.send(True)
        time.sleep(SECONDS_MAX)


def main() -> int:
    """Both databases, or the one that is given besides SQLite; 1 when a clip overtook a change."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--database", help="URL of a PostgreSQL database; one is started here otherwise")
    asked = parser.parse_args()
    at_commit, found = common.commit(), common.machine()
    with databases(asked.database, server=True) as places, tempfile.TemporaryDirectory() as folder:
        for database in places:
            found += measure(Path(folder) / named(database), quick=asked.quick, database=database)
    common.present("registry_fence", found, at_commit, as_json=asked.json)
    missed = [row for row in found if row.conditions.get("goal") == 0 and row.value]
    return int(bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
