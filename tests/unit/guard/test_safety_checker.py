"""`SafetyChecker` inside a tiny Cosmos pipeline: what is drawn, what is shown, and what is neither."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tiny_cosmos import DiffusionPipeline, cosmos

from pipeline import SafetyChecker
from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.errors import UsageError
from pipeline.home import Home
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.pictures.reader import load_picture
from pipeline.settings import load
from registry import releases

NAMED = "Mossa Pondry dances"
SIZE: dict[str, Any] = {
    "height": 64, "width": 96, "num_frames": 9, "num_inference_steps": 1, "max_sequence_length": 16,
    "output_type": "np",
}  # fmt: skip


def textures(seed: int, count: int = 9) -> np.ndarray:
    """Frames of a blurred noise that stands still."""
    grain = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.stack([cv2.resize(grain, (256, 256), interpolation=cv2.INTER_CUBIC)] * count)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody registered a name, and a texture."""
    folder = tmp_path_factory.mktemp("checker")
    cv2.imwrite(str(folder / "texture.png"), cv2.cvtColor(textures(1)[0], cv2.COLOR_RGB2BGR))
    with open_app(load(folder / "home")) as app:
        desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
        order = OptOutOrder(kind="character", owner="Pond Pictures", name="Mossa Pondry")
        desk.register(order, [load_picture(folder / "texture.png")])
    return folder / "home"


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def checker(home: Path, told: list[str]) -> Iterator[SafetyChecker]:
    with SafetyChecker(home=home, policy="opt-out", told=told.append) as made:
        yield made


def run(pipe: Any, prompt: str) -> np.ndarray:
    seeded = torch.Generator().manual_seed(1)
    return np.asarray(pipe(prompt, **SIZE, generator=seeded).frames)


def test_a_pipeline_draws_shows_and_refuses(
    checker: SafetyChecker, told: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = cosmos(checker)
    frames = run(pipe, "a fox in the snow")
    assert frames.shape == (1, 9, 64, 96, 3)
    pipe.save_pretrained(tmp_path / "saved")  # what is no model is left out, and given again
    again = DiffusionPipeline.from_pretrained(tmp_path / "saved", safety_checker=checker)
    again.set_progress_bar_config(disable=True)
    assert again.to("cpu").safety_checker is checker
    assert np.array_equal(run(again, "a fox in the snow"), frames)
    assert not told
    with open_app(load(home)) as app:
        assert not list(releases.list_releases(app.engine))  # what is let pass is no release
    drawn: list[int] = []
    monkeypatch.setattr(again.transformer, "forward", lambda *_, **__: drawn.append(1))
    with pytest.raises(ValueError, match="detected unsafe text"):
        run(again, NAMED)
    assert not drawn
    assert "Mossa Pondry (Pond Pictures). The owner opted out." in told.pop()


def test_a_clip_that_would_be_held_is_not_shown_by_the_pipeline(
    checker: SafetyChecker, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = cosmos(checker)
    shown = torch.from_numpy(textures(1)).permute(3, 0, 1, 2)[None] / 127.5 - 1
    monkeypatch.setattr(pipe.vae, "decode", lambda *_, **__: (shown.float(),))
    with pytest.raises(RuntimeError, match="number of dimensions"):  # diffusers 0.42, of a clip that is None
        run(pipe, "a fox in the snow")
    assert told.pop().startswith("The clip looks like Mossa Pondry (Pond Pictures) at 0.0 s.")


def test_frames_come_back_as_they_are_or_not_at_all(checker: SafetyChecker, told: list[str]) -> None:
    harmless = textures(2)
    assert checker.check_video_safety(harmless) is harmless
    assert checker.check_video_safety(textures(1)) is None
    assert "looks like Mossa Pondry" in told.pop()


@pytest.mark.parametrize("prompt", ["", "   ", None, 3, "a\0b", "\ud800", "fox " * 40_000, "fox " * 3000])
def test_a_prompt_that_cannot_be_judged_is_not_safe(
    checker: SafetyChecker, told: list[str], prompt: Any
) -> None:
    assert checker.check_text_safety("a fox in the snow") is True
    assert checker.check_text_safety(prompt) is False
    assert told.pop()


@pytest.mark.parametrize(
    "frames",
    [
        None, [], "clip.mp4", textures(2).astype(np.float32), textures(2)[0], textures(2)[..., :2],
        textures(2)[:0], torch.zeros(1, 8, 8, 3, dtype=torch.uint8),
    ],
)  # fmt: skip
def test_frames_that_cannot_be_judged_are_not_safe(
    checker: SafetyChecker, told: list[str], frames: Any
) -> None:
    assert checker.check_video_safety(frames) is None
    assert told.pop().startswith("It could not be judged")


def test_a_model_that_fails_is_not_safe(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with SafetyChecker(home=home, policy="opt-out", told=told.append) as made:
        eyes = made._opened().eyes
        monkeypatch.setattr(eyes.clip._model, "encode_image", lambda *_, **__: 1 / 0)
        assert made.check_video_safety(textures(3)) is None
    assert told == [
        "The check frames did not complete: failed. [frames]",
    ]


def test_a_home_that_cannot_be_opened_is_not_safe(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "home").write_text("a file")
    made = SafetyChecker(home=tmp_path / "home", policy="opt-out", told=told.append)
    assert made.check_text_safety("a fox in the snow") is False
    assert made.check_video_safety(textures(2)) is None
    assert len(told) == 2


def test_a_policy_that_looks_at_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing could be called safe"):
        SafetyChecker(home=tmp_path, policy="marks-only")
    assert not Home(tmp_path).database.exists()
