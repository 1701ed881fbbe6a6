"""The operator changed the model: pictures that only the old one saw are not silently passed over."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.orders import CreateOrder
from pipeline.settings import load
from registry import optouts
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft, VectorDraft

DIGEST = "ab" * 32


def draft(app: App, space: str) -> OptOutDraft:
    vector = np.zeros(app.eyes.clip.dimension, "<f2")
    vector[0] = 1
    return OptOutDraft(
        kind="character", name="Zorbolino", owner="Studio", names=(NameDraft(text="Zorbolino"),),
        references=(ReferenceDraft(sha256=DIGEST, polarity=1, width=200, height=200),),
        vectors=(
            VectorDraft(
                reference=DIGEST, space=space, kind="picture", polarity=1, vector=vector.tobytes(),
                dimension=vector.size,
            ),
        ),
    )  # fmt: skip


def create(app: App, seed: int) -> Any:
    order = CreateOrder(
        prompt="a quiet landscape at dusk", policy="opt-out", generator="scene", seconds=2, seed=seed,
        width=480, height=272,
    )  # fmt: skip
    return app.create(order, lambda *_: None)


def test_clips_are_held_until_the_new_model_has_seen_them(tmp_path: Path) -> None:
    with open_app(load(tmp_path / "home")) as app:
        optouts.add(app.engine, draft(app, "clip-of-before"), now=clock(), sign_checkpoint=app.signer)
        held = create(app, 1)
        assert held.job.state == "held"
        assert {reason["check"] for reason in held.held} == {"frames"}
        assert "another model" in held.held[0]["detail"]
        assert held.decision["checks"]["frames"] == "skipped"
        assert app.judge("a quiet landscape", policy="opt-out").verdict == "allow"
        optouts.add(app.engine, draft(app, app.eyes.clip.space), now=clock(), sign_checkpoint=app.signer)
        assert create(app, 2).release is not None
