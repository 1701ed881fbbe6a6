"""Webhooks as a receiver sees them: in order, signed, told again with the same id; its troubles are kept."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.testclient import TestClient

from pipeline import webhooks as courier
from pipeline.api.service import make_service
from pipeline.app import open_app
from pipeline.errors import UsageError
from pipeline.settings import Settings, load
from pipeline.webhooks import checked_url
from registry import webhooks


class Receiver(HTTPServer):
    """Takes what is sent; answers what it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks?from=here"

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status == 204:
            self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="receiver")
def a_receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_entries_come_in_order_and_signed(run: Any, receiver: Receiver) -> None:
    run("optout", "add", "Zorblax", "--owner", "Studio Example")
    made = run("webhook", "add", receiver.url, "--after", "0").document
    assert made["secret"] == run("webhook", "secret", made["id"]).document["secret"]
    run("optout", "add", "Wibble", "--owner", "Studio Example")
    count = run("webhook", "deliver").document["taken"]
    told = receiver.told()
    assert [one["data"]["seq"] for one in told] == list(range(1, count + 1))
    assert told[-1]["type"].startswith("opt-out")
    assert "Wibble" not in json.dumps(told)  # names are not public
    for headers, body in receiver.got:
        assert Webhook(made["secret"]).verify(body, headers)
        assert headers["webhook-id"] == f"log_{json.loads(body)['data']['seq']}"
    headers, body = receiver.got[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(body + b" ", headers)
    assert run("webhook", "deliver").document["taken"] == 0


def test_what_is_not_taken_comes_again_before_what_follows(run: Any, home: Path, receiver: Receiver) -> None:
    made = run("webhook", "add", receiver.url, "--after", "0").document
    run("optout", "add", "Zorblax", "--owner", "Studio Example")
    for status in (500, 302, 410):
        receiver.answers = [status]
        assert run("webhook", "deliver").document["taken"] == 0
        [one] = run("webhook", "list").document
        assert (one["cursor"], one["trouble"]) == (0, f"it answered {status}")
        run("webhook", "resume", made["id"])
    assert receiver.got == []
    run("optout", "add", "Wibble", "--owner", "Studio Example")
    run("webhook", "deliver")
    assert [one["data"]["seq"] for one in receiver.told()][:2] == [1, 2]
    run("webhook", "replay", made["id"], "--after", "1")
    before = len(receiver.got)
    run("webhook", "deliver")
    assert receiver.got[before][0]["webhook-id"] == "log_2"
    with open_app(load(home)) as app:
        assert webhooks.get(app.engine, made["id"]).failures == 0


def test_the_service_tells_by_itself(run: Any, home: Path, receiver: Receiver) -> None:
    run("webhook", "add", receiver.url, "--after", "0")
    run("optout", "add", "Zorblax", "--owner", "Studio Example")
    with TestClient(make_service(Settings(home=home, policy="marks-only"))):
        until = time.monotonic() + 30
        while not receiver.got and time.monotonic() < until:
            time.sleep(0.05)
    assert receiver.told()[0]["data"]["seq"] == 1


def test_nobody_there(run: Any, receiver: Receiver) -> None:
    url = receiver.url.replace(str(receiver.server_port), "1")
    run("webhook", "add", url, "--after", "0")
    run("optout", "add", "Zorblax", "--owner", "Studio Example")
    assert run("webhook", "deliver").document["taken"] == 0
    assert "was not reached" in run("webhook", "list").document[0]["trouble"]


@pytest.mark.parametrize("host", ["hooks..example", "a" * 70 + ".example"])
def test_an_address_that_leads_nowhere_stops_no_other(run: Any, receiver: Receiver, host: str) -> None:
    run("webhook", "add", f"https://{host}/x", "--after", "0")
    run("webhook", "add", receiver.url, "--after", "0")
    run("optout", "add", "Zorblax", "--owner", "Studio Example")
    assert run("webhook", "deliver").document["taken"] > 0
    bad, good = run("webhook", "list").document
    assert (bad["failures"], good["failures"]) == (1, 0)
    assert "was not reached" in bad["trouble"]


def test_who_answers_byte_by_byte_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            taken, _ = listening.accept()
            with taken, contextlib.suppress(OSError):
                for letter in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100:
                    taken.sendall(bytes([letter]))
                    time.sleep(0.1)

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        with pytest.raises(courier.Refused):
            courier.post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"{}", {})
        assert time.monotonic() - began < 5
        thread.join()


def test_private_parts_are_for_those_who_ask(run: Any, receiver: Receiver) -> None:
    run("webhook", "add", receiver.url, "--after", "0", "--private", "--kind", "opt-out")
    run("optout", "add", "Zorblax", "--owner", "Studio Example")
    run("webhook", "deliver")
    told = receiver.told()
    assert {one["data"]["kind"] for one in told} == {"opt-out"}
    assert told[0]["data"]["private"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "https://", "ftp://example.org", "https://a:b@example.org/", "https://e x.org",
        "https://example.org/#f", "https://example.org:0/", "https://example.org:99999/", "nonsense", "",
        "https://exämple.org/", "https://example.org/" + "a" * 2000,
    ],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError):
        checked_url(url)


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org:8443/a?b=c", "http://[::1]:80/"])
def test_addresses(url: str) -> None:
    assert checked_url(url) == url
