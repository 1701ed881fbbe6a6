"""Leases: a process that gives no sign of life loses its jobs, to exactly one other, and for good."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from registry_builders import BLOCK, LEASED, NOW, SIGNER, Home, allow, candidate
from sqlalchemy import select
from test_registry_crash import start

from registry import db, releases
from registry.db import read, write
from registry.errors import JobNotOwned, RegistryBusy
from registry.jobs import StoredJobs
from registry.leases import SIGNS, Leases
from registry.tables import job as table
from registry.tables_workers import worker
from registry.types import Job, JobState, Release


@pytest.fixture(name="home")
def leased_home(root: Path) -> Home:
    (root / LEASED).write_text("600")
    with Home(root) as made:
        yield made


def leases(jobs: StoredJobs) -> Leases:
    assert isinstance(jobs._ownership, Leases)
    return jobs._ownership


def silence(home: Home, jobs: StoredJobs) -> None:
    """As if the process had given no sign of life for an hour."""
    with write(home.engine) as conn:
        mine = worker.update().where(worker.c.id == leases(jobs).worker)
        conn.execute(mine.values(seen_at=worker.c.seen_at - 3600))


def worker_of(home: Home, job: Job) -> str | None:
    with read(home.engine) as conn:
        return conn.execute(select(table.c.worker).where(table.c.id == job.id)).scalar_one()


def test_a_process_that_lives_keeps_its_jobs(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    assert worker_of(home, job) == leases(home.jobs).worker is not None
    with home.another() as other:
        assert (other.resume(), other.take()) == ([], None)
        assert home.jobs.step(job, "encode", lambda: 1) == 1


def test_a_silent_process_loses_its_jobs_and_all_that_it_still_does_is_refused(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    silence(home, home.jobs)
    with home.another() as other:
        (taken,) = other.resume()
        asking, late = candidate(taken, 1), candidate(job, 1)
        for attempt in (
            lambda: home.jobs.step(job, "encode", lambda: 1),
            lambda: home.jobs.finish(job, JobState.FAILED, {}),
            lambda: home.jobs.abandon(job),
            lambda: home.jobs.demand(job),
            lambda: releases.publish(home.engine, late, allow, now=NOW, sign_checkpoint=SIGNER),
            lambda: releases.publish(home.engine, late, lambda _: BLOCK, now=NOW, sign_checkpoint=SIGNER),
        ):
            with pytest.raises(JobNotOwned):
                attempt()
        made = releases.publish(home.engine, asking, allow, now=NOW, sign_checkpoint=SIGNER)
        assert isinstance(made, Release)
        assert other.finish(taken, JobState.RELEASED, {}).state is JobState.RELEASED


def test_who_was_taken_for_dead_stays_dead_and_begins_again(home: Home) -> None:
    lost = home.jobs.submit("make", "lost", {})
    before = leases(home.jobs).worker
    silence(home, home.jobs)
    with home.another() as other:
        assert len(other.resume()) == 1
        leases(home.jobs).live()  # too late
        with pytest.raises(JobNotOwned):
            home.jobs.check(lost)
        job = home.jobs.submit("make", "k", {})
        home.jobs.check(job)
        assert leases(home.jobs).worker not in (None, before)
        assert other.resume() == []


def test_a_silent_process_that_nobody_took_for_dead_lives_on(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    silence(home, home.jobs)
    leases(home.jobs).live()
    with home.another() as other:
        assert other.resume() == []
    assert home.jobs.step(job, "encode", lambda: 1) == 1


def test_a_process_that_finds_itself_dead_takes_nothing(home: Home) -> None:
    home.jobs.submit("make", "k", {})
    silence(home, home.jobs)
    with home.another() as other:
        assert len(other.resume()) == 1
        with pytest.raises(RegistryBusy, match="taken for dead"):
            home.jobs.submit("make", "next", {})
        assert home.jobs.submit("make", "next", {}).owner is not None


def test_each_job_of_a_silent_process_goes_to_one_of_many(home: Home) -> None:
    ids = [home.jobs.submit("make", str(number), {}).id for number in range(4)]
    silence(home, home.jobs)
    others = [home.another() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        taken = [job.id for found in pool.map(StoredJobs.resume, others) for job in found]
    for other in others:
        other.close()
    assert sorted(taken) == sorted(ids)


def test_who_cannot_give_signs_of_life_stops_itself_before_the_lease_is_over(root: Path) -> None:
    """In PostgreSQL a sign of life waits for no other writer, so that a long one takes nobody's jobs."""
    lease = 2.0
    (root / LEASED).write_text(str(lease))
    with Home(root) as home:
        job = home.jobs.submit("make", "k", {})
        home.jobs.check(job)
        begun, lost = time.monotonic(), None
        with write(home.engine):  # nobody else writes for as long as this lasts
            while time.monotonic() < begun + lease and lost is None:
                time.sleep(0.02)
                try:
                    home.jobs.check(job)
                except JobNotOwned:
                    lost = time.monotonic() - begun
        if home.engine.dialect.name == "sqlite":
            assert lost is not None
            assert lost <= lease * (SIGNS - 1) / SIGNS + 0.1 * lease
        else:
            assert lost is None


