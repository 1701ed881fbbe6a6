"""Which stored prompts may hold a name: read once when they are stored, and asked again without reading.

A *skeleton* is all readings of a prompt (`classifiers.matcher`) as bare letters, and the runs of words that
may be misspelt. A `Sieve` of some names answers from it whether a match is possible; what it lets through is
asked again by the check itself. Whatever the check finds passes: both use the same readings and patterns.
"""

import hashlib
import importlib.metadata
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ahocorasick_rs import AhoCorasick

from classifiers.decoders import decoded
from classifiers.matcher import MAX_DEPTH, NameMatcher, readings_across, readings_of
from classifiers.normalise import fold
from classifiers.typos import strange_runs

MAX_LETTERS: Final = 64 << 10  # of a skeleton; longer prompts are read again
MAX_RUN: Final = 1000  # letters of a run of words; no name has so many
BETWEEN: Final = "\n"  # stands in no reading and in no pattern
_SOURCES: Final = ("boundaries", "decoders", "matcher", "normalise", "typos")
_TABLES: Final = ("anyascii", "confusable-homoglyphs", "wordfreq")


@cache
def version() -> str:
    """What readings depend on, as a digest: this code, its tables, Unicode."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(files("classifiers").joinpath(f"{name}.py").read_bytes())
    versions = [importlib.metadata.version(name) for name in _TABLES]
    digest.update(" ".join([*versions, unicodedata.unidata_version]).encode())
    return digest.hexdigest()[:16]


def skeleton(texts: Sequence[str]) -> dict[str, str]:
    """All readings of a prompt and its turns, to be stored beside it; without them where it is too long."""
    letters: dict[str, None] = {}
    runs: dict[str, None] = {}
    for text in texts:
        _read(text, letters, runs, 0)
    if len(texts) > 1:
        across = readings_across(texts, [fold(text) for text in texts])
        letters |= dict.fromkeys(reading.letters for reading in across)
    told = {"v": version(), "letters": BETWEEN.join(letters), "runs": BETWEEN.join(runs)}
    return told if len(told["letters"]) + len(told["runs"]) <= MAX_LETTERS else {"v": version()}


def _read(text: str, letters: dict[str, None], runs: dict[str, None], depth: int) -> None:
    read = readings_of(fold(text))
    letters |= dict.fromkeys(one.letters for one in (*read.plain, read.leet, *read.collapsed))
    for reading in read.plain[:2]:
        runs |= dict.fromkeys(reading.letters[a:b] for a, b in strange_runs(reading, MAX_RUN))
    if depth < MAX_DEPTH:
        for plain, _start, _end in decoded(text):
            _read(plain, letters, runs, depth + 1)


class Sieve:
    """Immutable; of the names of a matcher."""

    def __init__(self, matcher: NameMatcher) -> None:
        self._matcher = matcher
        patterns = sorted(matcher.patterns())
        self._automaton = AhoCorasick(patterns) if patterns else None

    def passes(self, told: Mapping[str, Any] | None) -> bool:
        """Whether a prompt with this skeleton may hold a name; also where that cannot be told."""
        if self._automaton is None:
            return False
        if not told or told.get("v") != version() or "letters" not in told:
            return True
        if self._automaton.find_matches_as_indexes(str(told["letters"])):
            return True
        runs = str(told["runs"])
        return bool(runs) and any(map(self._matcher.may_be_misspelt, runs.split(BETWEEN)))
