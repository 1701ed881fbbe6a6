"""A process of `benchmarks.jobs`: runs jobs of six steps until none waits, or takes one and holds it.

``python -m benchmarks.tools.job_child run|hold DATABASE FOLDER LEASE``
"""

import sys
import time
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from pipeline.clock import clock
from registry.canonical import JsonValue
from registry.db import open_database
from registry.jobs import StoredJobs
from registry.leases import Leases
from registry.owners import LockFiles
from registry.types import JobState

KIND: Final = "bench/1"
STEPS: Final = ("gate", "generate", "look", "mark", "sign", "publish")
RESULT: Final[JsonValue] = {"file": "0" * 64 + ".mp4", "verdict": "allow", "seq": 1}
"""About as much as a step of a release records."""


def jobs_of(engine: Engine, where: str, folder: Path, lease: float) -> StoredJobs:
    """The jobs of one process: leases in PostgreSQL, lock files else, as `pipeline.working` has it."""
    if where.startswith("postgresql://"):
        return StoredJobs(engine, Leases(engine, clock, lease), clock)
    return StoredJobs(engine, LockFiles(folder), clock)


def place_of(where: str) -> Path | str:
    """The database as `open_database` takes it."""
    return where if where.startswith("postgresql://") else Path(where)


def _run(jobs: StoredJobs) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    done = 0
    while (job := jobs.take()) is not None:
        for name in STEPS:
            jobs.step(job, name, lambda: RESULT)
        jobs.finish(job, JobState.REFUSED, {"decision": None})
        done += 1
    print(done, flush=True)


def _hold(jobs: StoredJobs) -> None:
    while (job := jobs.take()) is None:
        time.sleep(0.01)
    jobs.step(job, STEPS[0], lambda: RESULT)
    print(job.id, flush=True)
    sys.stdin.read()  # until it is killed


def main() -> None:
    """Do as told."""
    what, where, folder, lease = sys.argv[1:]
    engine = open_database(place_of(where))
    with jobs_of(engine, where, Path(folder), float(lease)) as jobs:
        {"run": _run, "hold": _hold}[what](jobs)


if __name__ == "__main__":
    main()
