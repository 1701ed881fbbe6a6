"""A blanket opt-out that comes between a clip's check and its publishing stops the clip."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.orders import CreateOrder
from pipeline.settings import load
from registry import optouts
from registry.subject_types import NameDraft, OptOutDraft

PROMPT = "Hollowmere Tix sings"


def opt_out(app: App, name: str, kind: str = "character", mode: str = "block", owner: str = "Studio") -> str:
    draft = OptOutDraft(kind=kind, name=name, owner=owner, names=(NameDraft(text=name),), mode=mode)
    return optouts.add(app.engine, draft, now=clock(), sign_checkpoint=app.signer).subject


def create(app: App, between: Any) -> Any:
    order = CreateOrder(
        prompt=PROMPT, policy="opt-out", generator="scene", seconds=2, seed=1, width=480, height=272
    )
    done: list[str] = []

    def observe(step: str, event: str, _seconds: float) -> None:
        if (step, event) == ("publish", "begin"):
            done.append(step)
            between(app)

    outcome = app.create(order, observe)
    assert done == ["publish"]
    return outcome


def blanket(app: App) -> None:
    """Of the same owner."""
    opt_out(app, "All of Quandle Vexmoor", "portfolio")


@pytest.mark.parametrize("whole", [None, "allow"])  # new, or there and stricter now
def test_it_stops_what_it_covers(tmp_path: Path, whole: str | None) -> None:
    with open_app(load(tmp_path / "home")) as app:
        opt_out(app, "Hollowmere Tix", mode="allow")
        if whole is not None:
            opt_out(app, "All of Quandle Vexmoor", "portfolio", whole)
        outcome = create(app, blanket)
        assert outcome.release is None
        assert [reason["code"] for reason in outcome.held] == ["permission_ended"]


def test_it_stops_nothing_of_anybody_else(tmp_path: Path) -> None:
    with open_app(load(tmp_path / "home")) as app:
        opt_out(app, "Hollowmere Tix", mode="allow", owner="Another")
        release = create(app, blanket).release
        assert release is not None
        opt_out(app, "All of Brimwick Ostler", "portfolio", owner="Another")
        [recalled] = app.retroscan().recalled  # and what is out already is looked through for all it covers
        assert recalled.release == release.id
