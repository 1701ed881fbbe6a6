"""How a name sounds, roughly: what is left of its letters when other spellings of the same sounds agree.

Consonants fall into classes (b and p, d and t, hard c and k …), vowels and silent letters fall out, repeated
classes are one. It is coarse on purpose, and letter by letter, so that whole arrays of letters are read at
once; `respelled` is finer and decides about the few names whose coarse sounds agree. Both follow English
spelling, as Metaphone does (Philips 1990).
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.forms import Codes

_P, _F, _K, _J, _S, _X, _T, _L, _M, _N, _R, _SH = range(1, 13)
_VOWEL, _Y, _W, _H = range(13, 17)  # only where they begin
_DIGIT: Final = 20
_TABLE: Final = np.zeros(128, np.uint32)
for _letters, _class in (
    ("bp", _P), ("fv", _F), ("cgkq", _K), ("j", _J), ("sz", _S), ("x", _X), ("dt", _T), ("l", _L),
    ("m", _M), ("n", _N), ("r", _R),
):  # fmt: skip
    for _letter in _letters:
        _TABLE[ord(_letter)] = _class
for _digit in range(10):
    _TABLE[ord("0") + _digit] = _DIGIT + _digit
_FIRST: Final = np.zeros(128, np.uint32)
for _letters, _class in (("aeiou", _VOWEL), ("y", _Y), ("w", _W), ("h", _H)):
    for _letter in _letters:
        _FIRST[ord(_letter)] = _class
_SOFTENS: Final = np.zeros(128, bool)
_SOFTENS[[ord(letter) for letter in "eiy"]] = True

Flags = NDArray[np.bool_]


def sounds(codes: Codes, begins: Flags) -> tuple[Codes, Flags]:
    """The class of each letter, and which of them count; ``begins``: where words do.

    Letters of other scripts stand for themselves.
    """
    plain = np.where(codes < 128, codes, 0)
    after = np.append(plain[1:], 0)
    after[:-1][begins[1:]] = 0
    classes = np.where(codes < 128, _TABLE[plain], codes)
    soft = _SOFTENS[after]
    classes[soft & (plain == ord("c"))] = _S
    classes[soft & (plain == ord("g"))] = _J
    breathed = after == ord("h")
    classes[breathed & (plain == ord("p"))] = _F
    classes[breathed & (plain == ord("z"))] = _J
    hushed = breathed & ((plain == ord("c")) | (plain == ord("s")))
    classes[hushed] = _SH
    classes[:-1][(hushed & (plain == ord("c")) & ~begins)[1:] & _among(plain[:-1], "st")] = _SH  # tch, sch
    silent = breathed & (plain == ord("g")) & ~begins
    silent |= begins & (plain == ord("k")) & (after == ord("n"))
    classes[silent] = 0
    joined = ~begins[1:]
    hissed = joined & (classes[:-1] == _K) & (classes[1:] == _S)  # ks as x
    classes[1:][hissed] = _X
    classes[:-1][hissed] = 0
    pressed = joined & (classes[:-1] == _T) & (classes[1:] == _J)  # dzh
    classes[:-1][pressed] = 0
    classes[1:][joined & (classes[:-1] == _K) & (plain[1:] == ord("v"))] = 0  # kv as qu
    counts = classes != 0
    counts[1:] &= ~(joined & (classes[1:] == classes[:-1]))
    breath = (plain[1:-1] == ord("h")) & (classes[1:-1] == 0) & ~begins[1:-1] & ~begins[2:]
    counts[2:] &= ~(breath & (classes[2:] == classes[:-2]))
    return classes, counts


def _among(plain: Codes, letters: str) -> Flags:
    return np.asarray(np.isin(plain, [ord(letter) for letter in letters]))


def opening(codes: Codes) -> Codes:
    """The class of a first letter that counts only there; 0 for others."""
    return np.asarray(_FIRST[np.where(codes < 128, codes, 0)], np.uint32)


_RESPELLINGS: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("dzh|zh", "j"), ("kv", "kw"), ("ph|v", "f"), ("tch|sh|sch|ch", "C"),
        ("qu", "kw"), ("x", "ks"), ("wh", "w"),
        ("gh", ""),
        ("c(?=[eiy])", "s"), ("ck|cc|q|c(?![h])", "k"), ("z", "s"), ("th|d", "t"), ("b", "p"),
        ("oo|ou|ow|ew|ue|w(?![aeiouy])", "u"), ("ee|ea|ie|ey|y|j(?![aeiou])", "i"), ("ai|ay|ei", "e"),
        ("h(?![aeiou])", ""), ("e\\Z", ""), (r"(.)\1+", r"\1"),
    )
)  # fmt: skip


def respelled(letters: str) -> str:
    """A name as it might be spelled by somebody who only ever heard it."""
    for pattern, sound in _RESPELLINGS:
        letters = pattern.sub(sound, letters)
    return letters
