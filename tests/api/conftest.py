"""A real home behind the real service, in this process; keys, clips, and requests as clients send them."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from starlette.testclient import TestClient

from pipeline.api.service import make_service
from pipeline.api.state import Service
from pipeline.clock import clock
from pipeline.settings import Settings
from registry import apikeys

ALL = ("create", "guard", "moderate", "verify", "optout")
LIMIT = 2 * 1024 * 1024


class MakeClip(Protocol):
    def __call__(self, path: Path, *size: int, **more: Any) -> Path: ...


@dataclass
class Served:
    """A running service: `client` sends requests, `service` is what answers them."""

    client: TestClient
    service: Service

    def key(self, account: str = "studio", *scopes: str, expires_at: str | None = None) -> dict[str, str]:
        """Headers with a new key."""
        engine = self.service.app.engine
        made = apikeys.create(engine, account, "test", scopes or ALL, expires_at=expires_at, now=clock())
        return {"Authorization": f"Bearer {made[1]}"}

    def kept(self) -> list[Path]:
        """What clients sent and nobody has deleted."""
        return sorted((self.service.settings.home / "uploads" / "kept").iterdir())

    def guard(self, clip: Path, headers: dict[str, str], **fields: str) -> Any:
        """POST /v1/guard, and wait for the end."""
        with clip.open("rb") as file:
            return self.client.post(
                "/v1/guard", files={"clip": (clip.name, file)}, data=fields,
                headers={"Prefer": "wait=60"} | headers,
            )  # fmt: skip


Serve = Callable[..., Served]
PATIENCE = 200.0  # seconds that a paused job waits


@pytest.fixture
def pause_at() -> Callable[[Service, str], tuple[threading.Event, threading.Event]]:
    """Set when a job comes to a step, where it waits until the other is set; from then on no job waits."""

    def pause(service: Service, step: str) -> tuple[threading.Event, threading.Event]:
        runner, reached, go_on = service.runner, threading.Event(), threading.Event()
        observe = runner._observe

        def watch(name: str, event: str, value: float) -> None:
            observe(name, event, value)
            if (name, event) == (step, "begin"):
                reached.set()
                go_on.wait(PATIENCE)

        runner._observe = watch
        return reached, go_on

    return pause


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Make a service in a home of its own, with these settings."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(**values: Any) -> Served:
            given = {"policy": "marks-only", "preset": "ultrafast", "max_upload_bytes": LIMIT} | values
            settings = Settings(home=tmp_path_factory.mktemp("served"), **given)
            client = stack.enter_context(TestClient(make_service(settings), raise_server_exceptions=False))
            return Served(client=client, service=client.app.state.service)  # type: ignore[attr-defined]

        yield make


@pytest.fixture(scope="module")
def served(serve: Serve) -> Served:
    """A service that marks and signs without checks, so that no model is loaded."""
    return serve()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """Three seconds, large enough for the marks."""
    folder = tmp_path_factory.mktemp("clips")
    return make_clip(folder / "clip.mp4", 480, 272, 36, fps=12)
