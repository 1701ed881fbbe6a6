"""Which stored prompts may hold a name: read once when they are stored, and asked again without reading.

A *skeleton* is all readings of a prompt (`classifiers.matcher`) as bare letters, and the runs of words that
may be misspelt. A `Sieve` of some names answers from it whether a match is possible; what it lets through is
asked again by the check itself. Whatever the check finds passes: both use the same readings and patterns.
"""

import hashlib
import importlib.metadata
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate
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
    """Immutable but for what it remembers; of the names of a matcher."""

    def __init__(self, matcher: NameMatcher) -> None:
        self._matcher = matcher
        self._automaton = _automaton(matcher.patterns())
        self._misspelt = _automaton(matcher.misspelt_patterns())

    def passes(self, told: Mapping[str, Any] | None) -> bool:
        """Whether a prompt with this skeleton may hold a name; also where that cannot be told."""
        told = told or {}
        letters, runs = str(told.get("letters", "")), str(told.get("runs", ""))
        version_of = str(told.get("v", "")) if "letters" in told else ""
        return bool(self.passing([version_of], [letters], [runs]))

    def passing(self, versions: Sequence[str], letters: Sequence[str], runs: Sequence[str]) -> set[int]:
        """Which of many skeletons pass, by their place. They are asked together: a million take seconds.

        A skeleton of another version (empty: none) always passes.
        """
        if self._automaton is None:
            return set()
        mine = version()
        found = {place for place, one in enumerate(versions) if one != mine}
        found |= {place for place, _, _ in _hits(self._automaton, letters, BETWEEN)}
        if self._misspelt is None:
            return found
        # Each run has a line break of its own before it and after it: a name may have to begin or end there.
        whole = [f"{BETWEEN}{one.replace(BETWEEN, 2 * BETWEEN)}{BETWEEN}" for one in runs]
        for place, start, end in _hits(self._misspelt, whole, ""):
            if place not in found and self._may_be_misspelt(whole[place], start, end):
                found.add(place)
        return found

    def _may_be_misspelt(self, runs: str, start: int, end: int) -> bool:
        """Whether the run in which a pattern was found may be a name with a mistake."""
        first = runs.rfind(BETWEEN, 0, start + 1) + 1
        last = runs.find(BETWEEN, end - 1)
        return self._matcher.may_be_misspelt(runs[first:last])


def _automaton(patterns: Collection[str]) -> AhoCorasick | None:
    return AhoCorasick(sorted(patterns)) if patterns else None


def _hits(automaton: AhoCorasick, texts: Sequence[str], between: str) -> Iterator[tuple[int, int, int]]:
    """Where patterns are found in texts that are asked together: which text, and where it begins and ends."""
    ends = list(accumulate(len(text) + len(between) for text in texts))
    for _, start, end in automaton.find_matches_as_indexes(between.join(texts)):
        place = bisect_right(ends, start)
        before = ends[place - 1] if place else 0
        yield place, start - before, end - before
