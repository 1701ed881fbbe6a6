"""The client of docs/client.md against the real service: orders, files, lists, errors, and asking again."""

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pipeline import client as module
from pipeline import webhooks
from pipeline.client import (
    Client,
    DownloadDamaged,
    NotReleased,
    Problem,
    Unreachable,
    WebhookInvalid,
    verify_webhook,
)

Handle = Callable[[httpx2.Request], httpx2.Response]


class Unreliable(httpx2.BaseTransport):
    """The service behind a network that fails at first: `failures` are raised, or answered, one by one."""

    def __init__(self, through: httpx2.BaseTransport, *failures: Any) -> None:
        self.through, self.failures, self.seen = through, list(failures), list[httpx2.Request]()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.seen.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            if isinstance(failure, httpx2.Response):
                return failure
        return self.through.handle_request(request)


def client(served: Any, headers: dict[str, str], *failures: Any) -> tuple[Client, Unreliable, list[float]]:
    """A client of the service in this process, its network, and for how long it waited."""
    network, waited = Unreliable(served.client._transport, *failures), list[float]()
    key = headers.get("Authorization", "").removeprefix("Bearer ")
    return Client("http://testserver", key, transport=network, sleep=waited.append), network, waited


def test_guarding_waiting_and_saving(served: Any, clip: Path, tmp_path: Path) -> None:
    key = served.key("client")
    asking, _, _ = client(served, key)
    patient = Client("http://testserver", asking._http.headers["authorization"][7:],
                     transport=served.client._transport)  # fmt: skip
    with patient as service:
        job = service.wait(service.guard(clip, name="one", prompt="a landscape"), seconds=120)
        assert job.state == "released", job
        assert service.guard(clip, name="one", prompt="a landscape").id == job.id
        target = service.download(job, tmp_path / "out.mp4")
        assert hashlib.sha256(target.read_bytes()).hexdigest() == job.released().sha256
        assert [one.name for one in tmp_path.iterdir()] == ["out.mp4"]
        assert [one.id for one in service.jobs()] == [job.id]
        assert service.verify(target)["verdict"] == "intact"
        served.service.app.withdraw(job.released().id, "a mistake")
        with pytest.raises(Problem) as gone:
            service.download(job, tmp_path / "again.mp4")
        assert (gone.value.status, gone.value.code) == (410, "withdrawn")
        [decided] = service.decisions()
        appeal = service.appeal("It was right.", release=job.released().id)
        assert (appeal["decision"], appeal["state"]) == (decided["id"], "open")
    with Client("http://testserver", transport=served.client._transport) as stranger:
        assert stranger.verify(target)["release"]["state"] == "withdrawn"


def test_what_was_not_answered_is_asked_again_by_the_same_name(served: Any) -> None:
    busy = httpx2.Response(503, json={"code": "too_busy"}, headers={"Retry-After": "7"})
    failures = (httpx2.ConnectError("refused"), busy, httpx2.ReadError("cut"))
    asking, network, waited = client(served, served.key("again", "create"), *failures)
    job = asking.create("a fox", seconds=1.0, seed=3)
    assert job.kind == "create"
    names = {request.headers["idempotency-key"] for request in network.seen}
    assert (len(network.seen), len(names)) == (4, 1)
    assert waited == [0.25, 7.0, 1.0]


def test_files_are_sent_whole_at_every_try(served: Any, clip: Path) -> None:
    asking, network, _ = client(served, served.key("twice", "guard"), httpx2.ReadTimeout("slow"))
    asking.guard(clip)
    first, second = (len(request.content) for request in network.seen)
    assert first == second > clip.stat().st_size


def test_it_gives_up(served: Any) -> None:
    asking, network, _ = client(served, {}, *(httpx2.ConnectError("refused") for _ in range(9)))
    with pytest.raises(Unreachable, match="refused"):
        asking.verify(Path(__file__))
    assert len(network.seen) == module.TRIES
    late = httpx2.Response(429, json={"code": "asked_too_often"}, headers={"Retry-After": "3600"})
    asking, _, waited = client(served, {}, *(late for _ in range(9)))
    with pytest.raises(Problem) as over:
        asking.moderate("a fox")
    assert (over.value.status, over.value.retry_after) == (429, 3600.0)
    assert set(waited) == {module.LONGEST_WAIT}


