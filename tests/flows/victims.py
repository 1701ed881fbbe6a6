"""What processes do that kill themselves in the middle of it (`forked.killed`)."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.app import open_app
from pipeline.orders import CreateOrder, GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load

Observe = Callable[[str, str, float], None]


def dying(step: str, event: str) -> Observe:
    """Looks on as a job is worked at, until this happens."""

    def observe(name: str, what: str, _value: float) -> None:
        if (name, what) == (step, event):
            os.kill(os.getpid(), signal.SIGKILL)

    return observe


def guard_order(clip: Path) -> GuardOrder:
    return GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT)


def landscape(policy: str, generator: str) -> CreateOrder:
    return CreateOrder(
        prompt="a quiet landscape", policy=policy, generator=generator, seconds=3, seed=5, width=480,
        height=272,
    )  # fmt: skip


def guard(home: Path, clip: Path, step: str, event: str) -> None:
    """Guard a clip."""
    with open_app(load(home)) as app:
        app.guard(guard_order(clip), dying(step, event))


def go_on(home: Path, step: str, event: str) -> None:
    """Go on with what others left."""
    with open_app(load(home)) as app:
        list(app.resume(dying(step, event)))


def create(home: Path, order: CreateOrder, step: str, event: str) -> None:
    """Create a clip."""
    with open_app(load(home)) as app:
        app.create(order, dying(step, event))


def take(home: Path, step: str, event: str) -> None:
    """Take a job from the queue."""
    with open_app(load(home)) as app:
        taken: Any = app.take()
        app.run(taken, dying(step, event))
