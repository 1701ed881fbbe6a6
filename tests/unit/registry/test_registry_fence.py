"""The publish fence against every kind of opt-out, with the product's own recheck; and under load."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registry_builders import NOW, place_of
from sqlalchemy import Engine, insert

import registry
from registry import log, releases
from registry.db import open_database, read, write
from registry.errors import ConstraintBroken
from registry.tables import job

SOURCE = Path(registry.__file__).parent.parent
sys.path.insert(0, str(SOURCE))  # benchmarks are not installed

from benchmarks.tools import fence_load as load  # noqa: E402
from benchmarks.tools import fence_world as world  # noqa: E402


@dataclass
class Bench:
    engine: Engine
    ids: world.Ids
    asked: int = 0

    def publish(self, publisher: load.Publish, target: int, *, opt_out: bool = True) -> tuple[str, str, int]:
        """Check a clip, opt its target out, publish it: the outcome, the job, the opt-out's position."""
        chance = np.random.default_rng(target + 1)
        with read(self.engine) as conn:
            question = load._question(target, log.registry_seq(conn), self.ids, chance)
        job_id = load._job(0, self.asked)
        self.asked += 1
        row = {"id": job_id, "kind": "k", "key": job_id, "inputs": {}, "created_at": NOW, "state": "open"}
        with write(self.engine) as conn:
            conn.execute(insert(job), [row | {"owner": job_id, "last_step": "", "deaths": 0}])
        seq = world.opt_out(self.engine, target, self.ids, load.now(), load.SIGNER) if opt_out else 0
        return publisher(self.engine, load._candidate(job_id, target, question), question), job_id, seq


def bench(folder: Path) -> Bench:
    engine = open_database(place_of(folder))
    return Bench(engine, world.prepare(engine, len(world.KINDS), load.now(), load.SIGNER))


@pytest.fixture(scope="module")
def fenced(new_root: Callable[[str], Path]) -> Bench:
    return bench(new_root("fenced"))


@pytest.fixture(scope="module")
def control(new_root: Callable[[str], Path]) -> Bench:
    """A database whose trigger, the second line behind the fence, is gone."""
    made = bench(new_root("control"))
    with write(made.engine) as conn:
        conn.exec_driver_sql(load.WITHOUT_TRIGGER[conn.dialect.name])
    return made


TARGETS = range(len(world.KINDS))


@pytest.mark.parametrize("target", TARGETS, ids=world.KINDS)
def test_every_kind_of_opt_out_is_stopped(fenced: Bench, target: int) -> None:
    assert fenced.publish(load.fenced, world.HARMLESS, opt_out=False)[0] == "released"
    outcome, job_id, _ = fenced.publish(load.fenced, target)
    assert outcome == "held"
    assert releases.find_by_job(fenced.engine, job_id) is None
    assert fenced.publish(load.fenced, world.HARMLESS, opt_out=False)[0] == "released"


@pytest.mark.parametrize("target", TARGETS, ids=world.KINDS)
def test_without_the_fence_every_kind_is_overtaken(control: Bench, target: int) -> None:
    outcome, job_id, seq = control.publish(load.unfenced, target)
    made = releases.find_by_job(control.engine, job_id)
    assert outcome == "released"
    assert made is not None
    assert made.registry_seq < seq < made.log_seq


def test_the_database_refuses_a_release_that_passed_the_fence_by(root: Path) -> None:
    made = bench(root)
    with pytest.raises(ConstraintBroken, match="registry_seq must be the last change"):
        made.publish(load.unfenced, 0)
    assert releases.list_releases(made.engine) == []


def under_load(server: Any, *options: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    """Exit status and rows of the benchmark, by metric and publisher, where they are not of one kind."""
    command = [sys.executable, "-m", "benchmarks.fence", "--json", *options]
    with ExitStack() as stack:
        if server is not None:
            command += ["--database", stack.enter_context(server.make(empty=True))]
        done = subprocess.run(command, cwd=SOURCE, stdout=subprocess.PIPE, check=False, timeout=280)
    rows = [row for row in json.loads(done.stdout)["rows"] if "kind" not in row["conditions"]]
    return done.returncode, {(row["metric"], row["conditions"].get("publisher", "")): row for row in rows}


def test_no_clip_overtakes_an_opt_out_under_load(server: Any) -> None:
    """Clips and changes of all kinds, with kill -9; the control without the fence has to be overtaken."""
    _, rows = under_load(server, "--publishes", "100", "--changes", "44", "--publishers", "4")
    overtook = rows["releases that overtook an opt-out", "fenced"]
    assert overtook["value"] == 0
    assert overtook["n"] > 1
    assert rows["opt-outs made", "fenced"]["value"] == 44
    assert rows["held though nothing concerned them", "fenced"]["value"] == 0
    assert rows["publishers killed", "fenced"]["value"] > 0
    assert rows["releases that overtook an opt-out", "unfenced"]["value"] > 0


@pytest.mark.soak
def test_no_clip_overtakes_an_opt_out_for_half_a_minute(server: Any) -> None:
    """The control, too, has to find releases of every kind: else the exit status is 1."""
    status, rows = under_load(server)
    assert status == 0
    assert rows["releases that overtook an opt-out", "fenced"]["value"] == 0
    assert rows["opt-outs", "fenced"]["value"] > 25
