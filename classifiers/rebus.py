"""Readings of a text with pictures, digits and foreign words as the words that they stand for.

1. An emoji as the thing it shows ("🕷man"): its name in Unicode, without what all of them are called, and a
few other words for it (`name_pictures.txt`). 2. A digit or sign as the word it sounds like ("4tress",
"B&it").
3. A word of another language, of which names are often made, as the English one (`name_words.txt`). Such
readings come beside the plain ones, and each letter keeps its place in the original.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from classifiers.ambiguity import KNOWN, frequency
from classifiers.normalise import Folded, fold

WORDS_FILE, PICTURES_FILE = "name_words.txt", "name_pictures.txt"
MAX_READINGS: Final = 3  # of pictures: one for each of the first words that they may stand for
_PICTURES: Final = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
_SOUNDED: Final = {"2": "to", "4": "for", "8": "ate", "&": "and", "@": "at"}
_SOUND_SIGNS: Final = re.compile(r"(?<![\d.,$€£#])[248](?![\d.,%]|(?:k|d|x|mm|cm|p|fps)\b)|[&@]")
_WORD: Final = re.compile(r"[^\W_]+")
_UNSPACED: Final = re.compile("[\u3040-\u9fff\uac00-\ud7af]")
# What many emoji are called beside what they show.
_CALLED: Final = frozenset(
    [
        "face", "symbol", "sign", "emoji", "with", "of", "and", "the", "head", "black", "white", "heavy",
        "smiling", "grinning", "sitting", "front", "facing", "medium", "large", "small", "component",
        "modifier",
        "emblem", "mark", "glowing", "back", "hand", "button",
    ]
)  # fmt: skip


_Span = tuple[int, int, str]


def worded(folded: Folded) -> list[Folded]:
    """The text with pictures, sounds and foreign words as words, in at most five ways; none, if it has none
    of them.
    """
    found: list[Folded] = []
    pictures = [] if folded.text.isascii() else list(_PICTURES.finditer(folded.text))
    for number in range(MAX_READINGS if pictures else 0):
        spans = [(*sign.span(), _one(depicted(sign.group()), number)) for sign in pictures]
        found.append(_replaced(folded, spans))
    base = found[0] if found else folded
    if spans := _foreign_spans(base.text):
        found.append(_replaced(base, spans))
    if sounded := [(*sign.span(), _SOUNDED[sign.group()]) for sign in _SOUND_SIGNS.finditer(folded.text)]:
        found.append(_replaced(folded, sounded, apart=False))
    return list({reading.text: reading for reading in reversed(found)}.values())[::-1]


def _one(words: Sequence[str], number: int) -> str:
    return words[min(number, len(words) - 1)] if words else ""


@cache
def depicted(sign: str) -> tuple[str, ...]:
    """The words for what a picture shows, the likeliest first."""
    if sign in _pictures():
        return _pictures()[sign]
    named = unicodedata.name(sign, "").lower().replace("-", " ").split()
    words = [word for word in named if word not in _CALLED and word.isalpha()]
    return ("".join(words), *words[:1]) if words else ()


def _replaced(folded: Folded, spans: Sequence[_Span], *, apart: bool = True) -> Folded:
    """With these stretches as other words; ``apart``: with spaces around them."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for begin, end, word in spans:
        word = f" {word} " if apart else word
        pieces += [folded.text[at:begin], word]
        starts += [*folded.starts[at:begin], *[folded.starts[begin]] * len(word)]
        ends += [*folded.ends[at:begin], *[folded.ends[end - 1]] * len(word)]
        at = end
    return Folded(
        text="".join([*pieces, folded.text[at:]]),
        starts=[*starts, *folded.starts[at:]], ends=[*ends, *folded.ends[at:]],
    )  # fmt: skip


def _foreign_spans(text: str) -> list[_Span]:
    foreign, unspaced = _foreign()
    found = [(*m.span(), foreign[m.group()]) for m in _WORD.finditer(text) if m.group() in foreign]
    if _UNSPACED.search(text):
        found += [(*m.span(), foreign[m.group()]) for m in unspaced.finditer(text)]
    kept: list[_Span] = []
    for span in sorted(found):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def _lines(file: str) -> Iterator[str]:
    for line in files("classifiers").joinpath(file).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


@cache
def _pictures() -> dict[str, tuple[str, ...]]:
    return {sign: tuple(words) for sign, *words in map(str.split, _lines(PICTURES_FILE))}


def _entries() -> Iterator[tuple[str, str]]:
    for line in _lines(WORDS_FILE):
        english, _, others = line.partition(":")
        for other in others.split():
            yield english.strip(), fold(other).text


@cache
def _foreign() -> tuple[dict[str, str], re.Pattern[str]]:
    """English words by what stands for them elsewhere, but for what is an English word itself; and a pattern
    of those that stand without spaces.
    """
    found: dict[str, str] = {}
    for english, other in _entries():
        if other != english and not (other.isascii() and frequency(other) >= KNOWN + 1):
            found.setdefault(other, english)
    unspaced = sorted(filter(_UNSPACED.search, found), key=len, reverse=True)
    return found, re.compile("|".join(map(re.escape, unspaced)))
