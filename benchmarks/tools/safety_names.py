"""Registered names under the known disguises, and in ordinary prompts."""

import random
from collections.abc import Sequence
from typing import Final

from benchmarks.common import Row, rate
from benchmarks.tools.disguises import EXACT, FURTHER
from benchmarks.tools.given import Given
from classifiers.names import NameMatcher

FRAMES: Final = ("a clip of {} walking through a city", "{} dances with a red dog", "A forest. Then {}!")
ROUNDS: Final = 3
SEED: Final = 7


def measure(given: Given) -> list[Row]:
    """All rows of this part. Raises: Missing."""
    from benchmarks.gate import PlainName, _name

    names: Sequence[PlainName] = [
        _name(t) for t in sorted({str(r["target"]) for r in given.lines("copycat.jsonl")})
    ]
    matcher = NameMatcher(names)
    rows = []
    for kind, disguise in {**EXACT, **FURTHER}.items():
        rng = random.Random(SEED)
        tried = found = 0
        for name in names:
            for _ in range(ROUNDS):
                text = rng.choice(FRAMES).format(disguise(name.text, rng)) + " game"
                tried += 1
                found += any(hit.entry.subject == name.subject for hit in matcher.match(text))
        rows.append(rate("names found", found, tried, {"disguise": kind, "material": "written"}))
    return rows
