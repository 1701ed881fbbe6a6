"""Ordinary prompts, which mean nobody in particular, and what names do among them.

`ordinary_prompts.txt` was written for this: everyday wishes for clips, one a line, by language, with no
person, character, work or brand in them but what everybody says (a city, Santa Claus). A name that is found
in them would stop people who have never heard of its owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from classifiers.base import NameTier
from classifiers.matcher import NameMatcher
from classifiers.sieve import Sieve, skeleton

FILE: Final = "ordinary_prompts.txt"
MAX_EXAMPLES: Final = 3
CONTEXT_SHARE: Final = 0.01
"""Share of ordinary prompts from which on a name with its context words is too ordinary to register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A name as it would be registered; the fields are those of `classifiers.base.NameEntry`."""

    text: str
    tier: str
    context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFit:
    """How many of the ordinary prompts a name is found in: surely, or as something close to it."""

    hits: int
    near: int
    prompts: int
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the prompts in which it is surely found."""
        return self.hits / self.prompts if self.prompts else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    subject: str
    text: str
    tier: str
    context: tuple[str, ...]
    quarantined: bool = False


@cache
def ordinary_prompts() -> tuple[str, ...]:
    """The prompts of the file, of all languages."""
    lines = files("classifiers").joinpath(FILE).read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=4)
def _skeletons(prompts: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    """What a sieve reads of prompts: versions, letters and lines of each; made once, in half a second."""
    told = [skeleton([prompt]) for prompt in prompts]
    version, letters, runs = ([one.get(name, "") for one in told] for name in ("v", "letters", "runs"))
    return [one if "letters" in each else "" for one, each in zip(version, told, strict=True)], letters, runs


def measure_names(names: Sequence[Asked], prompts: Sequence[str]) -> list[NameFit]:
    """What the matcher that judges prompts finds of each name in these prompts.

    All names are indexed together, so that the prompts are read once, however many names there are; and only
    those are read of which the sieve says that they may hold one.
    """
    different = {asked: place for place, asked in enumerate(dict.fromkeys(names))}
    # Each name is a subject of its own: hits of one subject would hide each other.
    entries = [
        _Entry(subject=str(place), text=asked.text, tier=asked.tier, context=asked.context)
        for asked, place in different.items()
    ]
    matcher = NameMatcher(entries)
    passing = Sieve(matcher).passing(*_skeletons(tuple(prompts)))
    sure: list[list[str]] = [[] for _ in entries]
    near = [0] * len(entries)
    for prompt in (prompts[place] for place in sorted(passing)):
        best: dict[int, bool] = {}
        for hit in matcher.match(prompt):
            place = int(hit.entry.subject)
            best[place] = best.get(place, False) or hit.sure
        for place, certain in best.items():
            if certain:
                sure[place].append(prompt)
            else:
                near[place] += 1
    fits = [
        NameFit(hits=len(found), near=close, prompts=len(prompts), examples=tuple(found[:MAX_EXAMPLES]))
        for found, close in zip(sure, near, strict=True)
    ]
    return [fits[different[asked]] for asked in names]


def tier_measured(tier: NameTier, fit: NameFit) -> NameTier:
    """The tier of a name whose words say `tier`, once it was measured: what ordinary prompts have, may not
    block alone.
    """
    return NameTier.CONTEXT if fit.hits else tier
