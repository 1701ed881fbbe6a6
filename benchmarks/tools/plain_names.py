"""Names as a matcher wants them: those of benchmarks, and plausible ones, as many as wanted.

The same seed gives the same names. First names come from a few thousand and surnames from many more, both
made of syllables, so that names share their parts as the names of a registry do; one in eight has a title or
an epithet, one in eight is one word.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from classifiers.ambiguity import tier_of
from classifiers.base import NameTier

_PAIRS: Final = (
    "br",
    "ch",
    "cl",
    "cr",
    "dr",
    "fl",
    "fr",
    "gl",
    "gr",
    "ph",
    "pl",
    "pr",
    "qu",
    "sh",
    "sk",
    "st",
    "th",
    "tr",
)
_BEGIN: Final = tuple("bcdfghjklmnprstvwz") + _PAIRS
_MIDDLE: Final = (*"aeiouaeio", "ai", "ea", "ee", "ie", "oo", "ou")
_END: Final = ["", "", "", "n", "r", "l", "s", "th", "nd", "ck", "m", "rt", "x", "sh"]
_TITLES: Final = (
    "Captain",
    "Doctor",
    "Lady",
    "Lord",
    "Princess",
    "Professor",
    "Queen",
    "Sir",
    "Baron",
    "Master",
)
_EPITHETS: Final = (
    "the Brave",
    "the Fox",
    "the Unseen",
    "of Winterhall",
    "the Third",
    "the Wanderer",
    "Moonchild",
)
FIRST_NAMES: Final = 4000
SURNAMES: Final = 60_000


@dataclass(frozen=True, slots=True)
class PlainName:
    """A name as a matcher wants it."""

    subject: str
    text: str
    tier: str = "block"
    context: tuple[str, ...] = ()


CONTEXT: Final = ("game", "cartoon", "film")
"""Words that stand for the context of every name that is a common word."""


def named(text: str) -> PlainName:
    """A name with the tier that its words say."""
    tier = tier_of(text)
    return PlainName(text, text, str(tier), CONTEXT if tier is NameTier.CONTEXT else ())


def _word(rng: random.Random, syllables: int) -> str:
    parts = [rng.choice(_BEGIN) + rng.choice(_MIDDLE) for _ in range(syllables)]
    return ("".join(parts) + rng.choice(_END)).capitalize()


def plausible(seed: int) -> Iterator[str]:
    """Names without end, some of them twice."""
    rng = random.Random(seed)
    first = [_word(rng, rng.choice((1, 2, 2, 3))) for _ in range(FIRST_NAMES)]
    last = [_word(rng, rng.choice((2, 2, 3))) for _ in range(SURNAMES)]
    while True:
        kind = rng.randrange(16)
        if kind == 0:
            yield f"{rng.choice(_TITLES)} {rng.choice(last)}"
        elif kind == 1:
            yield f"{rng.choice(first)} {rng.choice(_EPITHETS)}"
        elif kind in (2, 3):
            yield _word(rng, 3)
        else:
            yield f"{rng.choice(first)} {rng.choice(last)}"


def many(count: int, seed: int = 1) -> list[PlainName]:
    """So many different names, each of a subject of its own."""
    found: dict[str, None] = {}
    for name in plausible(seed):
        found[name] = None
        if len(found) == count:
            break
    return [PlainName(str(number), name) for number, name in enumerate(found)]
