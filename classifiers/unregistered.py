"""Names of persons and works that nobody registered, for policies that need permission first.

Capitals give a name away: a run of capitalised words in the middle of a sentence, of which one is no common
word; at the beginning of a sentence, where everything has a capital, only a word that English hardly knows.
A text wholly in title case or capitals says nothing, and neither does one in lower case: this finds what
people write plainly, and no disguise. Places, peoples, feasts, breeds, styles and the long dead are no names
of that kind (`place_words.txt`, and what ends or begins like the name of a place), and neither is a rare word
at the beginning of a sentence that is made of two known ones.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from classifiers.ambiguity import common_word, frequency, noun_like
from classifiers.base import CheckReport, CheckState, Finding, NameEntry, References, Sight
from classifiers.layers import OfLayers
from classifiers.normalise import key

CHECK: Final = "unregistered_names"
CODE: Final = "unregistered_name"
RARE: Final = 2.5  # Zipf
MAX_FINDINGS: Final = 20
PLACES: Final = "place_words.txt"
COMPOUND: Final = 3.5  # Zipf, of both words of which a rare one is made
_ENDS: Final = frozenset((
    "airport", "avenue", "basilica", "boulevard", "bridge", "canyon", "cathedral", "desert", "fjord",
    "glacier", "harbor", "harbour", "mosque", "mountains", "museum", "ocean", "palace", "peninsula",
    "railway", "river", "skyline", "square", "stadium", "station", "strait", "temple", "tower",
    "university", "waterfall",
))  # fmt: skip
"""Last words of names of places; those that end as many titles of works ("park", "hill", "street") are not
among them."""
_BEGINS: Final = frozenset(("bay", "cape", "cathedral", "gulf", "lake", "mount", "temple", "university"))
"""First words of names of places, but for an article."""
_LINK: Final = "(?:of|the|de|van|von|da|del|la|le|bin|al)"
_RUN: Final = re.compile(rf"(?<![\w'’])[A-Z][\w'’]*[a-z][\w'’]*(?:[ -](?:{_LINK}[ -])?[A-Z][\w'’]*)*")
_OPENING: Final = re.compile(r"(?:\A|[.!?:;\"“”\n(])\s*\Z")


def unregistered_names(text: str) -> list[tuple[int, int]]:
    """Spans of what looks like the name of a person or work."""
    words = re.findall(r"[^\W\d_]+", text)
    capitals = sum(word[0].isupper() for word in words)
    if len(words) > 3 and capitals > 0.7 * len(words):
        return []
    return [found.span() for found in _RUN.finditer(text) if _is_name(text, found)]


def check_unregistered(sight: Sight, references: References, matcher: object | None = None) -> CheckReport:
    """Find names that no subject has in ``sight.texts``; `matcher` is not needed."""
    findings = tuple(_findings(sight, references.names))[:MAX_FINDINGS]
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=findings, scores={CHECK: float(bool(findings))}
    )


def _subjects(names: Sequence[NameEntry]) -> dict[str, set[str]]:
    """Who has a name, by the key of the name."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(key(name.text), set()).add(name.subject)
    return found


_of_layers: Final = OfLayers(_subjects)


def _findings(sight: Sight, names: Sequence[NameEntry]) -> Iterator[Finding]:
    for turn, text in enumerate(sight.texts):
        for start, end in unregistered_names(text):
            quote = text[start:end]
            if not _registered(key(re.sub(r"['’]s\Z", "", quote)), names):
                yield Finding(
                    check=CHECK, subject="", score=1.0, threshold=1.0, code=CODE, sure=False, turn=turn,
                    span=(start, end), quote=quote,
                )  # fmt: skip


def _registered(name: str, names: Sequence[NameEntry]) -> bool:
    return any(subjects.get(name, set()) - gone for subjects, gone in _of_layers.parts(names))


def _is_name(text: str, found: re.Match[str]) -> bool:
    words = [re.sub(r"['’]s?\Z", "", word).lower() for word in re.findall(r"[\w'’]+", found.group())]
    if len(words) > 1 and (words[-1] in _ENDS or _kept(words)[0] in _BEGINS):
        return False
    opening = bool(_OPENING.search(text[max(0, found.start() - 8) : found.start()]))
    if opening and len(words) == 1:
        return frequency(words[0]) < RARE and words[0].isalpha() and not _ordinary(words[0])
    named = words[1:] if opening else words
    return any(not common_word(word) and frequency(word) < 4.5 and word not in _places() for word in named)


def _ordinary(word: str) -> bool:
    """Whether a rare word is a form of a known one, or has forms itself as nouns have: no name."""
    stems = [word.removesuffix(ending) for ending in ("s", "es", "ed", "d", "ing", "ly", "y", "like", "er")]
    known = noun_like(word) or any(stem != word and frequency(stem) >= RARE for stem in stems)
    return known or word in _places() or _compound(word)


def _compound(word: str) -> bool:
    """Whether two known words make this one, as in dewdrops."""
    parts = ((word[:at], word[at:]) for at in range(3, len(word) - 2))
    return any(frequency(first) >= COMPOUND and frequency(second) >= COMPOUND for first, second in parts)


def _kept(words: Sequence[str]) -> Sequence[str]:
    """The words without an article before them."""
    return words[1:] if words[0] in ("the", "a", "an") else words


@cache
def _places() -> frozenset[str]:
    """Words with a capital that name no person and no work, in small letters."""
    lines = files("classifiers").joinpath(PLACES).read_text(encoding="utf-8").splitlines()
    return frozenset(word.lower() for line in lines if not line.startswith("#") for word in line.split()[1:])
