"""`countermark serve` on a fresh home: it answers before its models are loaded, and lets a person in."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from classifiers.errors import ModelUnusable
from pipeline.api.service import make_service
from pipeline.app import open_app
from pipeline.settings import Settings
from registry import apikeys

ROOT = Path(__file__).parents[2]
SIGN_IN = re.compile(r"http://127\.0\.0\.1:\d+/sign-in\?link=[A-Za-z0-9_-]{43}")


@contextmanager
def started(home: Path, *options: str, **settings: str) -> Iterator[tuple[str, list[str], Any]]:
    """A process that serves: its address, the lines that it prints for a person, and the process."""
    command = [sys.executable, "-m", "pipeline.cli.main", "serve", "--port", "0", "--home", str(home)]
    given = {f"COUNTERMARK_{name.upper()}": value for name, value in settings.items()}
    with (home.parent / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
            env=os.environ | given,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        yield lines[0].split()[1], lines, process
    finally:
        process.kill()
        process.communicate()


def parts(address: str) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=60) as answer:
            return answer.status, json.load(answer)["parts"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["parts"]


def test_a_fresh_home_answers_at_once_and_its_link_signs_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with started(home) as (address, lines, _):
        assert parts(address) == (503, parts(address)[1] | {"models": "they are being loaded"})
        link = SIGN_IN.search(lines[2])
        assert link is not None, lines
        assert link[0].startswith(address)
        assert f"{address}/verify" in lines[1]
        assert link[0][-43:] not in (tmp_path / "serve.log").read_text()
        cookie = sign_in(address, link[0])
        review = urllib.request.Request(f"{address}/review", headers={"Cookie": cookie})
        with urllib.request.urlopen(review, timeout=60) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError):
            sign_in(address, link[0])  # it works once
        until = time.monotonic() + 120
        while (found := parts(address))[0] != 200 and time.monotonic() < until:
            time.sleep(0.2)
        assert found == (200, dict.fromkeys(found[1], "ready"))
    with started(home, policy="marks-only") as (_, lines, _process):
        assert "link=" not in "".join(lines)
        assert "apikeys link KEY" in lines[2]
    with open_app(Settings(home=home)) as app:
        [key] = apikeys.list_keys(app.engine)
    assert set(apikeys.SCOPES) - set(key.scopes) == {"tester"}


def sign_in(address: str, link: str) -> str:
    """Open a link and say yes; the session's cookie."""
    secret = link.partition("link=")[2]
    urllib.request.urlopen(link, timeout=60).close()
    request = urllib.request.Request(f"{address}/sign-in", f"link={secret}".encode())
    with urllib.request.build_opener(Unredirected).open(request, timeout=60) as answer:
        return str(answer.headers["set-cookie"]).partition(";")[0]


class Unredirected(urllib.request.HTTPRedirectHandler):
    def http_error_303(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        return fp


def test_every_address_of_the_machine(tmp_path: Path) -> None:
    with started(tmp_path / "home", "--host", "0.0.0.0", policy="marks-only") as (address, lines, _):
        assert address.startswith("http://127.0.0.1:")
        assert "every other address" in lines[0]
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
            assert answer.status == 200


def test_models_that_are_missing_end_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    with started(tmp_path / "home", clip_model=missing) as (_, _lines, process):
        assert process.wait(timeout=120) == 3
    log = (tmp_path / "serve.log").read_text()
    assert "Traceback" not in log
    assert missing in log.splitlines()[-1]


def test_no_job_runs_before_the_models_are_there(tmp_path: Path, clip: Path) -> None:
    """Nor when they cannot be loaded: the job waits for a process that has them."""
    settings = Settings(home=tmp_path / "home", policy="marks-only", preset="ultrafast")
    tried, going_on = threading.Event(), threading.Event()

    def load() -> None:
        tried.set()
        assert going_on.wait(60)
        raise ModelUnusable("they are damaged")

    with TestClient(make_service(settings, load=load)) as client:
        assert tried.wait(60)
        secret = apikeys.create(
            client.app.state.service.app.engine, "studio", "test", ["guard"], now="2026-01-01T00:00:00Z"
        )[1]
        headers = {"Authorization": f"Bearer {secret}"}
        with clip.open("rb") as file:
            job = client.post("/v1/guard", files={"clip": ("c.mp4", file)}, headers=headers).json()
        going_on.set()
        state = client.get(f"/v1/generations/{job['id']}", headers=headers).json()["state"]
        assert (state, client.get("/readyz").status_code) == ("open", 503)
    with TestClient(make_service(settings)) as client:
        until = time.monotonic() + 100
        while state == "open" and time.monotonic() < until:
            time.sleep(0.2)
            state = client.get(f"/v1/generations/{job['id']}", headers=headers).json()["state"]
    assert state == "released"


def test_a_stop_before_the_models_are_there_waits_for_nothing(tmp_path: Path) -> None:
    def load() -> None:
        raise ModelUnusable("they are damaged")

    with TestClient(make_service(Settings(home=tmp_path / "home", policy="marks-only"), load=load)) as client:
        here = client.app.state.service
    assert client.app.state.idle  # nothing was left that had to be waited for in vain
    assert not any(thread.is_alive() for thread in here.beside)
