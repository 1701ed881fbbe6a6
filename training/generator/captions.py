"""What is said of a clip while training: the world's own captions, short ones, names; mixed case."""

from collections.abc import Mapping

import numpy as np

from generator.embedded.world import words
from generator.embedded.world.design import COLOURS, HATS, NAMED_DESIGNS, NONE, SPECIES, Design
from generator.embedded.world.scene import BACKGROUNDS
from training.generator.small_world import ACTIONS, TIMES, Sample

UNSAID = "unsaid"
# What the text encoder learns to tell from a caption.
HEADS: dict[str, tuple[str, ...]] = {
    "species": (UNSAID, *SPECIES),
    "colour": (UNSAID, *COLOURS),
    "hat": (UNSAID, *HATS),
    "hat_colour": (UNSAID, *COLOURS),
    "action": (UNSAID, *ACTIONS),
    "background": (UNSAID, *BACKGROUNDS),
    "time": (UNSAID, *TIMES),
    "name": (UNSAID, *NAMED_DESIGNS),
}
_VERBS = {
    "standing": ("standing", "stands", "posing", "waiting"),
    "walking": ("walking", "walks", "strolling", "taking a walk", "stepping"),
    "jumping": ("jumping", "jumps", "hopping", "leaping", "bouncing"),
    "waving": ("waving", "waves", "waving hello", "greeting us"),
    "dancing": ("dancing", "dances", "doing a dance"),
    "sitting": ("sitting", "sits", "sitting down", "seated"),
}
_PLACES = {
    "city": ("in a city", "on a street", "downtown", "in front of tall buildings"),
    "forest": ("in a forest", "in the woods", "among trees", "in the forest"),
    "desert": ("in a desert", "among cactuses", "on hot sand", "in the desert"),
    "snow": ("in the snow", "in snowy mountains", "in winter", "on a snowy day"),
    "space": ("in space", "on the moon", "among planets", "in outer space"),
    "sea": ("by the sea", "on a beach", "at the seaside", "at the beach", "on the beach"),
    "room": ("in a room", "at home", "indoors", "in a living room"),
}
_TIMES = {
    "day": ("by day", "in daylight", "on a sunny day", "in the sunshine"),
    "night": ("at night", "in the dark of night"),
}
_OPENINGS = (
    "",
    "",
    "",
    "",
    "a video of",
    "a clip of",
    "a cartoon of",
    "an animation of",
    "a picture of",
    "we see",
)
_SPECIES = {
    "rabbit": ("rabbit", "bunny"),
    "bear": ("bear", "teddy bear"),
    "cat": ("cat", "kitty"),
    "pig": ("pig", "piglet"),
}
_COLOURS = {"grey": ("grey", "gray"), "teal": ("teal", "turquoise"), "purple": ("purple", "violet")}
_HAT = {
    "tall hat": ("a tall {} hat", "a {} top hat", "a tall hat in {}"),
    "cap": ("a {} cap", "a {} baseball cap"),
    "crown": ("a {} crown",),
    "woolly hat": ("a woolly {} hat", "a {} beanie"),
    "pointed hat": ("a pointed {} hat", "a {} wizard hat"),
    "headphones": ("{} headphones",),
}
_EXTRA = "small little big happy cute friendly the an is and wearing its to very funny running spinning"


def caption(sample: Sample, rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A caption, and what it says of each head (`UNSAID` where it does not)."""
    scene, design = sample.scene, sample.design
    said = {"action": scene.action, "background": scene.background}
    ending = [_one(_PLACES[scene.background], rng)]
    if scene.time == "night" or rng.random() < 0.4:
        ending.append(_one(_TIMES[scene.time], rng))
        said["time"] = scene.time
    if rng.random() < 0.3:
        ending.reverse()
    if design is None:
        text = f"{_one(words.EMPTY, rng)} {' '.join(ending)}"
        return _cased(text, rng), _full(said | {"action": UNSAID})
    if sample.name is not None and rng.random() < 0.6:
        subject = sample.name
        said["name"] = sample.name
    elif sample.name is not None or rng.random() < 0.15:
        subject = words.describe(design, rng)
        said |= _looks(design)
    else:
        subject = _short(design, rng)
        said |= _looks(design)
    text = " ".join([_one(_OPENINGS, rng), subject, _one(_VERBS[scene.action], rng), *ending]).strip()
    return _cased(text, rng), _full(said)


def vocabulary() -> list[str]:
    """Every word of these captions, in lower and in title case, and letters for all others."""
    spoken = [*words.vocabulary(), *_EXTRA.split(), *_OPENINGS]
    for table in (_VERBS, _PLACES, _TIMES, _SPECIES, _COLOURS, _HAT):
        spoken += [text for texts in table.values() for text in texts]
    parts = {part for text in [*spoken, *NAMED_DESIGNS] for part in text.replace("{}", " ").split()}
    parts |= {part + "," for part in parts if part.isalpha()}
    both = {word.lower() for word in parts} | {word.capitalize() for word in parts} | parts
    letters = {chr(code) for code in range(33, 127)}
    return sorted("▁" + word for word in both) + sorted(letters - both)


def _looks(design: Design) -> dict[str, str]:
    looks = {"species": design.species, "colour": design.colour, "hat": design.hat}
    return looks if design.hat == NONE else looks | {"hat_colour": design.hat_colour}


def _short(design: Design, rng: np.random.Generator) -> str:
    kind = f"{_word(_COLOURS, design.colour, rng)} {_word(_SPECIES, design.species, rng)}"
    if rng.random() < 0.15:
        kind = f"{_one(('small', 'little', 'big', 'happy', 'cute', 'friendly', 'funny'), rng)} {kind}"
    article = "the" if rng.random() < 0.1 else "an" if kind[0] in "aeiou" else "a"
    if design.hat == NONE:
        return f"{article} {kind}"
    hat = _one(_HAT[design.hat], rng).format(_word(_COLOURS, design.hat_colour, rng))
    return f"{article} {kind} {_one(('with', 'wearing'), rng)} {hat}"


def _full(said: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(HEADS, UNSAID) | said


def _word(table: Mapping[str, tuple[str, ...]], word: str, rng: np.random.Generator) -> str:
    return _one(table.get(word, (word,)), rng)


def _one(texts: tuple[str, ...], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]


def _cased(text: str, rng: np.random.Generator) -> str:
    text = " ".join(text.split())
    chance = rng.random()
    if chance < 0.3:
        text = text[0].upper() + text[1:]
    elif chance < 0.35:
        text = text.lower()
    return text + "." if rng.random() < 0.2 else text
