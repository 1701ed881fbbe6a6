"""Whether what stands in a prompt is near a name: the last word on candidates that the table of forms gives.

1. One mistake (a letter wrong, missing, too many, or two swapped): names of four letters or more; the
shorter, the less may what is written be a word itself.
2. Two mistakes: names of six letters or more; the shorter, the less may what is written be a word.
3. Another spelling of the same sounds.
4. The same letters, with words or syllables swapped, or each word backwards.

None of these is ever sure: a person should look.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from rapidfuzz.distance import OSA, JaroWinkler

from classifiers.ambiguity import common_word, frequency, use_of
from classifiers.index import words as words_of_name
from classifiers.lines import BAG, LONG, MIN_LONG, MIN_SHORT, RARE, SHORT, SOUND
from classifiers.sounds import respelled

LONGER: Final = np.zeros(BAG + 1, np.intp)
"""By way, how many letters more or less than the name may be written."""
LONGER[SHORT], LONGER[LONG], LONGER[SOUND] = 1, 2, 4
OTHERS: Final = np.zeros(BAG + 1, np.intp)
"""By way, how many letters may be in only one of the two."""
OTHERS[SHORT], OTHERS[LONG], OTHERS[SOUND] = 2, 4, 9
TINY, SMALL = 4, 5  # letters of names that must begin as written, and what is written be no word at all
FAR: Final = 7  # letters of names that another script has to spell as they sound, if shorter
LONG_NAME: Final = 9  # letters of a name of which two may be wrong wherever they stand
UNKNOWN: Final = 1.5  # Zipf
UNHEARD: Final = 1.0
TINY_USE, SMALL_USE = 1.5, 1.8  # Zipf, of what is written for such a name
ALIKE: Final = 0.8  # Jaro-Winkler of two names that differ by two mistakes
SOUND_LIKE: Final = 0.84  # Jaro-Winkler of two respelled names
SOUND_SHARE: Final = 0.65
BLOCKS: Final = 0.5  # share of neighbouring letters that words or syllables in another order keep
SEEN_APART: Final = 4.5  # Zipf: two words more frequent than this stand in either order


def score(way: int, name: str, text: str, pieces: Sequence[str], uses: Sequence[float]) -> float:
    """How near ``pieces``, the words that stand there, are to the letters of a name; 0: not near.

    ``text``: the name as it was registered; ``uses``: how usual each of the words is (Zipf), below 0 for
    words in another script.
    """
    written = "".join(pieces)
    if written == name:
        return 0.0
    if way == BAG:
        return _rearranged(name, text, written, pieces, uses)
    if way == SOUND:
        return _sounds(name, written, uses)
    return _mistakes(name, text, written, pieces, uses)


def too_far(name: str, written: str) -> bool:
    """Whether there are more mistakes than any name may have."""
    return OSA.distance(name, written, score_cutoff=2) > 2


def _mistakes(name: str, text: str, written: str, pieces: Sequence[str], uses: Sequence[float]) -> float:
    most = 2 if len(name) >= MIN_LONG else 1
    distance = OSA.distance(name, written, score_cutoff=most)
    if distance > most or len(name) < MIN_SHORT:
        return 0.0
    if len(name) <= SMALL:
        least = TINY_USE if len(name) == TINY else SMALL_USE
        near = name[0] == written[0] and use_of(written) < least and len(written) >= TINY
    elif min(uses) < 0 and len(name) < FAR:
        near = False
    elif distance == 1:
        near = min(uses) < RARE or (len(name) >= MIN_LONG and _kept(text, pieces))
    elif len(name) < LONG_NAME:
        least = UNHEARD if len(name) < FAR else UNKNOWN
        near = name[0] == written[0] and _unheard(text, pieces, uses, least)
    else:
        near = min(uses) < RARE and JaroWinkler.similarity(name, written) >= ALIKE
    return 1 - distance / len(name) if near else 0.0


def _unheard(text: str, pieces: Sequence[str], uses: Sequence[float], least: float = UNHEARD) -> bool:
    """Whether all that is not a word of the name is no word at all."""
    parts = words_of_name(text)
    return all(use < least or piece in parts for piece, use in zip(pieces, uses, strict=True))


def _kept(text: str, pieces: Sequence[str]) -> bool:
    """Whether a word of the name stands there as it should, and whatever does not is no common word, or that
    word is none.
    """
    parts = words_of_name(text)
    kept = [part for part in parts if part in pieces]
    others = [piece for piece in pieces if piece not in parts]
    return any(not common_word(part) for part in kept) or (
        bool(kept) and not any(common_word(piece) for piece in others)
    )


def _sounds(name: str, written: str, uses: Sequence[float]) -> float:
    if min(uses) >= UNKNOWN:
        return 0.0
    mine, theirs = respelled(name), respelled(written)
    if len(name) < (FAR if min(uses) < 0 else SMALL):
        return 1 - 1 / len(name) if mine == theirs else 0.0
    alike, share = JaroWinkler.similarity(mine, theirs), OSA.normalized_similarity(mine, theirs)
    return alike * 0.99 if alike >= SOUND_LIKE and share >= SOUND_SHARE else 0.0


def _rearranged(name: str, text: str, written: str, pieces: Sequence[str], uses: Sequence[float]) -> float:
    if len(written) != len(name) or sorted(written) != sorted(name):
        return 0.0
    parts = words_of_name(text)
    if len(parts) > 1:
        swapped = sorted(parts) == sorted(pieces)
        named = not all(map(common_word, parts)) or min(map(frequency, parts)) < SEEN_APART
        if swapped and (len(parts) > 2 or named):
            return 1 - 1 / len(name)
        if sorted(part[::-1] for part in parts) == sorted(pieces):
            return 1 - 1 / len(name)
    share = len(_pairs(name) & _pairs(written)) / max(1, len(_pairs(name)))
    if len(name) < MIN_LONG:
        near = name[0] == written[0] and len(pieces) == 1 and max(uses) < TINY_USE
    elif share < BLOCKS:
        apart = sorted(map(sorted, parts)) == sorted(map(sorted, pieces))
        near = _unheard(text, pieces, uses) and (apart or name[0] == written[0])
    else:
        near = min(uses) < RARE
    return max(share, 1 - 2 / len(name)) if near else 0.0


def _pairs(word: str) -> set[str]:
    return {word[place : place + 2] for place in range(len(word) - 1)}
