"""Where a character is, what it does, and how it is filmed and drawn."""

from dataclasses import dataclass
from typing import Final

import numpy as np

ACTIONS: Final = ("standing", "walking", "running", "jumping", "waving", "dancing", "sitting")
BACKGROUNDS: Final = ("city", "forest", "desert", "snow", "space", "sea", "room")
TIMES: Final = ("day", "night", "fog")
STYLES: Final = ("flat", "line", "dark")
CAMERAS: Final = ("still", "pan left", "pan right", "zoom in", "zoom out")
# The character's height as a share of the frame's.
SMALLEST, LARGEST = 0.48, 0.78


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
