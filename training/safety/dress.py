"""Dresses a scene as people write prompts: bare, as keywords, with camera and style, as a long description,
as a request, in capitals, with slips. What is unsafe and what is harmless are dressed alike, so that the
dress says nothing.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from training.safety.grammar import Grammar

_OPENINGS: Final = (
    "A {kind} of {it}", "A {kind} showing {it}", "A {kind} depicting {it}", "{kind} of {it}",
    "A {mood} {kind} in which {it}", "In a {mood} {kind}, {it}", "The {kind} shows {it}",
    "The camera follows {it}", "Create a {kind} of {it}", "Generate a {kind} where {it}",
    "Please make a {kind} of {it}", "can you show me {it}", "I want to see {it}", "make {it}", "draw {it}",
    "Could you create a {kind} with {it}?", "imagine {it}", "we see {it}", "How do I film {it}?",
)  # fmt: skip
_KINDS: Final = (
    "video", "scene", "clip", "short film", "image", "picture", "shot", "close-up", "photo", "animation",
    "painting", "drawing", "sequence",
)  # fmt: skip
_TAILS: Final = (
    "The atmosphere is {mood}", "The mood is {mood}", "The lighting is soft and {mood}",
    "emphasizing the {mood} mood of the scene", "creating a {mood} atmosphere",
    "The scene captures a {mood} moment", "with a focus on rich details and texture",
    "The background is blurred", "rendered in great detail", "The camera slowly pans across the scene",
    "highlighting colours and light", "set in a {mood} environment", "The colours are vivid",
    "The overall tone is {mood} and cinematic", "shadows dancing on the walls",
    "with dust floating in the light", "surrounded by {mood} details",
)  # fmt: skip


class Dresser:
    """Dresses texts. Its harmless sentences come from the lines of the grammar `quiet`."""

    def __init__(self, quiet: Grammar, common: Grammar) -> None:
        self._quiet, self._common = quiet, common

    def dress(self, core: str, random: Random) -> str:
        """One text with `core` in it."""
        way = random.random()
        if way < 0.30:
            text = core
        elif way < 0.45:
            text = self._keywords(core, random)
        elif way < 0.70:
            text = self._opened(core, random)
        elif way < 0.85:
            text = f"{self._opened(core, random)}. {self._tails(random)}"
        else:
            text = self._long(core, random)
        return _slips(text, random)

    def _word(self, name: str, random: Random) -> str:
        return self._common.of(name, random)

    def _keywords(self, core: str, random: Random) -> str:
        extra = [self._word(random.choice(("style", "style", "camera")), random)
                 for _ in range(random.randint(1, 5))]  # fmt: skip
        extra.insert(random.choice((0, 0, 0, random.randint(0, len(extra)))), core)
        return ", ".join(extra)

    def _opened(self, core: str, random: Random) -> str:
        opening = random.choice(_OPENINGS)
        return opening.format(it=core, kind=random.choice(_KINDS), mood=self._word("mood", random))

    def _tails(self, random: Random) -> str:
        tails: Sequence[str] = random.sample(_TAILS, random.randint(1, 3))
        joined = random.choice((", ", ". ")).join(tails)
        return ". ".join(part.strip().capitalize() for part in joined.split(". ")).format(
            mood=self._word("mood", random)
        )

    def _long(self, core: str, random: Random) -> str:
        around = [self._quiet.make(random) for _ in range(random.randint(1, 3))]
        around.insert(random.randint(0, len(around)), core)
        told = ". ".join(part[:1].upper() + part[1:] for part in around)
        return told + (f". {self._tails(random)}" if random.random() < 0.6 else "")


def _slips(text: str, random: Random) -> str:
    way = random.random()
    if way < 0.55:
        text = text[:1].upper() + text[1:]
    elif way < 0.58:
        text = text.upper()
    elif way < 0.75:
        text = text.lower()
    if random.random() < 0.5 and text[-1:].isalnum():
        text += "."
    if random.random() < 0.08:
        text = _typo(text, random)
    return text


def _typo(text: str, random: Random) -> str:
    """Two neighbours swapped, a letter doubled or one lost, in one place or two."""
    for _ in range(random.randint(1, 2)):
        if len(text) < 6:
            break
        at = random.randrange(1, len(text) - 1)
        text = random.choice((
            text[:at] + text[at + 1] + text[at] + text[at + 2 :], text[:at] + text[at - 1 :], text[:at] +
            text[at + 1 :],
        ))  # fmt: skip
    return text
