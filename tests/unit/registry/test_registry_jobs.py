import os
from pathlib import Path

import pytest
from registry_builders import NOW, Home

from registry import holds
from registry.db import read, write
from registry.errors import (
    ConstraintBroken,
    EntryInvalid,
    JobNotOwned,
    KeyReused,
    NotFound,
    QueueFull,
    RegistryUnusable,
)
from registry.jobs import DEATHS_MAX, Room, StoredJobs
from registry.owners import LockFiles
from registry.types import JobState, Reason

WHY = [Reason(code="signing_failed", check="sign", detail="The time-stamp authority did not answer.")]


@pytest.fixture
def home(owned_home: Home) -> Home:
    """Every test runs with both ways to own a job, on both databases."""
    return owned_home


def test_a_key_makes_one_job(home: Home) -> None:
    job = home.jobs.submit("make", "k", {"seed": 1, "guidance": 7.5})
    again = home.jobs.submit("make", "k", {"guidance": 7.5, "seed": 1})
    assert (again.id, again.inputs) == (job.id, {"seed": 1, "guidance": 7.5})
    assert job.owner is not None
    assert again.owner is None  # somebody runs it already
    for kind, inputs in (("make", {"seed": 2}), ("scan", {"seed": 1, "guidance": 7.5})):
        with pytest.raises(KeyReused):
            home.jobs.submit(kind, "k", inputs)


@pytest.mark.parametrize("result", [None, 0, "", [], {"b": 1.5, "a": [None, True]}, "é\U0001f600"])
def test_a_recorded_step_is_not_run_again(home: Home, result: object) -> None:
    job = home.jobs.submit("make", "k", {})
    assert home.jobs.step(job, "encode", lambda: result) == result
    assert home.jobs.step(job, "encode", lambda: pytest.fail("ran twice")) == result


