"""The part of the rendered world that the shipped weights are trained on: small, so that it can be learnt.

Eight named characters and simple ones (a species, a colour, perhaps a hat), seven backgrounds with one
layout each, six actions, day and night; flat style, still camera. What is left to chance is where the
character stands, and for clips that go on with another, where in its action it is.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.design import COLOURS, HATS, NAMED_DESIGNS, NONE, SPECIES, Design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import BACKGROUNDS, Scene

SIDE = 128  # of what the autoencoder sees
HIGH = 256  # of what is drawn, and of what the upsampler makes
FRAMES = 25
RATE = 12.0
TEMPO = 0.5  # of the world's own: what moves slowly is coded well; an action comes round in 24 frames
ACTIONS = ("standing", "walking", "jumping", "waving", "dancing", "sitting")
TIMES = ("day", "night")
LAYOUT = 7  # the seed of every scene
SIZE = 0.7
# Whole latent cells (16 of 128 pixels) apart, so that the same patches serve everywhere.
PLACES = (0.375, 0.5, 0.625)
NAMED_SHARE = 0.35
EMPTY_SHARE = 0.03
HATTED_SHARE = 0.25
LATER_SHARE = 0.25  # of clips that begin in the midst of the action


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What will be drawn: `name` of a named character or None; no design for an empty scene.

    ``begun``: frames since the action began.
    """

    name: str | None
    design: Design | None
    scene: Scene
    begun: int = 0


def held_out(species: str, colour: str) -> bool:
    """Whether simple characters of this look are never shown in training: one in seven."""
    return (5 * SPECIES.index(species) + list(COLOURS).index(colour)) % 7 == 3


def sample(rng: np.random.Generator, *, unseen: bool = False) -> Sample:
    """One clip's description; `unseen`: of a simple character that training never shows."""
    name, design = None, None
    chance = 1.0 if unseen else rng.random()
    if chance < NAMED_SHARE:
        name = str(rng.choice(list(NAMED_DESIGNS)))
        design = NAMED_DESIGNS[name]
    elif chance > EMPTY_SHARE + NAMED_SHARE:
        design = simple_design(rng, unseen=unseen)
    scene = Scene(
        action=str(rng.choice(ACTIONS)), background=str(rng.choice(BACKGROUNDS)),
        time=str(rng.choice(TIMES, p=(0.7, 0.3))), size=SIZE, seed=LAYOUT,
        place=float(rng.choice(PLACES, p=(0.25, 0.5, 0.25))),
    )  # fmt: skip
    begun = int(rng.integers(1, int(RATE / TEMPO))) if rng.random() < LATER_SHARE else 0
    return Sample(name=name, design=design, scene=scene, begun=begun)


def simple_design(rng: np.random.Generator, *, unseen: bool = False) -> Design:
    """A species in a colour with a pale belly, every fourth with a hat."""
    looks = [(s, c) for s in SPECIES for c in COLOURS if held_out(s, c) == unseen]
    species, colour = looks[int(rng.integers(len(looks)))]
    hat = str(rng.choice(HATS[1:])) if rng.random() < HATTED_SHARE else NONE
    worn = NONE if hat == NONE else str(rng.choice([name for name in COLOURS if name != colour]))
    second = "grey" if colour == "white" else "white"
    return Design(
        species=species, build="round", colour=colour, second=second, pattern="belly", eyes="big",
        hat=hat, hat_colour=worn, accessory=NONE, accessory_colour=NONE,
    )  # fmt: skip


def draw(found: Sample, side: int = HIGH) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Frames ``uint8[25, side, side, 3]`` and the character's cover ``uint8[25, side, side]``.

    Edges are smoothed by OpenCV alone: a quarter of the time.
    """
    times = [TEMPO * (found.begun + index) / RATE for index in range(FRAMES)]
    moments = [
        render_frame(found.design, found.scene, width=side, height=side, time=time, oversample=1)
        for time in times
    ]
    return np.stack([m.picture for m in moments]), np.stack([m.cover for m in moments])


def smaller(frames: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """Frames ``uint8[f, h, w, …]`` at another size."""
    return np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames])
