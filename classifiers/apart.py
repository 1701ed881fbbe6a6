"""Names whose words stand apart: the family name first, before a comma; words in between; told over turns.

Of a name of several words, those count that are no ordinary ones; two at least must be left, and all of them
must stand in the prompt or in the turns before it, in any order: near each other where one of them is seen
now and then (as "Taylor" and "swift" are), anywhere where none is. The table of forms knows such a name by
the longest of these words. It is never sure: a person should look.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.ambiguity import use_of
from classifiers.forms import Hashes, Places, letters_scattered, running, salted, stretches
from classifiers.lines import APART, Words, notable

Numbers = NDArray[np.integer]

MIN_PART: Final = 3  # letters
SCORE: Final = 0.6
SELDOM: Final = 3.5  # Zipf: words that meet in a prompt for no other reason
REACH: Final = 4  # words from one to the next of a name with a word that is less seldom


def parts(words: Sequence[str]) -> list[str]:
    """Those words of a name by which it is known when they stand apart; none where there are not two."""
    found = [word for word in words if len(word) >= MIN_PART and notable(word)] if len(words) > 1 else []
    return found if len(set(found)) > 1 else []


def word_keys(words: Words) -> tuple[Places, Hashes]:
    """The words by which such a name may be known, and their keys."""
    chosen = (words.notable & (words.ends - words.starts >= MIN_PART)).nonzero()[0]
    sums = running(letters_scattered(words.codes))
    return chosen, salted(stretches(sums, words.starts[chosen], words.ends[chosen]), APART)


class Groups:
    """Words in groups (prompts), and where in its group each stands."""

    def __init__(self, words: Words, groups: Numbers, turns: Numbers) -> None:
        """``groups[n]``, ``turns[n]``: of each word, in order; words of two turns are never near."""
        self._words, self._groups, self._turns = words, groups, turns
        self._told: dict[int, dict[str, list[int]]] = {}

    def places(self, word: int, wanted: Sequence[str]) -> list[int]:
        """Where the wanted words stand in the group of `word`, one place each; none where one is missing."""
        told = self._of(int(self._groups[word]))
        if not wanted or any(part not in told for part in wanted):
            return []
        if all(use_of(part) < SELDOM for part in wanted):
            return [told[part][0] for part in wanted]
        return next(filter(None, (self._about(place, wanted) for place in told[wanted[0]])), [])

    def _about(self, place: int, wanted: Sequence[str]) -> list[int]:
        """Where the wanted words stand about a place of the first of them; none where one is too far."""
        around = range(max(0, place - REACH), min(len(self._turns), place + REACH + 1))
        near = {
            self._words.pieces(one, one)[0]: one
            for one in around if self._turns[one] == self._turns[place]
        }  # fmt: skip
        return [near[part] for part in wanted] if all(part in near for part in wanted) else []

    def _of(self, group: int) -> dict[str, list[int]]:
        if group not in self._told:
            begin, end = np.searchsorted(self._groups, (group, group + 1))
            told: dict[str, list[int]] = {}
            for word in (self._words.notable[begin:end].nonzero()[0] + begin).tolist():
                told.setdefault(self._words.pieces(word, word)[0], []).append(word)
            self._told[group] = told
        return self._told[group]
