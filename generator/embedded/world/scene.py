"""Where a character is, what it does, and how it is filmed and drawn."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from generator.embedded.world.design import Design, random_design

ACTIONS: Final = ("standing", "walking", "running", "jumping", "waving", "dancing", "sitting")
BACKGROUNDS: Final = ("city", "forest", "desert", "snow", "space", "sea", "room")
INDOORS: Final = ("space", "room")  # where there is no weather
TIMES: Final = ("day", "night", "fog")
STYLES: Final = ("flat", "line", "dark")
EVERY_ACTION: Final = (*ACTIONS, "spinning")  # the models that ship were trained on those above
WEATHERS: Final = ("clear", "rain", "snowfall")
CAMERAS: Final = ("still", "pan left", "pan right", "zoom in", "zoom out")
# The character's height as a share of the frame's.
SMALLEST, LARGEST = 0.48, 0.78


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A second character, who stands a little behind; measures as in `Scene`."""

    design: Design
    action: str
    size: float
    place: float
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene. ``size`` is the character's height as a share of the frame's, ``place`` its middle as a share
    of the width, ``mirrored`` whether it faces the other way; the seed places everything else.
    """

    action: str
    background: str
    time: str = "day"
    style: str = "flat"
    camera: str = "still"
    size: float = 0.62
    place: float = 0.5
    mirrored: bool = False
    seed: int = 0
    weather: str = "clear"
    companion: Companion | None = None


def random_scene(rng: np.random.Generator) -> Scene:
    """A scene at random; half of them by day, half of them flat."""
    return Scene(
        action=str(rng.choice(ACTIONS)),
        background=str(rng.choice(BACKGROUNDS)),
        time=str(rng.choice(TIMES, p=(0.5, 0.25, 0.25))),
        style=str(rng.choice(STYLES, p=(0.5, 0.25, 0.25))),
        camera=str(rng.choice(CAMERAS)),
        size=float(rng.uniform(SMALLEST, LARGEST)),
        place=float(rng.uniform(0.32, 0.68)),
        mirrored=bool(rng.random() < 0.5),
        seed=int(rng.integers(2**31)),
    )


def varied_scene(rng: np.random.Generator) -> Scene:
    """A scene at random out of all there is: also spinning, weather, and every third with two characters."""
    scene = replace(random_scene(rng), action=str(rng.choice(EVERY_ACTION)))
    weather = str(rng.choice(WEATHERS, p=(0.6, 0.2, 0.2)))
    scene = replace(scene, weather="clear" if scene.background in INDOORS else weather)
    if rng.random() > 1 / 3:
        return scene
    left = bool(rng.random() < 0.5)
    other = Companion(
        design=random_design(rng), action=str(rng.choice(EVERY_ACTION)), mirrored=bool(rng.random() < 0.5),
        size=float(rng.uniform(0.4, 0.52)), place=float(rng.uniform(0.2, 0.3) + (0.0 if left else 0.5)),
    )  # fmt: skip
    return replace(scene, place=0.66 if left else 0.34, size=min(scene.size, 0.6), companion=other)
