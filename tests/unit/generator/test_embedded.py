"""The model that ships: whole, small, the same each time, and following the prompt where it is sure to."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from generator.base import Clip, GenerationRequest, Generator
from generator.catalog import DIGEST_FILE, MODEL, open_generator
from generator.embedded.world.design import NAMED_DESIGNS
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import Scene
from generator.model_folder import folder_digest

MIB = 1024 * 1024
SNOW = GenerationRequest(
    prompt="a red fox walking in the snow", width=256, height=256, seconds=2.0, frame_rate=Fraction(12),
    seed=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def embedded() -> Generator:
    return open_generator("embedded")


def drawn(clip: Clip) -> np.ndarray:
    return np.stack(list(clip.frames)).astype(np.float32)


@pytest.fixture(scope="module")
def snow(embedded: Generator) -> np.ndarray:
    return drawn(embedded.generate(SNOW))


def test_the_weights_are_small_and_those_that_were_exported() -> None:
    sizes = [file.stat().st_size for file in MODEL.rglob("*") if file.is_file()]
    assert max(sizes) < 16 * MIB
    assert sum(sizes) < 48 * 1000 * 1000
    assert (MODEL / DIGEST_FILE).read_text().strip() == folder_digest(MODEL)
    assert "model card" in (MODEL / "README.md").read_text().lower()


def test_the_same_request_gives_the_same_clip(embedded: Generator, snow: np.ndarray) -> None:
    seen: list[int] = []
    clip = embedded.generate(SNOW, lambda done, _total: seen.append(done))
    assert clip.generator == "embedded"
    assert clip.version.startswith("embedded 3")
    assert np.array_equal(drawn(clip), snow)
    assert snow.shape == (24, 256, 256, 3)
    assert seen == list(range(1, len(seen) + 1))


def test_another_seed_gives_another_clip(embedded: Generator, snow: np.ndarray) -> None:
    assert np.abs(drawn(embedded.generate(replace(SNOW, seed=2))) - snow).mean() > 1


def test_the_background_follows_the_prompt(embedded: Generator, snow: np.ndarray) -> None:
    space = drawn(embedded.generate(replace(SNOW, prompt="a red fox walking in space")))
    assert snow[:, :60].mean() > space[:, :60].mean() + 80


def test_the_colour_follows_the_prompt(embedded: Generator, snow: np.ndarray) -> None:
    blue = drawn(embedded.generate(replace(SNOW, prompt="a blue fox walking in the snow")))
    redness = [(clip[:, 80:220, 60:196, 0] - clip[:, 80:220, 60:196, 2]).mean() for clip in (snow, blue)]
    assert redness[0] > redness[1] + 20


def test_it_begins_with_a_picture(embedded: Generator) -> None:
    """A character in a place that the prompt says nothing of."""
    scene = Scene(action="waving", background="desert", size=0.7, seed=7)
    picture = render_frame(NAMED_DESIGNS["Mossa Pondry"], scene, width=256, height=256, time=0).picture
    asked = replace(SNOW, prompt="Mossa Pondry waving", image=picture)
    begun = np.abs(drawn(embedded.generate(asked)) - picture).mean(axis=(1, 2, 3))
    assert begun[0] < 8
    assert begun.max() < 25


def test_it_goes_on_with_a_clip(embedded: Generator, snow: np.ndarray) -> None:
    """Under a prompt of another place: what is seen counts."""
    asked = replace(SNOW, prompt="a red fox walking", clip=snow.astype(np.uint8), seconds=2.0)
    new = drawn(embedded.generate(asked))
    steps = np.abs(np.diff(snow, axis=0)).mean(axis=(1, 2, 3))
    assert new.shape == (24, 256, 256, 3)
    assert np.abs(new[0] - snow[-1]).mean() < 1.5 * steps.max()
    assert np.abs(new[-1] - snow[-1]).mean() < 25


def test_other_shapes_and_lengths(embedded: Generator) -> None:
    wide = replace(SNOW, width=640, height=360, seconds=3.0, frame_rate=Fraction(16), steps=2)
    clip = embedded.generate(wide)
    frames = list(clip.frames)
    assert len(frames) == 48
    assert frames[0].shape == (360, 640, 3)


@pytest.mark.parametrize("prompt", ["", "?" * 10_000, "狐狸 🦊", "-- drop", "a fox\x00", "the the " * 1000])
def test_any_text_is_drawn(embedded: Generator, prompt: str) -> None:
    assert next(embedded.generate(replace(SNOW, prompt=prompt, steps=1)).frames).shape == (256, 256, 3)
