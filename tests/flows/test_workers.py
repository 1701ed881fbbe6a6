"""`countermark worker`: processes share a queue; one that is killed, stopped or told to end loses nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.home import Home
from pipeline.importing import Importing, Wanted
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from registry import apikeys, import_requests, import_runs
from registry.db import read
from registry.tables import job, job_step, release
from registry.tables_workers import worker
from registry.types import JobState

pytestmark = pytest.mark.timeout(900)  # two processes with a clip each, on whatever machine

ROOT = Path(__file__).parents[2]
MOVES_SECONDS = 30  # within which a dead worker's job is another one's
PATIENCE_SECONDS = 200


@dataclass
class Fleet:
    """A home whose registry is in PostgreSQL, its workers, and who accepts jobs for them."""

    home: Path
    app: App
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Another worker, once it takes jobs."""
        told = self.home / f"worker-{len(self.workers)}.log"
        command = [sys.executable, "-m", "pipeline.cli.main", "worker", "--home", str(self.home)]
        with told.open("wb") as file:
            self.workers.append(subprocess.Popen(command, stderr=file, cwd=ROOT))
        wait(lambda: "taking jobs" in told.read_text(), told.read_text)
        return self.workers[-1]

    def accept(self, clip: Path, request: str) -> str:
        order = GuardOrder(
            source=clip, policy="marks-only", sound=Sound.STRIP, account="studio", request=request
        )
        return self.app.accept(order).id

    def import_names(self, count: int) -> str:
        """An import that waits, as a service accepts it."""
        folder = Home(self.home).kept_uploads / "names"
        folder.mkdir(parents=True)
        names = (f"Zorblax of Street {number}\n" for number in range(count))
        (folder / "catalogue.csv").write_text("name\n" + "".join(names))
        key, _ = apikeys.create(self.app.engine, "studio", "test", ["optout"], now=clock())
        wanted = Wanted(file="catalogue.csv", name="mine.csv", digests=())
        accept = Importing(self.app).accept
        return accept(wanted, account="studio", key=key.id, request="names", folder=folder).id

    def imported(self, import_id: str) -> tuple[str, int]:
        """The state of an import, and how many lines are done."""
        request = import_requests.get(self.app.engine, import_id)
        run = request.run_id and import_runs.get(self.app.engine, request.run_id)
        return request.state, run.done if run else 0

    def at_work(self, job_id: str) -> subprocess.Popen[bytes] | None:
        """The worker that is in the middle of a job: it has recorded a step."""
        with read(self.app.engine) as conn:
            steps = conn.execute(select(job_step.c.name).where(job_step.c.job_id == job_id)).all()
            owned = select(worker.c.pid).join(job, job.c.worker == worker.c.id).where(job.c.id == job_id)
            pid = conn.execute(owned.where(job.c.state == JobState.OPEN)).scalar()
        return next((one for one in self.workers if one.pid == pid), None) if len(steps) > 1 else None

    def row(self, job_id: str) -> Any:
        with read(self.app.engine) as conn:
            return conn.execute(select(job).where(job.c.id == job_id)).one()

    def ended(self, job_id: str) -> bool:
        return bool(self.row(job_id).state != JobState.OPEN)

    def released(self) -> list[str]:
        """The jobs of all releases; their files are served, and nothing else."""
        with read(self.app.engine) as conn:
            made = conn.execute(select(release)).all()
        files = [path.name for path in (self.home / "files" / "released").rglob("*") if path.is_file()]
        assert sorted(files) == sorted(row.file_sha256 for row in made)
        return sorted(row.job_id for row in made)

    def log(self, of: subprocess.Popen[bytes]) -> str:
        return (self.home / f"worker-{self.workers.index(of)}.log").read_text()


