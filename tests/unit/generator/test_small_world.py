"""What the shipped weights are trained on: looks held out, captions that say what was drawn, tokens given."""

from pathlib import Path

import numpy as np
import pytest
import torch

from torch_compat import complete_torchvision

complete_torchvision()

from generator.embedded.world.design import COLOURS, NONE, SPECIES  # noqa: E402
from training.generator import captions, data, pca, small_world, text, transformer  # noqa: E402


def test_a_seventh_of_the_looks_is_held_out() -> None:
    looks = [(species, colour) for species in SPECIES for colour in COLOURS]
    held = {look for look in looks if small_world.held_out(*look)}
    assert 15 < len(held) < 27
    assert {species for species, _ in held} == set(SPECIES)
    rng = np.random.default_rng(0)
    for unseen in (False, True):
        samples = [small_world.sample(rng, unseen=unseen) for _ in range(400)]
        simple = [s.design for s in samples if s.design is not None and s.name is None]
        assert simple
        assert {small_world.held_out(d.species, d.colour) for d in simple} == {unseen}


def test_captions_say_what_is_drawn() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        sample = small_world.sample(rng)
        caption, said = captions.caption(sample, rng)
        assert set(said) == set(captions.HEADS)
        assert all(said[head] in values for head, values in captions.HEADS.items())
        if sample.name is None and sample.design is not None:
            assert said["species"] == sample.design.species
            assert (said["hat"] == NONE) == (sample.design.hat == NONE)
        assert caption.strip() == caption


def test_every_word_of_a_caption_is_one_piece() -> None:
    rng, names = np.random.default_rng(2), text.tokenizer()
    for _ in range(200):
        caption, _ = captions.caption(small_world.sample(rng), rng)
        if "pear-shaped" not in caption:  # which is spelt
            assert len(names(caption).input_ids) <= len(caption.replace(".", " .").split()) + 1, caption


def test_an_action_comes_round_in_the_new_frames_of_a_pass() -> None:
    """So that a clip that goes on from one frame is where it began."""
    design = small_world.simple_design(np.random.default_rng(3))
    for action in ("walking", "jumping", "dancing"):
        scene = small_world.Scene(action=action, background="room", size=0.7, seed=small_world.LAYOUT)
        frames, cover = small_world.draw(
            small_world.Sample(name=None, design=design, scene=scene), side=64
        )  # fmt: skip
        assert frames.shape == (25, 64, 64, 3)
        assert cover.max() == 255
        moved = [np.abs(frames[i].astype(int) - frames[0]).mean() for i in (6, 24)]
        assert moved[1] < 0.5 * moved[0]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a code of few clips, and four clips drawn, in two goes."""
    folder = tmp_path_factory.mktemp("training")
    clip = data.as_tensor(
        small_world.smaller(small_world.draw(small_world.sample(np.random.default_rng(1)))[0])
    )
    levels = pca.fit_levels(clip, data.SIDE, data.WIDTHS)
    data.keep(levels, folder)
    data.draw(folder, 0, 4, 2)
    return folder


def test_drawing_goes_on_where_it_stopped(drawn: Path) -> None:
    place = drawn / "shard_0"
    whole, lines = np.load(place / "codes.npy").copy(), (place / "said.jsonl").read_text().splitlines()
    (place / "said.jsonl").write_text("\n".join(lines[:2]) + "\n")
    codes = np.lib.format.open_memmap(place / "codes.npy", "r+")
    codes[2:] = 0
    codes.flush()
    data.draw(drawn, 0, 4, 2)
    assert (place / "said.jsonl").read_text().splitlines() == lines
    assert np.array_equal(np.load(place / "codes.npy"), whole)
    found = transformer.shards(drawn)
    assert found.codes.shape == (4, data.TIMES, data.CELLS, data.CELLS, data.LATENTS)
    assert [data.sample_of(line) for line in lines] == found.samples


def test_cells_lie_where_the_pipeline_says() -> None:
    from diffusers import LTXConditionPipeline

    ids = LTXConditionPipeline._prepare_video_ids(1, data.TIMES, data.CELLS, data.CELLS, device="cpu")
    scaled = LTXConditionPipeline._scale_video_ids(ids, data.CELL, 8, 0, device="cpu").float()
    scaled[:, 0] /= small_world.RATE
    assert torch.equal(transformer.coordinates(data.TIMES), scaled)
