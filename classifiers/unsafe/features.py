"""What the weights look at besides the sentence vector: hashed letters and words, and a few plain signs.

1. A text is folded first (case, marks, look-alike letters), as for names.
2. Letters: runs of three to five in each word with its edges; of scripts without spaces, one to three. Vowel
   signs of Indian scripts, where they are left of a word, are part of it.
   Words: each, and each pair of neighbours. All are hashed into `BUCKETS` places (CRC-32), counted, damped
   by the logarithm and brought to unit length.
3. Signs: whether a known name of each list is there, and whether somebody under age is spoken of.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.normalise import fold
from classifiers.unsafe import known
from classifiers.unsafe.known import Known, KnownNames
from classifiers.wording import latin_words

BUCKETS: Final = 1 << 16
LETTERS: Final = (3, 4, 5)
NATIVE: Final = (1, 2, 3)
MAX_WORD: Final = 40
"""Letters of a word that are looked at; longer runs are no words, but in scripts without spaces."""
SIGNS: Final = known.LISTS
UNDER_AGE: Final = 18
_LETTER: Final = r"(?:[^\W_]|[\u0900-\u0963\u0971-\u0dff])"
_WORD: Final = re.compile(rf"{_LETTER}+(?:['’]{_LETTER}+)*")
_NATIVE: Final = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]")
_YEARS: Final = re.compile(
    r"(?<!\d)(\d{1,2})[\s-]*(?:years?|yrs?|y/?o|j[aä]hr\w*|a[nñ]os|ans|anni|anos|jaar|лет|년|歳|岁)\b",
    re.IGNORECASE,
)
_NUMBERS: Final = (
    "four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
)
_AGES: Final = re.compile(
    rf"\b(?:(?:{_NUMBERS})[\s-]*years?[\s-]*old|child|children|kids?|toddlers?|infants?|pre-?teens?|minors|"
    r"under-?aged?|school-?(?:girls?|boys?|children)|(?:little|small) (?:girls?|boys?|one)|"
    r"teen(?:age|aged|ager|agers|s)?|adolescents?|juveniles?|lolis?|lolita|lolicon|shota(?:con)?|"
    r"kindergart\w*|elementary school\w*|primary school\w*|middle school\w*|pupils?|"
    r"kind(?:er|ern)?|minderj\w+|enfants?|mineure?s?|niñ[oa]s?|menores|bambin[aio]|minorenn[ei]|crianças?|"
    r"kinderen|minderjarig\w*|dziec\w*|çocuk\w*)\b|дет[ие]\w*|ребён\w*|несовершеннолет\w*|儿童|未成年|小学生|"
    r"幼女|子供|児童|아동|미성년|أطفال|طفل|قاصر|बच्च", re.IGNORECASE
)  # fmt: skip

Sparse = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Places and values of one text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What is seen of one text without a model; ``spans`` of known names and of words about age."""

    hashed: Sparse
    signs: NDArray[np.float32]
    known: tuple[Known, ...]
    ages: tuple[tuple[int, int], ...]


def features(text: str, names: KnownNames | None = None) -> Features:
    """The features of `text`; `names`: the finder, by default the one with all names."""
    found = tuple((names or known.default()).find(text))
    lists = {one.list for one in found}
    return Features(
        hashed=hashed(text),
        signs=np.array([which in lists for which in SIGNS], np.float32),
        known=found,
        ages=tuple(ages(text)),
    )


def ages(text: str) -> Iterator[tuple[int, int]]:
    """Where a text speaks of somebody under age."""
    for found in _AGES.finditer(text):
        yield found.span()
    for found in _YEARS.finditer(text):
        if int(found.group(1)) < UNDER_AGE:
            yield found.span()


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text stand."""
    return [word.span() for word in _WORD.finditer(text)]


def hashed(text: str) -> Sparse:
    """The hashed letters and words of a text, unit length; both empty for a text without letters."""
    counts = Counter(_places(text))
    places = np.fromiter(counts.keys(), np.int64, len(counts))
    values = np.fromiter((1 + math.log(count) for count in counts.values()), np.float32, len(counts))
    length = float(np.linalg.norm(values))
    return places, values / np.float32(length) if length else values


def _places(text: str) -> Iterator[int]:
    words = [
        word if _NATIVE.search(word) else word[:MAX_WORD]
        for word in _WORD.findall(latin_words(fold(text).text))
    ]
    for word in words:
        yield _place(f"w {word}")
        yield from _of_word(word)
    for first, second in pairwise(words):
        yield _place(f"p {first} {second}")


def _place(gram: str) -> int:
    return zlib.crc32(gram.encode("utf-8", "replace")) % BUCKETS


def _of_word(word: str) -> Iterator[int]:
    sizes, told = (NATIVE, word) if _NATIVE.search(word) else (LETTERS, f" {word} ")
    for size in sizes:
        for at in range(len(told) - size + 1):
            yield _place(told[at : at + size])
