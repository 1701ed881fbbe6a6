"""How a name in Latin letters is likely written in other scripts: a suggestion for its holder, never a match.

Rules of thumb over the sounds of letters, as a newspaper writes a foreign name that has no form of its own
yet: Cyrillic, Katakana and Hangul. Names that people really use (and all Chinese ones, which go by meaning as
often as by sound) only the holder knows.
"""

import re
from collections.abc import Mapping
from typing import Final

from classifiers.normalise import fold

LANGUAGES: Final = ("ru", "ja", "ko")
BY_MEANING: Final = ("zh",)
"""Languages whose form cannot be told from the sound."""
MAX_LETTERS: Final = 60
_SCRIPTS: Final = {
    "ru": re.compile("[\u0400-\u04ff]"), "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"), "zh": re.compile("[\u4e00-\u9fff]"),
}  # fmt: skip
# English spellings as sounds: a consonant is one letter (S sh, C ch, J j, T th), vowels are a e i o u.
_SOUNDS: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"\bkn", "n"), (r"\bwr", "r"), (r"ey\b", "i"), (r"(?<=[^aeiou\W])le\b", "l"), ("ou(?=[snt])", "au"),
        ("tch|ch", "C"), ("sch|sh", "S"), ("th", "T"), ("ph", "f"), ("gh", ""),
        ("qu", "kw"), ("ck|cc", "k"), ("c(?=[eiy])", "s"), ("c|q", "k"), ("x", "ks"), ("j", "J"),
        ("g(?=[ei])", "J"), ("wh", "w"), ("oo|ou", "u"), ("ee|ea|ie", "i"), ("ai|ay", "ei"),
        ("ow|aw|au", "au"),
        (r"(?<=[^aeiou\W])y(?![aeiou])|(?<=[aeo])y\b", "i"), (r"(?<=[^aeiou\W][aeiou])h?(?<=[aeiou])w\b", ""),
        (r"(?<=[aeiou][^aeiou\W])e\b", ""), (r"(?<=[aeiou])h(?![aeiou])", ""), (r"([^aeiou\W])\1", r"\1"),
    )
)  # fmt: skip
_CYRILLIC: Final = dict(zip("abdefghijklmnoprstuvwyzSCJT", "абдефгхийклмнопрстуввйзшчдт", strict=True)) | {
    "J": "дж", "e": "е",
}  # fmt: skip
_ROWS: Final = {
    "": "アイウエオ", "k": "カキクケコ", "g": "ガギグゲゴ", "s": "サシスセソ", "z": "ザジズゼゾ",
    "t": "タティトゥテト", "d": "ダディドゥデド", "n": "ナニヌネノ", "h": "ハヒフヘホ", "b": "バビブベボ",
    "p": "パピプペポ", "m": "マミムメモ", "r": "ラリルレロ", "l": "ラリルレロ",
}  # fmt: skip
_MORAE: Final[dict[str, tuple[str, ...]]] = {consonant: tuple(row) for consonant, row in _ROWS.items()} | {
    "t": ("タ", "ティ", "トゥ", "テ", "ト"), "d": ("ダ", "ディ", "ドゥ", "デ", "ド"),
    "f": ("ファ", "フィ", "フ", "フェ", "フォ"), "v": ("ヴァ", "ヴィ", "ヴ", "ヴェ", "ヴォ"),
    "w": ("ワ", "ウィ", "ウ", "ウェ", "ウォ"), "y": ("ヤ", "イ", "ユ", "イェ", "ヨ"),
    "S": ("シャ", "シ", "シュ", "シェ", "ショ"), "C": ("チャ", "チ", "チュ", "チェ", "チョ"),
    "J": ("ジャ", "ジ", "ジュ", "ジェ", "ジョ"), "T": ("サ", "シ", "ス", "セ", "ソ"),
}  # fmt: skip
_ALONE: Final = {"t": "ト", "d": "ド", "n": "ン", "m": "ム", "S": "シュ", "C": "チ", "J": "ジ"}
_LEAD: Final = {
    "": 11, "g": 0, "k": 15, "n": 2, "d": 3, "t": 16, "r": 5, "l": 5, "m": 6, "b": 7, "p": 17, "f": 17,
    "v": 7,
    "s": 9, "S": 9, "T": 9, "z": 12, "J": 12, "C": 14, "h": 18, "w": 11, "y": 11,
}  # fmt: skip
_VOWELS: Final = {"a": 0, "e": 5, "i": 20, "o": 8, "u": 13}
_GLIDES: Final = {
    "wa": 9,
    "we": 15,
    "wi": 16,
    "wo": 14,
    "wu": 13,
    "ya": 2,
    "ye": 7,
    "yi": 20,
    "yo": 12,
    "yu": 17,
}
_TAIL: Final = {"n": 4, "m": 16, "l": 8, "r": 8, "k": 1, "p": 17, "b": 17, "t": 19}
_UNSPOKEN: Final = 18  # the vowel that Korean puts after a consonant that stands alone
_HANGUL: Final = 0xAC00
_UNIT: Final = re.compile("([^aeiou]?)([aeiou])|([^aeiou])")


