"""What the service needs goes away in the middle of a job: nothing is released that should not be, the job
waits or fails by name, and goes on when it is back.
"""

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from benchmarks.tools.local_postgres import LocalServer, programs
from pipeline.api.service import make_service
from pipeline.api.state import Service
from pipeline.clock import clock
from pipeline.settings import Settings
from registry import apikeys
from registry.store import Area

PATIENCE = 200.0  # seconds
ENDED = ("released", "held", "refused", "failed")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that could not be ended is tried again soon."""
    monkeypatch.setattr("pipeline.runner.RETRY_SECONDS", 2.0)


class Running:
    """A service, a key for it, and its jobs."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.service: Service = client.app.state.service  # type: ignore[attr-defined]
        made = apikeys.create(self.service.app.engine, "studio", "test", ["guard"], now=clock())
        self.headers = {"Authorization": f"Bearer {made[1]}"}

    def accept(self, clip: Path) -> str:
        with clip.open("rb") as file:
            answer = self.client.post("/v1/guard", files={"clip": ("c.mp4", file)}, headers=self.headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job: str) -> Any:
        return self.client.get(f"/v1/generations/{job}", headers=self.headers).json()

    def tried(self, job: str) -> None:
        """Wait until the job was tried, and was ended or left for later."""
        runner = self.service.runner
        wait_for(lambda: job in runner._later or self.job(job).get("state") in ENDED)

    def ended(self, job: str) -> Any:
        self.service.resume_soon()
        wait_for(lambda: self.job(job)["state"] != "open")
        return self.job(job)

    def files(self) -> tuple[list[str], list[str]]:
        store = self.service.app.store
        return store.digests(Area.HELD), store.digests(Area.RELEASED)


def wait_for(what: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@contextmanager
def running(home: Path, **settings: Any) -> Iterator[Running]:
    given = {"policy": "marks-only", "preset": "ultrafast"} | settings
    told = make_service(Settings(home=home, **given))
    with TestClient(told, raise_server_exceptions=False) as client:
        yield Running(client)


@pytest.fixture(name="server")
def own_server() -> Iterator[LocalServer]:
    """One that may be stopped."""
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed here; install the package postgresql")
    pytest.importorskip("psycopg", reason="psycopg is not installed here")
    with LocalServer() as server:
        yield server


def test_the_database_goes_away_and_comes_back(server: LocalServer, tmp_path: Path, clip: Path) -> None:
    """No death is charged twice, no release made twice; meanwhile requests are told to come again."""
    with running(tmp_path / "home", database_url=server.create("registry")) as here:
        job = here.accept(clip)
        wait_for(lambda: any(here.service.app.store._root.glob("staging/*/*")))  # it is at work
        server.stop()
        here.tried(job)
        answer = here.client.get(f"/v1/generations/{job}", headers=here.headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "registry_unusable"), answer.text
        assert answer.headers["retry-after"]
        ready = here.client.get("/readyz")
        assert (ready.status_code, "cannot be reached" in ready.json()["parts"]["registry"]) == (503, True)
        assert here.files() == ([], [])
        server.start()
        told = here.ended(job)
        assert told["state"] == "released", told
        assert here.files() == ([], [told["release"]["sha256"]])
        assert here.client.get("/readyz").status_code == 200
        here.service.app.engine.dispose()


def test_the_database_goes_away_while_models_are_loaded(
    server: LocalServer, tmp_path: Path, clip: Path
) -> None:
    """What waits is run when it is back: that the first prompt could not be judged stops nothing."""
    accepted = threading.Event()

    def load() -> None:
        accepted.wait(PATIENCE)
        server.stop()

    settings = Settings(
        home=tmp_path / "home", policy="marks-only", preset="ultrafast",
        database_url=server.create("registry"),
    )  # fmt: skip
    with TestClient(make_service(settings, load=load), raise_server_exceptions=False) as client:
        here = Running(client)
        job = here.accept(clip)
        accepted.set()
        wait_for(lambda: client.get("/readyz").json()["parts"]["models"] == "ready")
        server.start()
        assert here.ended(job)["state"] == "released"
        here.service.app.engine.dispose()


def test_the_time_stamp_service_is_away(tmp_path: Path, clip: Path) -> None:
    """The job waits; nothing that is unsigned is stored, let alone released."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = _url(taken)
    with running(tmp_path / "home", tsa_url=away) as here:
        job = here.accept(clip)
        here.tried(job)
        told = here.job(job)
        assert (told["state"], told["release"], here.files()) == ("open", None, ([], []))
    with running(tmp_path / "home") as here:
        told = here.ended(job)
        assert (told["state"], here.files()) == ("released", ([], [told["release"]["sha256"]]))


def test_a_job_that_cannot_even_be_put_back_is_tried_again(tmp_path: Path, clip: Path) -> None:
    """The time-stamp service fails while the database cannot be written."""
    with socket.create_server(("127.0.0.1", 0)) as tsa, running(tmp_path / "home", tsa_url=_url(tsa)) as here:
        tsa.settimeout(PATIENCE)
        job = here.accept(clip)
        asked, _ = tsa.accept()
        with full_disk():
            asked.close()
            here.tried(job)
        here.service.resume_soon()
        tsa.accept()[0].close()  # it asks again
        wait_for(lambda: here.job(job)["state"] == "open" and job in here.service.runner._later)


def _url(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/tsa"


@contextmanager
def full_disk() -> Iterator[None]:
    """A limit on the size of files makes write() fail half-way, as a full disk does; the database's, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("step", ["accept", "mark/1", "sign"])
def test_the_disk_is_full_in_the_middle_of_a_job(
    step: str, tmp_path: Path, clip: Path, pause_at: Any
) -> None:
    """Nothing is lost: it fails by that name, or goes on when there is room; never for what it is not."""
    with running(tmp_path / "home") as here:
        begun, filled = pause_at(here.service, step)
        job = here.accept(clip)
        assert begun.wait(PATIENCE)
        with full_disk():
            filled.set()
            here.tried(job)
            assert here.files() == ([], [])
        told = here.ended(job)
        if told["state"] == "failed":  # it met the limit while it wrote a clip, not while it wrote that down
            assert told["error"]["code"] in ("storage_full", "storage_failed"), told
            told = here.ended(here.accept(clip))
        assert told["state"] == "released", told
        assert here.files() == ([], [told["release"]["sha256"]])
        here.service.app.store.check(Area.RELEASED, told["release"]["sha256"])
        assert not list((tmp_path / "home" / "files" / "staging").iterdir())
