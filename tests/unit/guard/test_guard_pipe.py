"""`guard(pipe)` around a tiny LTX pipeline: what comes back is what was signed, or nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch

from pipeline import guard
from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.credentials.labels import TRAINED_ALGORITHMIC_MEDIA
from pipeline.credentials.pki import load_pki
from pipeline.credentials.read import read_credential
from pipeline.errors import Refused, UsageError
from pipeline.guarded import GuardedPipeline, _as_asked, _write
from pipeline.home import Home
from pipeline.media.limits import media_limits
from pipeline.media.reader import open_clip
from pipeline.media.rgb import rgb
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import parse_order
from pipeline.settings import load
from pipeline.verify.opening import open_local

PROMPT = "a fox in the snow"
SIZE = {"height": 128, "width": 192, "num_frames": 17, "num_inference_steps": 1, "frame_rate": 12}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # colours of noise do not survive an encoder, this does


@pytest.fixture(scope="module")
def inner() -> Any:
    pipe = tiny_models.ltx()
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pipe(inner: Any, tmp_path: Path) -> Iterator[GuardedPipeline]:
    pipe = guard(inner, home=tmp_path / "home", policy="marks-only")
    yield pipe
    pipe.close()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_frames_are_those_of_the_signed_file(pipe: GuardedPipeline, inner: Any, tmp_path: Path) -> None:
    steps: list[int] = []

    def spoil(_pipe: Any, step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        tensors["latents"].fill_(100.0)  # a copy: the clip is the same
        return tensors

    result = pipe(PROMPT, **SIZE, generator=seeded(), output_type="np", callback_on_step_end=spoil)
    assert type(result).__name__ == "LTXPipelineOutput"
    assert steps == [0]
    assert result.frames.shape == (1, 17, 128, 192, 3)
    assert result.frames.dtype == np.float32
    assert result.decision.verdict == "allow"
    assert result.decision.policy == "marks-only"
    raw = inner(PROMPT, **SIZE, generator=seeded(), output_type="np").frames
    assert not np.array_equal(result.frames, raw)
    seen, made = ((frames @ LUMA).ravel() for frames in (result.frames, raw))
    assert np.corrcoef(seen, made)[0, 1] > 0.6
    with open_local(load(tmp_path / "home")) as verifier:
        report = verifier.verify(result.release.file)
    assert report.verdict == "intact"
    settings = load(tmp_path / "home")
    told = read_credential(
        result.release.file, load_pki(Home(settings.home).pki).trust, limits=settings.process_limits
    )
    assert told.actions == ("c2pa.created", "c2pa.watermarked.bound")
    assert told.digital_source_types == (TRAINED_ALGORITHMIC_MEDIA,)
    with open_clip(result.release.file, limits=media_limits(settings)) as clip:
        first = rgb(next(iter(clip.frames())), clip.info.colour)
    assert np.array_equal(np.rint(result.frames[0, 0] * 255), first)


def test_output_types(pipe: GuardedPipeline) -> None:
    frames = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    assert _as_asked(frames, "np").shape == (1, 2, 4, 6, 3)
    assert _as_asked(frames, "pt").shape == (1, 2, 3, 4, 6)
    pictures = _as_asked(frames, "pil")
    assert (len(pictures), len(pictures[0]), pictures[0][0].size) == (1, 2, (6, 4))
    assert np.array_equal(np.asarray(pictures[0][1]), frames[1])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"latents": torch.zeros(1)}, "latents may carry"),
        ({"prompt_embeds": torch.zeros(1), "prompt": None}, "as text"),
        ({"prompt_embeds": torch.zeros(1)}, "prompt_embeds may carry"),
        ({"negative_prompt_embeds": torch.zeros(1)}, "negative_prompt_embeds may carry"),
        ({"attention_kwargs": {"scale": 1.0}}, "attention_kwargs may carry"),
        ({"output_type": "latent"}, "gives the frames"),
        ({"output_type": "mp4"}, "gives the frames"),
        ({"return_dict": False}, "no place for the release"),
        ({"prompt": [PROMPT, PROMPT]}, "makes one clip"),
        ({"prompt": []}, "makes one clip"),
        ({"prompt": 3}, "as text"),
        ({"num_videos_per_prompt": 2}, "makes one clip"),
        ({"negative_prompt": "fog", "guidance_scale": -3.0}, "drawn rather than avoided"),
        ({"image": 1}, "cannot be called like this"),
        ({"frame_rate": "fast"}, "no frame rate"),
        ({"frame_rate": float("inf")}, "no frame rate"),
    ],
)
def test_what_may_not_be_asked(pipe: GuardedPipeline, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        pipe(**({"prompt": PROMPT, **SIZE} | asked))


def test_pictures_of_pipelines_that_take_some(tmp_path: Path) -> None:
    pipe = guard(tiny_models.ltx_condition(), home=tmp_path, policy="marks-only")
    for name in ("conditions", "image", "video"):
        with pytest.raises(UsageError, match=f"{name} (may carry|are LTXVideoConditions)"):
            pipe(prompt=PROMPT, **{name: [1]})


def test_callbacks_may_not_change_the_clip(pipe: GuardedPipeline) -> None:
    def change(_pipe: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        return {"latents": torch.zeros_like(tensors["latents"])}

    with pytest.raises(UsageError, match="may look and stop"):
        pipe(PROMPT, **SIZE, callback_on_step_end=change)


def test_the_gate_comes_first(inner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def generated(*_: Any, **__: Any) -> None:
        raise AssertionError("the pipeline ran")

    monkeypatch.setattr(inner.transformer, "forward", generated)
    with open_app(load(tmp_path)) as app:
        desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
        desk.register(parse_order({"kind": "character", "name": "Mossa Pondry", "owner": "Pond Pictures"}))
    pipe = guard(inner, home=tmp_path, policy="opt-out")
    with pytest.raises(Refused, match=r"Mossa Pondry \(Pond Pictures\)"):
        pipe("Mossa Pondry dances", **SIZE)
    pipe.close()


def test_the_rest_is_the_pipelines_own(pipe: GuardedPipeline, inner: Any) -> None:
    assert pipe.vae is inner.vae
    assert pipe.to("cpu") is pipe
    scheduler = inner.scheduler
    pipe.scheduler = type(scheduler)(shift=2.0)
    assert inner.scheduler is not scheduler
    pipe.scheduler = scheduler
    assert inner.scheduler is scheduler
    with pytest.raises(AttributeError):
        _ = pipe.nothing_of_that_name


def test_what_cannot_be_guarded(pipe: GuardedPipeline, inner: Any, tmp_path: Path) -> None:
    for thing in (None, 3, print, pipe):
        with pytest.raises(UsageError):
            guard(thing, home=tmp_path)
    with pytest.raises(UsageError, match="there is no policy"):
        guard(inner, home=tmp_path, policy="anything-goes")


def test_odd_sides_lose_a_pixel(tmp_path: Path) -> None:
    from fractions import Fraction

    _write(np.zeros((2, 65, 67, 3), np.uint8), Fraction(12), tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").stat().st_size
