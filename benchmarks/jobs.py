"""How many jobs the ledger takes, and how soon a killed process's job is another one's.

Ledger: jobs of six steps that do nothing wait in the queue; processes take them, record six steps and the end
of each, until none is left. So this is what taking, recording and ending cost, on the disk and all; of real
jobs it is a part that one does not notice. Take-over: a process takes a job, records a step, and is killed
with SIGKILL; from that moment on another one asks for the job, as a worker does, until it has it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import common
from benchmarks.common import ROOT, Row, median, once, say
from benchmarks.tools.job_child import KIND, jobs_of, place_of
from benchmarks.tools.places import databases, named, place
from pipeline.clock import clock
from pipeline.runner import POLL_SECONDS
from registry.canonical import Json
from registry.db import open_database, read
from registry.jobs import Room, StoredJobs
from registry.leases import LEASE_SECONDS
from registry.owners import LockFiles
from registry.tables import job, job_step
from registry.types import JobState

SUITE: Final = "jobs"
GOAL: Final = 50.0  # jobs per second, in PostgreSQL
TAKEN_WITHIN: Final = 30.0  # seconds
GIVE_UP: Final = 120.0


class Child:
    """One process that works on the queue."""

    def __init__(self, what: str, where: str, folder: Path, lease: float) -> None:
        command = [sys.executable, "-m", "benchmarks.tools.job_child", what, where, str(folder), str(lease)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def hear(self) -> str:
        """Its next line. Raises: RuntimeError at its end."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("a process of the benchmark ended; its words are above")
        return line

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self._process.pid, signal.SIGKILL)
        with self._process:
            self._process.wait()


def ledger(where: str, folder: Path, processes: int, count: int) -> float:
    """Jobs per second. Raises: RuntimeError if one was lost or run twice."""
    _fill(where, folder, count)
    children = [Child("run", where, folder, LEASE_SECONDS) for _ in range(processes)]
    try:
        for child in children:
            child.hear()
        began = time.perf_counter()
        for child in children:
            child.go()
        done = sum(int(child.hear()) for child in children)
        seconds = time.perf_counter() - began
    finally:
        for child in children:
            child.kill()
    engine = open_database(place_of(where))
    with read(engine) as conn:
        ended = conn.execute(job.select().where(job.c.state == JobState.REFUSED)).all()
        steps = conn.execute(job_step.select()).all()
    engine.dispose()
    if (done, len(ended), len(steps)) != (count, count, 6 * count):
        raise RuntimeError(f"{count} jobs waited, {done} were run, {len(ended)} ended, {len(steps)} steps")
    return count / seconds


def take_over(where: str, folder: Path, lease: float) -> float:
    """Seconds from the death of a process until another one has its job."""
    (job_id,) = _fill(where, folder, 1)
    child = Child("hold", where, folder, lease)
    engine = open_database(place_of(where))
    with contextlib.closing(jobs_of(engine, where, folder, lease)) as jobs:
        if child.hear() != job_id:
            raise RuntimeError("another job was taken")
        child.kill()
        killed, pause = time.perf_counter(), POLL_SECONDS[0]
        while (taken := jobs.take()) is None and time.perf_counter() < killed + GIVE_UP:
            time.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS[1])
        seconds = time.perf_counter() - killed
        if taken is None or taken.id != job_id:
            raise RuntimeError(f"nobody had the job after {GIVE_UP} s")
        jobs.finish(taken, JobState.REFUSED, {"decision": None})
    engine.dispose()
    return seconds


def _fill(where: str, folder: Path, count: int) -> list[str]:
    engine = open_database(place_of(where))
    room = Room(all=count, each=count, account="bench")
    queue = StoredJobs(engine, LockFiles(folder), clock)  # to accept takes no ownership
    inputs: Json = {"account": "bench", "prompt": "a boat on a lake"}
    began = time.time_ns()
    made = [queue.enqueue(KIND, f"{began}/{number}", inputs, room).id for number in range(count)]
    engine.dispose()
    return made


@contextlib.contextmanager
def _fresh(folder: Path, database: str | None) -> Iterator[tuple[str, Path]]:
    with tempfile.TemporaryDirectory(dir=folder) as name, place(Path(name), database) as where:
        yield str(where), Path(name) / "locks"


def measure(folder: Path, database: str | None, count: int, rounds: int, lease: float) -> list[Row]:
    """All figures of one database."""
    rows, kind = [], {"database": named(database)}
    for processes in (1, 4):
        say(f"{named(database)}: {count} jobs, {processes} processes")
        speeds = []
        for _ in range(rounds):
            with _fresh(folder, database) as (where, locks):
                speeds.append(ledger(where, locks, processes, count))
        told = kind | {"processes": processes, "jobs": count, "goal": GOAL}
        rows.append(median("jobs of six steps", speeds, "jobs/s", told))
    say(f"{named(database)}: take-over after a kill, {rounds} times")
    with _fresh(folder, database) as (where, locks):
        late = [take_over(where, locks, lease) for _ in range(rounds)]
    lasts = {"lease": lease} if database is not None else {}
    rows.append(median("take-over after kill -9", late, "s", kind | lasts | {"goal": TAKEN_WITHIN}))
    return rows


def main() -> None:
    """Run the suite."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--jobs", type=int, default=300, help="jobs in the queue; default: 300")
    parser.add_argument("--rounds", type=int, default=3, help="how often all is done; default: 3")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, help="seconds; default: the setting's")
    parser.add_argument("--database", help="URL of a PostgreSQL database; default: a server of its own")
    told = parser.parse_args()
    rows = common.machine()
    with tempfile.TemporaryDirectory() as name, databases(told.database, server=True) as found:
        for database in found:
            rows += measure(Path(name), database, told.jobs, told.rounds, told.lease)
    rows.append(once("steps of a job", 6, "count"))
    common.present(SUITE, rows, common.commit(), as_json=told.json)


if __name__ == "__main__":
    main()
