"""kill -9 of who took a job from the queue, at every boundary between steps, on both databases."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import pytest
import victims
from sqlalchemy import select

from pipeline.app import App, open_app
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.verify.opening import open_local
from registry.db import read
from registry.tables import job, release
from registry.types import JobState

STEPS = (
    "gate", "accept", "inbound", "reserve", "survey", "look", "decide", "mark/1", "inspect/1", "sign",
    "reread", "store", "publish", "place",
)  # fmt: skip
QUICK = ("mark/1", "publish")
PATIENCE_SECONDS = 120.0

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=["sqlite", "postgres"])
def queued(request: pytest.FixtureRequest, home: Path, clip: Path) -> Iterator[App]:
    """An open home in whose queue one job waits; a lease is as short as it may be."""
    home.mkdir(mode=0o700)
    told = 'policy = "marks-only"\npreset = "ultrafast"\nlease_seconds = 3\n'
    if request.param == "postgres":
        server: Any = request.getfixturevalue("postgres")
        with server.make(empty=True) as url:
            (home / "settings.toml").write_text(f'{told}database_url = "{url}"\n')
            with open_app(load(home)) as app:
                yield accepted(app, clip)
        return
    (home / "settings.toml").write_text(told)
    with open_app(load(home)) as app:
        yield accepted(app, clip)


def accepted(app: App, clip: Path) -> App:
    app.accept(GuardOrder(source=clip, policy="marks-only", sound=Sound.STRIP, account="a", request="one"))
    return app


def check(app: App, home: Path, step: str, event: str) -> None:
    forked.killed(victims.take, home, step, event)
    until = time.monotonic() + PATIENCE_SECONDS
    while (taken := app.take()) is None:
        assert time.monotonic() < until
        time.sleep(0.1)
    ended = app.run(taken, lambda *_: None)
    assert ended.job.state is JobState.RELEASED
    assert app.take() is None
    with read(app.engine) as conn:
        [made] = conn.execute(select(release))
        [row] = conn.execute(select(job))
    assert (made.job_id, row.id, row.state) == (taken.id, taken.id, "released")
    [file] = [path for path in (home / "files" / "released").rglob("*") if path.is_file()]
    assert file.name == made.file_sha256
    with open_local(load(home)) as verifier:
        assert verifier.verify(file).verdict == "intact"


@pytest.mark.parametrize("step", QUICK)
def test_killed_after_a_step(queued: App, home: Path, step: str) -> None:
    check(queued, home, step, "end")


@pytest.mark.soak
@pytest.mark.parametrize("event", ["begin", "end"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_boundary(queued: App, home: Path, step: str, event: str) -> None:
    check(queued, home, step, event)
