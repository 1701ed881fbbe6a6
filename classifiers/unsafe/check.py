"""Whether a prompt, or a turn before it, asks for something unsafe.

1. The look: every part of the texts (`classifiers.unsafe.units`) is judged by each moderator that is set
up, and the
   logits are kept with what was seen, in half precision, so that every later check reads the same numbers.
2. The check: a category counts from the threshold on that its moderator's calibration names; from a second,
   higher one on it is sure.
3. A prompt of which nothing was seen is skipped, never passed: it is longer than anybody reads.
The words that are quoted are those whose letters weigh most for the category, a known name, or a word about
age; where the sentence as a whole is meant, it is quoted.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Protocol

import numpy as np

from classifiers.base import CheckReport, CheckState, Finding, Kind, Seen, Sight, Vectors
from classifiers.errors import CalibrationMissing
from classifiers.run import skipped
from classifiers.thresholds import Calibration
from classifiers.unsafe.taxonomy import Category, Side, code
from classifiers.unsafe.units import Unit, units
from classifiers.wording import MAX_WORDS, readings

log = logging.getLogger("countermark.unsafe")

CHECK: Final = "unsafe_content"
CATEGORIES: Final = tuple(Category)
"""The order of the numbers of a row."""
SURE: Final = "{layer}_sure"
NEVER: Final = -30.0
"""The logit of what a moderator does not judge."""
MOST: Final = 30.0

Quoting = Callable[[str, Category], tuple[int, int]]
"""The words of a text that speak most for a category."""


class Moderator(Protocol):
    """Judges texts. ``space``: names its scores; they are compared with that space's calibration only.

    ``sentences``: whether it judges single sentences as well, or only whole texts since it takes long.
    """

    @property
    def space(self) -> str: ...  # noqa: D102
    @property
    def sentences(self) -> bool: ...  # noqa: D102
    def judge(self, texts: Sequence[str]) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]``; `NEVER` where it has nothing to say."""
        ...


def look_unsafe(prompts: Sequence[Sequence[str]], moderators: Sequence[Moderator]) -> list[tuple[Seen, ...]]:
    """What each moderator says of the parts of each prompt with its turns; nothing for one too long.

    The parts of all prompts are judged together, which is faster than one by one. A moderator that fails
    leaves no rows, by which the check knows.
    """
    cut = [units(texts) or [] for texts in prompts]
    flat = [part for parts in cut for part in parts]
    ends = list(accumulate(len(parts) for parts in cut))
    judged = [(moderator.space, _judged(moderator, flat)) for moderator in moderators if flat]
    return [
        tuple(Seen(kind=Kind.UNSAFE, space=space, vectors=rows[end - len(parts) : end]) for space, rows in
        judged) if parts else ()
        for parts, end in zip(cut, ends, strict=True)
    ]  # fmt: skip


def _judged(moderator: Moderator, parts: Sequence[Unit]) -> Vectors:
    """The numbers as they are kept with what was seen; of parts that it does not judge, `NEVER`.

    Of several ways to read a part the worst counts.
    """
    asked = [
        (row, text)
        for row, part in enumerate(parts)
        if part.whole or moderator.sentences
        for text in readings(part.text)
    ]
    found = np.full((len(parts), len(CATEGORIES)), NEVER, np.float32)
    try:
        judged = moderator.judge([text for _, text in asked])
        np.maximum.at(found, [row for row, _ in asked], judged)
    except Exception:
        log.exception("the moderator %s failed; what it was asked about is held", moderator.space)
        return np.zeros((0, len(CATEGORIES)), np.float32)
    return np.clip(found, NEVER, MOST).astype(np.float16).astype(np.float32)


def check_unsafe(
    sight: Sight, calibrations: Mapping[str, Calibration], quoting: Quoting | None = None
) -> CheckReport:
    """The findings of every moderator that has looked. Raises: CalibrationMissing."""
    seen = sight.of(Kind.UNSAFE)
    if not seen:
        return skipped(CHECK, f"a prompt of more than {MAX_WORDS} words, turns included, is not judged")
    parts = units(sight.texts) or []
    findings: list[Finding] = []
    scores: dict[str, float] = {}
    for part in seen:
        calibration = calibrations.get(part.space)
        if calibration is None:
            raise CalibrationMissing(f"there is no calibration of {part.space}, so its scores mean nothing")
        if part.vectors.shape != (len(parts), len(CATEGORIES)) or not np.isfinite(part.vectors).all():
            raise ValueError(f"{part.space} has not judged this prompt, or other words; judge it again")
        best = part.vectors.max(axis=0)
        for column, category in enumerate(CATEGORIES):
            if best[column] > NEVER:
                name = code(category, Side.PROMPT)
                scores[name] = max(scores.get(name, NEVER), float(best[column]))
        findings += _findings(part, parts, sight.texts, calibration, quoting)
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=tuple(_strongest(findings)), scores=scores
    )


def _findings(
    seen: Seen, parts: Sequence[Unit], texts: Sequence[str], calibration: Calibration, quoting: Quoting | None
) -> Iterator[Finding]:
    for column, category in enumerate(CATEGORIES):
        row = int(seen.vectors[:, column].argmax())
        score = float(seen.vectors[row, column])
        if score <= NEVER:
            continue
        layer = calibration.layer(code(category, Side.PROMPT))
        if score < layer.threshold:
            continue
        turn, span, quote = _place(parts, seen, column, row, texts, quoting)
        yield Finding(
            check=CHECK, subject="", score=score, threshold=layer.threshold, code=code(category, Side.PROMPT),
            sure=score >= calibration.numbers.get(SURE.format(layer=code(category, Side.PROMPT)), np.inf),
            probability=round(layer.probability(score), 4), turn=turn, span=span, quote=quote,
        )  # fmt: skip


def _place(
    parts: Sequence[Unit], seen: Seen, column: int, row: int, texts: Sequence[str], quoting: Quoting | None
) -> tuple[int, tuple[int, int] | None, str]:
    """Turn, span and words: of what all turns say together, there is no single place."""
    unit = parts[row]
    if unit.turn < 0:
        return len(texts) - 1, None, ""
    start, end = unit.start, unit.end
    if quoting is not None:
        first, last = quoting(unit.text, CATEGORIES[column])
        start, end = unit.start + first, unit.start + last
    return unit.turn, (start, end), texts[unit.turn][start:end]


def _strongest(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each category: the surest, then the one farthest over its threshold."""
    best: dict[str, Finding] = {}
    for finding in findings:
        known = best.get(finding.code)
        if known is None or _strength(finding) > _strength(known):
            best[finding.code] = finding
    return sorted(best.values(), key=_strength, reverse=True)


def _strength(finding: Finding) -> tuple[bool, float]:
    return finding.sure, finding.score - finding.threshold
