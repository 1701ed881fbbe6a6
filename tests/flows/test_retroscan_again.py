"""A retro-scan that meets what it cannot read, or has no time for, loses nothing."""

from pathlib import Path

import pytest

from pipeline import examine
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.orders import CreateOrder
from pipeline.settings import load
from registry import optouts
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft


def create(app: App, prompt: str) -> str:
    order = CreateOrder(
        prompt=prompt, policy="opt-out", generator="scene", seconds=2, seed=1, width=480, height=272
    )
    outcome = app.create(order, lambda *_: None)
    assert outcome.release is not None
    return outcome.release.id


def opt_out(app: App, name: str, *, face: bool = False) -> None:
    picture = ReferenceDraft(sha256="a" * 64, polarity=1, width=64, height=64)
    portrait = VectorDraft(
        reference=picture.sha256, space=app.eyes.faces.space, kind="portrait", polarity=1,
        vector=b"\x00\x2c" * 128, dimension=128,
    )  # fmt: skip
    draft = OptOutDraft(
        kind="person", name=name, owner="Studio", names=(NameDraft(text=name),),
        references=(picture,) if face else (), vectors=(portrait,) if face else (),
    )  # fmt: skip
    optouts.add(app.engine, draft, now=clock(), sign_checkpoint=app.signer)


def test_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(tmp_path / "home")
    with open_app(settings) as app:
        first = create(app, "Hollowmere Tix sings")
        opt_out(app, "Hollowmere Tix")
        with monkeypatch.context() as hurried:
            hurried.setattr(examine, "DEADLINE_SECONDS", 0.0)
            hasty = app.retroscan()
        assert (hasty.upto, hasty.recalled, hasty.unclear) == (hasty.after, (), 1)
        [recalled] = app.retroscan().recalled
        assert recalled.release == first
        second = create(app, "Vexmoor Quandle sings")
    (settings.home / "keys" / "sights.key").unlink()  # faces that were stored can never be read again
    with open_app(settings) as app:
        opt_out(app, "Vexmoor Quandle", face=True)
        report = app.retroscan()
        assert [one.release for one in report.recalled] == [second]
        assert report.unclear == 1
        assert app.retroscan().subjects == 0
