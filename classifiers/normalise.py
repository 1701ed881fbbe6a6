"""Readings of a text in which disguised names show, every letter with its place in the original.

A text is unescaped (HTML entities, percent encoding, backslash escapes), folded (compatibility forms, case,
marks) and, where it has letters of other scripts, also read by what they look like and how they sound.
A `Reading` holds only letters and digits, squeezed together; what stood between two of them is kept as a
gap, so that a search finds "S p i d e r - M a n" and can still tell "superb" from "up".
Source of the confusables: Unicode TR39 (package confusable-homoglyphs), and the additions below.
"""

import html
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import Final

from anyascii import anyascii
from confusable_homoglyphs.confusables import confusables_data  # type: ignore[import-untyped]

JOINED: Final = 0  # the letter before belongs to the same word
SOFT: Final = 1  # something without width: perhaps a boundary, perhaps nothing
LIGHT: Final = 2  # space, hyphen, full stop inside a word, underscore, emoji
HEAVY: Final = 3  # punctuation that ends a thought, a line, the text

_HAIR: Final = "\u200b"  # stands for whatever has no width
_FILLERS: Final = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # letters that are not seen
_DROPPED: Final = frozenset(("Mn", "Me"))
_WITHOUT_WIDTH: Final = frozenset(("Cf", "Cc"))
_Placed = tuple[str, int, int]  # a character with its place
MAX_ESCAPED: Final = 3  # times that a text may be escaped
_KANA_MARKS: Final = frozenset("\u3099\u309a")  # which make another sound, not another spelling
_ESCAPES: Final = re.compile(
    "[\u3041-\u30ff][\u3099\u309a]|[\uff66-\uff9d][\uff9e\uff9f]"  # a kana and its mark
    r"|&\#(?:[0-9]{1,9}|[xX][0-9a-fA-F]{1,8});?|&[A-Za-z][A-Za-z0-9]{1,24};|(?:%[0-9a-fA-F]{2})+"
    r"|(?:\\x[0-9a-fA-F]{2})+|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\u\{[0-9a-fA-F]{1,6}\}"
)
_WORD: Final = re.compile(r"[^\W_]+")
_ENDS: Final = re.compile(r"[,;:!?()\[\]{}\"“”„«»\n\r|/、。！？，；：]|\.\s|\s[-–—]\s")
# Letters that Unicode's table of confusables leads to no ASCII letter, or that look like another one.
_LOOKS: Final = dict(
    zip(
        "вгдзийкмнптухцчшщьяєґђћԍқңҙҗѡғҝβγηθκλμνπτυχωψεζάέήίόύώςաբգդեզէթժիլխծկհձղճմյնշոչպ"
        "ջռսվտրցւփքօֆɡƒʟʀɴʜʙᴛᴋʍꜰꜱɪʏɢǫᴍᴅᴊᴘᴠᴢᴜᴏᴀᴄᴇᴡ",
        "brdeuukmhntyxuywwbrerhhgkhexwfkbynokluvntuxwwezaeniouwcwpqntqtpdhlldkhdnduju2n2w"
        "2nudsngipposgflrnhbtkmfsiygqmdjpvzuoacew",
        strict=True,
    )
)
_NEGATIVE: Final = {
    chr(start + letter): chr(ord("a") + letter)
    for start in (0x1F150, 0x1F170, 0x1F1E6)  # circled and squared white letters, regional indicators
    for letter in range(26)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A text with its separators, folded: each character with its place in the original."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read a text: ``letters``, and for each where it came from.

    ``starts[i]``, ``ends[i]``: the original characters of letter i; ``gaps[i]``: what stands before it, with
    ``gaps[0]`` and ``gaps[len(letters)]`` the edges of the text (HEAVY).
    """

    letters: str
    starts: Sequence[int]
    ends: Sequence[int]
    gaps: bytes


def fold(text: str) -> Folded:
    """Unescape and fold: compatibility forms, case, marks; what has no width becomes a hair space."""
    if text.isascii() and text.isprintable() and not _ESCAPES.search(text):
        return Folded(text=text.lower(), starts=range(len(text)), ends=range(1, len(text) + 1))
    return _expanded(_characters(text), _folded_character)


def by_look(folded: Folded) -> Folded:
    """Letters of other scripts as the ASCII letters that they look like, or else sound like."""
    return _converted(folded, _look)


def by_sound(folded: Folded) -> Folded:
    """Letters of other scripts as ASCII transliterations."""
    return _converted(folded, _sound)


def translated(folded: Folded, table: dict[int, str]) -> Folded:
    """With single characters replaced by single others."""
    return Folded(text=folded.text.translate(table), starts=folded.starts, ends=folded.ends)


def squeezed(folded: Folded) -> Reading:
    """Only the letters and digits, with what stood between them as gaps."""
    words = list(_WORD.finditer(folded.text))
    places = list(chain.from_iterable(range(*word.span()) for word in words))
    whole = len(places) == len(folded.text)
    return Reading(
        letters=folded.text if whole else "".join(word.group() for word in words),
        starts=folded.starts if whole else [folded.starts[place] for place in places],
        ends=folded.ends if whole else [folded.ends[place] for place in places],
        gaps=_gaps(folded.text, words),
    )


def runs_collapsed(reading: Reading) -> Reading:
    """With every run of one letter in a word as a single one, which keeps the whole run's place."""
    letters, gaps = reading.letters, reading.gaps
    firsts = [
        place
        for place, letter in enumerate(letters)
        if not place or letters[place - 1] != letter or gaps[place] > SOFT
    ]
    nexts = [*firsts[1:], len(letters)] if firsts else []
    return Reading(
        letters="".join(letters[first] for first in firsts),
        starts=[reading.starts[first] for first in firsts],
        ends=[reading.ends[following - 1] for following in nexts],
        gaps=bytes([reading.gaps[first] for first in firsts] + [HEAVY]),
    )


def key(text: str) -> str:
    """The letters of a registered name, as they stand in a reading of a plain text."""
    return squeezed(fold(text)).letters


def join(readings: Sequence[Reading], lengths: Sequence[int]) -> Reading:
    """Readings of consecutive texts as one, with LIGHT gaps between; places count on over ``lengths``."""
    starts: list[int] = []
    ends: list[int] = []
    gaps = bytearray()
    offset = 0
    for reading, length in zip(readings, lengths, strict=True):
        starts += [offset + place for place in reading.starts]
        ends += [offset + place for place in reading.ends]
        gaps += reading.gaps[:-1]
        if gaps and offset and reading.letters:
            gaps[len(gaps) - len(reading.letters)] = LIGHT
        offset += length
    letters = "".join(reading.letters for reading in readings)
    return Reading(letters=letters, starts=starts, ends=ends, gaps=bytes(gaps) + bytes([HEAVY]))


def _gaps(text: str, words: Sequence[re.Match[str]]) -> bytes:
    gaps = bytearray()
    end = 0
    for word in words:
        start, following = word.span()
        gaps.append(_gap(text[end:start]) if gaps else HEAVY)
        gaps.extend(bytes(following - start - 1))
        end = following
    gaps.append(HEAVY)
    return bytes(gaps)


@lru_cache(maxsize=4096)
def _gap(between: str) -> int:
    if _ENDS.search(between):
        return HEAVY
    return SOFT if not between.strip(_HAIR) else LIGHT


def _characters(text: str) -> list[tuple[str, int, int]]:
    """The characters of a text with escapes undone, also those escaped twice, each with its place."""
    found = [(letter, place, place + 1) for place, letter in enumerate(text)]
    for _ in range(MAX_ESCAPED):
        escapes = list(_ESCAPES.finditer(text))
        if not escapes:
            break
        found = _without(found, escapes)
        text = "".join(letter for letter, _, _ in found)
    return found


def _without(found: Sequence[_Placed], escapes: Sequence[re.Match[str]]) -> list[_Placed]:
    """The characters, with those of each escape as what it stands for."""
    plain: list[_Placed] = []
    end = 0
    for escape in escapes:
        start, following = escape.span()
        first, last = found[start][1], found[following - 1][2]
        plain += found[end:start]
        plain += [(letter, first, last) for letter in _unescaped(escape.group())]
        end = following
    return plain + list(found[end:])


def _unescaped(escape: str) -> str:
    if not escape.isascii():
        return unicodedata.normalize("NFKC", escape)
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] == "%":
        return urllib.parse.unquote(escape, errors="replace")
    if escape[1] == "x":
        return bytes.fromhex(escape.replace("\\x", "")).decode(errors="replace")
    code = int(escape[2:].strip("{}"), 16)
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else " "


