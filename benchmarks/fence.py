"""Can a clip overtake an opt-out? Processes that publish, against opt-outs of all kinds, with kill -9.

Every clip is about a target whose opt-out comes within the next third of a second. It is checked, takes a
while to be made, and goes to the publish fence with the product's recheck. Then the database is audited: a
release R and the opt-out O of its target, with R.checked_seq < O.log_seq < R.log_seq, is one too many. The
same load by a publisher that does not ask what changed is the control; it has to find such releases for
every kind of opt-out. Targets follow from numbers, so the audit needs no check to know whom O concerns.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import select

from benchmarks import common
from benchmarks.common import Row, once, rate, say
from benchmarks.tools import fence_load as load
from benchmarks.tools import fence_world as world
from benchmarks.tools.places import place
from registry import log
from registry.db import open_database, read
from registry.tables import held, release

FENCED: Final = "fenced"
MILLISECONDS: Final = 1000.0


@dataclass(slots=True, kw_only=True)
class Audit:
    """What the database says after a run. Counters are by kind of opt-out."""

    killed: int
    seconds: float
    releases: int = 0
    held: int = 0
    opt_outs: int = 0
    overtook: Counter[str] = field(default_factory=Counter)  # registry_seq < O < log_seq
    unasked: Counter[str] = field(default_factory=Counter)  # checked_seq < O <= registry_seq
    stopped: Counter[str] = field(default_factory=Counter)  # held, as it should be
    held_for_nothing: int = 0
    crossed: int = 0  # changes between check and publication, over all releases
    publishing: list[float] = field(default_factory=list)
    opting_out: list[float] = field(default_factory=list)

    @property
    def violations(self) -> int:
        """Releases that should not be."""
        return sum(self.overtook.values()) + sum(self.unasked.values())


def measure(made: load.Load) -> Audit:
    """Run a load and audit what it left."""
    made.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    killed = load.run(made)
    engine = open_database(made.where)
    audit = Audit(killed=killed, seconds=time.monotonic() - began)
    opted: dict[int, int] = {}
    for line in _lines(made.folder, "opt-outs-*.jsonl"):
        opted[line["target"]] = line["seq"]
        audit.opting_out.append(line["seconds"])
    targets: dict[str, int] = {}
    for line in _lines(made.folder, "publisher-*.jsonl"):
        if "target" in line:
            targets[line["job"]] = line["target"]
        else:
            audit.publishing.append(line["seconds"])
    audit.opt_outs = len(opted)
    with read(engine) as conn:
        log.audit(conn)
        for row in conn.execute(select(release)):
            _judge_release(audit, row, opted)
        for row in conn.execute(select(held)):
            _judge_held(audit, row, opted, targets[row.job_id])
    engine.dispose()
    return audit


def _judge_release(audit: Audit, row: Any, opted: dict[int, int]) -> None:
    audit.releases += 1
    audit.crossed += row.registry_seq > row.checked_seq
    target = row.facts["target"]
    seq = opted.get(target)
    if seq is None or not row.checked_seq < seq < row.log_seq:
        return
    found = audit.overtook if seq > row.registry_seq else audit.unasked
    found[world.kind_of(target)] += 1


def _judge_held(audit: Audit, row: Any, opted: dict[int, int], target: int) -> None:
    audit.held += 1
    seq = opted.get(target)
    if seq is None or seq > row.registry_seq:
        audit.held_for_nothing += 1
        say(f"held for nothing: {row.reasons}")
    else:
        audit.stopped[world.kind_of(target)] += 1


def _lines(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    """The whole lines of these files; the last may be torn where its writer was killed."""
    for path in sorted(folder.glob(pattern)):
        for line in path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                say(f"torn line in {path.name}")


def rows(audit: Audit, made: load.Load, publisher: str) -> list[Row]:
    """The figures of a run."""
    told: dict[str, str | int | float | bool | None] = {
        "database": "sqlite" if isinstance(made.where, Path) else "postgresql", "publisher": publisher,
        "processes": made.publishers, "kill -9": made.kill, "seconds": round(audit.seconds, 1),
    }  # fmt: skip
    found = [rate("releases that overtook an opt-out", audit.violations, max(audit.releases, 1), told)]
    for kind in world.KINDS:
        overtaken = audit.overtook[kind] + audit.unasked[kind]
        found.append(once("overtook an opt-out", overtaken, "releases", told | {"kind": kind}))
        if publisher == FENCED:
            found.append(once("stopped in the fence", audit.stopped[kind], "clips", told | {"kind": kind}))
    if publisher == FENCED:
        found.append(
            rate("held though nothing concerned them", audit.held_for_nothing, max(audit.held, 1), told)
        )
        found.append(
            rate("releases with changes since their check", audit.crossed, max(audit.releases, 1), told)
        )
    found += [
        once("publishers killed", audit.killed, "processes", told),
        once("publishes", audit.releases + audit.held, "clips", told),
        once("opt-outs made", audit.opt_outs, "opt-outs", told),
        once("releases", audit.releases / audit.seconds, "per second", told),
        once("opt-outs", audit.opt_outs / audit.seconds, "per second", told),
    ]
    for metric, values in (("publish", audit.publishing), ("opt-out", audit.opting_out)):
        for percent in (50, 99):
            value = float(np.percentile(values, percent)) * MILLISECONDS
            found.append(
                Row(
                    metric=f"{metric} p{percent}", value=value, unit="ms", n=len(values),
                    interval=(min(values) * MILLISECONDS, max(values) * MILLISECONDS), conditions=told,
                )
            )  # fmt: skip
    return found


def main() -> int:
    """Run both publishers; 1 when the fenced one was overtaken or the control found nothing of a kind."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--seconds", type=common.whole(1), default=30)
    parser.add_argument("--rate", type=common.whole(1), default=50, help="opt-outs per second")
    parser.add_argument("--publishers", type=common.whole(1), default=8)
    parser.add_argument("--publishes", type=int, default=0, help="end after so many clips, not by the clock")
    parser.add_argument("--changes", type=int, default=0, help="opt-outs spread over those clips")
    parser.add_argument("--database", help="URL of a PostgreSQL database; SQLite without it")
    asked = parser.parse_args()
    at_commit, found = common.commit(), common.machine()
    with tempfile.TemporaryDirectory() as folder:
        audits = {}
        for publish in (load.fenced, load.unfenced):
            own = Path(folder) / publish.__name__
            with place(own, asked.database) as where:
                made = load.Load(
                    folder=own, where=where, publish=publish, seconds=asked.seconds, rate=asked.rate,
                    publishers=asked.publishers, kill=True, publishes=asked.publishes, changes=asked.changes,
                )  # fmt: skip
                say(f"{publish.__name__}: {asked.seconds} s")
                audits[publish.__name__] = audit = measure(made)
            found += rows(audit, made, publish.__name__)
    found += common.machine()
    common.present("fence", found, at_commit, as_json=asked.json)
    control = audits["unfenced"]
    missed = [kind for kind in world.KINDS if not control.overtook[kind] + control.unasked[kind]]
    for kind in missed:
        say(f"the control found nothing of the kind {kind}: run it for longer")
    return int(bool(audits["fenced"].violations or missed))


if __name__ == "__main__":
    raise SystemExit(main())
