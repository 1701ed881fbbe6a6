"""Whether what stands in a prompt is near a name: the last word on candidates that the table of forms gives.

1. One mistake (a letter wrong, missing, too many, or two swapped): names of four letters or more; the shorter,
   the less may what is written be a word itself.
2. Two mistakes: names of nine letters or more.
3. Another spelling of the same sounds.
4. The same letters, with words or syllables swapped, or each word backwards.
None of these is ever sure: a person should look.
"""

from collections.abc import Sequence
from typing import Final

from rapidfuzz.distance import OSA, JaroWinkler

from classifiers.ambiguity import common_word, frequency
from classifiers.index import words as words_of_name
from classifiers.lines import BAG, MIN_LONG, MIN_SHORT, MIN_SOUND, RARE, SOUND
from classifiers.sounds import respelled

MAX_LONGER: Final = 4  # letters by which what is written may differ; respelling needs most
TINY, SMALL = 4, 5  # letters of names that must begin as written, and what is written be no word at all
UNKNOWN: Final = 1.5  # Zipf
UNHEARD: Final = 1.0
SOUND_LIKE: Final = 0.88  # Jaro-Winkler of two respelled names
SOUND_SHARE: Final = 0.7
BLOCKS: Final = 0.55  # share of neighbouring letters that words or syllables in another order keep


def score(way: int, name: str, text: str, pieces: Sequence[str]) -> float:
    """How near ``pieces``, the words that stand there, are to the letters of a name; 0: not near.

    ``text``: the name as it was registered.
    """
    written = "".join(pieces)
    if written == name:
        return 0.0
    if way == BAG:
        return _rearranged(name, text, written, pieces)
    if way == SOUND:
        return _sounds(name, written, pieces)
    return _mistakes(name, text, written, pieces)


def _mistakes(name: str, text: str, written: str, pieces: Sequence[str]) -> float:
    most = 2 if len(name) >= MIN_LONG else 1
    distance = OSA.distance(name, written, score_cutoff=most)
    if distance > most or len(name) < MIN_SHORT:
        return 0.0
    strange = any(frequency(piece) < RARE for piece in pieces)
    if len(name) <= SMALL:
        least = UNHEARD if len(name) == TINY else UNKNOWN
        close = name[0] == written[0] and frequency(written) < least
        if not close or (len(name) == TINY and len(written) < TINY):
            return 0.0
    elif not strange and not (len(name) >= MIN_LONG and distance == 1 and _kept(text, pieces)):
        return 0.0
    elif distance == 2 and JaroWinkler.similarity(name, written) < SOUND_LIKE:
        return 0.0
    return 1 - distance / len(name)


def _kept(text: str, pieces: Sequence[str]) -> bool:
    """Whether a word of the name that is no common word stands there as it should."""
    return any(piece in pieces and not common_word(piece) for piece in words_of_name(text))


def _sounds(name: str, written: str, pieces: Sequence[str]) -> float:
    if len(name) < MIN_SOUND or not any(frequency(piece) < UNKNOWN for piece in pieces):
        return 0.0
    mine, theirs = respelled(name), respelled(written)
    alike = JaroWinkler.similarity(mine, theirs)
    share = OSA.normalized_similarity(mine, theirs)
    return alike * 0.99 if alike >= SOUND_LIKE and share >= SOUND_SHARE else 0.0


def _rearranged(name: str, text: str, written: str, pieces: Sequence[str]) -> float:
    if len(written) != len(name) or sorted(written) != sorted(name):
        return 0.0
    parts = words_of_name(text)
    if len(parts) > 1:
        swapped = sorted(parts) == sorted(pieces)
        backwards = sorted(part[::-1] for part in parts) == sorted(pieces)
        if swapped or backwards:
            return 1 - 1 / len(name)
    if all(frequency(piece) >= RARE for piece in pieces):
        return 0.0
    kept = _pairs(name) & _pairs(written)
    share = len(kept) / max(1, len(_pairs(name)))
    return share if share >= BLOCKS else 0.0


def _pairs(word: str) -> set[str]:
    return {word[place : place + 2] for place in range(len(word) - 1)}
