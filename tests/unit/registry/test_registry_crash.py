"""kill -9 and races, with child processes: nothing lost, nothing doubled."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from registry_builders import NOW, SIGNER, Home, allow, candidate

import registry
from registry import log, optouts, releases
from registry.db import read, write
from registry.lookup import open_lookup
from registry.types import JobState, Release

SCRIPT = Path(__file__).parent / "registry_child.py"
SOURCE = str(Path(registry.__file__).parent.parent)


def start(action: str, root: Path, argument: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), action, str(root), argument],
        env=os.environ | {"PYTHONPATH": SOURCE},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output(child: subprocess.Popen[str]) -> str:
    with child:
        told, _ = child.communicate(timeout=60)
    return told


def crash(action: str, root: Path, argument: str) -> None:
    child = start(action, root, argument)
    output(child)
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("where", "published"), [("recheck", 0), ("sign", 0), ("commit", 1)])
def test_publishing_survives_kill_9(root: Path, where: str, published: int) -> None:
    crash("crash_publish", root, where)
    lookup = open_lookup(where(root))  # the light reader copes with what the dead left
    assert lookup is not None
    with lookup:
        assert len(list(lookup.releases())) == published
        assert lookup.interrupted_jobs(root / "locks") == 1
    with Home(root) as home:
        with read(home.engine) as conn:
            assert log.head(conn) == 2 * published  # its decision, and itself
            log.audit(conn)
        (job,) = home.jobs.resume()
        made = releases.publish(home.engine, candidate(job, 1), allow, now=NOW, sign_checkpoint=SIGNER)
        assert isinstance(made, Release)
        assert home.jobs.finish(job, JobState.RELEASED, {}).state is JobState.RELEASED
        assert [r.id for r in releases.list_releases(home.engine)] == [made.id]
        with read(home.engine) as conn:
            assert (log.head(conn), len(log.entries(conn, 0, 9))) == (2, 2)
            log.audit(conn)


@pytest.mark.parametrize(("where", "effects"), [("before", 0), ("after", 1), ("recorded", 1)])
def test_a_step_survives_kill_9(root: Path, where: str, effects: int) -> None:
    crash("crash_step", root, where)
    done = root / "effects"
    assert (done.read_text().count("effect") if done.exists() else 0) == effects
    with Home(root) as home:
        (job,) = home.jobs.resume()
        ran: list[int] = []
        assert home.jobs.step(job, "first", lambda: len(ran.append(1) or ran)) == 1
        assert len(ran) == (0 if where == "recorded" else 1)  # only what was recorded is not run again
        assert home.jobs.step(job, "second", lambda: 2) == 2


def test_a_job_killed_three_times_in_a_step_is_held(root: Path) -> None:
    for _ in range(3):
        crash("crash_step", root, "recorded")
    with Home(root) as home:
        assert home.jobs.resume() == []
        assert home.jobs.submit("make", "k", {"prompt": "a red kite"}).state is JobState.HELD


def test_stored_files_are_whole_after_kill_9(tmp_path: Path) -> None:
    for _ in range(3):
        child = start("crash_put", tmp_path)
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "running\n"
            time.sleep(0.05)
            child.kill()
    stored = [p for p in (tmp_path / "store" / "held").rglob("*") if p.is_file()]
    assert len(stored) >= 4
    for path in stored:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def test_what_was_acknowledged_is_there_after_kill_9(root: Path) -> None:
    child = start("crash_append", root)
    with child:
        assert child.stdout is not None
        for _ in range(20):
            acknowledged = int(child.stdout.readline())
        child.kill()
        acknowledged = max([acknowledged, *map(int, child.stdout.read().split("\n")[:-1])])
    with Home(root) as home, read(home.engine) as conn:
        assert log.head(conn) >= acknowledged + 1
        log.audit(conn)


def test_opt_outs_are_all_there_or_none_after_kill_9(root: Path) -> None:
    crash("crash_opt_outs", root, "sign")
    with Home(root) as home:
        assert optouts.list_subjects(home.engine) == []
        assert home.opt_out("after").seq == 1
    child = start("crash_opt_outs", root)
    with child:
        assert child.stdout is not None
        acknowledged = int(child.stdout.readline())
        time.sleep(0.03)
        child.kill()
        acknowledged = max([acknowledged, *map(int, child.stdout.read().split("\n")[:-1])])
    with Home(root) as home, read(home.engine) as conn:
        found = list(optouts.records(conn))
        assert log.head(conn) == len(found)
        log.audit(conn)
    assert (len(found) - 1) % 20 == 0
    assert len(found) > 20 * (acknowledged + 1)
    assert all(len(record.names) == 1 for record in found)
    assert sum(len(record.vectors) for record in found) == len(found) - 1


def test_four_processes_publish_one_job_once(root: Path) -> None:
    Home(root).jobs.close()
    children = [start("race_publish", root, str(number)) for number in range(4)]
    told = {output(child) for child in children}
    with Home(root) as home:
        (made,) = releases.list_releases(home.engine)
        assert told == {f"{made.id}\n"}
        with read(home.engine) as conn:
            assert log.head(conn) == 2


def test_four_processes_append_without_a_gap(root: Path) -> None:
    children = [start("race_append", root, str(number)) for number in range(4)]
    for child in children:
        output(child)
        assert child.returncode == 0
    with Home(root) as home, read(home.engine) as conn:
        entries = log.entries(conn, 0, 1000)
        assert [e.seq for e in entries] == list(range(1, 201))
        assert len({e.public["by"] for e in entries}) == 200
        log.audit(conn)


@pytest.mark.parametrize("round_", range(3))
def test_two_processes_make_one_database(empty_root: Path, round_: int) -> None:
    children = [start("race_open", empty_root) for _ in range(2)]
    for child in children:
        output(child)
        assert child.returncode == 0
    with Home(empty_root) as home, write(home.engine) as conn:
        log.append(conn, "name", {}, None, NOW)


def test_each_dead_job_goes_to_one_process(root: Path) -> None:
    with Home(root) as home:
        ids = {home.jobs.submit("make", str(i), {}).id for i in range(8)}
    children = [start("race_resume", root) for _ in range(4)]
    taken: list[str] = []
    for child in children:  # each says what it took, and lives on until everybody has tried
        assert child.stdout is not None
        taken += child.stdout.readline().split()
    for child in children:
        output(child)
    assert sorted(taken) == sorted(ids)


def test_no_release_overtakes_a_change(root: Path) -> None:
    Home(root).jobs.close()
    children = [start("race_fence", root, str(number)) for number in range(2)]
    children.append(start("race_append", root, "0"))
    for child in children:
        output(child)
        assert child.returncode == 0
    with Home(root) as home, read(home.engine) as conn:
        entries = log.entries(conn, 0, 1000)
        made = releases.list_releases(home.engine)
    assert (len(made), len(entries)) == (30, 110)
    for release in made:
        before = [e.seq for e in entries if e.kind == "withdrawal" and e.seq < release.log_seq]
        assert release.registry_seq == max(before, default=0)