def _expanded(characters: Sequence[tuple[str, int, int]], change: Callable[[str], str]) -> Folded:
    changed = [(change(letter), start, end) for letter, start, end in characters]
    return Folded(
        text="".join(piece for piece, _, _ in changed),
        starts=[start for piece, start, _ in changed for _ in piece],
        ends=[end for piece, _, end in changed for _ in piece],
    )


def _converted(folded: Folded, change: Callable[[str], str]) -> Folded:
    if folded.text.isascii():
        return folded
    return _expanded(list(zip(folded.text, folded.starts, folded.ends, strict=True)), change)


@cache
def _folded_character(character: str) -> str:
    if character in _NEGATIVE:
        return _NEGATIVE[character]
    if character.isspace():
        return character
    if unicodedata.category(character) in _DROPPED:  # some would become letters by compatibility
        return ""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", character).casefold())
    kept = "".join(
        letter for letter in plain if letter in _KANA_MARKS or unicodedata.category(letter) not in _DROPPED
    )
    whole = unicodedata.normalize("NFC", kept)
    return "".join(_HAIR if _unseen(letter) else letter for letter in whole)


def _unseen(letter: str) -> bool:
    return letter in _FILLERS or (unicodedata.category(letter) in _WITHOUT_WIDTH and not letter.isspace())


@cache
def _look(character: str) -> str:
    if character.isascii() or not character.isalnum():
        return character
    if character in _LOOKS:
        return _LOOKS[character]
    for likeness in confusables_data.get(character, ()):
        looks = likeness["c"].lower()
        if len(looks) == 1 and looks.isascii() and looks.isalnum():
            return str(looks)
    return _sound(character)


@cache
def _sound(character: str) -> str:
    if character.isascii() or not character.isalnum():
        return character
    if character == "х":  # Cyrillic, where anyascii writes kh
        return "h"
    sound = "".join(letter for letter in anyascii(character).lower() if letter.isalnum())
    return sound or character