def wait(until: Callable[[], Any], told: Callable[[], str] = str, seconds: float = PATIENCE_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, told()
        time.sleep(0.02)
    return found


@pytest.fixture
def fleet(postgres: Any, home: Path) -> Iterator[Fleet]:
    with postgres.make(empty=True) as url, opened(home, url) as made:
        yield made


@contextmanager
def opened(home: Path, url: str) -> Iterator[Fleet]:
    home.mkdir(mode=0o700)
    (home / "settings.toml").write_text(
        f'database_url = "{url}"\npolicy = "marks-only"\npreset = "ultrafast"\nworkers = 0\n'
    )
    with open_app(load(home)) as app:
        made = Fleet(home, app)
        try:
            yield made
        finally:
            for process in made.workers:
                process.kill()
                process.wait()


@pytest.fixture
def long_clip(make_landscape: Callable[..., Path], tmp_path: Path) -> Path:
    return make_landscape(tmp_path / "long.mp4", 7)


def test_a_killed_workers_job_moves_to_another_and_is_released_once(
    fleet: Fleet, long_clip: Path, clip: Path
) -> None:
    fleet.start(), fleet.start()
    jobs = [fleet.accept(long_clip, "long"), fleet.accept(clip, "short")]
    victim = wait(lambda: fleet.at_work(jobs[0]))
    before = fleet.row(jobs[0])
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.monotonic()
    wait(lambda: fleet.row(jobs[0]).owner not in (None, before.owner), seconds=MOVES_SECONDS)
    assert time.monotonic() - killed < MOVES_SECONDS
    wait(lambda: all(map(fleet.ended, jobs)))
    assert [fleet.row(one).state for one in jobs] == [JobState.RELEASED] * 2
    assert fleet.released() == sorted(jobs)
    assert not any((fleet.home / "files" / "staging").iterdir())


def test_a_worker_that_was_stopped_and_wakes_publishes_nothing(fleet: Fleet, long_clip: Path) -> None:
    with (fleet.home / "settings.toml").open("a") as file:
        file.write("lease_seconds = 3\n")
    sleeper = fleet.start()
    job_id = fleet.accept(long_clip, "long")
    wait(lambda: fleet.at_work(job_id))
    os.kill(sleeper.pid, signal.SIGSTOP)
    other = fleet.start()
    wait(lambda: fleet.at_work(job_id) is other, seconds=MOVES_SECONDS + PATIENCE_SECONDS)
    os.kill(sleeper.pid, signal.SIGCONT)
    wait(lambda: fleet.ended(job_id))
    assert fleet.row(job_id).state == JobState.RELEASED
    assert fleet.released() == [job_id]
    wait(lambda: fleet.log(sleeper).count(job_id) > 1)  # it says why it does not go on
    assert "Traceback" not in fleet.log(sleeper)
    again = fleet.accept(long_clip, "again")  # the sleeper may work again, under another id
    wait(lambda: fleet.ended(again))
    assert fleet.released() == sorted([job_id, again])


def test_a_worker_that_is_told_to_end_lets_go_and_nobody_is_charged(fleet: Fleet, long_clip: Path) -> None:
    first = fleet.start()
    job_id = fleet.accept(long_clip, "long")
    wait(lambda: fleet.at_work(job_id) is first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    row = fleet.row(job_id)
    assert row.state == JobState.RELEASED or (row.owner, row.worker, row.deaths) == (None, None, 0)
    fleet.start()
    wait(lambda: fleet.ended(job_id))
    assert fleet.released() == [job_id]
    assert "Traceback" not in fleet.log(first)


def test_a_killed_workers_import_is_gone_on_with_line_by_line(fleet: Fleet) -> None:
    victim, lines = fleet.start(), 300
    import_id = fleet.import_names(lines)
    wait(lambda: fleet.imported(import_id)[1] > 0)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    state, done = fleet.imported(import_id)
    assert (state, 0 < done < lines) == ("running", True)
    fleet.start()
    told = lambda: f"{fleet.imported(import_id)} {fleet.log(fleet.workers[-1])}"  # noqa: E731
    wait(lambda: fleet.imported(import_id) == ("done", lines), told)
    request = import_requests.get(fleet.app.engine, import_id)
    numbers = [one.line for one in import_requests.lines(fleet.app.engine, request, limit=lines)]
    assert numbers == list(range(2, lines + 2))
    wait(lambda: not any(Home(fleet.home).kept_uploads.iterdir()))
