"""kill -9 at every boundary between steps: nothing lost, nothing unmarked released, nothing twice."""

import shutil
from pathlib import Path
from typing import Any

import forked
import pytest
import victims
from sqlalchemy import text
from victims import guard_order as order

from pipeline.app import App, open_app
from pipeline.errors import KeysUnusable, Refused
from pipeline.keyring import load_keyring
from pipeline.settings import load
from pipeline.verify.opening import open_local
from pipeline.workbench import note_signer
from registry import holds
from registry.db import open_database, read, write
from registry.releases import withdraw
from registry.types import Reason

STEPS = (
    "gate", "accept", "inbound", "reserve", "survey", "look", "decide", "mark/1", "inspect/1", "sign",
    "reread", "store", "publish", "place",
)  # fmt: skip


def killed(home: Path, clip: Path, step: str, event: str) -> None:
    forked.killed(victims.guard, home, clip, step, event)


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


def home_database(home: Path) -> Path:
    home.mkdir(exist_ok=True)
    return home / "registry.db"


def jobs(home: Path) -> list[Any]:
    engine = open_database(home / "registry.db")
    try:
        with read(engine) as conn:
            return conn.execute(text("SELECT state, deaths FROM job")).all()
    finally:
        engine.dispose()


def go_on(app: App) -> list[Any]:
    return list(app.resume(lambda *_: None))


def check_one_release(home: Path, clip: Path, step: str) -> None:
    settings = load(home)
    with open_app(settings) as app:
        [resumed] = go_on(app)
        assert resumed.error is None
        assert resumed.outcome.release is not None
        again = app.guard(order(clip), lambda *_: None)
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
    for _ in range(2):
        forked.killed(victims.go_on, home, "mark/1", "begin")
    with open_app(load(home)) as app:
        [told] = go_on(app)
        assert (told.error, told.outcome.job.state) == (None, "held")
        outcome = app.guard(order(clip), lambda *_: None)
        assert go_on(app) == []
    assert outcome.release is None
    assert outcome.job.state == "held"
    assert [reason["code"] for reason in outcome.held] == ["job_died"]


def test_waiting_jobs_are_not_charged_for_another_ones_deaths(
    home: Path, clip: Path, other_clip: Path
) -> None:
    killed(home, clip, "gate", "begin")
    # A job of another process that was only accepted, and never ran: this process dies before its turn.
    with open_app(load(home)) as app:
        with pytest.raises(ZeroDivisionError):
            app.guard(order(other_clip), lambda *_: 1 / 0)
        assert not any(row.deaths for row in jobs(home))
    for _ in range(2):
        forked.killed(victims.go_on, home, "gate", "begin")
    assert sorted((row.state, row.deaths) for row in jobs(home)) == [("open", 0), ("open", 2)]
    with open_app(load(home)) as app:
        died, other = go_on(app)
    assert died.outcome.held
    assert other.outcome.release is not None


def test_an_interrupted_job_keeps_its_label(home: Path, clip: Path) -> None:
    killed(home, clip, "inspect/1", "end")
    (home / "settings.toml").write_text('label = "Synthetic"\nservice = "another"\ncrf = 30\n')
    settings = load(home)
    with open_app(settings) as app:
        [resumed] = go_on(app)
    with open_local(settings) as verifier:
        report = verifier.verify(resumed.outcome.file)
    assert (report.verdict, report.flags) == ("intact", ())
    drawn = report.evidence["credential"].found["release"]["visible_mark"]
    assert (drawn["label"], drawn["handle"]) == ("AI-generated", "countermark")
    assert report.evidence["visible_mark"].state == "found"


def test_work_in_progress_that_was_damaged_is_not_signed(home: Path, clip: Path) -> None:
    killed(home, clip, "inspect/1", "end")
    [marked] = (home / "files" / "staging").rglob("*.mp4")
    content = bytearray(marked.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    marked.write_bytes(content)
    with open_app(load(home)) as app:
        [resumed] = go_on(app)
        assert "damaged" in resumed.error
        assert releases(home) == []
        assert app.guard(order(clip), lambda *_: None).release is not None


def test_a_hold_during_the_work_wins(home: Path, clip: Path) -> None:
    engine = open_database(home_database(home))

    def hold_it(step: str, event: str, _value: float) -> None:
        if (step, event) == ("publish", "begin"):
            with write(engine) as conn:
                [row] = conn.execute(text("SELECT id FROM job"))
                reason = Reason(code="complaint", check="person", detail="Somebody asked us to wait.")
                holds.hold(conn, row.id, [reason], 0, "2026-01-01T00:00:00Z")

    with open_app(load(home)) as app:
        outcome = app.guard(order(clip), hold_it)
        assert (outcome.job.state, outcome.release) == ("held", None)
        assert [reason["code"] for reason in outcome.held] == ["complaint"]
        assert app.guard(order(clip), lambda *_: None).held == outcome.held
    engine.dispose()
    assert served(home) == []
    assert any((home / "files" / "staging").iterdir())  # it may go on when the hold is lifted


def test_a_withdrawn_release_is_not_handed_out(home: Path, clip: Path) -> None:
    settings = load(home)
    with open_app(settings) as app:
        release = app.guard(order(clip), lambda *_: None).release
        engine, signer = open_database(home_database(home)), note_signer(load_keyring(home / "keys"))
        withdraw(engine, release.id, why={}, now="2026-01-01T00:00:00Z", sign_checkpoint=signer)
        engine.dispose()
        with pytest.raises(Refused, match="withdrawn"):
            app.guard(order(clip), lambda *_: None)
    shutil.rmtree(home / "keys")
    with pytest.raises(KeysUnusable, match="backup"), open_app(settings):
        pass
    assert not (home / "keys").exists()


def test_what_finished_jobs_left_is_deleted(home: Path, clip: Path) -> None:
    with open_app(load(home)) as app:
        job = app.guard(order(clip), lambda *_: None).job
        left = home / "files" / "staging" / job.id
        left.mkdir()
        (left / "input").write_bytes(b"a copy of the clip")
        assert go_on(app) == []
    assert not left.exists()
