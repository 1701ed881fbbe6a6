"""Readings as words, and the keys under which a name that is not quite written out is looked up.

A *line* is a reading as one text: before each word one sign, which says whether something ends a thought
there and whether the word is *strange* (hardly anybody writes it, or *foreign*: in another script, read by
its sound) or *notable* (no ordinary English word). Lines are kept with stored prompts (`classifiers.sieve`).
Keys of windows of words, of prompts and of lines alike, are made here and nowhere else:

1. SHORT: a window with a strange word, and what is left of it without one letter; names of 4 and 5 letters;
2. LONG: the first and the last four letters of a window, and what is left without one or two; longer names;
3. SOUND: the coarse sounds of a window with a strange word (`classifiers.sounds`);
4. BAG: the letters of a window in no order.

APART is a key of single words (`classifiers.apart`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.ambiguity import common_word, known_elsewhere, use_of
from classifiers.forms import (
    Codes,
    Hashes,
    Places,
    codes_of,
    letters_scattered,
    rows,
    running,
    salted,
    scattered,
    stretches,
    without,
)
from classifiers.normalise import HEAVY, SOFT, Reading
from classifiers.sounds import Flags, opening, sounds
from classifiers.stack import Stack

SHORT, LONG, SOUND, BAG, APART = range(8, 13)
"""Ways in which a name may be near; numbers are salts of the table of forms."""
MIN_SHORT: Final = 4  # letters of a name that is looked for with one mistake
MIN_LONG: Final = 6  # letters of one that is looked for with two
OUTER: Final = 8  # letters at the two ends of a name of which one or two may be wrong
_PLACES: Final = np.arange(OUTER)
MIN_SOUND: Final = 4
MIN_SOUNDS: Final = 2
MIN_BAG: Final = 5
MAX_WORDS: Final = 4  # words that a misspelt name may be written in
MAX_BAG_WORDS: Final = 5
RARE: Final = 2.6  # Zipf: above it, a word is meant as written
_BAG_SALT: Final = 77
_KINDS: Final = 5  # of words
_ORDINARY, _STRANGE, _NOTABLE, _FOREIGN, _FUNCTION = range(_KINDS)
_SIGNS: Final = " *+~.|!?^:"  # by kind, after a light gap and after a heavy one
_FUNCTION_USE: Final = 6.3  # Zipf: words such as "in" and "with", with which no name begins or ends
_BEGINS: Final = "the"  # but for this one
_ASCII: Final = 128
_NEWLINE: Final = "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of some readings. ``letters``, ``codes``: all letters; per word its place in them and what it
    is.
    """

    letters: str
    codes: Codes
    starts: Places
    ends: Places
    heavy: Flags
    strange: Flags
    notable: Flags
    foreign: Flags
    function: Flags

    def uses(self, first: int, last: int) -> list[float]:
        """How usual each of the words from one to another is (Zipf); -1 for a foreign one."""
        found = []
        for number, piece in enumerate(self.pieces(first, last), first):
            use = use_of(piece) if self.strange[number] else max(use_of(piece), RARE)
            found.append(-1.0 if self.foreign[number] else use)
        return found

    def pieces(self, first: int, last: int) -> list[str]:
        """The words from one to another, both included."""
        ends = self.ends[first : last + 1].tolist()
        return [self.letters[a:b] for a, b in pairwise([int(self.starts[first]), *ends])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys of windows: the way, the first and the last word of each."""

    ways: NDArray[np.intp]
    hashes: Hashes
    first: Places
    last: Places


@lru_cache(maxsize=1 << 17)
def _kind(word: str) -> int:
    if use_of(word) < RARE:
        return _STRANGE
    if use_of(word) >= _FUNCTION_USE and word != _BEGINS:
        return _FUNCTION
    return _ORDINARY if common_word(word) else _NOTABLE


def notable(word: str) -> bool:
    """Whether a word is no ordinary English one, as letters that were folded."""
    return _kind(word) not in (_ORDINARY, _FUNCTION)


def joined(parts: Sequence[Words]) -> tuple[Words, NDArray[np.intp]]:
    """The words of several as those of one, and of which each is."""
    letters = [part.letters[: len(part.codes)] for part in parts]
    before = np.cumsum([0, *map(len, letters)])[:-1]
    flags = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("codes", "heavy", "strange", "notable", "foreign", "function")
    }
    words = Words(
        letters="".join(letters), **flags,
        starts=np.concatenate([part.starts + at for part, at in zip(parts, before, strict=True)]),
        ends=np.concatenate([part.ends + at for part, at in zip(parts, before, strict=True)]),
    )  # fmt: skip
    return words, np.repeat(np.arange(len(parts)), [len(part.starts) for part in parts])


def _kind_far(written: str) -> int:
    """What a word in another script is, as it is written there: foreign, or usual in a language."""
    return _ORDINARY if known_elsewhere(written.lower()) else _FOREIGN


def _words(codes: Codes, letters: str, kind: NDArray[np.integer], **places: NDArray[Any]) -> Words:
    return Words(
        letters=letters, codes=codes, strange=(kind == _STRANGE) | (kind == _FOREIGN),
        notable=(kind != _ORDINARY) & (kind != _FUNCTION), foreign=kind == _FOREIGN,
        function=kind == _FUNCTION, **places,
    )  # fmt: skip


def _spans(reading: Reading) -> list[tuple[int, int]]:
    starts = [place for place, gap in enumerate(reading.gaps[:-1]) if gap > SOFT]
    return list(pairwise([*starts, len(reading.letters)])) if reading.letters else []


def line_of(reading: Reading, text: str) -> str:
    """A reading of a text as a line."""
    pieces = []
    for start, end in _spans(reading):
        word = reading.letters[start:end]
        begin, stop = reading.starts[start], reading.ends[end - 1]
        far = word[0].isascii() and not text[begin].isascii()
        kind = _kind_far(text[begin:stop]) if far else _kind(word)
        pieces.append(_SIGNS[kind + _KINDS * (reading.gaps[start] == HEAVY)] + word)
    return "".join(pieces)


def words_of(stack: Stack, upto: int, text: str) -> Words:
    """The words of the first readings of a text in a stack, which have so many letters together."""
    starts = (stack.gaps[:upto] > SOFT).nonzero()[0]
    ends = np.append(starts[1:], upto)[: len(starts)]
    places = zip(starts.tolist(), ends.tolist(), strict=True)
    kind = np.array([_kind(stack.letters[begin:end]) for begin, end in places], np.uint8)
    if not text.isascii():
        far = (codes_of(text)[stack.starts[starts]] >= _ASCII) & (stack.codes[starts] < _ASCII)
        for word in far.nonzero()[0].tolist():
            kind[word] = _kind_far(text[stack.starts[starts[word]] : stack.ends[ends[word] - 1]])
    return _words(
        stack.codes[:upto], stack.letters, kind, starts=starts, ends=ends, heavy=stack.gaps[starts] == HEAVY
    )


def parsed(lines: Sequence[str]) -> tuple[Words, Places]:
    """The words of lines, and for each word the number of its line."""
    codes = codes_of(_NEWLINE.join(lines))
    sign = np.full(_ASCII, -1, np.int8)
    for number, mark in enumerate(_SIGNS):
        sign[ord(mark)] = number
    signs = np.where(codes < _ASCII, sign[np.where(codes < _ASCII, codes, 0)], -1)
    breaks = codes == ord(_NEWLINE)
    begins = (signs >= 0).nonzero()[0]
    told = (signs < 0) & ~breaks
    places = told.cumsum() - told  # of each character, the letters before it
    starts = places[begins].astype(np.intp)
    kind, letters = signs[begins], codes[told]
    words = _words(
        letters, letters.tobytes().decode("utf-32-le", "surrogatepass"), kind % _KINDS, starts=starts,
        ends=np.append(starts[1:], len(letters)).astype(np.intp)[: len(starts)], heavy=kind >= _KINDS,
    )  # fmt: skip
    return words, breaks.cumsum()[begins]


def windows(words: Words, most: int, longest: int) -> tuple[Places, Places]:
    """The first and the last word of each run of up to `most` words, of `longest` letters at most, in which
    no thought ends.
    """
    count = len(words.starts)
    ended = words.heavy.cumsum()
    first = np.arange(count)[:, None]
    last = first + np.arange(most)
    inside = np.minimum(last, count - 1)
    whole = (last < count) & (ended[inside] == ended[:, None])
    whole &= words.ends[inside] - words.starts[:, None] <= longest
    begin, further = np.nonzero(whole)
    return begin, begin + further


def near_keys(words: Words, longest: int) -> Keys | None:
    """The keys of all windows; `longest`: letters of the longest name."""
    if not len(words.starts):
        return None
    values = letters_scattered(words.codes)
    first, last = windows(words, MAX_BAG_WORDS, longest + 2)
    start, end = words.starts[first], words.ends[last]
    size = end - start
    few = (last - first < MAX_WORDS) & ~words.function[first] & ~words.function[last]
    odd = few & _any(words.strange, first, last)
    found: list[tuple[int, Hashes, Places, Places]] = []
    chosen = np.flatnonzero((size >= MIN_BAG) & ((last > first) | odd))
    found.append((BAG, bagged(words.codes, start[chosen], end[chosen]), first[chosen], last[chosen]))
    if odd.any():
        chosen = (odd & (size >= MIN_SHORT - 1) & (size <= MIN_LONG)).nonzero()[0]
        hashes = shortened(values, start[chosen], end[chosen], MIN_LONG)
        found.append((SHORT, hashes, first[chosen], last[chosen]))
        chosen = (odd & (size >= MIN_SOUND - 1)).nonzero()[0]
        hashes, counts = sounded(words.codes, words.starts, start[chosen], end[chosen])
        chosen, hashes = chosen[counts >= MIN_SOUNDS], hashes[counts >= MIN_SOUNDS]
        found.append((SOUND, hashes, first[chosen], last[chosen]))
    notable = few & _any(words.notable, first, last) & (size >= MIN_LONG - 2)
    for which, mistakes in ((notable & odd, 2), (notable & ~odd, 1)):
        hashes = outer(values, start[which], end[which], mistakes)
        found.append((LONG, hashes, first[which], last[which]))
    each = [hashes.size // max(1, len(begin)) for _, hashes, begin, _ in found]
    ways = np.repeat([way for way, *_ in found], [hashes.size for _, hashes, *_ in found])
    return Keys(
        ways=ways, hashes=salted(np.concatenate([hashes.ravel() for _, hashes, *_ in found]), ways),
        first=np.concatenate([np.repeat(one[2], times) for one, times in zip(found, each, strict=True)]),
        last=np.concatenate([np.repeat(one[3], times) for one, times in zip(found, each, strict=True)]),
    )  # fmt: skip


def _any(flags: Flags, first: Places, last: Places) -> Flags:
    counted = np.concatenate(([0], flags.cumsum()))
    return np.asarray(counted[last + 1] > counted[first])


def shortened(values: Hashes, starts: Places, ends: Places, width: int) -> Hashes:
    """``uint64[n, width + 1]``: the hashes of stretches of up to `width` letters, whole and without one."""
    return np.asarray(rows(values, starts, ends, width) @ without(width, 1), np.uint64)


def outer(values: Hashes, starts: Places, ends: Places, mistakes: int) -> Hashes:
    """``uint64[n, 9 or 37]``: the hashes of the first and the last four letters, whole and without one or
    (for two mistakes) two of them.
    """
    places = np.where((ends - starts <= OUTER)[:, None], starts[:, None], (ends - OUTER)[:, None]) + _PLACES
    places[:, : OUTER // 2] = starts[:, None] + _PLACES[: OUTER // 2]
    inside = places < ends[:, None]
    letters = np.where(inside, values[np.minimum(places, len(values) - 1)], 0)
    return np.asarray(letters @ without(OUTER, mistakes), np.uint64)


def alphabets(codes: Codes, starts: Places, ends: Places) -> NDArray[np.uint32]:
    """Which letters each stretch has, a bit for each (some of other scripts share one)."""
    bits = np.append(np.uint32(1) << (codes & np.uint32(31)), np.uint32(0))
    edges = np.empty(2 * len(starts), np.intp)
    edges[::2], edges[1::2] = starts, ends
    return np.bitwise_or.reduceat(bits, edges)[::2] if len(starts) else np.zeros(0, np.uint32)


def sounded(codes: Codes, begins: Places, starts: Places, ends: Places) -> tuple[Hashes, NDArray[np.intp]]:
    """The hashes of the sounds of stretches, and how many sounds each has; ``begins``: of all words."""
    opens = np.zeros(len(codes), bool)
    opens[begins] = True
    classes, counts = sounds(codes, opens)
    before = np.concatenate(([0], counts.cumsum())).astype(np.intp)
    sums = running(scattered(classes[counts]))
    hashes = stretches(sums, before[starts], before[ends]) + scattered(opening(codes[starts]))
    return hashes, before[ends] - before[starts]


def bagged(codes: Codes, starts: Places, ends: Places) -> Hashes:
    """The hashes of the letters of stretches, in whatever order they stand."""
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(scattered(codes + np.uint32(_BAG_SALT)), out=sums[1:])
    return np.asarray(sums[ends] - sums[starts], np.uint64)
