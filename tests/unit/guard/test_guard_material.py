"""Enhancers, pictures and clips of guarded pipelines: judged first, copied, and kept with the release."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image

from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import ACTIONS, BACKGROUNDS, STYLES, Scene
from pipeline import guard
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.errors import Refused, UsageError
from pipeline.given import Given, taken
from pipeline.guarded import _write
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.pictures.types import PictureFile
from pipeline.settings import load
from registry import releases
from registry.db import read
from registry.sights import of

SIZE = {"height": 128, "width": 192, "num_frames": 17, "num_inference_steps": 1, "frame_rate": 12}


def noise(seed: int, width: int = 192, height: int = 128) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("material") / "home"


@pytest.fixture(scope="module")
def app(home: Path) -> Iterator[App]:
    with open_app(load(home)) as opened:
        desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
        desk.register(OptOutOrder(kind="character", name="Mossa Pondry", owner="Pond Pictures"))
        yield opened


def test_material_is_copied_in_plain_colours(tmp_path: Path) -> None:
    hidden = noise(1).convert("RGBA")
    hidden.putalpha(0)
    found = taken(
        {"image": [hidden, noise(2)], "video": [[noise(3), noise(4)]], "strength": 0.5, "prompt": "x"},
        8,
    )
    assert [picture.shape for picture in found.pictures] == [(128, 192, 3)] * 2
    assert [len(frames) for frames in found.clips] == [2]
    given = found.arguments["image"][0]
    assert (given.mode, given is hidden) == ("RGB", False)
    assert np.array_equal(np.asarray(given), found.pictures[0])
    files = found.write(tmp_path, _write)
    assert [file.suffix for file in files] == [".png", ".png", ".mp4"]
    condition = LTXVideoCondition(image=noise(5), frame_index=8)
    copied = taken({"conditions": condition}, 8).arguments["conditions"][0]
    assert (copied.frame_index, np.array_equal(np.asarray(copied.image), np.asarray(noise(5)))) == (8, True)


def test_a_clip_that_begins_with_the_given_one_goes_on_with_it() -> None:
    given = Given(arguments={}, pictures=[], clips=[])
    frames = [np.asarray(noise(number).resize((96, 64))) for number in range(4)]
    given.clips += [[frames[3]] * 2, frames[:2]]
    blurred = np.clip(np.stack(frames).astype(np.int16) + 6, 0, 255).astype(np.uint8)  # a model is not exact
    assert given.continued(blurred) == 1
    assert given.continued(blurred[:2]) is None  # nothing was added
    assert given.continued(blurred[::-1]) is None
    assert Given(arguments={}, pictures=[], clips=[]).continued(blurred) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": np.zeros((8, 8, 3), np.uint8)}, "image may carry content"),
        ({"image": "https://example.org/x.png"}, "image may carry content"),
        ({"last_image": 3}, "last_image may carry content"),
        ({"video": noise(1)}, "video is a list"),
        ({"video": []}, "video is a list"),
        ({"video": [noise(1), noise(2, 64)]}, "several sizes"),
        ({"conditions": [{"image": noise(1)}]}, "conditions are LTXVideoConditions"),
        ({"conditions": [LTXVideoCondition(image="x.png")]}, "image may carry content"),
        ({"strength": [noise(1)]}, "strength is a number"),
        ({"image": [noise(1)] * 8, "video": [noise(2)]}, "at most 8 pictures and clips"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        taken(given, 8)


def test_what_an_enhancer_writes_is_judged_and_drawn(
    app: App, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tiny_models.ltx()
    inner.set_progress_bar_config(disable=True)
    encoded: list[str] = []
    encode = inner.encode_prompt
    monkeypatch.setattr(
        inner, "encode_prompt", lambda *a, **k: encoded.append(k["prompt"]) or encode(*a, **k)
    )
    pipe = guard(inner, home=home, policy="opt-out", enhance=lambda prompt: f"{prompt} with Mossa Pondry")
    with pytest.raises(Refused, match=r"Mossa Pondry \(Pond Pictures\).*brought it in"):
        pipe("an otter", **SIZE)
    assert encoded == []
    pipe.close()
    pipe = guard(inner, home=home, policy="opt-out", enhance=lambda prompt: f"{prompt} in the snow")
    result = pipe("an otter", **SIZE)
    assert encoded == ["an otter in the snow"]
    release = releases.get(app.engine, result.release.id)
    assert release is not None
    assert (release.facts["prompt"], release.facts["enhanced_prompt"]) == ("an otter", "an otter in the snow")
    pipe.close()
    silent = guard(inner, home=home, policy="opt-out", enhance=lambda _prompt: "")
    with pytest.raises(UsageError, match="answered no text"):
        silent("an otter", **SIZE)
    silent.close()
    with pytest.raises(UsageError, match="give a function"):
        guard(inner, home=home, enhance=3)  # type: ignore[arg-type]


def drawn(number: int) -> Image.Image:
    """A character of the drawn world."""
    scene = Scene(
        action=ACTIONS[number], background=BACKGROUNDS[number], style=STYLES[number % 3], size=0.72,
        seed=number,
    )  # fmt: skip
    design = random_design(np.random.default_rng(1))
    return Image.fromarray(render_frame(design, scene, width=256, height=256, time=0.3 * number).picture)


def file_of(shown: Image.Image) -> PictureFile:
    file = BytesIO()
    shown.save(file, "PNG")
    return PictureFile(name="drawn.png", data=file.getvalue())


def test_a_picture_of_somebody_is_refused_before_anything_is_drawn(
    app: App, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tiny_models.ltx_condition()
    inner.set_progress_bar_config(disable=True)
    inner.scheduler = type(inner.scheduler)(shift=2.0)
    desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
    desk.register(
        OptOutOrder(kind="character", name="Tarrow Vance", owner="Vance Drawings"),
        [file_of(drawn(number)) for number in range(4)],
    )
    asked: dict[str, Any] = {
        "prompt": "somebody walks", "height": 128, "width": 192, "num_frames": 17, "num_inference_steps": 1,
        "timesteps": [1000.0], "frame_rate": 12,
    }  # fmt: skip
    pipe = guard(inner, home=home, policy="opt-out")
    drawing = monkeypatch.context()
    with drawing as patch:
        patch.setattr(inner.transformer, "forward", lambda *_a, **_k: pytest.fail("the pipeline ran"))
        for given in ({"image": drawn(1)}, {"video": [drawn(1)] * 9}):
            with pytest.raises(Refused, match=r"Tarrow Vance \(Vance Drawings\).*this one is made from"):
                pipe(**asked, **given)
    plain = Image.fromarray(np.full((128, 192, 3), (90, 120, 200), np.uint8))
    result = pipe(**asked, image=plain, output_type="np")
    assert result.frames.shape == (1, 17, 128, 192, 3)
    with read(app.engine) as conn:
        [rows] = of(conn, [result.release.id]).values()
    assert [row.kind for row in rows].count("frame") == 2  # of the clip, and of the picture it is made from
    pipe.close()
