"""Which stored prompts may hold a name: read once when they are stored, and asked again without reading.

A *skeleton* is all readings of a prompt (`classifiers.matcher`) as bare letters, and those in which names are
found that are not quite written out as lines of words (`classifiers.lines`). A `Sieve` of some names answers
from it whether a match is possible; what it lets through is asked again by the check itself. Whatever the
check finds passes: both use the same readings and forms, and the matcher itself reads the lines.
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

import numpy as np
from ahocorasick_rs import AhoCorasick

from classifiers.decoders import decoded
from classifiers.lines import line_of, parsed
from classifiers.matcher import MAX_DEPTH, NameMatcher, readings_across, readings_of
from classifiers.normalise import fold

MAX_LETTERS: Final = 64 << 10  # of a skeleton; longer prompts are read again
LETTERS_AT_ONCE: Final = 64 << 10  # of lines that are asked together
BETWEEN: Final = "\n"  # stands in no reading and in no pattern
_SOURCES: Final = (
    "ambiguity", "apart", "boundaries", "decoders", "forms", "index", "lines", "matcher", "near", "normalise",
    "rebus", "sounds",
)  # fmt: skip
_DATA: Final = ("name_words.txt", "name_pictures.txt")
_TABLES: Final = ("anyascii", "confusable-homoglyphs", "wordfreq")


@cache
def version() -> str:
    """What readings depend on, as a digest: this code, its tables, Unicode."""
    digest = hashlib.sha256()
    for name in (*(f"{source}.py" for source in _SOURCES), *_DATA):
        digest.update(files("classifiers").joinpath(name).read_bytes())
    versions = [importlib.metadata.version(name) for name in _TABLES]
    digest.update(" ".join([*versions, unicodedata.unidata_version]).encode())
    return digest.hexdigest()[:16]


def skeleton(texts: Sequence[str]) -> dict[str, str]:
    """All readings of a prompt and its turns, to be stored beside it; without them where it is too long."""
    letters: dict[str, None] = {}
    lines: dict[str, None] = {}
    for text in texts:
        _read(text, letters, lines, 0)
    if len(texts) > 1:
        across = readings_across(texts, [fold(text) for text in texts])
        letters |= dict.fromkeys(reading.letters for reading, _ in across)
    told = {"v": version(), "letters": BETWEEN.join(letters), "runs": BETWEEN.join(lines)}
    return told if len(told["letters"]) + len(told["runs"]) <= MAX_LETTERS else {"v": version()}


def _read(text: str, letters: dict[str, None], lines: dict[str, None], depth: int) -> None:
    read = readings_of(text, fold(text))
    exact = (*read.plain, *read.leet, *read.collapsed, *read.worded)
    letters |= dict.fromkeys(one.letters for one in exact)
    lines |= dict.fromkeys(line_of(reading, text) for reading in read.near)
    if depth < MAX_DEPTH:
        for plain, _start, _end in decoded(text):
            _read(plain, letters, lines, depth + 1)


class Sieve:
    """Immutable; of the names of a matcher."""

    def __init__(self, matcher: NameMatcher) -> None:
        self._matcher = matcher
        self._automaton = _automaton(matcher.patterns())

    def passes(self, told: Mapping[str, Any] | None) -> bool:
        """Whether a prompt with this skeleton may hold a name; also where that cannot be told."""
        told = told or {}
        letters, runs = str(told.get("letters", "")), str(told.get("runs", ""))
        version_of = str(told.get("v", "")) if "letters" in told else ""
        return bool(self.passing([version_of], [letters], [runs]))

    def passing(self, versions: Sequence[str], letters: Sequence[str], runs: Sequence[str]) -> set[int]:
        """Which of many skeletons pass, by their place. They are asked together: a million take seconds.

        ``runs``: the lines of each. A skeleton of another version (empty: none) always passes.
        """
        if self._automaton is None:
            return set()
        mine = version()
        found = {place for place, one in enumerate(versions) if one != mine}
        found |= {place for place, _ in _hits(self._automaton, letters, BETWEEN)}
        left = [place for place in range(len(runs)) if place not in found]
        for group in _groups(left, [len(runs[place]) for place in left]):
            words, lines = parsed([runs[place] for place in group])
            owners = np.repeat(group, [runs[place].count(BETWEEN) + 1 for place in group])[lines]
            found |= {int(owners[first]) for _, first, _, _ in self._matcher.near(words, every=True)}
            found |= {int(owners[places[0]]) for _, places in self._matcher.separate(words, owners, owners)}
        return found


def _groups(places: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """The places in groups of some thousand letters together."""
    group: list[int] = []
    total = 0
    for place, size in zip(places, sizes, strict=True):
        group.append(place)
        total += size
        if total >= LETTERS_AT_ONCE:
            yield group
            group, total = [], 0
    if group:
        yield group


def _automaton(patterns: Collection[str]) -> AhoCorasick | None:
    return AhoCorasick(sorted(patterns)) if patterns else None


def _hits(automaton: AhoCorasick, texts: Sequence[str], between: str) -> Iterator[tuple[int, int]]:
    """Where patterns are found in texts that are asked together: which text, and where it begins."""
    ends = list(accumulate(len(text) + len(between) for text in texts))
    for _, start, _ in automaton.find_matches_as_indexes(between.join(texts)):
        place = bisect_right(ends, start)
        yield place, start - (ends[place - 1] if place else 0)