def suggestions(name: str, others: tuple[str, ...] = ()) -> dict[str, str]:
    """Likely forms of a name in Latin letters, by language, but for scripts that one of the `others` has.

    Empty for a name in another script, with digits, or a long one.
    """
    folded = fold(name).text
    plain = re.sub(r"[^a-z]+|\bthe\b", " ", folded).strip()
    if not plain or len(plain) > MAX_LETTERS or any(c.isalnum() and not "a" <= c <= "z" for c in folded):
        return {}
    words = [_spoken(word) for word in plain.split()]
    written = {"ru": " ".join(map(_cyrillic, words)).title(), "ja": "・".join(map(_katakana, words)),
               "ko": " ".join(map(_hangul, words))}  # fmt: skip
    return {language: text for language, text in written.items() if not _written(language, others)}


def unknown(others: tuple[str, ...]) -> tuple[str, ...]:
    """Languages in which a name goes by its meaning, and none of the `others` is written."""
    return tuple(language for language in BY_MEANING if not _written(language, others))


def _written(language: str, texts: tuple[str, ...]) -> bool:
    return any(map(_SCRIPTS[language].search, texts))


def _spoken(word: str) -> str:
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    return word


def _cyrillic(word: str) -> str:
    text = "".join(_CYRILLIC.get(sound, sound) for sound in word)
    return "э" + text[1:] if text.startswith("е") else text


def _katakana(word: str) -> str:
    text = ""
    for consonant, vowel, alone in _units(word):
        if alone:
            text += _ALONE.get(alone, _MORAE[alone][2])
        else:
            text += _MORAE[consonant]["aiueo".index(vowel)]
    return text


def _hangul(word: str) -> str:
    text: list[int] = []  # code points; a syllable without a final consonant may still take one
    for consonant, vowel, alone in _units(word):
        if not alone:
            glide = _GLIDES.get(consonant + vowel) if consonant in ("w", "y") else None
            text.append(_HANGUL + (_LEAD[consonant] * 21 + (_VOWELS[vowel] if glide is None else glide)) * 28)
        elif text and (text[-1] - _HANGUL) % 28 == 0 and alone in _TAIL and not _unspoken(text[-1]):
            text[-1] += _TAIL[alone]
        else:
            text.append(_HANGUL + (_LEAD[alone] * 21 + _UNSPOKEN) * 28)
    return "".join(map(chr, text))


def _unspoken(syllable: int) -> bool:
    return (syllable - _HANGUL) // 28 % 21 == _UNSPOKEN


def _units(word: str) -> list[tuple[str, str, str]]:
    """The sounds of a word as (consonant or nothing, vowel, ) or ( , , consonant alone)."""
    return [(one[1] or "", one[2] or "", one[3] or "") for one in _UNIT.finditer(word)]


def told(found: Mapping[str, str], missing: tuple[str, ...]) -> str:
    """The suggestions as a sentence; empty without any."""
    if not found and not missing:
        return ""
    likely = ", ".join(f"{language} {text}" for language, text in found.items())
    parts = [f"likely {likely}"] if likely else []
    parts += [f"and in {', '.join(missing)} as people call it there"] if missing else []
    return f"add how it is written in other scripts, as far as that is right: {'; '.join(parts)}"
