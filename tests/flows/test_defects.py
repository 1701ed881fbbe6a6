"""An error that nobody foresaw ends no thread of the service, and leaves no job that nobody goes on with."""

import threading
from pathlib import Path

import pytest

from pipeline.api import state
from pipeline.api.queue import Pool
from pipeline.api.state import Service
from pipeline.app import App, open_app
from pipeline.errors import TooBusy
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from registry.errors import StorageFull
from registry.jobs import DEATHS_MAX
from registry.types import Job, JobState


def accepted(app: App, clip: Path, request: str) -> Job:
    app.accept(GuardOrder(source=clip, policy="marks-only", sound=Sound.STRIP, account="a", request=request))
    taken = app.take()
    assert taken is not None
    return taken


def fail(step: str, event: str, _value: float) -> None:
    if (step, event) == ("reserve", "begin"):
        raise ZeroDivisionError


def silent(_step: str, _event: str, _value: float) -> None:
    """Nobody watches."""


def test_another_try_is_made_in_the_same_process(home: Path, clip: Path) -> None:
    with open_app(load(home)) as app:
        job = accepted(app, clip, "once")
        with pytest.raises(ZeroDivisionError):
            app.run(job, fail)
        assert app.job(job.id).state is JobState.OPEN
        [resumed] = app.resume(silent)
        assert resumed.outcome is not None
        assert resumed.outcome.release is not None


def test_a_job_that_always_fails_is_held(home: Path, clip: Path) -> None:
    with open_app(load(home)) as app:
        job = accepted(app, clip, "often")
        with pytest.raises(ZeroDivisionError):
            app.run(job, fail)
        for _ in range(DEATHS_MAX - 1):
            with pytest.raises(ZeroDivisionError):
                list(app.resume(fail))
        [resumed] = app.resume(fail)
        assert resumed.job.state is JobState.HELD
        assert app.job(job.id).state is JobState.HELD


def test_a_job_whose_file_cannot_be_placed_is_gone_on_with(home: Path, clip: Path) -> None:
    """It has been published, so that it can neither fail nor be held."""
    released, elsewhere = home / "files" / "released", home / "elsewhere"

    def lose(step: str, event: str, _value: float) -> None:
        if (step, event) == ("place", "begin") and not elsewhere.exists():
            released.rename(elsewhere)
            released.write_text("no folder")

    with open_app(load(home)) as app:
        job = accepted(app, clip, "published")
        for _ in range(DEATHS_MAX + 1):
            with pytest.raises(StorageFull):
                app.run(job, lose)
            taken = app.take()
            assert taken is not None
            assert taken.id == job.id
            job = taken
        released.unlink()
        elsewhere.rename(released)
        ended = app.run(job, silent)
        assert ended.job.state is JobState.RELEASED
        assert ended.file is not None


def test_the_threads_beside_go_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(home)
    with open_app(settings) as app:
        service = Service.on(app, settings)
        calls: list[str] = []

        def broken(*_: object) -> None:
            calls.append("")
            if len(calls) > 1:
                service.stopping.set()
            service.changed.set()
            raise ZeroDivisionError

        monkeypatch.setattr(app, "retroscan", broken)
        service.keep_scanning()
        assert len(calls) > 1
        service.stopping.clear()
        calls[:] = [""]
        monkeypatch.setattr(app, "tend", broken)
        monkeypatch.setattr(state, "TEND_SECONDS", 0.01)
        service.keep_tending()
        assert len(calls) > 1
        service.stop()
    assert "ZeroDivisionError" in caplog.text


def test_what_nobody_waits_for_ends_no_thread_of_a_pool() -> None:
    pool, going_on = Pool("test", 1, 3), threading.Event()
    pool.reserve().start(lambda: going_on.wait(10))
    cancelled, waiting = (pool.reserve().start(lambda: 1) for _ in range(2))
    assert cancelled.cancel()
    stopping = threading.Thread(target=pool.stop)
    stopping.start()
    while not pool._stopping:
        pass
    going_on.set()
    assert isinstance(waiting.exception(10), TooBusy)
    stopping.join(10)
    assert not stopping.is_alive()
