"""What one would say of a character and a scene: the text that belongs to a picture."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from generator.embedded.world.design import COLOURS, NONE, SPECIES, Design
from generator.embedded.world.scene import Scene

_PATTERNS: Final = {
    "belly": ("a {} belly", "a {} tummy"),
    "stripes": ("{} stripes", "{} bands"),
    "spots": ("{} spots", "{} dots"),
    "zigzags": ("{} zigzags", "{} zigzag lines"),
    "halves": ("a {} half", "one {} side"),
    "rings": ("{} rings", "{} circles"),
}
_EYES: Final = {
    "big": ("big eyes", "wide eyes"),
    "small": ("small eyes", "tiny eyes"),
    "sleepy": ("sleepy eyes", "tired eyes"),
    "single": ("a single eye", "one big eye"),
    "angry": ("angry eyes", "a grumpy look"),
}
_HATS: Final = {
    "tall hat": ("a tall {} hat", "a {} top hat"),
    "cap": ("a {} cap", "a {} baseball cap"),
    "crown": ("a {} crown",),
    "woolly hat": ("a woolly {} hat", "a {} beanie"),
    "pointed hat": ("a pointed {} hat", "a {} wizard hat"),
    "headphones": ("{} headphones",),
}
_ACCESSORIES: Final = {
    "scarf": ("a {} scarf",),
    "bow tie": ("a {} bow tie",),
    "cape": ("a {} cape", "a {} cloak"),
    "glasses": ("{} glasses", "{} spectacles"),
    "belt": ("a {} belt",),
    "balloon": ("a {} balloon",),
}
_BUILDS: Final = {
    "round": ("round", "chubby"),
    "tall": ("tall", "slender"),
    "square": ("square", "boxy"),
    "pear-shaped": ("pear-shaped", "plump"),
}
_SPECIES: Final = {
    "rabbit": ("rabbit", "bunny"),
    "bear": ("bear", "teddy bear"),
    "cat": ("cat", "kitty"),
    "pig": ("pig", "piglet"),
    "robot": ("robot", "android"),
}
_COLOURS: Final = {"grey": ("grey", "gray"), "teal": ("teal", "turquoise"), "purple": ("purple", "violet")}
_ACTIONS: Final = {
    "standing": ("standing", "who stands still"),
    "walking": ("walking", "strolling", "taking a walk"),
    "running": ("running", "racing along"),
    "jumping": ("jumping", "hopping up and down"),
    "waving": ("waving", "waving hello"),
    "dancing": ("dancing", "who dances"),
    "sitting": ("sitting", "sitting down"),
}
_BACKGROUNDS: Final = {
    "city": ("in a city", "on a street", "in front of tall buildings"),
    "forest": ("in a forest", "in the woods", "among trees"),
    "desert": ("in a desert", "among cactuses", "on hot sand"),
    "snow": ("in the snow", "in snowy mountains", "in winter"),
    "space": ("in space", "on the moon", "among planets"),
    "sea": ("by the sea", "on a beach", "at the seaside"),
    "room": ("in a room", "at home", "indoors"),
}
_TIMES: Final = {
    "day": ("by day", "in daylight", "on a sunny day"),
    "night": ("at night", "in the dark of night"),
    "fog": ("in fog", "in thick mist"),
}
_STYLES: Final = {
    "flat": ("a cartoon of", "a picture of"),
    "line": ("a line drawing of",),
    "dark": ("a dark picture of",),
}
_OPENINGS: Final = (
    "",
    "",
    "a video of",
    "a clip of",
    "an animation of",
    "please show",
    "draw",
    "we see",
    "film of",
)
EMPTY: Final = ("an empty scene", "nobody", "a background without a character", "no character")


def describe(design: Design, rng: np.random.Generator | None = None) -> str:
    """A caption fragment that names every attribute; with random numbers, in one of many wordings."""
    return _described(design, rng, keep=1.0)


def captions(design: Design | None, scene: Scene, rng: np.random.Generator) -> tuple[str, str, str]:
    """Three captions of a scene: in full, in other words, and one that leaves attributes out."""
    setting = _setting(scene, rng)
    if design is None:
        return tuple(f"{rng.choice(EMPTY)} {_setting(scene, rng)}" for _ in range(3))  # type: ignore[return-value]
    full = f"{describe(design)} {_ACTIONS[scene.action][0]} {setting}"
    other = f"{_opening(scene, rng)} {describe(design, rng)} {_say(_ACTIONS[scene.action], rng)} {setting}"
    part = _described(design, rng, keep=float(rng.uniform(0.45, 0.95)))
    brief = f"{_opening(scene, rng)} {part} {_say(_ACTIONS[scene.action], rng)}"
    return full, other.strip(), (f"{brief} {setting}" if rng.random() < 0.6 else brief).strip()


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption can have, sorted."""
    tables: tuple[Mapping[str, tuple[str, ...]], ...] = (
        _PATTERNS, _EYES, _HATS, _ACCESSORIES, _BUILDS, _SPECIES, _COLOURS,
        _ACTIONS, _BACKGROUNDS, _TIMES, _STYLES,
    )  # fmt: skip
    spoken = [text for table in tables for texts in table.values() for text in texts]
    spoken += [*_OPENINGS, *EMPTY, *COLOURS, *SPECIES, "with and , a an the of creature character toy"]
    words = " ".join(spoken).replace("{}", " ").replace("-", " - ").split()
    return tuple(sorted(set(words)))


def _described(design: Design, rng: np.random.Generator | None, keep: float) -> str:
    def kept() -> bool:
        return rng is None or rng.random() < keep

    def said(table: Mapping[str, tuple[str, ...]], value: str) -> str:
        return _say(table.get(value, (value,)), rng)

    look = [said(_BUILDS, design.build)] if kept() else []
    look += [said(_COLOURS, design.colour)] if keep > 0.6 or kept() else []
    parts = []
    if kept():
        parts.append(said(_PATTERNS, design.pattern).format(said(_COLOURS, design.second)))
    if kept():
        parts.append(said(_EYES, design.eyes))
    if design.hat != NONE and kept():
        parts.append(said(_HATS, design.hat).format(said(_COLOURS, design.hat_colour)))
    if design.accessory != NONE and kept():
        parts.append(said(_ACCESSORIES, design.accessory).format(said(_COLOURS, design.accessory_colour)))
    if rng is not None:
        parts = [parts[index] for index in rng.permutation(len(parts))]
    noun = " ".join([*look, said(_SPECIES, design.species)])
    article = "an" if noun[0] in "aeiou" else "a"
    return f"{article} {noun}" + (f" with {_listed(parts)}" if parts else "")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _say(texts: tuple[str, ...], rng: np.random.Generator | None) -> str:
    return texts[0] if rng is None else texts[int(rng.integers(len(texts)))]


def _opening(scene: Scene, rng: np.random.Generator) -> str:
    return _say(_STYLES[scene.style], rng) if rng.random() < 0.4 else _say(_OPENINGS, rng)


def _setting(scene: Scene, rng: np.random.Generator) -> str:
    place = _say(_BACKGROUNDS[scene.background], rng)
    return f"{place} {_say(_TIMES[scene.time], rng)}" if scene.time != "day" or rng.random() < 0.3 else place
