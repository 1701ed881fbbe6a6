"""Names with one letter wrong, missing, doubled or swapped, without comparing with every name.

Every name of five letters or more is indexed under itself with each single letter left out; one edit shows in
a shared form (as in SymSpell). Only runs of words of which one is no known word are looked up, so ordinary
sentences cost next to nothing and hit nothing.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from rapidfuzz.distance import OSA

from classifiers.ambiguity import frequency
from classifiers.base import NameEntry, NameTier
from classifiers.normalise import HEAVY, SOFT, Reading

MIN_LETTERS: Final = 5
SHORT: Final = 5  # a name of so few letters must begin as written, and what is written be no word at all
UNKNOWN: Final = 1.5  # Zipf
MAX_WORDS: Final = 4  # words that a misspelt name may be written in
RARE: Final = 2.6  # Zipf: above it, the word is meant as written


class TypoIndex:
    """The names that block alone, findable with one mistake.

    Forms are kept as their hashes, in order, with the name that each belongs to: 12 bytes a form instead of
    some 230 for texts. That a name is really so near is seen by comparing it.
    """

    def __init__(self, names: Sequence[tuple[str, NameEntry]]) -> None:
        self._names: dict[str, list[NameEntry]] = {}
        for letters, entry in names:
            if len(letters) >= MIN_LETTERS and entry.tier != NameTier.CONTEXT:
                self._names.setdefault(letters, []).append(entry)
        self._letters = list(self._names)
        found, counts = array("q"), array("i")
        for letters in self._letters:
            forms = {letters, *_shorter(letters)}
            found.extend(map(hash, forms))
            counts.append(len(forms))
        hashes = np.array(found, np.int64)
        owners = np.repeat(np.arange(len(counts), dtype=np.int32), np.array(counts, np.intp))
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]
        self._longest = max(map(len, self._names), default=0) + 1

    def near(self, reading: Reading) -> Iterator[tuple[NameEntry, int, int, float]]:
        """Names one mistake off: entry, first and last character of the text, score 0..1."""
        if not self._names:
            return
        runs = list(strange_runs(reading, self._longest))
        for (start, end), candidates in zip(runs, self._candidates(reading, runs), strict=True):
            yield from self._entries(reading, start, end, candidates)

    def may_hold(self, written: str) -> bool:
        """Whether one of `strange_runs` may be a name with a mistake; False is certain."""
        if not MIN_LETTERS - 1 <= len(written) <= self._longest:
            return False
        hashes = np.array([hash(form) for form in (written, *_shorter(written))], np.int64)
        first, last = (np.searchsorted(self._hashes, hashes, side) for side in ("left", "right"))
        return bool((last > first).any())

    def patterns(self) -> set[str]:
        """Of every name what is left of it with one mistake, a line break standing for where a run ends.

        A mistake in one half leaves the other whole, at its end; two letters swapped where the halves meet
        make one text.
        """
        found = set[str]()
        for name in self._letters:
            half = len(name) // 2
            swapped = name[: half - 1] + name[half] + name[half - 1] + name[half + 1 :]
            found |= {f"\n{name[:half]}", f"{name[half:]}\n", f"\n{swapped}\n"}
        return found

    def _candidates(self, reading: Reading, runs: Sequence[tuple[int, int]]) -> list[set[str]]:
        """For each run the names that share a form with it; all are looked up at once."""
        written = [reading.letters[start:end] for start, end in runs]
        forms = [(run, form) for run, text in enumerate(written) for form in (text, *_shorter(text))]
        hashes = np.fromiter((hash(form) for _, form in forms), np.int64, len(forms))
        first, last = (np.searchsorted(self._hashes, hashes, side) for side in ("left", "right"))
        found: list[set[str]] = [set() for _ in runs]
        for place in np.flatnonzero(last > first):
            owners = self._owners[first[place] : last[place]]
            found[forms[place][0]] |= {self._letters[owner] for owner in owners}
        return found

    def _entries(
        self, reading: Reading, start: int, end: int, candidates: set[str]
    ) -> Iterator[tuple[NameEntry, int, int, float]]:
        written = reading.letters[start:end]
        for name in candidates:
            if len(name) <= SHORT and (name[0] != written[0] or frequency(written) >= UNKNOWN):
                continue
            if name != written and OSA.distance(name, written, score_cutoff=1) == 1:
                place = reading.starts[start], reading.ends[end - 1]
                for entry in self._names[name]:
                    yield entry, *place, 1 - 1 / len(name)


def strange_runs(reading: Reading, longest: int) -> Iterator[tuple[int, int]]:
    """First and last letter of the runs of words, of `longest` letters at most, that may be misspelt."""
    words = _words(reading)
    strange = [frequency(reading.letters[start:end]) < RARE for start, end in words]
    for first in range(len(words)):
        for last in range(first, min(first + MAX_WORDS, len(words))):
            start, end = words[first][0], words[last][1]
            if (last > first and reading.gaps[words[last][0]] == HEAVY) or end - start > longest:
                break
            if end - start >= MIN_LETTERS - 1 and any(strange[first : last + 1]):
                yield start, end


def _shorter(word: str) -> set[str]:
    return {word[:place] + word[place + 1 :] for place in range(len(word))}


def _words(reading: Reading) -> list[tuple[int, int]]:
    starts = [place for place, gap in enumerate(reading.gaps[:-1]) if gap > SOFT]
    return list(pairwise([*starts, len(reading.letters)]))
