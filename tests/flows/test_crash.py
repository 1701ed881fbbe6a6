"""kill -9 at every boundary between steps: nothing lost, nothing unmarked released, nothing twice."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pipeline.app import App, GuardOrder, open_app
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.verify.local import open_local
from registry.db import open_database, read

STEPS = (
    "accept", "reserve", "survey", "decide", "mark/1", "inspect/1", "sign", "reread", "store", "publish",
    "place",
)  # fmt: skip

# The victim is a process of its own; it kills itself where it is told to.
VICTIM = """
import os, signal, sys
from pathlib import Path
from pipeline.app import GuardOrder, open_app
from pipeline.policy import Sound
from pipeline.settings import load
home, clip, step, event = sys.argv[1:]
def observe(name, what, value):
    if (name, what) == (step, event):
        os.kill(os.getpid(), signal.SIGKILL)
with open_app(load(Path(home))) as app:
    app.guard(GuardOrder(source=Path(clip), policy="marks-only", sound=Sound.ACCEPT), observe)
"""


def killed(home: Path, clip: Path, step: str, event: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, str(home), str(clip), step, event], check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def releases(home: Path) -> list[tuple[str, str]]:
    engine = open_database(home / "registry.db")
    try:
        with read(engine) as conn:
            return [
                (row.id, row.file_sha256) for row in conn.execute(text("SELECT id, file_sha256 FROM release"))
            ]
    finally:
        engine.dispose()


def served(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "files" / "released").rglob("*") if path.is_file())


def go_on(app: App) -> list[Any]:
    return list(app.resume(lambda *_: None))


def check_one_release(home: Path, clip: Path, step: str) -> None:
    settings = load(home)
    order = GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT)
    with open_app(settings) as app:
        [resumed] = go_on(app)
        assert resumed.error is None
        assert resumed.outcome.release is not None
        again = app.guard(order, lambda *_: None)
        assert again.release is not None
        assert again.release.id == resumed.outcome.release.id
        assert go_on(app) == []
    [(_, digest)] = releases(home)
    assert served(home) == [digest]
    assert not any((home / "files" / "held").rglob("??*/*"))
    assert not any((home / "files" / "staging").iterdir())
    with open_local(settings) as verifier:
        report = verifier.verify(home / "files" / "released" / digest[:2] / digest)
    assert report.verdict == "intact", step


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_a_step(home: Path, clip: Path, step: str) -> None:
    killed(home, clip, step, "end")
    before = releases(home)
    assert len(before) == (1 if step in ("publish", "place") else 0)
    assert set(served(home)) <= {digest for _, digest in before}
    check_one_release(home, clip, step)


@pytest.mark.parametrize(
    ("step", "event"), [("mark/1", "begin"), ("mark", "progress"), ("inspect", "progress")]
)
def test_killed_in_the_middle_of_a_step(home: Path, clip: Path, step: str, event: str) -> None:
    killed(home, clip, step, event)
    assert releases(home) == []
    assert served(home) == []
    check_one_release(home, clip, step)


@pytest.mark.soak
@pytest.mark.parametrize("step", STEPS)
def test_killed_before_a_step(home: Path, clip: Path, step: str) -> None:
    killed(home, clip, step, "begin")
    check_one_release(home, clip, step)


def test_a_job_that_always_dies_is_held(home: Path, clip: Path) -> None:
    killed(home, clip, "mark/1", "begin")
    victim = VICTIM.replace("    app.guard(", "    list(app.resume(observe)); app.guard(")
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", victim, str(home), str(clip), "mark/1", "begin"],
            check=False,
            capture_output=True,
        )
    with open_app(load(home)) as app:
        assert go_on(app) == []
        outcome = app.guard(GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT), lambda *_: None)
    assert outcome.release is None
    assert outcome.job.state == "held"
