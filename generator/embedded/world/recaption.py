"""What one would say who sees the whole scene: captions in every detail, from what was drawn.

Short captions leave most of a picture unsaid, and a model that learns from them learns to guess (Betker et
al. 2023). These say all: who, what they do and where they stand, place, light, weather, camera and style.
"""

import re
from typing import Final

from generator.embedded.world.design import Design
from generator.embedded.world.scene import LARGEST, SMALLEST, Companion, Scene
from generator.embedded.world.words import describe

_DOES: Final = {
    "standing": "stands still",
    "walking": "walks in place",
    "running": "runs in place",
    "jumping": "jumps up and down with raised arms",
    "waving": "waves with one hand",
    "dancing": "dances from one foot to the other",
    "sitting": "sits on the ground",
    "spinning": "spins around with outstretched arms",
}
_WHERE: Final = {
    "city": "The scene is a city street in front of tall buildings",
    "forest": "The scene is a forest of green trees",
    "desert": "The scene is a desert with sand and cactuses",
    "snow": "The scene is a snowy landscape with mountains",
    "space": "The scene is the ground of a moon under stars and planets",
    "sea": "The scene is a beach by the sea",
    "room": "The scene is a room with a wall and a floor",
}
_LIGHT: Final = {"day": "in daylight", "night": "at night", "fog": "in thick fog"}
_WEATHER: Final = {"clear": "", "rain": " while rain falls", "snowfall": " while snow falls"}
_CAMERA: Final = {
    "still": "The camera does not move",
    "pan left": "The camera pans to the left",
    "pan right": "The camera pans to the right",
    "zoom in": "The camera zooms in",
    "zoom out": "The camera zooms out",
}
_STYLE: Final = {
    "flat": "a flat cartoon in plain colours",
    "line": "a pale line drawing with dark outlines",
    "dark": "a dim picture with bright outlines",
}


def recaption(design: Design | None, scene: Scene) -> str:
    """A caption of several sentences that leaves nothing of the scene out."""
    told = [_who(design, scene)] if design is not None else ["There is no character in the foreground."]
    if scene.companion is not None:
        told.append(_who(scene.companion.design, scene.companion, behind=design is not None))
    told.append(f"{_WHERE[scene.background]}, {_LIGHT[scene.time]}{_WEATHER[scene.weather]}.")
    told.append(f"{_CAMERA[scene.camera]}; it is {_STYLE[scene.style]}.")
    return " ".join(told)


def _who(design: Design, who: Scene | Companion, *, behind: bool = False) -> str:
    subject = re.sub(r"\ba (?=[aeiou])", "an ", describe(design))
    depth = "A little behind, " if behind else ""
    subject = subject if behind else subject[0].upper() + subject[1:]
    looks = "looking to the left" if who.mirrored else "looking to the right"
    return f"{depth}{subject} {_DOES[who.action]} {_place(who.place)}, {looks}; {_size(who.size)}."


def _place(place: float) -> str:
    return "on the left" if place < 0.42 else "on the right" if place > 0.58 else "in the middle"


def _size(size: float) -> str:
    share = (size - SMALLEST) / (LARGEST - SMALLEST)
    return "it is small" if share < 1 / 3 else "it is large" if share > 2 / 3 else "it is of middle size"
