"""The demo's server: `countermark serve` as another process, and a small client for it."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.errors import CountermarkError
from pipeline.settings import Settings
from registry import apikeys

ACCOUNT: Final = "demo"
# So that the story shows what a whole clip is held for, and not what stops it on the way.
WHOLE_CLIPS: Final = {"COUNTERMARK_PREVIEW": "off"}
SCOPES: Final = ("create", "guard", "moderate", "optout")
START_SECONDS: Final = 120.0
JOB_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.2
WAIT: Final = "wait=60"
_LISTENING: Final = re.compile(r"listening on (http://[^\s\"]+)")


class ServerFailed(CountermarkError):
    """The demo's server did not start, or did not answer in time."""

    code = "demo_server_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `document`: its JSON, or {}; `body`: its bytes."""

    status: int
    document: dict[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Talks to the server as anybody with a key would."""

    base: str
    secret: str

    def get(self, path: str) -> Answer:
        """GET."""
        return self._send(self._asked(path))

    def post_json(self, path: str, document: dict[str, Any]) -> Answer:
        """POST a JSON document."""
        return self._send(self._asked(path, json.dumps(document).encode(), "application/json"))

    def post_form(self, path: str, fields: dict[str, str], part: str, files: Sequence[Path]) -> Answer:
        """POST fields and files (each as the part `part`) as multipart/form-data."""
        boundary = secrets.token_hex(16)
        heads = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
        heads += [(f'name="{part}"; filename="{file.name}"', file.read_bytes()) for file in files]
        body = b"".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
            for head, content in heads
        )
        body += f"--{boundary}--\r\n".encode()
        return self._send(self._asked(path, body, f"multipart/form-data; boundary={boundary}"))

    def finished(self, answer: Answer) -> dict[str, Any]:
        """The document of a job that `answer` is about, once it has ended. Raises: ServerFailed."""
        document, until = answer.document, time.monotonic() + JOB_SECONDS
        while document.get("state") == "open" and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
            document = self.get(f"/v1/generations/{document['id']}").document
        if document.get("state") in (None, "open"):
            raise ServerFailed(f"the server gave no result: {json.dumps(document)[:300]}; look at its log")
        return document

    def _asked(self, path: str, body: bytes | None = None, kind: str = "") -> urllib.request.Request:
        request = urllib.request.Request(self.base + path, body)  # noqa: S310 - our own server
        request.add_header("Authorization", f"Bearer {self.secret}")
        request.add_header("Prefer", WAIT)
        if kind:
            request.add_header("Content-Type", kind)
        return request

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=JOB_SECONDS) as response:  # noqa: S310 - our own
                return _answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            return _answer(error.code, error.read())


def _answer(status: int, body: bytes) -> Answer:
    try:
        document = json.loads(body)
    except ValueError:
        document = {}
    return Answer(status=status, document=document if isinstance(document, dict) else {}, body=body)


@contextmanager
def served(settings: Settings, log: Path) -> Iterator[Client]:
    """A server on this home while the block lasts, and a client with a key. Raises: ServerFailed."""
    secret = _key(settings)
    command = [
        sys.executable, "-m", "pipeline.cli.main", "serve", "--port", "0", "--home", str(settings.home)
    ]  # fmt: skip
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, env=os.environ | WHOLE_CLIPS)
        try:
            yield Client(base=_address(process, log), secret=secret)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _key(settings: Settings) -> str:
    with open_app(settings) as app:
        _, secret = apikeys.create(app.engine, ACCOUNT, "the demo", SCOPES, now=clock())
    return secret


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        found = _LISTENING.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
        time.sleep(POLL_SECONDS)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise ServerFailed(f"the demo's server did not start; look at {log}: {' '.join(last)}")
