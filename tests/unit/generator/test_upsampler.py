"""The upsampler of small models: what it starts as, files that are none, and how a generator uses it."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from generator.base import GenerationRequest
from generator.conventions import DEFAULTS_FILE, SCHEMA
from generator.diffusion import DiffusionGenerator
from generator.errors import GeneratorUnusable
from generator.upsampler import Upsampler, load_upsampler, upsampled
from tests.unit.generator.tiny_models import ltx_condition

SIZE = {"width": 64, "height": 64}
REQUEST = GenerationRequest(
    prompt="a fox", width=128, height=128, seconds=0.75, frame_rate=Fraction(12), seed=1, steps=2
)


def stored(file: Path, **said: str) -> Path:
    torch.manual_seed(0)
    save_file(Upsampler(8, 1).state_dict(), file, metadata={"width": "8", "blocks": "1"} | said)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pipeline of 9 frames of 64x64 at 12 a second, which goes on with clips, and an upsampler."""
    made = tmp_path_factory.mktemp("model")
    ltx_condition().save_pretrained(made)
    stored(made / "upsampler.safetensors")
    told = SIZE | {"schema": SCHEMA, "frames": 17, "rate": 12.0, "steps": 2, "history": 9}
    (made / DEFAULTS_FILE).write_text(json.dumps(told | {"upsampler": "upsampler.safetensors"}))
    return made


@pytest.fixture(scope="module")
def generator(folder: Path) -> DiffusionGenerator:
    return DiffusionGenerator(str(folder))


def test_it_starts_as_a_bilinear_enlargement(tmp_path: Path) -> None:
    made = load_upsampler(stored(tmp_path / "u.safetensors"))
    frames = np.random.default_rng(0).integers(0, 256, (9, 12, 16, 3), dtype=np.uint8)
    found = upsampled(made, frames)
    assert found.shape == (9, 24, 32, 3)
    wanted = np.stack([cv2.resize(frame, (32, 24), interpolation=cv2.INTER_LINEAR) for frame in frames])
    assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("said", [{"width": "-1"}, {"width": "many"}, {"width": "4000"}, {"blocks": "9"}])
def test_a_file_that_says_another_size_is_refused(tmp_path: Path, said: dict[str, str]) -> None:
    with pytest.raises(GeneratorUnusable, match=r"u\.safetensors cannot be loaded"):
        load_upsampler(stored(tmp_path / "u.safetensors", **said))


def test_a_truncated_or_missing_file_is_refused(tmp_path: Path) -> None:
    file = stored(tmp_path / "u.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(GeneratorUnusable, match="get the model again"):
        load_upsampler(file)
    with pytest.raises(GeneratorUnusable, match="get the model again"):
        load_upsampler(tmp_path / "none.safetensors")


def test_a_generator_enlarges_what_its_pipeline_makes(generator: DiffusionGenerator) -> None:
    frames = np.stack(list(generator.generate(REQUEST).frames))
    assert frames.shape == (9, 128, 128, 3)
    assert generator.enlarged(frames[:, ::2, ::2]).shape == frames.shape
    blocky = frames[:, ::2, ::2].repeat(2, axis=1).repeat(2, axis=2)
    assert np.abs(frames.astype(int) - blocky).max() > 1  # bilinear, not each pixel four times


@pytest.mark.parametrize(
    "name", ["../u.safetensors", "/etc/passwd", "u.bin", "a/b.safetensors", ".safetensors"]
)
def test_an_upsampler_lies_in_the_models_own_folder(folder: Path, tmp_path: Path, name: str) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / DEFAULTS_FILE).unlink()
    (tmp_path / DEFAULTS_FILE).write_text(json.dumps({"schema": SCHEMA, "upsampler": name}))
    with pytest.raises(GeneratorUnusable, match="upsampler"):
        DiffusionGenerator(str(tmp_path))


def test_a_model_of_one_length_goes_on_with_its_own_clip(generator: DiffusionGenerator) -> None:
    steps: list[tuple[int, int]] = []
    long = replace(REQUEST, seconds=3.0)
    clip = np.stack(list(generator.generate(long, lambda *told: steps.append(told)).frames))
    assert len(clip) == 36
    short = np.stack(list(generator.generate(replace(REQUEST, seconds=17 / 12)).frames))
    assert np.array_equal(clip[:17], short)
    # 17 frames at once, then 8 new ones a call: three more calls of two steps
    assert steps == [(done, 8) for done in range(1, 9)]
    assert all(np.abs(one.astype(int) - other).max() > 0 for one, other in zip(clip, clip[8:], strict=False))