def test_what_could_not_be_written_down_is_by_the_next_sign_of_life(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = home.jobs.submit("make", "k", {})
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.1)
    with write(home.engine) as conn:
        conn.execute(table.update().where(table.c.id == job.id).values(deaths=0))  # the row is another's
        home.jobs.leave(job)
    monkeypatch.undo()
    with home.another() as other:
        assert other.resume() == []
        leases(home.jobs).live()
        assert [found.id for found in other.resume()] == [job.id]


def test_a_closed_process_lets_go_at_once_and_may_begin_again(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    home.jobs.close()
    with home.another() as other:
        assert [found.id for found in other.resume()] == [job.id]
    assert home.jobs.submit("make", "next", {}).owner is not None


def test_signs_of_life_are_given_by_themselves(root: Path) -> None:
    (root / LEASED).write_text("1.0")
    before = set(threading.enumerate())
    with Home(root) as home:
        home.jobs.submit("make", "k", {})
        with read(home.engine) as conn:
            first = conn.execute(select(worker.c.seen_at)).scalar_one()
        until = time.monotonic() + 20
        seen = first
        while seen == first and time.monotonic() < until:
            time.sleep(0.1)
            with read(home.engine) as conn:
                seen = conn.execute(select(worker.c.seen_at)).scalar_one()
        assert seen > first
        assert [thread.name for thread in set(threading.enumerate()) - before] == ["leases"]
    assert set(threading.enumerate()) <= before


def test_a_process_that_was_stopped_and_wakes_can_do_nothing_more(root: Path) -> None:
    (root / LEASED).write_text("1.0")
    child = start("stopped", root)
    with child:
        assert child.stdout is not None
        job_id = child.stdout.readline().strip()
        child.send_signal(signal.SIGSTOP)
        with Home(root) as home:
            until = time.monotonic() + 60
            while not (taken := home.jobs.resume()) and time.monotonic() < until:
                time.sleep(0.1)
            child.send_signal(signal.SIGCONT)
            told, _ = child.communicate("go on\n", timeout=60)
            assert [job.id for job in taken] == [job_id]
            assert told.split() == ["refused"] * 5
            home.jobs.demand(taken[0])
            assert releases.list_releases(home.engine) == []


def test_rows_of_ended_processes_go_after_a_while(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    gone = leases(home.jobs).worker
    home.jobs.close()
    with write(home.engine) as conn:  # what is ended never changes, but for a test
        conn.exec_driver_sql(_untriggered(conn.dialect.name))
        conn.execute(worker.update().values(ended_at=1.0))
    with home.another() as other:
        other.submit("make", "next", {})
        with read(home.engine) as conn:
            assert gone in conn.execute(select(worker.c.id)).scalars().all()  # a job bears its name
        other.take()
        with home.another() as third:
            third.submit("make", "third", {})
            with read(home.engine) as conn:
                assert gone not in conn.execute(select(worker.c.id)).scalars().all()
        assert home.jobs.get(job.id).state is JobState.OPEN


def _untriggered(dialect: str) -> str:
    return "DROP TRIGGER worker_ended" if dialect == "sqlite" else "DROP FUNCTION worker_ended() CASCADE"
