"""Registered names in a prompt and the turns before it.

Codes: ``name_match`` (sure), ``name_near`` (a typo, or an accident of words: a person should look),
``style_of_holder`` (asks for a style, not for the subject itself: a person should look).
"""

from collections.abc import Sequence
from typing import Final

from classifiers.ambiguity import check_name, tier_of
from classifiers.base import CheckReport, CheckState, Finding, NameEntry, References, Sight, doubted
from classifiers.errors import NameRefused
from classifiers.layers import OfLayers
from classifiers.matcher import MATCH, Hit, NameMatcher, best
from classifiers.unregistered import check_unregistered

__all__ = [
    "NameMatcher",
    "NameRefused",
    "check_name",
    "check_names",
    "check_unregistered",
    "prepare",
    "tier_of",
]

CHECK: Final = "prompt_names"
STYLE: Final = "style_of_holder"
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


def _hits(names: Sequence[NameEntry], texts: Sequence[str]) -> list[list[Hit]]:
    """The names in each of the texts; those of subjects that are gone from a layer do not count."""
    found: list[list[Hit]] = [[] for _ in texts]
    for matcher, gone in _matchers.parts(names):
        for hits, more in zip(found, matcher.match_turns(texts), strict=True):
            hits += [hit for hit in more if hit.entry.subject not in gone]
    return [best(hits) for hits in found]
