"""`countermark serve` as a process: two on one home, killed, and asked by clients that dawdle."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.settings import Settings
from registry import apikeys

BOUNDARY = "b0undary"
ROOT = Path(__file__).parents[2]


@dataclass
class Place:
    """A home, and the processes that serve it."""

    home: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> int:
        """Another process; its port, once it listens."""
        command = [
            sys.executable,
            "-m",
            "pipeline.cli.main",
            "serve",
            "--port",
            "0",
            "--home",
            str(self.home),
        ]
        log = self.home / f"serve-{len(self.processes)}.log"
        with log.open("wb") as file:
            self.processes.append(subprocess.Popen(command, stderr=file, cwd=ROOT))
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", log.read_text()):
                return int(found[1])
            time.sleep(0.05)
        raise AssertionError(log.read_text())


@contextmanager
def made(home: Path) -> Iterator[Place]:
    """A home whose service is impatient; its processes end with it."""
    with open_app(Settings(home=home)):
        pass
    (home / "settings.toml").write_text(
        'policy = "marks-only"\npreset = "ultrafast"\nidle_seconds = 1.0\nupload_seconds = 3.0\n'
    )
    place = Place(home)
    try:
        yield place
    finally:
        for process in place.processes:
            process.kill()
            process.wait()


@pytest.fixture(name="place")
def own_place(tmp_path: Path) -> Iterator[Place]:
    """For a test that kills, or that needs its own environment."""
    with made(tmp_path / "home") as place:
        yield place


@pytest.fixture(scope="module", name="ports")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    """A home and the ports of two processes that serve it."""
    with made(tmp_path_factory.mktemp("two") / "home") as place:
        yield place.home, place.start(), place.start()


def key_of(home: Path, *scopes: str) -> tuple[str, str]:
    """Id and secret of a new key."""
    with open_app(Settings(home=home)) as app:
        key, secret = apikeys.create(app.engine, "studio", "test", scopes, now=clock())
    return key.id, secret


def ask(port: int, method: str, path: str, secret: str = "", body: bytes = b"", **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
    try:
        given = {"Authorization": f"Bearer {secret}"} if secret else {}
        connection.request(method, path, body or None, given | headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def form(clip: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="clip"; filename="c.mp4"\r\n\r\n'
    return head.encode() + clip + f"\r\n--{BOUNDARY}--\r\n".encode()


def post_clip(port: int, secret: str, clip: Path, **headers: str) -> Any:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    status, body = ask(port, "POST", "/v1/guard", secret, form(clip.read_bytes()), **kind, **headers)
    return status, json.loads(body)


def test_a_revocation_holds_in_every_process(ports: tuple[Path, int, int]) -> None:
    home, first, second = ports
    key_id, secret = key_of(home, "moderate")
    path, prompt = "/v1/moderate/prompt", json.dumps({"prompt": "a fox"}).encode()
    kind = {"Content-Type": "application/json"}
    for port in (first, second):
        assert ask(port, "POST", path, secret, prompt, **kind)[0] == 200
    with open_app(Settings(home=home)) as app:
        apikeys.revoke(app.engine, key_id, why={}, now=clock(), sign_checkpoint=app.signer)
    for port in (first, second):
        status, body = ask(port, "POST", path, secret, prompt, **kind)
        assert (status, json.loads(body)["because"]) == (401, "revoked")


def test_killed_and_gone_on_with(place: Place, clip: Path) -> None:
    home, run, processes = place.home, place.start, place.processes
    _, secret = key_of(home, "guard")
    port = run()
    accepted = [post_clip(port, secret, clip, **{"Idempotency-Key": f"n{index}"}) for index in range(2)]
    assert {status for status, _ in accepted} == {202}
    os.kill(processes[0].pid, signal.SIGKILL)
    processes[0].wait()
    port = run()
    until = time.monotonic() + 100
    ended: list[dict[str, Any]] = []
    while len(ended) < 2 and time.monotonic() < until:
        told = [ask(port, "GET", f"/v1/generations/{job['id']}", secret) for _, job in accepted]
        ended = [document for _, body in told if (document := json.loads(body))["state"] != "open"]
        time.sleep(0.2)
    assert [job["state"] for job in ended] == ["released"] * 2
    assert len({job["release"]["id"] for job in ended}) == 2
    again = post_clip(port, secret, clip, **{"Idempotency-Key": "n1"})
    assert (again[0], again[1]["id"]) == (200, accepted[1][1]["id"])
    time.sleep(0.5)
    assert not list((home / "uploads" / "kept").iterdir())


def test_stopped_in_peace(place: Place) -> None:
    place.start()
    place.processes[0].send_signal(signal.SIGTERM)
    assert place.processes[0].wait(timeout=60) in (0, -signal.SIGTERM)
    assert "Traceback" not in (place.home / "serve-0.log").read_text()


def test_clients_that_dawdle(ports: tuple[Path, int, int]) -> None:
    home, port, _ = ports
    head = (
        f"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as silent:
        silent.sendall(f"{head}Content-Length: 100\r\n\r\n--".encode())
        assert b" 408 " in _read(silent)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as dripping:
        dripping.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        began = time.monotonic()
        for byte in form(b"x" * 500):
            if time.monotonic() - began > 3.5:
                break
            dripping.sendall(bytes([byte]))
            time.sleep(0.05)
        assert b" 408 " in _read(dripping)
    assert ask(port, "GET", "/healthz")[0] == 200
    assert not list((home / "uploads").glob("arriving*"))


POST = b"POST /v1/verify HTTP/1.1\r\nHost: x\r\n"
GARBAGE = (
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"x" * 100_000,
    b"\r\n" * 50,
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
)


def test_garbage_on_the_wire(ports: tuple[Path, int, int]) -> None:
    _, port, _ = ports
    for garbage in GARBAGE:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
            wire.sendall(garbage)
            wire.shutdown(socket.SHUT_WR)
            assert b"HTTP/1.1 2" not in _read(wire)
    assert ask(port, "GET", "/healthz")[0] == 200


def test_nothing_is_told_to_anybody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework sends traces where the environment says so; ours does not."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        collector.settimeout(2)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.getsockname()[1]}")
        port = place.start()
        assert ask(port, "GET", "/healthz")[0] == 200
        assert ask(port, "POST", "/v1/verify")[0] == 415
        with pytest.raises(TimeoutError):
            collector.accept()


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "pipeline.cli.main", "serve", "--home", str(tmp_path), "--port"]
        port = str(taken.getsockname()[1])
        done = subprocess.run([*command, port], capture_output=True, cwd=ROOT, timeout=60)
    assert (done.returncode, b"cannot listen" in done.stderr) == (2, True)


def _read(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or says nothing for a while."""
    connection.settimeout(20)
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
            if b"\r\n\r\n" in found and b"detail" in found:
                break
    except (TimeoutError, ConnectionError):
        pass
    return found
