"""Registered names in a text, in whatever disguise: all ways of reading it, looked up in one table.

1. as it stands: case, hyphens, spaces, dots, zero-width characters, marks and compatibility forms are gone;
2. with letters of other scripts as what they look like, and as what they sound like;
3. with digits and symbols as the letters they stand for; 4. with repeated letters as one;
5. backwards and rotated by 13 (as further forms of a name), base64 and hexadecimal (`classifiers.decoders`);
6. with pictures and foreign words as words (`classifiers.rebus`), which is never sure;
7. misspelt, respelled, in another order (`classifiers.near`), which is never sure;
8. with its words apart, also over turns (`classifiers.apart`), which is never sure.
A match must begin and end where words do, and be no accident of common words running into each other. The
table (`classifiers.index`) gives candidates; here each is seen by its letters.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from classifiers import apart, boundaries, near
from classifiers.base import NameEntry, NameTier, doubted
from classifiers.decoders import decoded
from classifiers.forms import running, salted, stretches
from classifiers.index import LEET, LEET_SIGNS, PLAIN, SINGLE, NameIndex, breaks, disguisable, single
from classifiers.index import words as words_of_name
from classifiers.lines import LONG, SHORT, Words, alphabets, joined, near_keys, words_of
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
from classifiers.phrases import asks_for_style, is_title
from classifiers.rebus import worded
from classifiers.stack import Stack

MATCH: Final = "name_match"
NEAR: Final = "name_near"
MAX_TOLD: Final = 5  # places of one subject in one text, and as many in which its style is asked for
MAX_DEPTH: Final = 2  # encodings in encodings
_SIGNED: Final = re.compile(r"[^A-Za-z\s,.;:'\"/-]|\BI")
_REPEATED: Final = re.compile(r"(.)\1", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A name in a text. ``start``, ``end``: characters of the text; ``sure``: False where a person should
    look; ``score``: 1 for a name as it was registered; ``style``: the words around it ask for its style.
    """

    entry: NameEntry
    start: int
    end: int
    sure: bool = True
    code: str = MATCH
    score: float = 1.0
    style: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A text as it was looked at: its readings, and the words of those in which names may be near."""

    stack: Stack
    words: Words

    def span(self, word: int) -> tuple[int, int]:
        """The characters of the text where a word stands."""
        begin, end = self.words.starts[word], self.words.ends[word] - 1
        return int(self.stack.starts[begin]), int(self.stack.ends[end])


class NameMatcher:
    """An immutable index of names; build it once for a registry position. Safe to share between threads."""

    def __init__(self, names: Sequence[NameEntry]) -> None:
        self._index = NameIndex(names)

    @property
    def bytes(self) -> int:
        """What its index takes in memory."""
        return self._index.bytes

    def patterns(self) -> set[str]:
        """Every form of a name that is looked for in some reading, without context words."""
        return self._index.patterns()

    def near(self, words: Words, *, every: bool = False) -> Iterator[tuple[NameEntry, int, int, float]]:
        """Names that these words are near, without those that stand there as they are: the entry, the first
        and the last word, a score below 1. Of one name a few places only, but for ``every``.
        """
        index, told = self._index, dict[int, int]()
        for first, last, owner, way in self._alike(words):
            if not every and told.get(owner, 0) >= MAX_TOLD:
                continue
            name, entry = index.letters(owner), index.entries[owner]
            written = words.letters[words.starts[first] : words.ends[last]]
            if way in (SHORT, LONG) and near.too_far(name, written):
                continue
            score = near.score(way, name, entry.text, words.pieces(first, last), words.uses(first, last))
            if score:
                told[owner] = told.get(owner, 0) + 1
                yield entry, first, last, score

    def _alike(self, words: Words) -> list[tuple[int, int, int, int]]:
        """Windows with a key of a name, and about its letters: the first and the last word, name and way."""
        index, keys = self._index, near_keys(words, self._index.longest)
        if keys is None:
            return []
        which, owners = index.table.find(keys.hashes)
        starts, ends = words.starts[keys.first[which]], words.ends[keys.last[which]]
        alike = np.abs(ends - starts - index.sizes(owners)) <= near.LONGER[keys.ways[which]]
        alike &= owners < len(index.entries)  # a context word has no such form, but a hash may be the same
        which, owners = which[alike], owners[alike]
        letters = alphabets(words.codes, starts[alike], ends[alike])
        alike = np.bitwise_count(letters ^ index.alphabets[owners]) <= near.OTHERS[keys.ways[which]]
        which, owners = which[alike], owners[alike]
        parts = keys.first[which], keys.last[which], owners, keys.ways[which]
        return sorted(set(zip(*(part.tolist() for part in parts), strict=True)))

    def match(self, text: str) -> list[Hit]:
        """The names in one text."""
        return self.match_turns([text])[-1]

    def match_turns(self, texts: Sequence[str]) -> list[list[Hit]]:
        """The names in each of consecutive texts, also those that begin in one and end in a later one.

        Such a hit is told of the later text, with the part that lies there. A context word counts for all.
        """
        if not (texts and self._index.entries):
            return [[] for _ in texts]
        found: list[list[Hit]] = [[] for _ in texts]
        context: set[str] = set()
        folded = [fold(text) for text in texts]
        seen = [
            self._look(text, one, hits, context) for text, one, hits in zip(texts, folded, found, strict=True)
        ]
        self._look_apart(seen, found)
        if len(texts) > 1:
            self._look_across(texts, folded, found, context)
        return [best(_in_context(text, hits, context)) for text, hits in zip(texts, found, strict=True)]

    def _look(self, text: str, folded: Folded, hits: list[Hit], context: set[str], depth: int = 0) -> Seen:
        read = readings_of(text, folded)
        kinds = boundaries.kinds_of(text)
        readings = [*read.near, *read.leet, *read.collapsed]
        ways = [PLAIN] * len(read.near) + [LEET] * len(read.leet) + [SINGLE] * len(read.collapsed)
        stack = Stack(readings, ways)
        surely = sum(len(reading.letters) for reading in read.plain)
        supposed = surely + sum(len(reading.letters) for reading in read.worded)
        for hit, place in self._scan(stack, text, kinds, context):
            hits.append(replace(hit, sure=False, code=NEAR) if surely <= place < supposed else hit)
        words = words_of(stack, supposed, text)
        for entry, first, last, score in self.near(words):
            begin, end = int(stack.starts[words.starts[first]]), int(stack.ends[words.ends[last] - 1])
            hits.append(Hit(entry=entry, start=begin, end=end, sure=False, code=NEAR, score=score))
        if depth < MAX_DEPTH:
            self._look_decoded(text, hits, context, depth)
        return Seen(stack=stack, words=words)

    def _look_apart(self, seen: Sequence[Seen], found: list[list[Hit]]) -> None:
        """Names whose words stand apart, told where the last of them comes, with those that stand there."""
        words, turns = joined([one.words for one in seen])
        first = np.searchsorted(turns, np.arange(len(seen)))
        for entry, places in self.separate(words, np.zeros_like(turns), turns):
            turn = int(turns[max(places)])
            spans = [seen[turn].span(place - int(first[turn])) for place in places if turns[place] == turn]
            begin, end = min(start for start, _ in spans), max(end for _, end in spans)
            found[turn].append(
                Hit(entry=entry, start=begin, end=end, sure=False, code=NEAR, score=apart.SCORE)
            )

    def separate(
        self, words: Words, groups: apart.Numbers, turns: apart.Numbers
    ) -> Iterator[tuple[NameEntry, list[int]]]:
        """Names all of whose words stand in a group, once for each group, with where these words are."""
        chosen, keys = apart.word_keys(words)
        which, owners = self._index.table.find(keys)
        told, gathered = set[tuple[int, int]](), apart.Groups(words, groups, turns)
        for word, owner in zip(chosen[which].tolist(), owners.tolist(), strict=True):
            known = int(groups[word]), owner
            if known in told or owner >= len(self._index.entries):
                continue
            told.add(known)
            entry = self._index.entries[owner]
            if places := gathered.places(word, apart.parts(words_of_name(entry.text))):
                yield entry, places

    def _look_decoded(self, text: str, hits: list[Hit], context: set[str], depth: int) -> None:
        for plain, start, end in decoded(text):
            inner: list[Hit] = []
            self._look(plain, fold(plain), inner, context, depth + 1)
            hits += [replace(hit, start=start, end=end) for hit in inner]

    def _look_across(
        self, texts: Sequence[str], folded: Sequence[Folded], found: list[list[Hit]], context: set[str]
    ) -> None:
        lengths = [len(text) for text in texts]
        across: list[Hit] = []
        whole = "".join(texts)
        kinds = boundaries.kinds_of(whole)
        readings, ways = zip(*readings_across(texts, folded), strict=True)
        stack = Stack(readings, ways)
        across += [hit for hit, _ in self._scan(stack, whole, kinds, context)]
        offset = 0
        for length, hits in zip(lengths, found, strict=True):
            hits += [
                Hit(entry=hit.entry, start=0, end=hit.end - offset, sure=hit.sure, code=hit.code)
                for hit in across
                if hit.start < offset < hit.end <= offset + length
            ]
            offset += length

    def _scan(
        self, stack: Stack, text: str, kinds: boundaries.Kinds, context: set[str]
    ) -> Iterator[tuple[Hit, int]]:
        """The names that are written out, each with its first letter's place in the stack."""
        index = self._index
        told = dict[tuple[int, bool, bool], int]()  # of a name often there, a few places of each kind
        for owner, start, end in self._candidates(stack, kinds):
            letters = stack.letters[start:end]
            if not _is_form(index, owner, int(stack.ways[start]), letters):
                continue
            way = int(stack.ways[start])
            reading, offset = stack.reading(start)
            found = boundaries.Region(reading=reading, text=text, start=start - offset, end=end - offset)
            if not found.whole(len(letters)):
                continue
            if owner >= len(index.entries):
                context.add(letters)
                continue
            entry = index.entries[owner]
            if way == PLAIN:
                sure = found.natural(breaks(entry.text))
            else:
                sure = True if found.disguised(index.letters(owner) if way == SINGLE else "") else None
            if sure is None:
                continue
            hit = _hit(entry, found, sure=sure)
            kind = owner, hit.style, entry.tier == NameTier.CONTEXT and is_title(text, hit.start, hit.end)
            if told.get(kind, 0) < MAX_TOLD:
                yield hit, start
                told[kind] = told.get(kind, 0) + sure

    def _candidates(self, stack: Stack, kinds: boundaries.Kinds) -> Iterator[tuple[int, int, int]]:
        """The names whose form may stand between two edges of a reading: number, first and last letter."""
        if not stack.letters:
            return
        sums, marks = running(stack.values), boundaries.marks(stack, kinds)
        for starts, ends in boundaries.pairs(stack, kinds, self._index.longest):
            ways = stack.ways[starts]
            chosen = (ways == PLAIN) | (marks[ends] > marks[starts])
            starts, ends = starts[chosen], ends[chosen]
            which, owners = self._index.table.find(salted(stretches(sums, starts, ends), ways[chosen]))
            yield from zip(owners.tolist(), starts[which].tolist(), ends[which].tolist(), strict=True)


