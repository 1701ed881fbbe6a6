"""Running the service: uvicorn, bounded against clients that are slow to ask."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline import logs
from pipeline.api.service import make_service
from pipeline.errors import UsageError
from pipeline.eyes import Eyes
from pipeline.settings import Settings
from pipeline.starting import open_models, open_signing

HEADER_SECONDS: Final = 15.0  # for the headers of a request, and for the rest of one that was refused
KEEP_ALIVE_SECONDS: Final = 10
GRACE_SECONDS: Final = 15  # for requests that run when the service is told to stop
SWITCH_SECONDS: Final = 0.0005
"""After which a thread that computes lets the one that answers requests go on (Python's default: 0.005)."""
MAX_HEADERS: Final = 32 * 1024  # bytes
BACKLOG: Final = 256


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to the patience between requests.

    uvicorn waits for ever for the rest of a request's headers, and reads for ever what a client goes on
    sending after it was refused.
    """

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Once a request's headers are whole, `pipeline.api.bounds` takes over."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or the rest of this one."""
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._wait()

    def _wait(self) -> None:
        self._wait_no_more()
        self._patience = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def serve(
    settings: Settings, host: str, port: int, told: Callable[[str, Engine], None] = lambda *_: None
) -> None:
    """Serve until told to stop (SIGINT, SIGTERM); ``told`` learns the address once it answers.

    It answers before its models are loaded, which takes a while; until then it is not ready and runs no job.

    Raises: UsageError when the address cannot be had, and what `open_models` and `open_signing` raise: a
    service whose models or claim key are missing, damaged or do not fit ends.
    """
    eyes, failed = Eyes.of(settings), list[Exception]()
    sys.setswitchinterval(SWITCH_SECONDS)

    def load() -> None:
        try:
            open_models(settings, eyes)
            open_signing(settings)
        except Exception as error:
            failed.append(error)
            server.should_exit = True
            raise

    with bind(host, port) as listening:
        app = make_service(settings, load=load, eyes=eyes)
        server = _Server(_config(app, settings), told)
        server.run(sockets=[listening])
    if failed:
        raise failed[0]
    if not getattr(app.state, "idle", True):
        # A job still runs in C code; it is durable, and the next process resumes it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises: UsageError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror}); name another --host or --port"
        ) from None
    # Connections inherit it. asyncio does not see that they are TCP; an answer in two parts took 40 ms more.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class _Server(uvicorn.Server):
    """Says where it listens once it does, so that a person, or a script, need not guess."""

    def __init__(self, config: uvicorn.Config, told: Callable[[str, Engine], None]) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            name = sockets[0].getsockname()
            address = f"http://{f'[{name[0]}]' if ':' in name[0] else name[0]}:{name[1]}"
            log.info("listening on %s", address)
            state: Any = self.config.app.state  # type: ignore[union-attr]
            await asyncio.to_thread(self._told, address, state.service.app.engine)


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app, http=PatientProtocol, ws="none", loop="asyncio", lifespan="on", interface="asgi3",
        log_config=logs.config(settings), access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=settings.max_connections, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS, h11_max_incomplete_event_size=MAX_HEADERS,
    )  # fmt: skip


log = logging.getLogger("countermark.service")
