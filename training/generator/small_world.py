"""The part of the rendered world that the first weights are trained on: small, so that it can be learnt.

Eight named characters and simple ones (a species, a colour, perhaps a hat), seven backgrounds with one
layout each, four actions, day and night; flat style, still camera. What is left to chance is where the
character stands.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.embedded.world import render
from generator.embedded.world.design import COLOURS, HATS, NAMED_DESIGNS, NONE, SPECIES, Design
from generator.embedded.world.scene import BACKGROUNDS, Scene

SIDE = 256
FRAMES = 17
RATE = 8.0
ACTIONS = ("standing", "walking", "jumping", "waving")
TIMES = ("day", "night")
LAYOUT = 7  # the seed of every scene
SIZE = 0.7
# Whole latent cells (32 of 256 pixels) apart, so that the same patches serve everywhere.
PLACES = (0.375, 0.5, 0.625)
NAMED_SHARE = 0.45
EMPTY_SHARE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What will be drawn: `name` of a named character or None; no design for an empty scene."""

    name: str | None
    design: Design | None
    scene: Scene


def sample(rng: np.random.Generator) -> Sample:
    """One clip's description."""
    name, design = None, None
    chance = rng.random()
    if chance < NAMED_SHARE:
        name = str(rng.choice(list(NAMED_DESIGNS)))
        design = NAMED_DESIGNS[name]
    elif chance > EMPTY_SHARE + NAMED_SHARE:
        design = simple_design(rng)
    scene = Scene(
        action=str(rng.choice(ACTIONS)), background=str(rng.choice(BACKGROUNDS)),
        time=str(rng.choice(TIMES, p=(0.7, 0.3))), size=SIZE, seed=LAYOUT,
        place=float(rng.choice(PLACES, p=(0.25, 0.5, 0.25))),
    )  # fmt: skip
    return Sample(name=name, design=design, scene=scene)


def simple_design(rng: np.random.Generator) -> Design:
    """A species in a colour with a pale belly, every third with a hat."""
    species, colour = str(rng.choice(SPECIES)), str(rng.choice(list(COLOURS)))
    hat = str(rng.choice(HATS[1:])) if rng.random() < 0.33 else NONE
    worn = NONE if hat == NONE else str(rng.choice([name for name in COLOURS if name != colour]))
    second = "grey" if colour == "white" else "white"
    return Design(
        species=species, build="round", colour=colour, second=second, pattern="belly", eyes="big",
        hat=hat, hat_colour=worn, accessory=NONE, accessory_colour=NONE,
    )  # fmt: skip


def draw(found: Sample, side: int = SIDE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Frames ``uint8[17, side, side, 3]`` and the character's cover ``uint8[17, side, side]``."""
    render.OVERSAMPLE = 1  # type: ignore[misc]  # a quarter of the time; edges are smoothed by OpenCV alone
    moments = [
        render.render_frame(found.design, found.scene, width=side, height=side, time=index / RATE)
        for index in range(FRAMES)
    ]
    return np.stack([m.picture for m in moments]), np.stack([m.cover for m in moments])
