"""Names that everybody knows: persons in politics, other persons, works and their characters, brands.

The lists were written by hand; they are signs for the classifier and give it words to show, no registry: who
wants to be protected registers. A name that is made of common words, or is marked with ``^`` in its list,
counts only with its capitals.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from ahocorasick_rs import AhoCorasick, MatchKind

from classifiers.ambiguity import tier_of
from classifiers.base import NameTier
from classifiers.errors import ModelUnusable
from classifiers.normalise import fold

POLITICIANS: Final = "politicians"
CELEBRITIES: Final = "celebrities"
WORKS: Final = "works"
BRANDS: Final = "brands"
LISTS: Final = (POLITICIANS, CELEBRITIES, WORKS, BRANDS)
CAPITALS: Final = "^"
_FOLDER: Final = "lists"
_EDGE: Final = re.compile(r"[A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A known name in a text: which list it is in, and the characters it takes."""

    list: str
    start: int
    end: int


@cache
def names(which: str) -> tuple[str, ...]:
    """The names of a list, as they are written."""
    return tuple(line.removesuffix(CAPITALS) for line in _lines(which))


@cache
def _lines(which: str) -> tuple[str, ...]:
    text = files("classifiers.unsafe").joinpath(_FOLDER, f"{which}.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)


class KnownNames:
    """Finds known names; ``left_out``: names to do without, so that a fit cannot lean on the lists alone."""

    def __init__(self, left_out: frozenset[str] = frozenset()) -> None:
        rows = {
            fold(line.removesuffix(CAPITALS)).text: (which, line)
            for which in LISTS
            for line in _lines(which)
            if line.removesuffix(CAPITALS) not in left_out
        }
        self._rows = list(rows.values())
        self._capital = [_needs_capital(line) for _, line in self._rows]
        self._find = AhoCorasick(list(rows), matchkind=MatchKind.LeftmostLongest)

    def find(self, text: str) -> Iterator[Known]:
        """The known names in `text`, in order; none overlaps another."""
        folded = fold(text.encode("utf-8", "replace").decode())  # a lone surrogate is no character
        for row, start, end in self._find.find_matches_as_indexes(folded.text):
            if not _whole(folded.text, start, end):
                continue
            first, last = folded.starts[start], folded.ends[end - 1]
            if self._capital[row] and not _capitals(text[first:last]):
                continue
            yield Known(list=self._rows[row][0], start=first, end=last)


def _whole(text: str, start: int, end: int) -> bool:
    """Whether words begin and end there; scripts without spaces have no such edges."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (
        (_EDGE.match(before) and _EDGE.match(text[start]))
        or (_EDGE.match(after) and _EDGE.match(text[end - 1]))
    )


def _needs_capital(line: str) -> bool:
    return line.endswith(CAPITALS) or (line.isascii() and tier_of(line) is NameTier.CONTEXT)


def _capitals(text: str) -> bool:
    return any(letter.isupper() for letter in text)


def demand() -> None:
    """Raises: ModelUnusable where a list is missing or empty: what it is a sign of would not be seen."""
    for which in LISTS:
        try:
            found = _lines(which)
        except (OSError, UnicodeDecodeError) as error:
            raise ModelUnusable(f"the list {which}.txt cannot be read ({error}); install it again") from None
        if not found:
            raise ModelUnusable(f"the list {which}.txt is empty; install countermark again")


@cache
def default() -> KnownNames:
    """The finder with all names."""
    return KnownNames()
