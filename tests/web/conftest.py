"""A service with pages, a key for opt-outs, and Chromium where it is installed."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from benchmarks.tools import newcomers
from pipeline.api.service import make_service
from pipeline.clock import clock
from pipeline.settings import Settings
from registry import apikeys, sessions

sys.path.insert(0, str(Path(__file__).parent))

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The service, in this process."""
    settings = Settings(
        home=tmp_path_factory.mktemp("pages"), policy="marks-only", preset="ultrafast", undo_seconds=0,
        service="<b>Example & Sons", max_upload_bytes=2 * 1024 * 1024,
        rate_reads=0, rate_writes=0, rate_uploads=0,  # all tests come from one address
    )  # fmt: skip
    with TestClient(make_service(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def key(pages: Any) -> str:
    """The secret of a key for opt-outs."""
    engine = pages.app.state.service.app.engine
    return apikeys.create(engine, "studio", "test", ["optout"], now=clock())[1]


@pytest.fixture(scope="session")
def browse() -> Callable[..., str]:
    """Run Chromium on an address with more flags; what it prints."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("Chromium is not installed")

    def run(address: str, *flags: str) -> str:
        with tempfile.TemporaryDirectory() as profile:
            command = [found, *FLAGS, f"--user-data-dir={profile}", *flags, address]
            done = subprocess.run(command, capture_output=True, timeout=90, check=True)
        return done.stdout.decode()

    return run


@pytest.fixture(scope="session")
def picture_size() -> Callable[[Path], tuple[int, int]]:
    """Width and height of a PNG."""

    def size(path: Path) -> tuple[int, int]:
        head = path.read_bytes()[:24]
        return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])

    return size


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by a script."""
    found = newcomers.program()
    if found is None:
        pytest.skip("Chromium is not installed")
    with newcomers.chromium(found) as made:
        yield made


@pytest.fixture
def sign_in(pages: Any) -> Callable[..., TestClient]:
    """A browser in which somebody is signed in, by name; with which scopes."""

    def made(name: str, *scopes: str) -> TestClient:
        engine = pages.app.state.service.app.engine
        key, _ = apikeys.create(engine, "safety", name, scopes or ("review",), now=clock())
        link = sessions.make_link(engine, key.id, clock())
        browser = TestClient(pages.app, base_url="https://testserver", follow_redirects=False)
        assert browser.get(f"/sign-in?link={link}").status_code == 200
        answer = browser.post("/sign-in", data={"link": link})
        home = "/review" if "review" in key.scopes else "/"
        assert (answer.status_code, answer.headers["location"]) == (303, home)
        return browser

    return made


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service that compares with opt-outs, in this process."""
    settings = Settings(
        home=tmp_path_factory.mktemp("guarded"),
        preset="ultrafast",
        service="Example Studio",
        self_service=1000,
        undo_seconds=60,  # a busy machine looks at pages slowly
        rate_reads=0, rate_writes=0, rate_uploads=0,  # all tests come from one address
    )  # fmt: skip
    with TestClient(
        make_service(settings), base_url="https://testserver", follow_redirects=False,
        raise_server_exceptions=False,
    ) as client:  # fmt: skip
        yield client


@pytest.fixture(name="portal")
def a_portal_that_nobody_used(guarded: Any) -> Any:
    """The same, with nothing counted against the address of the tests."""
    guarded.app.state.service.limiter.storage.reset()
    guarded.cookies.clear()
    return guarded
