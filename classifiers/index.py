"""All names of a layer and the table of their forms; built with arrays, some thousand names at a time.

A form is what a way of reading a prompt makes of a name:
1. PLAIN: its letters, the same with letters of other scripts as what they look like, and backwards and
rotated by 13; and the context words of names that need one;
2. LEET: with look-alike signs as one; 3. SINGLE: with repeated letters as one;
4. the keys of names that are not quite written out (`classifiers.lines`).

Of a name only its letters are kept; what else is asked about it is made again from the entry.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers import apart
from classifiers.ambiguity import frequency
from classifiers.base import NameEntry, NameTier
from classifiers.forms import (
    MAX_OWNERS,
    Codes,
    Forms,
    FormTable,
    Hashes,
    Places,
    codes_of,
    running,
    salted,
    scattered,
    stretches,
)
from classifiers.lines import (
    APART,
    BAG,
    LONG,
    MIN_BAG,
    MIN_LONG,
    MIN_SHORT,
    MIN_SOUND,
    MIN_SOUNDS,
    SHORT,
    SOUND,
    alphabets,
    bagged,
    outer,
    shortened,
    sounded,
)
from classifiers.normalise import LIGHT, by_look, fold, key, squeezed
from classifiers.sounds import Flags

PLAIN, LEET, SINGLE = range(3)
MIN_DISGUISED: Final = 4  # letters of a name that is also looked for in leet and with repeats
MIN_CODED: Final = 4  # letters of a name that is also looked for backwards and rotated
CODED_USE: Final = 1.5  # Zipf: what is a word itself is no name backwards; longer ones from KNOWN on
AT_ONCE: Final = 4096  # names
MAX_FORMS: Final = 5 + 1 + 37 + 1 + 1 + 1  # of one name: ways 1 to 3, LONG, SOUND, BAG, APART, how it looks
LEET_SIGNS: Final = {
    ord(mark): letter
    for mark, letter in zip("013456789@$€£!|¡+§(<²", "oieasgtbgaseiiiitscc2", strict=True)
} | {ord("l"): "i", ord("2"): "z"}  # fmt: skip
_LEET_CODES: Final = np.arange(256, dtype=np.uint32)
for _sign, _letter in LEET_SIGNS.items():
    if _sign < len(_LEET_CODES):
        _LEET_CODES[_sign] = ord(_letter)
_ROTATED: Final = np.arange(256, dtype=np.uint32)
for _place in range(26):
    _ROTATED[ord("a") + _place] = ord("a") + (_place + 13) % 26
_WORD: Final = re.compile(r"[^\W_]+")
_PLAIN_TEXT: Final = re.compile(r"[A-Za-z0-9 '.,:!?()&-]*")  # without escapes, so that folding is lower case


class NameIndex:
    """The names that have letters, by number, and their forms. Immutable."""

    def __init__(self, names: Sequence[NameEntry]) -> None:
        self.entries: tuple[NameEntry, ...] = tuple(names)
        needed = {key(word) for entry in names if entry.tier == NameTier.CONTEXT for word in entry.context}
        self.context = sorted(needed - {""})
        if len(self.entries) + len(self.context) > MAX_OWNERS:
            raise ValueError(f"more than {MAX_OWNERS} names in one layer")
        forms = Forms(MAX_FORMS * len(self.entries) + len(self.context))
        told = [self._gather(at, forms) for at in range(0, len(self.entries), AT_ONCE)]
        sizes = np.concatenate([sizes for _, sizes, _ in told] or [np.zeros(0, np.intp)])
        self._blob = "".join(chain((letters for letters, _, _ in told), self.context))
        sizes = np.concatenate((sizes, np.array([*map(len, self.context)], np.intp)))
        self._starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.uint32)
        self.alphabets = np.concatenate(
            [*(sets for *_, sets in told), np.zeros(len(self.context), np.uint32)]
        )
        self.longest = int(sizes.max(initial=0))
        self._gather_plain([(word, len(self.entries) + n) for n, word in enumerate(self.context)], forms)
        self.table = FormTable(forms)

    @property
    def bytes(self) -> int:
        """What it keeps in memory, without the entries themselves."""
        return self.table.bytes + len(self._blob.encode()) + self._starts.nbytes + self.alphabets.nbytes

    def sizes(self, numbers: NDArray[np.uint32]) -> Places:
        """How many letters these names have."""
        return np.asarray(self._starts[numbers.astype(np.intp) + 1] - self._starts[numbers], np.intp)

    def letters(self, number: int) -> str:
        """The letters of a name, or (from ``len(entries)`` on) of a context word."""
        return self._blob[self._starts[number] : self._starts[number + 1]]

    def forms(self, number: int) -> list[str]:
        """The PLAIN forms of a name, the first its own letters."""
        letters, entry = self.letters(number), self.entries[number]
        found = [letters] if entry.text.isascii() else [letters, looked(entry.text)]
        return [form for form in (*found, *coded(letters)) if form]

    def patterns(self) -> set[str]:
        """What every name looks like in some reading of a prompt, by ways 1 to 3."""
        found = set[str]()
        for number, entry in enumerate(self.entries):
            letters = self.letters(number)
            if letters:
                found |= {*self.forms(number)}
                if disguisable(letters):
                    found |= {letters.translate(LEET_SIGNS), single(entry.text)}
        return found

    def _gather(self, at: int, forms: Forms) -> tuple[str, Places, NDArray[np.uint32]]:
        """Add the forms of some names; gives their letters, how many each has, and which."""
        entries = self.entries[at : at + AT_ONCE]
        parts = [_letters(entry.text) for entry in entries]
        some = _Some(parts, at)
        for hashes, owners in some.forms():
            forms.add(hashes, owners)
        strange = [(looked(e.text), at + n) for n, e in enumerate(entries) if not e.text.isascii()]
        self._gather_plain(strange, forms)
        known = [(part, at + number) for number, part in _by_word(parts)]
        self._gather_plain(known, forms, APART)
        return "".join(letters for letters, _ in parts), some.sizes, some.alphabets()

    def _gather_plain(self, texts: Sequence[tuple[str, int]], forms: Forms, way: int = PLAIN) -> None:
        group = [(letters, number) for letters, number in texts if letters]
        ends = np.cumsum([len(letters) for letters, _ in group], dtype=np.intp)
        sums = running(scattered(codes_of("".join(letters for letters, _ in group))))
        starts = np.concatenate((np.zeros(1, np.intp), ends[:-1])) if group else ends
        forms.add(salted(stretches(sums, starts, ends), way), np.array([n for _, n in group], np.intp))


def _by_word(names: Sequence[tuple[str, bytes]]) -> Iterator[tuple[int, str]]:
    """The word by which each name is known whose words stand apart."""
    for number, (letters, gaps) in enumerate(names):
        if found := apart.parts(_words(letters, gaps)):
            yield number, max(found, key=len)


class _Some:
    """Some names, one behind the other; ``at``: the number of the first."""

    def __init__(self, parts: Sequence[tuple[str, bytes]], at: int) -> None:
        self.codes: Codes = codes_of("".join(letters for letters, _ in parts))
        self.gaps = np.frombuffer(b"".join(gaps for _, gaps in parts), np.uint8) > 0
        self.sizes = np.array([len(letters) for letters, _ in parts], np.intp)
        self.ends = np.cumsum(self.sizes)
        self.starts = self.ends - self.sizes
        self.numbers = np.arange(at, at + len(parts))

    def alphabets(self) -> NDArray[np.uint32]:
        return np.where(self.sizes > 0, alphabets(self.codes, self.starts, self.ends), 0)

    def forms(self) -> Iterator[tuple[Hashes, Places]]:
        if not len(self.codes):
            return
        values = scattered(self.codes)
        yield self._told(PLAIN, self._stretches(values, self.sizes > 0), self.sizes > 0)
        yield from self._coded(values)
        digits = np.concatenate(([0], np.cumsum((self.codes >= ord("0")) & (self.codes <= ord("9")))))
        spelled = (self.sizes >= MIN_DISGUISED) & (digits[self.ends] == digits[self.starts])
        yield self._told(LEET, self._stretches(scattered(_mapped(self.codes, _LEET_CODES)), spelled), spelled)
        disguised = self.sizes >= MIN_DISGUISED
        yield self._told(SINGLE, self._single(values, disguised), disguised)
        yield from self._near(values)

    def _near(self, values: Hashes) -> Iterator[tuple[Hashes, Places]]:
        for size in range(MIN_SHORT, MIN_LONG):
            chosen = self.sizes == size
            yield self._told(SHORT, shortened(values, self.starts[chosen], self.ends[chosen], size), chosen)
        chosen = self.sizes >= MIN_LONG
        yield self._told(LONG, outer(values, self.starts[chosen], self.ends[chosen], 2), chosen)
        chosen = self.sizes >= MIN_SOUND
        hashes, counts = sounded(
            self.codes, np.flatnonzero(self.gaps), self.starts[chosen], self.ends[chosen]
        )
        chosen[chosen] = counts >= MIN_SOUNDS
        yield self._told(SOUND, hashes[counts >= MIN_SOUNDS], chosen)
        chosen = self.sizes >= MIN_BAG
        yield self._told(BAG, bagged(self.codes, self.starts[chosen], self.ends[chosen]), chosen)

    def _stretches(self, values: Hashes, chosen: Flags) -> Hashes:
        return stretches(running(values), self.starts[chosen], self.ends[chosen])

    def _coded(self, values: Hashes) -> Iterator[tuple[Hashes, Places]]:
        chosen, whole = self.sizes >= MIN_CODED, len(values)
        back = stretches(running(values[::-1]), whole - self.ends[chosen], whole - self.starts[chosen])
        yield self._told(PLAIN, back, chosen)
        yield self._told(PLAIN, self._stretches(scattered(_mapped(self.codes, _ROTATED)), chosen), chosen)

    def _single(self, values: Hashes, chosen: Flags) -> Hashes:
        kept = np.ones(len(values), bool)
        kept[1:] = (self.codes[1:] != self.codes[:-1]) | self.gaps[1:]
        before = np.concatenate(([0], np.cumsum(kept))).astype(np.intp)
        sums = running(values[kept])
        return stretches(sums, before[self.starts[chosen]], before[self.ends[chosen]])

    def _told(self, way: int, hashes: Hashes, chosen: Flags) -> tuple[Hashes, Places]:
        each = hashes.shape[1] if hashes.ndim == 2 else 1
        return salted(hashes.ravel(), way), np.repeat(self.numbers[chosen], each)


def _mapped(codes: Codes, table: Codes) -> Codes:
    return np.asarray(np.where(codes < len(table), table[np.where(codes < len(table), codes, 0)], codes))


def _letters(text: str) -> tuple[str, bytes]:
    """The letters of a name, and a gap for each (0 where it goes on)."""
    if _PLAIN_TEXT.fullmatch(text) and "&" not in text:
        words = _WORD.findall(text.lower())
        return "".join(words), b"".join([b"\x02" + bytes(len(word) - 1) for word in words])
    reading = squeezed(fold(text))
    return reading.letters, bytes(reading.gaps[:-1]) if reading.letters else b""


@lru_cache(maxsize=4096)
def breaks(text: str) -> frozenset[int]:
    """Where a name has gaps itself."""
    return frozenset(place for place, gap in enumerate(_letters(text)[1]) if gap)


def words(text: str) -> list[str]:
    """The words of a name, as letters."""
    letters, gaps = _letters(text)
    return _words(letters, gaps)


def _words(letters: str, gaps: bytes) -> list[str]:
    places = [place for place, gap in enumerate(gaps) if gap >= LIGHT]
    if not places:  # a name without letters
        return []
    return [letters[a:b] for a, b in zip(places, [*places[1:], len(letters)], strict=True)]


def looked(text: str) -> str:
    """The letters of a name with those of other scripts as what they look like."""
    return squeezed(by_look(fold(text))).letters


def coded(letters: str) -> Iterator[str]:
    """A name backwards and rotated by 13, but for what is a word itself."""
    if len(letters) < MIN_CODED:
        return
    for form in (letters[::-1], codecs.encode(letters, "rot13")):
        if form != letters and frequency(form) < CODED_USE:
            yield form


def disguisable(letters: str) -> bool:
    """Whether a name is also looked for in leet and with repeated letters."""
    return len(letters) >= MIN_DISGUISED


def single(text: str) -> str:
    """The letters of a name with every run of one letter in a word as a single one."""
    letters, gaps = _letters(text)
    return "".join(
        letter
        for place, letter in enumerate(letters)
        if not place or letters[place - 1] != letter or gaps[place]
    )
