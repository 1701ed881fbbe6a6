"""Ways to write a name so that a person still reads it and a plain search does not."""

import base64
import codecs
import random
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

Disguise = Callable[[str, random.Random], str]

_HOMOGLYPHS: Final = str.maketrans("aceopsxyijhbkmtBEHKMOPTXAC", "асеорѕхуіјһЬкмтВЕНКМОРТХАС")
_LEET: Final = str.maketrans("aeiostbgAEIOSTBG", "4310578943105789")
_SYMBOLS: Final = str.maketrans("asiceASICE", "@$!(€@$!(€")
_MARKS: Final = "\u0300\u0301\u0302\u0308\u030a\u0327"
_ABOVE: Final = range(0x0300, 0x0370)


def _letters(name: str, change: Callable[[str], str]) -> str:
    return "".join(change(letter) if letter.isalpha() else letter for letter in name)


def _one_of(name: str, rng: random.Random, change: Callable[[str], str], count: int = 1) -> str:
    places = [place for place, letter in enumerate(name) if change(letter) != letter]
    for place in rng.sample(places, min(count, len(places))):
        name = name[:place] + change(name[place]) + name[place + 1 :]
    return name


def _split(name: str, rng: random.Random) -> str:
    words = name.split(" ")
    longest = max(range(len(words)), key=lambda place: len(words[place]))
    at = rng.randrange(1, len(words[longest])) if len(words[longest]) > 1 else 1
    words[longest] = f"{words[longest][:at]} {words[longest][at:]}"
    return " ".join(words)


def _bold(letter: str) -> str:
    if not letter.isascii():
        return letter
    return chr((0x1D400 if letter.isupper() else 0x1D41A) + ord(letter.lower()) - ord("a"))


def _full(letter: str) -> str:
    return chr(ord(letter) + 0xFEE0) if letter.isascii() else letter


def _zalgo(rng: random.Random) -> Callable[[str], str]:
    return lambda letter: letter + "".join(chr(rng.choice(_ABOVE)) for _ in range(3))


def _repeated(name: str, rng: random.Random) -> str:
    place = rng.choice([place for place, letter in enumerate(name) if letter.isalpha()])
    return name[: place + 1] + name[place] * rng.randint(2, 4) + name[place + 1 :]


def _typo(name: str, rng: random.Random) -> str:
    places = [p for p in range(1, len(name) - 1) if name[p].isalpha() and name[p + 1].isalpha()]
    place = rng.choice(places or [0])
    kind = rng.randrange(3)
    if kind == 0:
        return name[:place] + name[place + 1 :]
    if kind == 1:
        return name[:place] + rng.choice("aeiourstln") + name[place + 1 :]
    return name[:place] + name[place + 1] + name[place] + name[place + 2 :]


_RESPELLINGS: Final = (
    ("ph", "f"), ("ck", "k"), ("qu", "kw"), ("x", "ks"), ("oo", "u"), ("ou", "ow"),
    ("ee", "ea"), ("ea", "ee"),
    ("ie", "y"), ("ey", "ie"), ("ai", "ay"), ("au", "aw"), ("er", "ur"), ("ar", "ahr"), ("or", "awr"),
    ("ch", "tch"), ("sh", "sch"), ("ss", "s"), ("ll", "l"), ("ca", "ka"), ("co", "ko"), ("cu", "ku"),
    ("ci", "si"), ("ce", "se"), ("ge", "je"), ("gi", "ji"), ("ka", "ca"), ("ki", "kee"), ("k", "ck"),
    ("f", "ph"), ("s", "z"), ("z", "s"), ("v", "vv"), ("i", "y"), ("y", "i"), ("u", "oo"), ("o", "oh"),
    ("a", "ah"), ("e", "eh"),
)  # fmt: skip


def _respelled(name: str, rng: random.Random) -> str:
    """Two spellings of a sound for others (one in a name of four letters), at different places."""
    changes = [
        (place, old, new)
        for old, new in _RESPELLINGS
        for place in range(len(name))
        if name.lower().startswith(old, place)
    ]
    rng.shuffle(changes)
    taken: list[tuple[int, str, str]] = []
    for change in changes:
        far = all(abs(change[0] - other[0]) > 2 for other in taken)
        if far and len(taken) < (2 if len(name) > 4 else 1):
            taken.append(change)
    for place, old, new in sorted(taken, reverse=True):
        new = new.capitalize() if name[place].isupper() else new
        name = name[:place] + new + name[place + len(old) :]
    return name


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name)


