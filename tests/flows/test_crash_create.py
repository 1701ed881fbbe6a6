"""kill -9 between the steps of `create`: nothing lost, nothing unmarked released, nothing twice."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.app import open_app
from pipeline.orders import CreateOrder
from pipeline.settings import load
from pipeline.verify.opening import open_local
from registry.db import open_database, read

STEPS = (
    "gate", "generate", "reserve", "survey", "look", "decide", "mark/1", "inspect/1", "sign", "reread",
    "store", "publish", "place",
)  # fmt: skip
QUICK = ("gate", "generate", "look", "decide", "publish", "place")  # the others are those of `guard`

VICTIM = """
import os, signal, sys
from pathlib import Path
from pipeline.app import open_app
from pipeline.orders import CreateOrder
from pipeline.settings import load
home, policy, generator, step, event = sys.argv[1:]
def observe(name, what, value):
    if (name, what) == (step, event):
        os.kill(os.getpid(), signal.SIGKILL)
order = CreateOrder(
    prompt="a quiet landscape", policy=policy, generator=generator, seconds=3, seed=5, width=480, height=272
)
with open_app(load(Path(home))) as app:
    app.create(order, observe)
"""


def killed(home: Path, policy: str, generator: str, step: str, event: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, str(home), policy, generator, step, event],
        check=False,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def count(home: Path, table: str) -> int:
    engine = open_database(home / "registry.db")
    try:
        with read(engine) as conn:
            return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
    finally:
        engine.dispose()


def check_one_release(home: Path, policy: str, generator: str) -> None:
    settings = load(home)
    order = CreateOrder(
        prompt="a quiet landscape", policy=policy, generator=generator, seconds=3, seed=5, width=480,
        height=272,
    )  # fmt: skip
    with open_app(settings) as app:
        [resumed] = app.resume(lambda *_: None)
        assert resumed.error is None
        assert resumed.outcome is not None
        again = app.create(order, lambda *_: None)
        assert again.release is not None
        assert again.release == resumed.outcome.release
        assert again.file is not None
        assert list(app.resume(lambda *_: None)) == []
    assert (count(home, "release"), count(home, "job")) == (1, 1)
    files = [path for path in (home / "files" / "released").rglob("*") if path.is_file()]
    assert files == [again.file]
    assert not any((home / "files" / "staging").iterdir())
    with open_local(settings) as verifier:
        assert verifier.verify(again.file).verdict == "intact"


@pytest.mark.parametrize("step", QUICK)
def test_killed_after_a_step(home: Path, step: str) -> None:
    killed(home, "marks-only", "scene", step, "end")
    assert count(home, "release") == (1 if step in ("publish", "place") else 0)
    check_one_release(home, "marks-only", "scene")


@pytest.mark.soak
@pytest.mark.parametrize("event", ["begin", "end"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_boundary_with_all_checks(home: Path, step: str, event: str) -> None:
    killed(home, "opt-out", "embedded", step, event)
    late = step == "place" or (step, event) == ("publish", "end")
    assert count(home, "release") == (1 if late else 0)
    check_one_release(home, "opt-out", "embedded")
