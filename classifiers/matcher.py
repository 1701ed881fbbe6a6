"""Registered names in a text, in whatever disguise: one automaton for each way of reading.

1. as it stands: case, hyphens, spaces, dots, zero-width characters, marks and compatibility forms are gone;
2. with letters of other scripts as what they look like, and as what they sound like;
3. with digits and symbols as the letters they stand for; 4. with repeated letters as one;
5. backwards and rotated by 13 (as further patterns of 1), base64 and hexadecimal (`classifiers.decoders`);
6. one letter off (`classifiers.typos`), which is never sure.
A match must begin and end where words do, and be no accident of common words running into each other.
"""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ahocorasick_rs import AhoCorasick

from classifiers import boundaries
from classifiers.ambiguity import KNOWN, frequency
from classifiers.base import NameEntry, NameTier, doubted
from classifiers.decoders import decoded
from classifiers.normalise import (
    Folded,
    Reading,
    by_look,
    by_sound,
    fold,
    join,
    key,
    runs_collapsed,
    squeezed,
    translated,
)
from classifiers.typos import TypoIndex

MATCH: Final = "name_match"
NEAR: Final = "name_near"
MIN_DISGUISED: Final = 4  # letters of a name that is also looked for in leet and with repeats
MIN_CODED: Final = 5  # letters of a name that is also looked for backwards and rotated
MAX_TOLD: Final = 5  # places of one subject in one text
MAX_DEPTH: Final = 2  # encodings in encodings
_LEET: Final = {
    ord(mark): letter
    for mark, letter in zip("013456789@$€£!|¡+§(<²", "oieasgtbgaseiiiitscc2", strict=True)
} | {ord("l"): "i", ord("2"): "z"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A name in a text. ``start``, ``end``: characters of the text; ``sure``: False where a person should
    look; ``score``: 1 for a name as it was registered.
    """

    entry: NameEntry
    start: int
    end: int
    sure: bool = True
    code: str = MATCH
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class _Pattern:
    entry: NameEntry | None  # None: a context word
    letters: str
    breaks: frozenset[int]  # where the name itself has gaps
    context: str = ""
    plain: bool = True


class NameMatcher:
    """An immutable index of names; build it once for a registry position. Safe to share between threads."""

    def __init__(self, names: Sequence[NameEntry]) -> None:
        self._plain = list(_patterns(names))
        # In a name that has digits itself, digits mean what they are.
        spelled = [p for p in self._plain if _disguisable(p) and not any(map(str.isdigit, p.letters))]
        self._leet = [_leeted(pattern) for pattern in spelled]
        self._single = [_collapsed(pattern) for pattern in self._plain if _disguisable(pattern)]
        self._automata = [
            AhoCorasick([pattern.letters for pattern in patterns]) if patterns else None
            for patterns in (self._plain, self._leet, self._single)
        ]
        self._typos = TypoIndex([(p.letters, p.entry) for p in self._plain if p.entry and p.plain])

    def patterns(self) -> set[str]:
        """Every form of a name that is looked for in some reading, without context words."""
        return {p.letters for p in (*self._plain, *self._leet, *self._single) if p.entry is not None}

    def may_be_misspelt(self, written: str) -> bool:
        """Whether a run of words (`classifiers.typos.strange_runs`) may be a name with a mistake."""
        return self._typos.may_hold(written)

    def misspelt_patterns(self) -> set[str]:
        """What every run of words holds, between line breaks, that may be a name with a mistake."""
        return self._typos.patterns()

    def match(self, text: str) -> list[Hit]:
        """The names in one text."""
        return self.match_turns([text])[-1]

    def match_turns(self, texts: Sequence[str]) -> list[list[Hit]]:
        """The names in each of consecutive texts, also those that begin in one and end in a later one.

        Such a hit is told of the later text, with the part that lies there. A context word counts for all.
        """
        if not self._plain:
            return [[] for _ in texts]
        found: list[list[Hit]] = [[] for _ in texts]
        context: set[str] = set()
        folded = [fold(text) for text in texts]
        for text, one, hits in zip(texts, folded, found, strict=True):
            self._look(text, one, hits, context)
        if len(texts) > 1:
            self._look_across(texts, folded, found, context)
        return [best(hit for hit in hits if _in_context(hit.entry, context)) for hits in found]

    def _look(self, text: str, folded: Folded, hits: list[Hit], context: set[str], depth: int = 0) -> None:
        read = readings_of(folded)
        for reading in read.plain:
            self._scan(0, reading, text, hits, context)
        self._scan(1, read.leet, text, hits, context)
        for reading in read.collapsed:
            self._scan(2, reading, text, hits, context)
        for reading in read.plain[:2]:
            hits += [
                Hit(entry=entry, start=start, end=end, sure=False, code=NEAR, score=score)
                for entry, start, end, score in self._typos.near(reading)
            ]
        if depth < MAX_DEPTH:
            self._look_decoded(text, hits, context, depth)

    def _look_decoded(self, text: str, hits: list[Hit], context: set[str], depth: int) -> None:
        for plain, start, end in decoded(text):
            inner: list[Hit] = []
            self._look(plain, fold(plain), inner, context, depth + 1)
            hits += [
                Hit(entry=hit.entry, start=start, end=end, sure=hit.sure, code=hit.code, score=hit.score)
                for hit in inner
            ]

    def _look_across(
        self, texts: Sequence[str], folded: Sequence[Folded], found: list[list[Hit]], context: set[str]
    ) -> None:
        lengths = [len(text) for text in texts]
        across: list[Hit] = []
        whole = "".join(texts)
        for reading in readings_across(texts, folded):
            self._scan(0, reading, whole, across, context)
        offset = 0
        for length, hits in zip(lengths, found, strict=True):
            hits += [
                Hit(entry=hit.entry, start=0, end=hit.end - offset, sure=hit.sure, code=hit.code)
                for hit in across
                if hit.start < offset < hit.end <= offset + length
            ]
            offset += length

    def _scan(self, way: int, reading: Reading, text: str, hits: list[Hit], context: set[str]) -> None:
        automaton = self._automata[way]
        if automaton is None or not reading.letters:
            return
        patterns = (self._plain, self._leet, self._single)[way]
        told: dict[int, int] = {}  # so that a text of nothing but names costs no more than others
        for index, start, end in automaton.find_matches_as_indexes(reading.letters, overlapping=True):
            pattern = patterns[index]
            if told.get(index, 0) >= MAX_TOLD:
                continue
            found = boundaries.Region(reading=reading, text=text, start=start, end=end)
            if not found.whole(len(pattern.letters)):
                continue
            if pattern.entry is None:
                context.add(pattern.context)
            elif way == 0:
                sure = found.natural(pattern.breaks)
                if sure is not None:
                    hits.append(_hit(pattern.entry, found, sure=sure))
                    told[index] = told.get(index, 0) + sure
            elif found.disguised(pattern.context if way == 2 else ""):
                hits.append(_hit(pattern.entry, found, sure=True))
                told[index] = told.get(index, 0) + 1


@dataclass(frozen=True, slots=True)
class Readings:
    """All ways to read one text, by the automaton that looks at them."""

    plain: list[Reading]
    leet: Reading
    collapsed: list[Reading]


def readings_of(folded: Folded) -> Readings:
    """Ways 1 to 4 of reading a text."""
    plain, looks = [squeezed(folded)], folded
    if not folded.text.isascii():
        looks = by_look(folded)
        plain += [squeezed(looks), squeezed(by_sound(folded))]
    leet = squeezed(translated(looks, _LEET))
    return Readings(plain, leet, [runs_collapsed(reading) for reading in plain[:2]])


def readings_across(texts: Sequence[str], folded: Sequence[Folded]) -> list[Reading]:
    """Consecutive texts as one, for names that begin in one and end in a later one."""
    lengths = [len(text) for text in texts]
    parts = [[squeezed(one) for one in folded]]
    if not all(text.isascii() for text in texts):
        parts.append([squeezed(by_look(one)) for one in folded])
    return [join(one, lengths) for one in parts]


def _hit(entry: NameEntry, found: boundaries.Region, *, sure: bool) -> Hit:
    start, end = found.span
    certain = sure and not doubted(entry)
    return Hit(entry=entry, start=start, end=end, sure=certain, code=MATCH if sure else NEAR)


def _patterns(names: Sequence[NameEntry]) -> Iterator[_Pattern]:
    contexts: set[str] = set()
    for entry in names:
        folded = fold(entry.text)
        plain = squeezed(folded)
        breaks = frozenset(place for place, gap in enumerate(plain.gaps) if gap)
        forms = {plain.letters: True, squeezed(by_look(folded)).letters: False}
        if entry.tier != NameTier.CONTEXT and len(plain.letters) >= MIN_CODED:
            forms = dict.fromkeys(_coded(plain.letters), False) | forms
        for letters, is_plain in forms.items():
            if letters:
                yield _Pattern(entry, letters, breaks, plain=is_plain or letters == plain.letters)
        if entry.tier == NameTier.CONTEXT:
            contexts |= {key(word) for word in entry.context}
    yield from (_Pattern(None, word, frozenset(), context=word) for word in sorted(contexts) if word)


def _coded(letters: str) -> set[str]:
    forms = {letters[::-1]}
    if letters.isascii():
        forms.add(codecs.encode(letters, "rot13"))
    return {form for form in forms if frequency(form) < KNOWN and form != letters}


def _disguisable(pattern: _Pattern) -> bool:
    return pattern.entry is not None and pattern.plain and len(pattern.letters) >= MIN_DISGUISED


def _leeted(pattern: _Pattern) -> _Pattern:
    return _Pattern(pattern.entry, pattern.letters.translate(_LEET), pattern.breaks)


def _collapsed(pattern: _Pattern) -> _Pattern:
    letters = pattern.letters
    single = "".join(
        letter
        for place, letter in enumerate(letters)
        if not place or letters[place - 1] != letter or place in pattern.breaks
    )
    return _Pattern(pattern.entry, single, pattern.breaks, context=letters)


def _in_context(entry: NameEntry, seen: set[str]) -> bool:
    return entry.tier != NameTier.CONTEXT or any(key(word) in seen for word in entry.context)


def best(hits: Iterable[Hit]) -> list[Hit]:
    """Of overlapping hits of one subject the surest and longest."""
    kept: list[Hit] = []
    order = sorted(hits, key=lambda hit: (not hit.sure, -hit.score, hit.start - hit.end, hit.start))
    taken: dict[str, list[tuple[int, int]]] = {}
    for hit in order:
        spans = taken.setdefault(hit.entry.subject, [])
        if len(spans) < MAX_TOLD and not any(hit.start < end and start < hit.end for start, end in spans):
            spans.append((hit.start, hit.end))
            kept.append(hit)
    return sorted(kept, key=lambda hit: (hit.start, hit.end))
