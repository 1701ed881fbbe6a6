"""Judges of the small world: what they count as right, and which prompt they find a clip to fit."""

import itertools
import math
from dataclasses import replace

import numpy as np
import torch

from benchmarks.tools import world_judge
from generator.embedded.world.design import HATS, NONE
from training.generator import small_world
from training.generator.small_world import Sample


def samples(count: int, *, hatted: bool) -> list[Sample]:
    """Of characters that all, or none of which, wear something on their heads."""
    rng, found = np.random.default_rng(8), []
    while len(found) < count:
        sample = replace(small_world.sample(rng, unseen=True), begun=0)
        if sample.design is not None and (sample.design.hat != NONE) == hatted:
            found.append(sample)
    return found


def judges() -> world_judge.Judges:
    """Untrained ones, the same each time."""
    torch.manual_seed(1)
    looks = world_judge._Net(1, world_judge.LOOKS)
    return world_judge.Judges(looks, world_judge._Net(len(world_judge.MOMENTS), world_judge.ACTIONS))


def clips(count: int) -> list[world_judge.Clip]:
    side, rng = world_judge.SIDE, np.random.default_rng(3)
    return list(rng.integers(0, 256, (count, len(world_judge.MOMENTS), side, side, 3), np.uint8))


def test_all_descriptions_of_a_clip_together_are_certain() -> None:
    """Over every value of one attribute, all else the same, its probabilities add up to 1."""
    sample = samples(1, hatted=True)[0]
    assert sample.design is not None
    others = [replace(sample, design=replace(sample.design, hat=hat)) for hat in HATS[1:]]
    told = judges().fits(clips(4), others)
    bare = judges().fits(clips(4), [replace(sample, design=replace(sample.design, hat=NONE))])[:, 0]
    assert told.shape == (4, len(others))
    # Of no hat nothing is said: as likely as all hats on the average.
    assert np.allclose(np.exp(told).sum(1), np.exp(bare) * len(others), rtol=1e-3)
    assert np.ptp(told) > 0.001


def test_a_description_that_says_nothing_is_as_likely_as_chance() -> None:
    empty = replace(samples(1, hatted=False)[0], design=None)
    said = [world_judge.LOOKS[name] for name in ("background", "time")]
    scenes = [
        replace(empty, scene=replace(empty.scene, background=where, time=when))
        for where, when in itertools.product(*said)
    ]
    known = {**world_judge.LOOKS, **world_judge.ACTIONS}.values()
    chance = -sum(math.log(len(values)) for values in known if values not in said)
    found = np.log(np.exp(judges().fits(clips(3), scenes).astype(np.float64)).sum(1))
    assert np.allclose(found, chance, atol=1e-3)


def test_what_fits_best_is_what_counts_as_right() -> None:
    sample = samples(1, hatted=False)[0]
    asked = [replace(sample, scene=replace(sample.scene, action=action)) for action in small_world.ACTIONS]
    for clip in clips(4):
        best = int(judges().fits([clip], asked)[0].argmax())
        right = [judges().right([clip], [other])["action"] for other in asked]
        assert right == [(int(index == best), 1) for index in range(len(asked))]
        assert judges().right([clip], asked)["hat"] == (0, 0)
