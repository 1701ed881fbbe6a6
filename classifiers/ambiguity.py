"""Which names would hit what everybody writes: they may not block alone.

English has no list of words that are names; how a word is used gives it away. A common noun has a plural
about as often as a singular, a verb has its forms, and a name has possessives instead and is as frequent in
other languages. The numbers are word frequencies of wordfreq, in Zipf units (log10 of a word's share of all
words, plus 9); thresholds chosen on some 90 film titles, character names and ordinary words.
"""

import math
import re
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray
from wordfreq import get_frequency_dict, get_frequency_list

from classifiers.base import NameTier
from classifiers.errors import NameRefused
from classifiers.normalise import fold, key

MAX_NAME: Final = 200  # characters
MIN_LETTERS: Final = 4  # of a name that blocks alone
MIN_NATIVE: Final = 2  # the same in scripts whose letters are syllables or words
KNOWN: Final = 3.0  # Zipf: about one in a million; a word that people have heard
FAMILIAR: Final = 3.5
_ANY_USE: Final = 4.75  # so frequent that any text may have it
_PHRASE: Final = 5.0  # words of which any sentence is made, as in "inside out"
_ARTICLES: Final = frozenset(("the", "a", "an"))
_ENGLISH: Final = "en"
_OTHERS: Final = ("de", "fr", "es", "it", "pt", "nl")
_SPACED: Final = frozenset((*_OTHERS, "en", "pl", "sv", "nb", "da", "fi", "cs", "ro", "hu", "tr", "ru", "id"))
_LISTED: Final = (
    "ar", "bg", "bn", "cs", "da", "de", "el", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ko",
    "nb", "nl", "pl", "pt", "ro", "ru", "sv", "ta", "tr", "uk",
)  # fmt: skip
_HANGUL: Final = re.compile("[\uac00-\ud7af]{3,}")
_PARTICLE: Final = 2  # letters that Korean puts behind a word, at most
_NATIVE: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff"
    "\u3130-\u318f\u3400-\u9fff\uac00-\ud7ff\U00020000-\U0003ffff]"
)
_WORDS: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def check_name(text: str, context: Sequence[str] = (), language: str = "") -> NameTier:
    """The tier under which a name can be registered with these context words, as its words say.

    Raises: NameRefused, with what to do, for a name without letters, one too long, or one that needs
    context words and has none. What it does in ordinary prompts, `classifiers.ordinary` measures.
    """
    tier = tier_of(text, language)
    if tier is NameTier.CONTEXT:
        demand_context(text, context)
    return tier


def demand_context(text: str, context: Sequence[str], hits: int = 0, example: str = "") -> None:
    """Raises: NameRefused for a name that needs context words, where none is given.

    ``hits``, ``example``: in how many ordinary prompts it was found, and one of them.
    """
    if any(key(word) for word in context):
        return
    found = f" (as {hits} of our ordinary prompts: “{example}”)" if hits else ""
    raise NameRefused(
        f"“{text.strip()}” alone would hit what everybody writes{found}; add context words of which one must "
        "be in the prompt too (“context”: what belongs to it and to nothing else), or register a longer name"
    )


def tier_of(text: str, language: str = "") -> NameTier:
    """BLOCK for a name that means only its subject, CONTEXT for a common word or a very short one.

    Raises: NameRefused for a name that has nothing to look for, or too much.
    """
    letters = key(text)
    if len(text) > MAX_NAME:
        raise NameRefused(f"a name may have {MAX_NAME} characters; “{text[:40]}…” has more: shorten it")
    if len(letters) < 2:
        raise NameRefused(f"“{text.strip()}” has fewer than two letters or digits; register a longer name")
    if _NATIVE.search(letters):
        return NameTier.BLOCK if len(letters) >= MIN_NATIVE else NameTier.CONTEXT
    words = [word for word in _WORDS.findall(fold(text).text) if word not in _ARTICLES]
    short = len(letters) < MIN_LETTERS or letters.isdecimal()
    phrase = all(len(word) > 1 and frequency(word) >= _PHRASE for word in words)
    single = len(words) == 1 and _common(words[0], language)
    return NameTier.CONTEXT if short or phrase or single else NameTier.BLOCK


def frequency(word: str, language: str = _ENGLISH) -> float:
    """How often a lower-case word is used, in Zipf units: 7 for "the", 3 for one in a million."""
    share = _shares(language).get(word, 0.0)
    return math.log10(share) + 9 if share else 0.0


def use_of(word: str) -> float:
    """How usual a lower-case word is (Zipf): in English, or `KNOWN` where another language has it."""
    use = frequency(word)
    return KNOWN if use < KNOWN and known_elsewhere(word) else use


def known_elsewhere(word: str) -> bool:
    """Whether a lower-case word is one in a million, or more usual, in a language other than English."""
    listed = _listed()
    ends = range(_PARTICLE + 1 if _HANGUL.fullmatch(word) else 1)
    hashes = [hash(word[: len(word) - end]) for end in ends]
    return any(listed[min(int(np.searchsorted(listed, one)), len(listed) - 1)] == one for one in hashes)


@cache
def _listed() -> NDArray[np.int64]:
    """The hashes of usual words of many languages, in order: a million words in 8 bytes each, in a third of a
    second.
    """
    hashes = [
        np.fromiter(map(hash, chain.from_iterable(get_frequency_list(language, "small"))), np.int64)
        for language in _LISTED
    ]
    return np.sort(np.concatenate(hashes))  # with what is listed twice: without takes numpy a second more


def _common(word: str, language: str) -> bool:
    base = language.lower().partition("-")[0]
    local = base in _SPACED and base != _ENGLISH and frequency(word, base) >= FAMILIAR
    return local or common_word(word)


@cache
def common_word(word: str) -> bool:
    """Whether a lower-case word is ordinary English, rather than a name."""
    use = frequency(word)
    if use < KNOWN:
        return False
    plural, possessive = frequency(_plural(word)), frequency(f"{word}'s")
    if use >= _ANY_USE and plural > possessive - 1:
        return True
    noun = noun_like(word)
    verb = max(frequency(_stem(word) + ending) for ending in ("ed", "ing")) >= use - 1.2
    elsewhere = sum(frequency(word, other) for other in _OTHERS) / len(_OTHERS)
    other = use >= FAMILIAR and possessive < use - 2 and elsewhere < use - 0.75
    return noun or verb or other


def noun_like(word: str) -> bool:
    """Whether a lower-case word has a plural about as usual as it, and more so than its possessive."""
    plural = frequency(_plural(word))
    return plural >= frequency(word) - 1.6 and plural >= frequency(f"{word}'s") + 0.25


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else word + "s"


def _stem(word: str) -> str:
    return word.removesuffix("e")


@cache
def _shares(language: str) -> dict[str, float]:
    return get_frequency_dict(language, wordlist="small" if language != _ENGLISH else "best")