def _reordered(name: str, rng: random.Random) -> str:
    """The words in another order; of a single word, its halves."""
    words = _words(name)
    if len(words) == 1:
        at = len(name) // 2
        return name[at:] + name[:at]
    return " ".join(words[1:] + words[:1])


def _syllables(name: str, rng: random.Random) -> str:
    """Two neighbouring consonants of the longest word change places, and so do the words."""
    words = _words(name)
    longest = max(words, key=len)
    hard = [place for place, letter in enumerate(longest) if letter.lower() not in "aeiouy"]
    pairs = [(a, b) for a, b in pairwise(hard) if longest[a].lower() != longest[b].lower() and a]
    if pairs:
        a, b = rng.choice(pairs)
        letters = list(longest)
        letters[a], letters[b] = letters[b], letters[a]
        words[words.index(longest)] = "".join(letters)
    return " ".join(words[1:] + words[:1])


_CYRILLIC: Final = (
    ("th", "т"), ("sh", "ш"), ("ch", "ч"), ("ck", "к"), ("ph", "ф"), ("qu", "кв"), ("ee", "и"), ("oo", "у"),
    ("j", "дж"), ("x", "кс"),
    *zip("abcdefghiklmnopqrstuvwyz", "абкдефгхиклмнопкрстувуиз", strict=True),
)  # fmt: skip


def _cyrillic(word: str) -> str:
    """A word as Russian writes it, roughly."""
    for letters, sound in _CYRILLIC:
        word = word.replace(letters, sound)
    return word


def _mixed(name: str, rng: random.Random) -> str:
    """Half of the name in Cyrillic letters that sound as it does."""
    words = _words(name)
    at = rng.randrange(len(words)) if len(words) > 1 else 0
    word = words[at].lower()
    half = len(word) // 2 if len(words) == 1 else 0
    words[at] = words[at][:half] + _cyrillic(word[half:])
    return " ".join(words)


EXACT: Final[Mapping[str, Disguise]] = {
    "clean": lambda name, _: name,
    "case": lambda name, rng: "".join(rng.choice((c.lower(), c.upper())) for c in name),
    "hyphen or possessive": lambda name, rng: rng.choice((name.replace(" ", "-"), name + "'s")),
    "no space": lambda name, _: name.replace(" ", "").replace("-", ""),
    "spaced letters": lambda name, _: " ".join(name.replace(" ", "")),
    "dots": lambda name, _: ".".join(name.replace(" ", "")),
    "underscores": lambda name, _: "_".join(name.replace(" ", "")),
    "split mid-word": _split,
    "zero width": lambda name, _: "\u200b".join(name),
    "soft hyphen": lambda name, _: "\u00ad".join(name),
    "one or two homoglyphs": lambda name, rng: _one_of(
        name, rng, lambda c: c.translate(_HOMOGLYPHS), rng.randint(1, 2)
    ),
    "all homoglyphs": lambda name, _: name.translate(_HOMOGLYPHS),
    "mathematical bold": lambda name, _: _letters(name, _bold),
    "full width": lambda name, _: _letters(name, _full),
    "diacritics": lambda name, rng: _letters(name, lambda c: c + rng.choice(_MARKS)),
    "zalgo": lambda name, rng: _letters(name, _zalgo(rng)),
    "leet digits": lambda name, _: name.translate(_LEET),
    "leet symbols": lambda name, _: name.translate(_SYMBOLS),
    "HTML entities": lambda name, _: _letters(name, lambda c: f"&#{ord(c)};"),
    "emoji between letters": lambda name, _: "🌟".join(name.replace(" ", "")),
}
"""The twenty kinds that are to be exact."""
FURTHER: Final[Mapping[str, Disguise]] = {
    "repeated letters": _repeated,
    "reversed": lambda name, _: name[::-1],
    "base64": lambda name, _: base64.b64encode(name.encode()).decode(),
    "rot13": lambda name, _: codecs.encode(name, "rot13"),
    "URL encoding": lambda name, _: "".join(f"%{byte:02X}" for byte in name.encode()),
    "hex": lambda name, _: name.encode().hex(),
    "one typo": _typo,
    "two typos": lambda name, rng: _typo(_typo(name, rng), rng),
    "phonetic respelling": _respelled,
}
"""With the native scripts of `benchmarks.tools.safety_names`, the thirty that are known."""
FAMILIES: Final[Mapping[str, Disguise]] = {
    "word order": _reordered,
    "syllables swapped": _syllables,
    "half in another script": _mixed,
}
"""Ways that leave less of the name; what is found of them asks for a person's look."""