def test_problems_have_their_fields(served: Any) -> None:
    asking, network, _ = client(served, served.key("scoped", "moderate"))
    assert asking.moderate("a fox").verdict == "allow"
    with pytest.raises(Problem) as scope:
        asking.create("a fox")
    assert (scope.value.status, scope.value.code, scope.value.because) == (403, "key_refused", "scope")
    with pytest.raises(Problem) as field:
        asking.moderate("a fox", histery=[])
    assert (field.value.code, field.value.errors[0]["field"]) == ("request_malformed", "body.histery")
    assert len(network.seen) == 3
    html = httpx2.Response(502, text="<html>")
    asking, _, _ = client(served, {}, html)
    with pytest.raises(Problem) as proxy:
        asking.moderate("a fox")
    assert (proxy.value.status, proxy.value.code) == (502, "internal")


def test_optouts(served: Any) -> None:
    asking, _, _ = client(served, served.key("Client Studio", "optout"))
    made = asking.optout("Grimwaldo", aliases=["Old Grim", "The Wald"], kind="character")
    assert (made["new"], made["state"]) == (True, "active")
    assert asking.optout("Grimwaldo", aliases=["Old Grim", "The Wald"], kind="character")["new"] is False
    [listed] = asking.optouts()
    assert (listed["subject"], listed["state"]) == (made["subject"], "active")
    assert asking.withdraw_optout(made["subject"])["state"] == "withdrawn"


class Cutting(httpx2.BaseTransport):
    """Cuts the first answer off in the middle of the file, as a network does."""

    def __init__(self, through: httpx2.BaseTransport, spoil: bool = False) -> None:
        self.through, self.spoil, self.ranges = through, spoil, list[str | None]()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.through.handle_request(request)
        if request.method != "GET" or not request.url.path.endswith("/file"):
            return answer
        self.ranges.append(request.headers.get("range"))
        content = answer.read()
        if self.spoil:
            return httpx2.Response(200, content=b"x" + content[1:])
        if len(self.ranges) > 1:
            return httpx2.Response(answer.status_code, content=content)
        return httpx2.Response(200, stream=_Cut(content[: len(content) // 2]))


class _Cut(httpx2.SyncByteStream):
    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Any:
        yield self.content
        raise httpx2.ReadError("cut")


def test_a_download_goes_on_and_is_compared(served: Any, clip: Path, tmp_path: Path) -> None:
    headers = served.key("cutter", "guard")
    secret = headers["Authorization"].removeprefix("Bearer ")
    told = served.guard(clip, headers).json()
    network = Cutting(served.client._transport)
    asking = Client("http://testserver", secret, transport=network, sleep=lambda _: None)
    job = Client("http://testserver", secret, transport=served.client._transport).wait(asking.job(told["id"]))
    target = asking.download(job, tmp_path / "whole.mp4")
    assert hashlib.sha256(target.read_bytes()).hexdigest() == job.released().sha256
    assert network.ranges[0] is None
    assert str(network.ranges[1]).startswith("bytes=")
    spoilt = Client("http://testserver", secret, transport=Cutting(served.client._transport, spoil=True))
    with pytest.raises(DownloadDamaged):
        spoilt.download(job, tmp_path / "spoilt.mp4")
    assert [one.name for one in tmp_path.iterdir()] == ["whole.mp4"]


def test_a_held_job_is_not_released(served: Any, tmp_path: Path, make_clip: Any) -> None:
    loud = make_clip(tmp_path / "loud.mp4", 480, 272, 24, fps=12, audio=True, seed=91)
    asking = Client(
        "http://testserver", served.key("loud")["Authorization"][7:], transport=served.client._transport
    )
    job = asking.wait(asking.guard(loud, audio="hold"), seconds=120)
    with pytest.raises(NotReleased, match="is held") as no:
        asking.download(job, tmp_path / "out.mp4")
    assert no.value.job.reasons[0]["code"] == "audio_not_checked"
    assert no.value.job.statement


def test_webhooks_are_checked_as_they_are_signed() -> None:
    key, body, now = b"k" * 32, b'{"type": "release"}', int(time.time())
    secret = "whsec_" + base64.b64encode(key).decode()
    signed = webhooks.signature(key, "log_7", str(now), body)
    headers = {
        "Webhook-Id": "log_7", "Webhook-Timestamp": str(now), "Webhook-Signature": f"v1,AAAA {signed}"
    }  # fmt: skip
    assert verify_webhook(secret, headers, body) == {"type": "release"}
    for wrong in (
        {"Webhook-Id": "log_8"},
        {"Webhook-Timestamp": str(now - 1)},
        {"Webhook-Timestamp": "soon"},
        {"Webhook-Signature": "v1,AAAA"},
        {"Webhook-Signature": "vé"},
    ):
        with pytest.raises(WebhookInvalid):
            verify_webhook(secret, headers | wrong, body)
    with pytest.raises(WebhookInvalid, match="last 300"):
        verify_webhook(secret, headers, body, now=now + 301.0)
    with pytest.raises(WebhookInvalid, match="secret"):
        verify_webhook("whsec_!", headers, body)