def _is_form(index: NameIndex, owner: int, way: int, letters: str) -> bool:
    name = index.letters(owner)
    if owner >= len(index.entries):
        return way == PLAIN and letters == name
    if way == PLAIN:
        return letters == name or letters in index.forms(owner)
    if not disguisable(name):
        return False
    if way == SINGLE:
        return letters == single(index.entries[owner].text)
    # In a name that has digits itself, digits mean what they are.
    return letters == name.translate(LEET_SIGNS) and not any(map(str.isdigit, name))


@dataclass(frozen=True, slots=True)
class Readings:
    """All ways to read one text. ``leet``: empty where nothing could stand for a letter."""

    plain: list[Reading]
    leet: list[Reading]
    collapsed: list[Reading]
    worded: list[Reading]

    @property
    def near(self) -> list[Reading]:
        """Those in which names are found that are not quite written out."""
        return [*self.plain, *self.worded]


def readings_of(text: str, folded: Folded) -> Readings:
    """Ways 1 to 4 and 6 of reading a text; ``folded``: the same folded."""
    plain, looks = [squeezed(folded)], folded
    if not folded.text.isascii():
        looks = by_look(folded)
        plain += [squeezed(looks), squeezed(by_sound(folded))]
    leet = [squeezed(translated(looks, LEET_SIGNS))] if _SIGNED.search(text) else []
    repeated = [reading for reading in plain[:2] if _REPEATED.search(reading.letters)]
    return Readings(
        plain, leet, [runs_collapsed(reading) for reading in repeated],
        [squeezed(by_sound(reading)) for reading in worded(folded)],
    )  # fmt: skip


