"""The adapter on tiny models of three families: made, saved, loaded, run."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from generator.base import GenerationRequest
from generator.catalog import open_generator
from generator.diffusion import DiffusionGenerator
from generator.errors import GenerationFailed, GeneratorUnusable, RequestInvalid
from generator.model_folder import folder_digest

REQUEST = GenerationRequest(
    prompt="a fox in the snow", width=96, height=64, seconds=0.5, frame_rate=Fraction(12), seed=5, steps=2
)
FRAMES = 6


def frames(generator: DiffusionGenerator, request: GenerationRequest = REQUEST) -> np.ndarray:
    return np.stack(list(generator.generate(request).frames))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def ltx(folder: Path) -> DiffusionGenerator:
    return DiffusionGenerator(str(tiny_models.saved("ltx", folder)))


@pytest.mark.parametrize("name", ["ltx_condition", "wan", "cogvideox"])
def test_families(name: str, tmp_path: Path) -> None:
    generator = DiffusionGenerator(str(tiny_models.saved(name, tmp_path)))
    seen: list[tuple[int, int]] = []
    clip = generator.generate(REQUEST, lambda done, total: seen.append((done, total)))
    made = np.stack(list(clip.frames))
    assert made.shape == (FRAMES, 64, 96, 3)
    assert made.dtype == np.uint8
    assert seen == [(1, 2), (2, 2)]
    assert "unpinned" in clip.version


def test_a_pipeline_says_nothing_that_its_user_cannot_change(folder: Path) -> None:
    generator = DiffusionGenerator(str(tiny_models.saved("ltx_condition", folder)))
    said: list[logging.LogRecord] = []
    heard = logging.Handler(logging.WARNING)
    heard.emit = said.append  # type: ignore[method-assign]
    logger = logging.getLogger("diffusers")
    logger.addHandler(heard)
    try:
        frames(generator)
    finally:
        logger.removeHandler(heard)
    assert [one.getMessage() for one in said] == []


def test_same_seed_same_frames(ltx: DiffusionGenerator) -> None:
    once, again = frames(ltx), frames(ltx)
    other = frames(ltx, replace(REQUEST, seed=6))
    assert once.shape == (FRAMES, 64, 96, 3)
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_prompt_and_negative_prompt_reach_the_model(ltx: DiffusionGenerator) -> None:
    guided = replace(REQUEST, guidance=3.0)
    told = frames(ltx, guided)
    assert not np.array_equal(told, frames(ltx, replace(guided, prompt="a boat at sea")))
    assert not np.array_equal(told, frames(ltx, replace(guided, negative_prompt="a boat at sea")))


def test_sizes_that_the_model_cannot_make_are_cropped(ltx: DiffusionGenerator) -> None:
    clip = ltx.generate(replace(REQUEST, width=90, height=70))
    assert (clip.width, clip.height) == (90, 70)
    assert next(clip.frames).shape == (70, 90, 3)


def test_progress_can_stop_a_generation(ltx: DiffusionGenerator) -> None:
    class Enough(Exception):
        pass

    def stop(_done: int, _total: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        ltx.generate(REQUEST, stop)


def test_threads_do_not_disturb_each_other(ltx: DiffusionGenerator) -> None:
    requests = [replace(REQUEST, seed=seed, steps=steps) for seed, steps in ((1, 1), (2, 3), (3, 2), (4, 4))]
    alone = [frames(ltx, request) for request in requests]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda request: frames(ltx, request), requests))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_requests_that_nobody_can_make(ltx: DiffusionGenerator) -> None:
    for change in (
        {"width": 10}, {"height": 5000}, {"seconds": 0.0}, {"seconds": float("nan")}, {"seconds": 601.0},
        {"frame_rate": Fraction(0)}, {"frame_rate": Fraction(121)}, {"seed": -1}, {"seed": 2**63},
        {"prompt": "a" * 10_001}, {"prompt": "\ud800"}, {"negative_prompt": "\udfff"},
        {"steps": 0}, {"steps": 1001}, {"guidance": float("inf")}, {"guidance": -1.0},
    ):  # fmt: skip
        with pytest.raises(RequestInvalid):
            ltx.generate(replace(REQUEST, **change))


def test_values_that_are_no_numbers_are_no_clip(folder: Path) -> None:
    import torch

    pipeline = tiny_models.ltx()
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.conv.bias.fill_(float("nan"))
    pipeline.save_pretrained(folder / "broken", safe_serialization=True)
    with pytest.raises(GenerationFailed, match="no numbers"):
        DiffusionGenerator(str(folder / "broken")).generate(REQUEST)


def test_catalog(folder: Path) -> None:
    place = tiny_models.saved("ltx", folder)
    pinned = open_generator(f"diffusion:{place}", sha256=folder_digest(place))
    assert pinned.name == "diffusion"
    assert "sha256:" in pinned.version
    assert open_generator("scene").name == "scene"
    for name in ("imported", "", "diffusion:", "os.path", "generator.scene:SceneGenerator", "SCENE"):
        with pytest.raises(RequestInvalid):
            open_generator(name)
    with pytest.raises(GeneratorUnusable, match="no model folder"):
        open_generator(f"diffusion:{folder}/nothing")
    with pytest.raises(GeneratorUnusable, match="no device"):
        open_generator(f"diffusion:{place}", device="tpu")
