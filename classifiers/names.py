"""Registered names in a prompt and the turns before it.

Codes: ``name_match`` (sure), ``name_near`` (a typo, or an accident of words: a person should look),
``style_of_holder`` (asks for a style, not for the subject itself: a person should look).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from classifiers.ambiguity import check_name, known_elsewhere, tier_of
from classifiers.base import (
    CheckReport,
    CheckState,
    Finding,
    NameEntry,
    NameTier,
    References,
    Sight,
    doubted,
)
from classifiers.errors import ModelUnusable, NameRefused
from classifiers.layers import OfLayers
from classifiers.matcher import MATCH, Hit, NameMatcher, best
from classifiers.unregistered import check_unregistered

__all__ = [
    "NameMatcher",
    "NameRefused",
    "check_name",
    "check_names",
    "check_unregistered",
    "demand_tables",
    "prepare",
    "tier_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A name that the tables are tried with."""

    text: str
    subject: str = "tried"
    tier: str = NameTier.BLOCK
    context: tuple[str, ...] = ()


CHECK: Final = "prompt_names"
STYLE: Final = "style_of_holder"
AGAIN: Final = "install countermark again, with 'countermark[classify]'"
# What only a whole table finds: look-alike letters, sounds, pictures, foreign words, word frequencies.
TRIED: Final = (
    ("Zorblatt", "ᏃoᎡᏴlᎪᎢᎢ"), ("Zorblatt", "Зорблатт"), ("Qorvex Wizard", "qorvex 🧙"),
    ("Qorvex Man", "qorvex 男"), ("Zorblatt", "Zorblat dances"),
)  # fmt: skip
THRESHOLD: Final = 0.5  # every hit counts: the least keeps half of the neighbouring letters


def check_names(sight: Sight, references: References, matcher: NameMatcher | None = None) -> CheckReport:
    """Find the registered names in ``sight.texts``; `matcher`: of ``references.names``, if at hand."""
    found = hits_in(sight.texts, references, matcher)
    findings = [
        _finding(hit, text, turn)
        for turn, (text, hits) in enumerate(zip(sight.texts, found, strict=True))
        for hit in hits
    ]
    score = max((finding.score for finding in findings), default=0.0)
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=tuple(findings), scores={CHECK: score}
    )


def hits_in(
    texts: Sequence[str], references: References, matcher: NameMatcher | None = None
) -> list[list[Hit]]:
    """The registered names in each of consecutive texts; `matcher`: of ``references.names``, if at hand."""
    return matcher.match_turns(texts) if matcher else _hits(references.names, texts)


def _finding(hit: Hit, text: str, turn: int) -> Finding:
    style = hit.code == MATCH and hit.style
    return Finding(
        check=CHECK, subject=hit.entry.subject, score=hit.score, threshold=THRESHOLD,
        code=STYLE if style else hit.code, sure=hit.sure and not style, reference=hit.entry.text, turn=turn,
        span=(hit.start, hit.end), quote=text[hit.start : hit.end], quarantined=doubted(hit.entry),
    )  # fmt: skip


_matchers: Final = OfLayers(NameMatcher)


def prepare(layer: Sequence[NameEntry]) -> None:
    """Index the names of a layer, so that nobody who looks for names waits for it."""
    _matchers.of(layer)


def demand_tables() -> None:
    """Read all that looking for names needs, and try it. Raises: ModelUnusable where a part is not there."""
    try:
        matcher = NameMatcher([Tried(text=name) for name, _ in TRIED])
        missed = [text for name, text in TRIED if name not in {h.entry.text for h in matcher.match(text)}]
        known_elsewhere("zorblatt")
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise ModelUnusable(f"a table for finding names cannot be read ({error}); {AGAIN}") from None
    if missed:
        raise ModelUnusable(f"a table for finding names is damaged: {missed[0]!r} is not read; {AGAIN}")


def _hits(names: Sequence[NameEntry], texts: Sequence[str]) -> list[list[Hit]]:
    """The names in each of the texts; those of subjects that are gone from a layer do not count."""
    found: list[list[Hit]] = [[] for _ in texts]
    for matcher, gone in _matchers.parts(names):
        for hits, more in zip(found, matcher.match_turns(texts), strict=True):
            hits += [hit for hit in more if hit.entry.subject not in gone]
    return [best(hits) for hits in found]
