"""Where a name may begin and end in a reading, and which coincidences are none of a name's business."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.ambiguity import FAMILIAR, KNOWN, frequency
from classifiers.forms import Places
from classifiers.normalise import HEAVY, JOINED, SOFT, Reading
from classifiers.stack import Stack

MIN_LOOSE: Final = 4  # letters of a name that may end before a plural s, a digit or a capital
MIN_PIECED: Final = 4  # letters of a name that common words may add up to
MIN_BROKEN: Final = 6  # letters of a name that a line or a bracket may break where it has no gap
FREQUENT: Final = 5.5  # Zipf: words that stand beside each other by chance, as "and or" for "Andor"
_UNSPACED: Final = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "HANGUL")


_NO_WORD, _NUMBER, _LOWER, _UPPER, _LETTER = range(5)  # kinds of characters
_KINDS: Final = np.array(
    [
        _NO_WORD if not chr(code).isalnum() else _NUMBER if not chr(code).isalpha()
        else _LOWER if chr(code).islower() else _UPPER
        for code in range(128)
    ],
    np.uint8,
)  # fmt: skip
_IN_STYLE: Final = "スタイル"
_PLURAL: Final = ord("s")
PAIRS_AT_ONCE: Final = 1 << 17

Kinds = NDArray[np.uint8]


def kinds_of(text: str) -> Kinds:
    """What each character of a text is, for `edges`."""
    if text.isascii():
        return _KINDS[np.frombuffer(text.encode(), np.uint8)]
    return np.frombuffer(bytes(map(_kind, text)), np.uint8)


def edges(stack: Stack, kinds: Kinds) -> tuple[Places, Places]:
    """Letters of readings at which a name may begin, and those before which one may end.

    A few of them `Region.whole` refuses; it allows no other. `kinds`: of the whole text.
    """
    open_ = stack.gaps != JOINED
    before, after = kinds[stack.ends[:-1] - 1], kinds[stack.starts[1:]]
    loose = (before == _NO_WORD) | (after == _NO_WORD) | ((before == _NUMBER) != (after == _NUMBER))
    open_[1:-1] |= loose | ((before == _LOWER) & (after == _UPPER))
    ends = open_.copy()
    ends[:-1] |= (stack.codes == _PLURAL) & (stack.gaps[1:] != JOINED)
    for place in stack.foreign():
        if not open_[place]:
            pair = stack.letters[place - 1], stack.letters[place]
            open_[place] = _unspaced(*pair)
            particle = _hangul(pair[0]) and _hangul(pair[1])
            ends[place] |= open_[place] or particle or stack.letters.startswith(_IN_STYLE, place)
    return open_[:-1].nonzero()[0], ends[1:].nonzero()[0] + 1


def marks(stack: Stack, kinds: Kinds) -> Places:
    """How many letters before each letter show that a disguise was undone: a sign, or a repeated letter."""
    signs = kinds[stack.starts] != _LOWER
    repeated = stack.ends - stack.starts > 1
    return np.concatenate((np.zeros(1, np.intp), np.cumsum(signs | repeated)))


def pairs(stack: Stack, kinds: Kinds, longest: int) -> Iterator[tuple[Places, Places]]:
    """Every start with every end up to `longest` letters further on in the same reading, some thousands at a
    time.
    """
    starts, ends = edges(stack, kinds)
    stops = np.minimum(starts + longest, stack.stop[starts])
    first, last = np.searchsorted(ends, starts, "right"), np.searchsorted(ends, stops, "right")
    counts = last - first
    total = counts.cumsum()
    at = 0
    while at < len(starts):
        done = total[at - 1] if at else 0
        upto = max(at + 1, int(np.searchsorted(total, done + PAIRS_AT_ONCE, "right")))
        some = counts[at:upto]
        begins = np.repeat(some.cumsum() - some, some)
        places = np.arange(some.sum()) - begins + np.repeat(first[at:upto], some)
        yield np.repeat(starts[at:upto], some), ends[places]
        at = upto


@lru_cache(maxsize=1 << 16)
def _kind(letter: str) -> int:
    if not letter.isalnum():
        return _NO_WORD
    if not letter.isalpha():
        return _NUMBER
    return _LOWER if letter.islower() else _UPPER if letter.isupper() else _LETTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The letters ``start`` to ``end`` of a reading of ``text``."""

    reading: Reading
    text: str
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """The characters of the text, with marks on the last letter."""
        end = self.reading.ends[self.end - 1]
        while end < len(self.text) and unicodedata.category(self.text[end]) in ("Mn", "Me"):
            end += 1
        return self.reading.starts[self.start], end

    @property
    def quote(self) -> str:
        """What stands in the text."""
        start, end = self.span
        return self.text[start:end]

    def whole(self, letters: int) -> bool:
        """Whether it begins and ends where words do; `letters`: of the name."""
        return self._boundary(self.start, letters) and (
            self._boundary(self.end, letters) or self._plural(letters) or self._particle()
        )

    def natural(self, breaks: frozenset[int]) -> bool | None:
        """How a name whose own gaps are `breaks` is written: True for surely meant, None for an accident."""
        gaps = self.reading.gaps[self.start + 1 : self.end]
        if not any(gaps):
            return True
        extra = [place for place, gap in enumerate(gaps, 1) if gap > SOFT and place not in breaks]
        heavy = HEAVY in gaps
        if not extra and not heavy:
            return True
        pieces = self._pieces()
        if all(len(piece) == 1 for piece in pieces):
            return True
        ordinary = all(_familiar(piece) for piece in pieces)
        if heavy and extra:  # "he bows, Erik laughs"; but "Zor/blatt" is nothing else
            return None if ordinary or self.end - self.start < MIN_BROKEN else False
        if heavy:
            return None if ordinary else False
        if not ordinary:
            return True
        chance = all(frequency(piece) >= FREQUENT for piece in pieces)
        return None if chance or self.end - self.start < MIN_PIECED else False

    def disguised(self, letters: str = "") -> bool:
        """Whether it is written with signs for letters, or (given the name) with letters repeated."""
        quote = self.quote
        gaps = self.reading.gaps[self.start + 1 : self.end]
        if HEAVY in gaps and any(len(piece) > 1 for piece in self._pieces()):
            return False
        if letters:
            return _repeats(quote, letters)
        strange = any(not (sign.isascii() and sign.isalpha()) for sign in quote if not sign.isspace())
        swapped = "I" in quote[1:]  # for l
        return (strange or swapped) and any(map(str.isalpha, quote)) and frequency(quote.lower()) < KNOWN

    def _pieces(self) -> list[str]:
        """The parts that gaps divide it into, as read."""
        pieces = [""]
        for place in range(self.start, self.end):
            if place > self.start and self.reading.gaps[place] > SOFT:
                pieces.append("")
            pieces[-1] += self.reading.letters[place]
        return pieces

    def _boundary(self, place: int, letters: int) -> bool:
        reading = self.reading
        if reading.gaps[place] != JOINED:
            return True
        before, after = reading.letters[place - 1], reading.letters[place]
        if not (before.isascii() and after.isascii()) and _unspaced(before, after):
            return True
        return letters >= MIN_LOOSE and self._loose(place)

    def _loose(self, place: int) -> bool:
        """Between a letter and a digit or sign, or before a capital inside a word, as in MarioKart64."""
        before = self.text[self.reading.ends[place - 1] - 1]
        after = self.text[self.reading.starts[place]]
        if not (before.isalnum() and after.isalnum()):
            return True
        return before.isalpha() != after.isalpha() or (before.islower() and after.isupper())

    def _plural(self, letters: int) -> bool:
        """Before an s that ends a word, unless the two make an ordinary word."""
        reading = self.reading
        ends = self.end < len(reading.letters) and reading.letters[self.end] == "s"
        if letters < MIN_LOOSE or not ends or reading.gaps[self.end + 1] == JOINED:
            return False
        return not _familiar(self._last_piece() + "s")

    def _particle(self) -> bool:
        """Korean names carry particles without a space, and Japanese ones the word for a style."""
        letters, end = self.reading.letters, self.end
        return (_hangul(letters[end - 1]) and _hangul(letters[end])) or letters.startswith(_IN_STYLE, end)

    def _last_piece(self) -> str:
        return self._pieces()[-1]