def test_a_failing_step_records_nothing(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    for _ in range(DEATHS_MAX + 2):
        with pytest.raises(ZeroDivisionError):
            home.jobs.step(job, "encode", lambda: 1 // 0)
    with pytest.raises(EntryInvalid):
        home.jobs.step(job, "encode", lambda: float("nan"))
    assert home.jobs.step(job, "encode", lambda: 7) == 7
    home.jobs.close()
    assert [j.id for j in home.another().resume()] == [job.id]


def test_only_the_owner_runs_steps_and_finishes(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    with home.another() as rival:
        theirs = rival.submit("make", "k", {})
        assert (theirs.id, theirs.owner, rival.resume()) == (job.id, None, [])
        with pytest.raises(JobNotOwned):
            rival.step(theirs, "encode", lambda: 1)
        with pytest.raises(JobNotOwned):
            rival.finish(theirs, JobState.FAILED, {})
        home.jobs.close()
        (taken,) = rival.resume()
        with pytest.raises(JobNotOwned):  # the owner that lost the job is fenced off
            home.jobs.step(job, "encode", lambda: 1)
        assert rival.step(taken, "encode", lambda: 2) == 2
        assert rival.finish(taken, JobState.FAILED, {"error": "x"}).state is JobState.FAILED


def test_a_job_that_loses_its_owner_inside_a_step_records_nothing(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})

    def stolen() -> int:
        home.jobs.close()
        assert len(rival.resume()) == 1
        return 1

    with home.another() as rival:
        with pytest.raises(JobNotOwned):
            home.jobs.step(job, "encode", stolen)
        taken = rival.get(job.id)
        assert taken.state is JobState.OPEN


def test_a_job_that_dies_at_one_place_too_often_is_held(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    home.jobs.step(job, "prompt", lambda: 1)
    for attempt in range(DEATHS_MAX):
        with pytest.raises(KeyboardInterrupt):
            home.jobs.step(job, "encode", _die)
        home.jobs.close()
        taken = home.jobs.resume()
        if attempt < DEATHS_MAX - 1:
            (job,) = taken
            assert home.jobs.step(job, "prompt", lambda: 2) == 1
    assert taken == []
    with read(home.engine) as conn:
        (held,) = holds.open_holds(conn)
    assert (held.job_id, held.reasons[0].code) == (job.id, "job_died")
    assert "after step 'prompt'" in held.reasons[0].detail
    assert home.jobs.submit("make", "k", {}).state is JobState.HELD


def test_progress_forgives_deaths(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    for step in range(2 * DEATHS_MAX):
        with pytest.raises(KeyboardInterrupt):
            home.jobs.step(job, f"s{step}", _die)
        home.jobs.close()
        (job,) = home.jobs.resume()
        home.jobs.step(job, f"s{step}", lambda: 1)


def test_a_job_that_dies_between_steps_is_held_too(home: Home) -> None:
    home.jobs.submit("make", "k", {})
    for _ in range(DEATHS_MAX - 1):
        home.jobs.close()
        assert len(home.jobs.resume()) == 1
    home.jobs.close()
    assert home.jobs.resume() == []
    with read(home.engine) as conn:
        assert "before its first step" in holds.open_holds(conn)[0].reasons[0].detail


def test_a_job_that_has_left_is_never_held(home: Home) -> None:
    """It could be ended in no other way than as released, and would keep all younger ones."""
    home.release()
    for _ in range(DEATHS_MAX + 2):
        home.jobs.close()
        (job,) = home.jobs.resume()
    younger = home.jobs.submit("make", "younger", {})
    home.jobs.close()
    taken = {one.id: one for one in home.jobs.resume()}
    assert taken.keys() == {job.id, younger.id}
    assert home.jobs.finish(taken[job.id], JobState.RELEASED, {}).state is JobState.RELEASED


def test_a_job_that_the_database_does_not_give_out_keeps_no_other(
    sqlite_home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [sqlite_home.jobs.submit("make", str(number), {}).id for number in range(3)]
    broken = f"BEFORE UPDATE ON job WHEN OLD.id = '{ids[1]}' BEGIN SELECT RAISE(ABORT, 'broken'); END"
    with write(sqlite_home.engine) as conn:
        conn.exec_driver_sql(f"CREATE TRIGGER broken {broken}")
    sqlite_home.jobs.close()
    assert {job.id for job in sqlite_home.another().resume()} == {ids[0], ids[2]}
    assert f"the job {ids[1]} cannot be taken" in caplog.text


def test_an_abandoned_job_is_taken_over_without_a_death(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    for _ in range(DEATHS_MAX + 1):
        home.jobs.abandon(job)
        (job,) = home.jobs.resume()


def test_finishing_lets_go_and_is_final(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    done = home.jobs.finish(job, JobState.REFUSED, {"code": "opted_out"})
    assert (done.state, done.result, done.finished_at) == (JobState.REFUSED, {"code": "opted_out"}, NOW)
    assert home.jobs.finish(job, JobState.REFUSED, {}) == done
    assert not home.locks.exists() or list(home.locks.iterdir()) == []
    assert home.another().resume() == []
    with pytest.raises(ConstraintBroken):
        home.jobs.finish(job, JobState.FAILED, {})
    with pytest.raises(JobNotOwned):
        home.jobs.step(job, "encode", lambda: 1)
    assert home.jobs.submit("make", "k", {}) == done


def test_released_needs_a_release_and_held_needs_a_reason(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    with pytest.raises(ConstraintBroken):
        home.jobs.finish(job, JobState.RELEASED, {})
    with pytest.raises(EntryInvalid):
        home.jobs.finish(job, JobState.HELD, {})
    with pytest.raises(ConstraintBroken):
        home.jobs.finish(job, JobState.OPEN, {})
    done = home.jobs.finish(job, JobState.HELD, {"at": "sign"}, reasons=WHY)
    assert (done.state, done.result) == (JobState.HELD, {"at": "sign"})


def test_a_released_job_cannot_be_anything_else(home: Home) -> None:
    home.release()
    home.jobs.close()
    (job,) = home.jobs.resume()
    for state in (JobState.FAILED, JobState.REFUSED, JobState.HELD):
        with pytest.raises(ConstraintBroken):
            home.jobs.finish(job, state, {}, reasons=WHY)
    assert home.jobs.finish(job, JobState.RELEASED, {}).state is JobState.RELEASED


def test_a_lifted_job_resumes_with_its_recorded_steps(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    home.jobs.step(job, "encode", lambda: "done")
    home.jobs.finish(job, JobState.HELD, {}, reasons=WHY)
    assert home.jobs.resume() == []
    with write(home.engine) as conn:
        holds.lift(conn, job.id, "the authority answers again", NOW)
    (job,) = home.jobs.resume()
    assert home.jobs.step(job, "encode", lambda: "again") == "done"


def test_what_is_queued_waits_for_whoever_takes_it(home: Home) -> None:
    room = Room(all=3, each=2, account="a")
    queued = [home.jobs.enqueue("make", key, {"account": "a"}, room) for key in ("1", "2")]
    assert home.jobs.enqueue("make", "1", {"account": "a"}, room) == queued[0]
    with pytest.raises(KeyReused):
        home.jobs.enqueue("make", "1", {"account": "b"}, room)
    for one, own in ((room, True), (Room(all=2, each=9, account="b"), False)):
        with pytest.raises(QueueFull) as full:
            home.jobs.enqueue("make", "3", {"account": "a"}, one)
        assert full.value.own is own
    assert home.jobs.take(begun=True) is None  # nobody has begun any of them
    assert home.jobs.take(["scan"]) is None
    with home.another() as other:
        first, second = home.jobs.take(), other.take(besides=["x"])
        assert first is not None
        assert second is not None
        assert {first.id, second.id} == {job.id for job in queued}  # made in one and the same moment
        assert (home.jobs.take(), other.take()) == (None, None)
        home.jobs.demand_room(room)  # those that run do not wait
        other.step(second, "encode", lambda: 1)
        other.abandon(second)
        assert home.jobs.take(besides=[second.id]) is None
        again = home.jobs.take(begun=True)
        assert again is not None
        assert again.id == second.id


def test_a_forked_child_does_not_keep_the_lock(home: Home) -> None:
    home.jobs.submit("make", "k", {})
    ready, wait = os.pipe()
    child = os.fork()
    if child == 0:  # the child of a dead parent lives on
        os.close(wait)
        os.read(ready, 1)
        os._exit(0)
    try:
        home.jobs.close()
        assert len(home.another().resume()) == 1
    finally:
        os.close(wait)
        os.close(ready)
        os.waitpid(child, 0)


def test_an_unknown_job_and_an_unusable_folder(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        home.jobs.get("nobody")
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryUnusable):
        StoredJobs(home.engine, LockFiles(tmp_path / "file"), lambda: NOW)


def _die() -> int:
    raise KeyboardInterrupt  # the process ends here without a word; `close` drops the lock as the kernel does