def readings_across(texts: Sequence[str], folded: Sequence[Folded]) -> list[tuple[Reading, int]]:
    """Consecutive texts as one, for names that begin in one and end in a later one, with the way of each."""
    lengths, looks = [len(text) for text in texts], folded
    parts = [([squeezed(one) for one in folded], PLAIN)]
    if not all(text.isascii() for text in texts):
        looks = [by_look(one) for one in folded]
        parts.append(([squeezed(one) for one in looks], PLAIN))
    if any(map(_SIGNED.search, texts)):
        parts.append(([squeezed(translated(one, LEET_SIGNS)) for one in looks], LEET))
    return [(join(one, lengths), way) for one, way in parts]


def _hit(entry: NameEntry, found: boundaries.Region, *, sure: bool) -> Hit:
    start, end = found.span
    certain = sure and not doubted(entry)
    style = sure and asks_for_style(found.text, start, end)
    return Hit(entry=entry, start=start, end=end, sure=certain, code=MATCH if sure else NEAR, style=style)


def _in_context(text: str, hits: Iterable[Hit], seen: set[str]) -> Iterator[Hit]:
    """The hits that count: a common word only with one of its context words, or (for a person to see) as the
    title of a work.
    """
    for hit in hits:
        if hit.entry.tier != NameTier.CONTEXT or any(key(word) in seen for word in hit.entry.context):
            yield hit
        elif hit.code == MATCH and is_title(text, hit.start, hit.end):
            yield replace(hit, sure=False, code=NEAR)


def best(hits: Iterable[Hit]) -> list[Hit]:
    """Of overlapping hits of one subject the surest and longest, a few of each kind."""
    kept: list[Hit] = []
    order = sorted(
        hits, key=lambda hit: (not hit.sure, -hit.score, hit.start - hit.end, hit.start, hit.entry.text)
    )
    taken: dict[str, list[tuple[int, int]]] = {}
    told: dict[tuple[str, bool], int] = {}
    for hit in order:
        kind, spans = (hit.entry.subject, hit.style), taken.setdefault(hit.entry.subject, [])
        if told.get(kind, 0) >= MAX_TOLD:
            continue
        if not any(hit.start < end and start < hit.end for start, end in spans):
            told[kind] = told.get(kind, 0) + 1
            spans.append((hit.start, hit.end))
            kept.append(hit)
    return sorted(kept, key=lambda hit: (hit.start, hit.end))
