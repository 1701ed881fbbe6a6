"""What holds for every request: limits on bytes and time, headers of the answer, one line in the log.

A limit on bytes is kept while they arrive, whatever the request says of its own length; one that says too
much is not read at all. What the log says of a request: `pipeline.logs`.
"""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline import logs
from pipeline.api import problems
from pipeline.api.metrics import METHODS, NO_ROUTE, OTHER, Metrics
from pipeline.api.uploads import is_multipart
from pipeline.errors import LimitExceeded, TooSlow
from pipeline.settings import Settings

CLIPS: Final = frozenset(
    {"/v1/verify", "/v1/guard", "/v1/moderate/video", "/v1/imports", "/v1/matches/byContent", "/verify"}
)
EITHER: Final = frozenset({"/v1/generations"})
"""Takes JSON, which lies in memory, or a form, whose files do not (`pipeline.api.beginnings`)."""
PICTURES: Final = frozenset({"/v1/optouts", "/optout/draft", "/mine/change"})
EVIDENCE: Final = re.compile(r"/v1/claims/[^/]+/evidence")
MORE: Final = "countermark.headers"
"""In the scope of a request: headers for its answer, with its id and how often it may be asked."""

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}

access = logging.getLogger("countermark.access")


class Bounds:
    """The outermost layer around the application."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        """Apply the limits of `settings` to everything that reaches `app`, and count it."""
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with logs.request() as about:
            await self._answer(scope, receive, send, about)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, about: logs.About) -> None:
        headers = Headers(scope=scope)
        reader = _Reader(receive, self._limit(scope["path"], headers), _length(headers), self._settings)
        scope[MORE] = {logs.REQUEST_ID: about.request}
        writer = _Writer(send, self._settings.idle_seconds, scope[MORE])
        began = time.monotonic()
        try:
            await self._app(scope, reader, writer)
        except _Stuck:
            pass  # whoever does not read the answer loses the connection, nothing else
        except Exception as error:
            if writer.status:
                raise  # half an answer can only be broken off
            await problems.answer(problems.told_of(error))(scope, reader, writer)
        finally:
            seconds = time.monotonic() - began
            route = getattr(scope.get("route"), "path", NO_ROUTE)  # the router says which it took
            method = scope["method"] if scope["method"] in METHODS else OTHER
            told = {"method": method, "route": route, "status": writer.status}
            access.info("request", extra=logs.with_fields(**told, ms=round(seconds * 1000, 1)))
            self._metrics.request(method, route, writer.status, seconds)

    def _limit(self, path: str, headers: Headers) -> int:
        """Bytes of a request: by its route, since what a request says of its own kind proves nothing; where
        that chooses the route, by what it says.
        """
        if path in CLIPS or (path in EITHER and is_multipart(headers)):
            return self._settings.max_upload_bytes
        pictures = path in PICTURES or EVIDENCE.fullmatch(path)
        return self._settings.max_optout_bytes if pictures else self._settings.max_json_bytes


class _Stuck(Exception):
    """The client does not read its answer."""


class _Reader:
    """`receive` with a limit on bytes and on time, until the request has arrived."""

    def __init__(self, receive: Receive, limit: int, length: int, settings: Settings) -> None:
        self._receive, self._limit, self._length = receive, limit, length
        self._idle, self._until = settings.idle_seconds, time.monotonic() + settings.upload_seconds
        self._taken, self._whole = 0, False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        if self._length > self._limit:
            raise _too_large(self._limit)
        wait = min(self._idle, self._until - time.monotonic())
        try:
            async with asyncio.timeout(max(wait, 0.0)):  # no task of its own, as wait_for makes one
                message = await self._receive()
        except TimeoutError:
            raise TooSlow("the request took too long to arrive; try again") from None
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            raise _too_large(self._limit)
        self._whole = not message.get("more_body", False)
        return message


class _Writer:
    """`send` with our headers, and a limit on the time that the client takes to read."""

    def __init__(self, send: Send, idle: float, more: Mapping[str, str]) -> None:
        self._send, self._idle, self._more = send, idle, more
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _complete(message, self._more)
        try:
            async with asyncio.timeout(self._idle):
                await self._send(message)
        except TimeoutError:
            raise _Stuck from None


def _complete(message: Message, more: Mapping[str, str]) -> None:
    """Add headers of ours, unless they are there."""
    given = list(message.get("headers", ()))
    there = {name.lower() for name, _ in given}
    ours = _OURS | _encoded(more)
    message["headers"] = given + [pair for pair in ours.items() if pair[0] not in there]


def _encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """As ASGI has them."""
    return {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}


_OURS: Final = _encoded(HEADERS)


def _length(headers: Headers) -> int:
    told = headers.get("content-length", "0")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 20 else 0


def _too_large(limit: int) -> LimitExceeded:
    return LimitExceeded(f"the request is larger than {limit} bytes; send less")
