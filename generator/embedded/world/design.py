"""What a character looks like: a handful of attributes, drawn at random, changed one by one, or named."""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (212, 44, 46),
    "orange": (242, 134, 34),
    "yellow": (248, 212, 60),
    "green": (62, 160, 66),
    "teal": (28, 172, 170),
    "blue": (48, 96, 216),
    "purple": (134, 70, 188),
    "pink": (246, 132, 182),
    "brown": (126, 80, 46),
    "grey": (142, 148, 156),
    "white": (244, 244, 240),
    "black": (46, 46, 54),
}
SPECIES: Final = (
    "fox", "cat", "bear", "rabbit", "owl", "frog",
    "mouse", "robot", "dragon", "penguin", "pig", "elephant",
)  # fmt: skip
BUILDS: Final = ("round", "tall", "square", "pear-shaped")
PATTERNS: Final = ("belly", "stripes", "spots", "zigzags", "halves", "rings")
EYES: Final = ("big", "small", "sleepy", "single", "angry")
NONE: Final = "none"
HATS: Final = (NONE, "tall hat", "cap", "crown", "woolly hat", "pointed hat", "headphones")
ACCESSORIES: Final = (NONE, "scarf", "bow tie", "cape", "glasses", "belt", "balloon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A character. The colour of a hat or an accessory that is not worn is ``none``."""

    species: str
    build: str
    colour: str
    second: str
    pattern: str
    eyes: str
    hat: str
    hat_colour: str
    accessory: str
    accessory_colour: str


ATTRIBUTES: Final = tuple(field.name for field in fields(Design))
# What stands for what in a design: values, and the attributes whose colour must differ to be seen.
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "species": SPECIES,
    "build": BUILDS,
    "pattern": PATTERNS,
    "eyes": EYES,
    "hat": HATS,
    "accessory": ACCESSORIES,
}
_UNLIKE: Final[dict[str, tuple[str, ...]]] = {
    "colour": ("second", "hat_colour", "accessory_colour"),
    "second": ("colour",),
    "hat_colour": ("colour",),
    "accessory_colour": ("colour",),
}
_COLOUR_OF: Final = {"hat": "hat_colour", "accessory": "accessory_colour"}


def random_design(rng: np.random.Generator) -> Design:
    """A design at random; three in four wear a hat, three in four an accessory, or so."""
    chosen = {name: str(rng.choice(values)) for name, values in _CHOICES.items()}
    for name in _COLOUR_OF:
        if chosen[name] == NONE and rng.random() < 0.5:
            chosen[name] = str(rng.choice(_CHOICES[name][1:]))
    chosen["colour"] = _colour(rng)
    chosen["second"] = _colour(rng, chosen["colour"])
    for worn, colour in _COLOUR_OF.items():
        chosen[colour] = NONE if chosen[worn] == NONE else _colour(rng, chosen["colour"])
    return Design(**chosen)


def variant_of(design: Design, rng: np.random.Generator, changes: int = 1) -> Design:
    """A look-alike: the same design with so many attributes changed; a hat put on brings its colour."""
    able = [name for name in ATTRIBUTES if getattr(design, name) != NONE or name in _COLOUR_OF]
    for name in rng.choice(able, size=min(changes, len(able)), replace=False):
        design = _changed(design, str(name), rng)
    return design


def differing(one: Design, other: Design) -> tuple[str, ...]:
    """The attributes in which two designs differ; the colour of a hat that only one wears is not counted."""
    return tuple(
        name
        for name in ATTRIBUTES
        if getattr(one, name) != getattr(other, name) and NONE not in _worn_colours(name, one, other)
    )


def _worn_colours(name: str, one: Design, other: Design) -> tuple[str, ...]:
    return (getattr(one, name), getattr(other, name)) if name in _COLOUR_OF.values() else ()


def _changed(design: Design, name: str, rng: np.random.Generator) -> Design:
    if name in _UNLIKE:
        others = (getattr(design, other) for other in _UNLIKE[name])
        return replace(design, **{name: _colour(rng, getattr(design, name), *others)})
    value = str(rng.choice([value for value in _CHOICES[name] if value != getattr(design, name)]))
    design = replace(design, **{name: value})
    if name not in _COLOUR_OF:
        return design
    colour = _COLOUR_OF[name]
    if value == NONE:
        return replace(design, **{colour: NONE})
    if getattr(design, colour) == NONE:
        return replace(design, **{colour: _colour(rng, design.colour)})
    return design


def _colour(rng: np.random.Generator, *unlike: str) -> str:
    return str(rng.choice([name for name in COLOURS if name not in unlike]))


def _design(words: str) -> Design:
    """From ten words, in the order of the attributes; an underscore stands for a space."""
    values = [word.replace("_", " ") for word in words.split()]
    return Design(**dict(zip(ATTRIBUTES, values, strict=True)))


# Invented names for demonstrations and tests; they name no work that exists, as far as we know.
NAMED_DESIGNS: Final[dict[str, Design]] = {
    "Tovik Brandle": _design("fox round orange teal stripes big tall_hat blue scarf red"),
    "Quillamoor": _design("owl pear-shaped purple yellow spots sleepy crown yellow cape green"),
    "Bexel Nine": _design("robot square grey red zigzags single headphones orange belt black"),
    "Mossa Pondry": _design("frog round green pink spots big cap purple bow_tie white"),
    "Hesperil": _design("dragon tall red black rings angry none none cape purple"),
    "Nubbin Frostwick": _design("penguin pear-shaped black white belly small woolly_hat red balloon yellow"),
    "Ollopha": _design("elephant round blue white halves sleepy pointed_hat purple glasses orange"),
    "Pim Larrow": _design("rabbit tall white brown halves big tall_hat green bow_tie red"),
}
