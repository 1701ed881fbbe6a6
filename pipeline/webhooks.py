"""Sends the log's entries to webhooks, as Standard Webhooks says (https://www.standardwebhooks.com, v1).

1. Entries go one by one and in order; the next one only after the last was taken (2xx).
2. ``webhook-id`` is the entry's place in the log, the same at every try: whoever is told twice can see it.
3. Signed is ``id.timestamp.body`` with HMAC-SHA256. The secret follows from a key of the home and the id of
   the webhook: it stands in no database.
4. One process of all that share the registry sends at a time. No redirect is followed, no proxy is asked,
   no answer is read.
5. An address is https, but on this very machine.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import Engine

from pipeline.credentials.keyfiles import locked
from pipeline.credentials.safe import Safe, Secret
from pipeline.errors import KeysUnusable, UsageError
from pipeline.types import Json
from registry import webhooks
from registry.ids import parse_time
from registry.turns import turn_if_free
from registry.types import LogEntry
from registry.webhooks import Webhook

KEY_BYTES: Final = 32
LOCK_FILE: Final = "webhooks.lock"
PREFIX: Final = "whsec_"
TIMEOUT_SECONDS: Final = 10.0
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_URL: Final = 2000
TURN: Final = 200  # entries
EVENT_VERSION: Final = 1
TEST: Final = "test"


class Refused(Exception):
    """What was sent was not taken; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Sends what is due. ``safe``: of the home's keys; ``locks``: a folder; ``clock``: UTC, RFC 3339."""

    engine: Engine
    safe: Safe
    locks: Path
    clock: Callable[[], str]
    version: str

    def secret(self, webhook_id: str) -> str:
        """What the receiver checks signatures with. Raises: KeysUnusable."""
        return PREFIX + base64.b64encode(self._secret(webhook_id)).decode()

    def deliver(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Send what is due, and say how many entries were taken; 0 where another process does (4)."""
        self.locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        with turn_if_free(self.engine, self.locks / LOCK_FILE) as mine:
            named = [one.id for one in webhooks.due(self.engine, self.clock())] if mine else []
            return sum(self._through(webhooks.get(self.engine, one), stopped) for one in named)

    def _through(self, one: Webhook, stopped: Callable[[], bool]) -> int:
        """What one webhook has not been told (1), as much as its turn allows: others wait, too."""
        count = 0
        while not stopped() and count < TURN and one.state == webhooks.ACTIVE:
            entries, upto = webhooks.ahead(self.engine, one)
            for entry in entries:
                if stopped():
                    return count
                try:
                    self._send(one, entry)
                except Refused as refused:
                    webhooks.failed(self.engine, one, str(refused), self.clock())
                    return count
                one, count = webhooks.taken(self.engine, one, entry.seq), count + 1
                if one.cursor != entry.seq or one.state != webhooks.ACTIVE or count >= TURN:
                    return count  # somebody set it elsewhere, or it is another's turn
            if upto == one.cursor:
                return count
            one = webhooks.taken(self.engine, one, upto)
        return count

    def test(self, one: Webhook) -> str:
        """Send an event of the type ``test``; what went wrong, or nothing. Raises: KeysUnusable."""
        now = self.clock()
        told: Json = {"type": TEST, "timestamp": now, "data": {"v": EVENT_VERSION, "webhook": one.id}}
        try:
            self._post(one, f"test_{int(parse_time(now).timestamp())}", told)
        except Refused as refused:
            return str(refused)
        return ""

    def _send(self, one: Webhook, entry: LogEntry) -> None:
        self._post(one, f"log_{entry.seq}", event(entry, opened=one.opened))

    def _post(self, one: Webhook, named: str, told: Json) -> None:
        """Send a signed document. Raises: Refused."""
        body = json.dumps(told, ensure_ascii=False).encode()
        at = str(int(parse_time(self.clock()).timestamp()))
        headers = {
            "Content-Type": "application/json", "User-Agent": f"countermark/{self.version}",
            "webhook-id": named, "webhook-timestamp": at,
            "webhook-signature": signature(self._secret(one.id), named, at, body),
        }  # fmt: skip
        post(one.url, body, headers)

    def _secret(self, webhook_id: str) -> bytes:
        return hmac.new(self._key(), f"webhook v1 {webhook_id}".encode(), hashlib.sha256).digest()

    def _key(self) -> bytes:
        folder = self.safe.folder
        path = folder / Secret.WEBHOOKS
        with locked(folder / f"{Secret.WEBHOOKS}.lock"):
            if not os.path.lexists(path):
                self.safe.write(path, Secret.WEBHOOKS, secrets.token_bytes(KEY_BYTES))
        key = self.safe.read(path, Secret.WEBHOOKS)
        if len(key) != KEY_BYTES:
            raise KeysUnusable(f"{path} is damaged; restore it from a backup")
        return key


def event(entry: LogEntry, *, opened: bool) -> Json:
    """What is sent of an entry; ``opened``: with its private part, null where that was erased."""
    data: Json = {"v": EVENT_VERSION, "seq": entry.seq, "kind": entry.kind, "public": entry.public}
    if opened:
        data["private"] = entry.private
    action = entry.public.get("action")
    name = f"{entry.kind}.{action}" if isinstance(action, str) else entry.kind
    return {"type": name, "timestamp": entry.at, "data": data}


def signature(secret: bytes, named: str, at: str, body: bytes) -> str:
    """The header ``webhook-signature`` (3)."""
    signed = hmac.new(secret, f"{named}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def checked_url(url: str) -> str:
    """The address, if entries may be sent there (5). Raises: UsageError."""
    parts = _parts(url)
    if parts is None or len(url) > MAX_URL or not url.isascii() or any(one.isspace() for one in url):
        raise UsageError("a webhook is an address such as https://example.org/hooks")
    if parts.username is not None or parts.fragment:
        raise UsageError("the address of a webhook has no user and no fragment; leave them out")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise UsageError("the address of a webhook begins with https://, but on this very machine")
    return url


def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Send a body, and see that it is taken. Raises: Refused."""
    parts = _parts(url)
    assert parts is not None  # noqa: S101 - it was checked when it was added
    assert parts.hostname is not None  # noqa: S101
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port or 443, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # The library's limit is for each read; whoever answers byte by byte gets no longer than that in all.
    patience = threading.Timer(TIMEOUT_SECONDS, _cut, [connection])
    patience.start()
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Refused(f"it was not reached ({type(error).__name__}: {error})") from None
    finally:
        patience.cancel()
        connection.close()
    if not 200 <= status < 300:
        raise Refused(f"it answered {status}")


def _cut(connection: http.client.HTTPConnection) -> None:
    """End what another thread waits for."""
    with contextlib.suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and (parts.port is None or parts.port > 0) else None
    except ValueError:
        return None