def _repeats(quote: str, name: str) -> bool:
    """Whether `quote` is `name` with letters repeated, not with letters missing, and no ordinary word."""
    written = re.sub(r"[\W_]+", "", quote.lower())
    if written == name or frequency(written) >= 2.5:
        return False
    runs, wanted = _runs(written), _runs(name)
    return len(runs) == len(wanted) and all(
        have >= need if letter.isalpha() else have == need
        for (letter, have), (_, need) in zip(runs, wanted, strict=True)
    )


def _runs(word: str) -> list[tuple[str, int]]:
    runs: list[tuple[str, int]] = []
    for letter in word:
        if runs and runs[-1][0] == letter:
            runs[-1] = (letter, runs[-1][1] + 1)
        else:
            runs.append((letter, 1))
    return runs


def _familiar(piece: str) -> bool:
    return frequency(piece) >= FAMILIAR


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return next((script for script in _UNSPACED if name.startswith(script)), "")


def _hangul(letter: str) -> bool:
    return _script(letter) == "HANGUL"


@lru_cache(maxsize=1 << 16)
def _unspaced(before: str, after: str) -> bool:
    """Whether a word may end between these two without a space."""
    first, second = _script(before), _script(after)
    if "HANGUL" in (first, second):
        return first != second
    if first == second == "KATAKANA":
        return False
    return bool(first or second)
