"""kill -9 between the steps of `create`: nothing lost, nothing unmarked released, nothing twice."""

from pathlib import Path

import forked
import pytest
import victims
from sqlalchemy import text

from pipeline.app import open_app
from pipeline.settings import load
from pipeline.verify.opening import open_local
from registry.db import open_database, read

STEPS = (
    "gate", "generate", "reserve", "survey", "look", "decide", "mark/1", "inspect/1", "sign", "reread",
    "store", "publish", "place",
)  # fmt: skip
QUICK = ("gate", "generate", "look", "decide", "publish", "place")  # the others are those of `guard`


def count(home: Path, table: str) -> int:
    engine = open_database(home / "registry.db")
    try:
        with read(engine) as conn:
            return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
    finally:
        engine.dispose()


def check_one_release(home: Path, policy: str, generator: str) -> None:
    settings = load(home)
    order = victims.landscape(policy, generator)
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
    forked.killed(victims.create, home, victims.landscape("marks-only", "scene"), step, "end")
    assert count(home, "release") == (1 if step in ("publish", "place") else 0)
    check_one_release(home, "marks-only", "scene")


@pytest.mark.soak
@pytest.mark.parametrize("event", ["begin", "end"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_boundary_with_all_checks(home: Path, step: str, event: str) -> None:
    forked.killed(victims.create, home, victims.landscape("opt-out", "embedded"), step, event)
    late = step == "place" or (step, event) == ("publish", "end")
    assert count(home, "release") == (1 if late else 0)
    check_one_release(home, "opt-out", "embedded")
