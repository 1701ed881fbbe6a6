"""A look on the way: what it estimates, that it decodes as the pipeline does, and that it leaves no trace."""

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from hypothesis import given
from hypothesis import strategies as st

from generator.base import GenerationRequest, Peek, Preview
from generator.diffusion import DiffusionGenerator
from generator.latents import DECODERS, Unknown, picture_of
from generator.preview import _estimate, due_at
from generator.scene import SceneGenerator

REQUEST = GenerationRequest(
    prompt="a fox in the snow", width=96, height=64, seconds=0.5, frame_rate=Fraction(12), seed=5, steps=3
)
CALL = {"height": 64, "width": 96, "num_inference_steps": 2, "prompt": "a fox", "guidance_scale": 1.0}


class Stop(Exception):
    """Raised by whoever is shown something."""


def clip_of(generator: DiffusionGenerator, request: GenerationRequest, preview: Preview | None) -> np.ndarray:
    return np.stack(list(generator.generate(request, preview=preview).frames))


@pytest.fixture(scope="module", params=["ltx", "ltx_condition", "wan", "cogvideox"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    return DiffusionGenerator(str(tiny_models.saved(request.param, tmp_path_factory.mktemp("models"))))


@pytest.fixture
def ltx(tmp_path_factory: pytest.TempPathFactory) -> DiffusionGenerator:
    return DiffusionGenerator(str(tiny_models.saved("ltx", tmp_path_factory.mktemp("models"))))


def test_it_is_shown_once_and_the_clip_stays_the_same(family: DiffusionGenerator) -> None:
    seen: list[Peek] = []
    looked_at = clip_of(family, REQUEST, Preview(shown=seen.append, share=0.55))
    [peek] = seen
    assert (peek.step, peek.steps, peek.skipped) == (2, 3, "")
    assert peek.picture is not None
    assert (peek.picture.dtype, peek.picture.shape) == (np.uint8, (64, 96, 3))
    assert np.array_equal(looked_at, clip_of(family, REQUEST, None))


def test_what_is_decoded_is_the_pipelines_own_picture(family: DiffusionGenerator) -> None:
    """Of a clip of one frame, whose only latent frame is the middle one."""
    latents: list[Any] = []

    def keep(_pipe: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        latents.append(tensors["latents"].clone())
        return {}

    arguments: dict[str, Any] = {**CALL, "num_frames": 1, "output_type": "np"}
    seeded, inner = torch.Generator().manual_seed(2), family._pipeline
    spaced = {"timesteps": [1000.0, 500.0]} if "Condition" in type(inner).__name__ else {}
    made = inner(**arguments, **spaced, generator=seeded, callback_on_step_end=keep).frames[0][0]
    with torch.no_grad():
        decoded = picture_of(inner, latents[-1], arguments)
    assert np.abs(decoded.astype(float) - made * 255).max() <= 1


def test_who_is_shown_it_may_stop(ltx: DiffusionGenerator) -> None:
    steps: list[int] = []

    def stop(peek: Peek) -> None:
        raise Stop(str(peek.step))

    with pytest.raises(Stop, match="4"):
        ltx.generate(
            replace(REQUEST, steps=8), lambda done, _: steps.append(done), Preview(shown=stop, share=0.55)
        )
    assert steps == [1, 2, 3, 4]


def test_a_look_that_fails_is_told_and_stops_nothing(
    ltx: DiffusionGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae, seen = ltx._pipeline.vae, list[Peek]()
    real, calls = vae.decode, list[int]()

    def out_of_memory_once(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("CUDA out of memory")
        return real(*args, **kwargs)

    monkeypatch.setattr(vae, "decode", out_of_memory_once)
    made = clip_of(ltx, REQUEST, Preview(shown=seen.append, share=0.55))
    assert len(calls) == 2
    assert seen[0].picture is None
    assert seen[0].skipped == "it failed (RuntimeError: CUDA out of memory)"
    monkeypatch.undo()
    assert np.array_equal(made, clip_of(ltx, REQUEST, None))


def test_torchs_random_numbers_are_left_alone(
    ltx: DiffusionGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae, real = ltx._pipeline.vae, ltx._pipeline.vae.decode

    def noisy(*args: Any, **kwargs: Any) -> Any:
        torch.rand(3)  # as autoencoders that add noise do
        return real(*args, **kwargs)

    def after(preview: Preview | None) -> torch.Tensor:
        torch.manual_seed(1)
        clip_of(ltx, REQUEST, preview)
        return torch.rand(3)

    monkeypatch.setattr(vae, "decode", noisy)
    assert torch.equal(after(None), after(Preview(shown=lambda _: None, share=0.55)))


def test_what_cannot_be_shown_says_why(ltx: DiffusionGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Peek] = []
    clip_of(ltx, replace(REQUEST, steps=2), Preview(shown=seen.append, share=0.55))
    flow = ltx._pipeline.scheduler
    noisy = FlowMatchEulerDiscreteScheduler.from_config(flow.config, stochastic_sampling=True)
    monkeypatch.setattr(ltx._pipeline, "scheduler", noisy)
    clip_of(ltx, REQUEST, Preview(shown=seen.append, share=0.55))
    monkeypatch.undo()
    assert [peek.picture for peek in seen] == [None, None]
    assert [peek.skipped for peek in seen] == [
        "there are too few steps to look between them",
        "no way is known to see where FlowMatchEulerDiscreteScheduler leads",
    ]
    with pytest.raises(Unknown, match="how SimpleNamespace decodes"):
        picture_of(SimpleNamespace(), torch.zeros(1, 4, 1, 8, 8), {})


def test_a_generator_without_steps_shows_nothing() -> None:
    seen: list[Peek] = []
    clip = SceneGenerator().generate(REQUEST, preview=Preview(shown=seen.append, share=0.55))
    assert next(clip.frames).shape == (64, 96, 3)
    assert not seen


@given(steps=st.integers(-1, 200), share=st.floats(0.2, 0.9))
def test_there_are_two_steps_before_and_one_after(steps: int, share: float) -> None:
    due = due_at(steps, share)
    if due is None:
        assert steps < 3
    else:
        assert 2 <= due < steps
        assert abs(due - share * steps) <= 2.3


@pytest.mark.parametrize("config", [{}, {"shift": 3.0}, {"invert_sigmas": True}])
def test_flow_leads_to_what_the_noise_was_put_on(config: dict[str, Any]) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(**config)
    scheduler.set_timesteps(8)
    clean, noise = torch.randn(1, 4, 3, 8, 8), torch.randn(1, 4, 3, 8, 8)
    noisy = scheduler.sigmas if not config.get("invert_sigmas") else 1 - scheduler.sigmas
    path = [(1 - level) * clean + level * noise for level in noisy]
    scheduler._step_index = 5
    found = _estimate(scheduler, path[4], path[5], None, {})
    assert torch.allclose(found, clean, atol=1e-4)


def test_ddim_leads_to_what_the_noise_was_put_on() -> None:
    scheduler = CogVideoXDDIMScheduler()
    scheduler.set_timesteps(8)
    clean, noise = torch.randn(1, 3, 4, 8, 8), torch.randn(1, 3, 4, 8, 8)
    here, there = scheduler.timesteps[3], scheduler.timesteps[4]
    one, other = (scheduler.add_noise(clean, noise, time[None]) for time in (here, there))
    assert torch.allclose(_estimate(scheduler, one, other, here, {}), clean, atol=1e-3)
    with pytest.raises(Unknown):
        _estimate(scheduler, one, other, here, {"eta": 0.5})


@pytest.mark.parametrize("scheduler", [CogVideoXDPMScheduler(), UniPCMultistepScheduler()])
def test_other_samplers_are_unknown(scheduler: Any) -> None:
    latents = torch.zeros(1, 4, 1, 8, 8)
    for before in (latents, None, latents[:, :2]):
        with pytest.raises(Unknown):
            _estimate(scheduler, before, latents, 500, {})


def test_every_pipeline_that_is_named_is_there() -> None:
    import diffusers

    assert [name for name in DECODERS if not hasattr(diffusers, name)] == []
