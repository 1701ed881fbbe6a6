"""Registered names in a prompt and the turns before it.

Codes: ``name_match`` (sure), ``name_near`` (a typo, or an accident of words: a person should look),
``style_of_holder`` (asks for a style, not for the subject itself: a person should look).
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from classifiers.ambiguity import check_name, tier_of
from classifiers.base import CheckReport, CheckState, Finding, NameEntry, References, Sight, doubted
from classifiers.errors import NameRefused
from classifiers.matcher import MATCH, Hit, NameMatcher
from classifiers.unregistered import check_unregistered

__all__ = ["NameMatcher", "NameRefused", "check_name", "check_names", "check_unregistered", "tier_of"]

CHECK: Final = "prompt_names"
STYLE: Final = "style_of_holder"
THRESHOLD: Final = 0.8  # every hit counts: the least is one typo in five letters
MIN_CACHED: Final = 16  # names; matchers of fewer are as quickly made as found
_STYLE_BEFORE: Final = re.compile(
    r"(?:\b(?:in\s+the\s+|the\s+)?(?:style|manner|aesthetics?|spirit|vein|look)\s+of|\bà\s+la|\ba\s+la"
    r"|\binspired\s+by|\bas\s+if\s+(?:made|drawn|painted|directed|filmed)\s+by)"
    r"\s+(?:the\s+)?[\"“'‘]?\Z", re.IGNORECASE,
)  # fmt: skip
_STYLE_AFTER: Final = re.compile(
    r"\A[\"”'’]?(?:['’]s)?[\s-]+(?:esque\b|inspired\b|(?:art\s+)?style\b|styled\b|like\s+style\b|aesthetic\b)",
    re.IGNORECASE,
)
_WORK_BEFORE: Final = re.compile(r"\b(?:like|from|in|as\s+in)\s+an?\s+[\"“'‘]?\Z", re.IGNORECASE)
_WORK_AFTER: Final = re.compile(
    r"\A[\"”'’]?(?:['’]s)?\s+(?:film|movie|cartoon|painting|artwork|picture|drawing|comic|game)\b",
    re.IGNORECASE,
)
_PHRASE: Final = 60  # characters around a name in which a phrase about style stands


def check_names(sight: Sight, references: References, matcher: NameMatcher | None = None) -> CheckReport:
    """Find the registered names in ``sight.texts``; `matcher`: of ``references.names``, if at hand."""
    matcher = matcher or _matcher_of(references.names)
    findings = [
        _finding(hit, text, turn)
        for turn, (text, hits) in enumerate(zip(sight.texts, matcher.match_turns(sight.texts), strict=True))
        for hit in hits
    ]
    best = max((finding.score for finding in findings), default=0.0)
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=tuple(findings), scores={CHECK: best}
    )


def _finding(hit: Hit, text: str, turn: int) -> Finding:
    style = hit.code == MATCH and _asks_for_style(text, hit.start, hit.end)
    return Finding(
        check=CHECK, subject=hit.entry.subject, score=hit.score, threshold=THRESHOLD,
        code=STYLE if style else hit.code, sure=hit.sure and not style, reference=hit.entry.text, turn=turn,
        span=(hit.start, hit.end), quote=text[hit.start : hit.end], quarantined=doubted(hit.entry),
    )  # fmt: skip


def _asks_for_style(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - _PHRASE) : start], text[end : end + _PHRASE]
    if _STYLE_AFTER.match(after):
        return True
    work = _WORK_BEFORE.search(before) and _WORK_AFTER.match(after)
    return bool(work or _STYLE_BEFORE.search(before))


@dataclass(frozen=True, slots=True)
class _Kept:
    """``base``: the matcher of the first ``count`` names, to which later ones were added."""

    names: Sequence[NameEntry]
    matcher: NameMatcher
    base: NameMatcher
    count: int


_lock = threading.Lock()
_kept: list[_Kept] = []
MAX_KEPT: Final = 2
MAX_ADDED: Final = 256
"""Names that are indexed beside the others before all are indexed again."""


def _matcher_of(names: Sequence[NameEntry]) -> NameMatcher:
    """The matcher of these names; the last are kept: a registry changes less often than prompts."""
    if len(names) < MIN_CACHED:
        return NameMatcher(names)
    with _lock:
        for kept in _kept:
            if kept.names is names:
                return kept.matcher
        made = next(filter(None, (_added(kept, names) for kept in _kept)), None) or _fresh(names)
        _kept.insert(0, made)
        del _kept[MAX_KEPT:]
        return made.matcher


def _fresh(names: Sequence[NameEntry]) -> _Kept:
    matcher = NameMatcher(names)
    return _Kept(names, matcher, matcher, len(names))


def _added(kept: _Kept, names: Sequence[NameEntry]) -> _Kept | None:
    """What was kept with the few names that came after it, if nothing else has changed."""
    count = kept.count
    if not count <= len(names) <= count + MAX_ADDED:
        return None
    if any(before is not now for before, now in zip(kept.names[:count], names, strict=False)):
        return None
    return _Kept(names, NameMatcher(names[count:], kept.base), kept.base, count)
