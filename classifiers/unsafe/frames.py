"""Whether the frames of a clip show something unsafe.

1. The look: a concept head reads the vectors that frames and regions have anyway
   (`classifiers.unsafe.heads`), an image classifier whole frames (`classifiers.unsafe.pictures`). Both write
   a logit for each category and row into the sight, in half precision, so that every later check reads the
   same numbers.
2. The check: the surest region of a moment counts. Over time the best moment and the next best count
   together, or the best alone if it is a little better still, as the calibration of the judge's space says.
   From a category's threshold on it is a finding, from a second, higher one on a sure one.
3. What is sexual is also a finding about somebody under age where a text of the clip tells of one, and about
   a likeness where a text names somebody known, or a face resembles a person who is registered.
4. A clip of which no frame was judged is skipped, never passed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from classifiers.base import Box, CheckReport, CheckState, Finding, Kind, Picture, Seen, Sight, Vectors
from classifiers.errors import CalibrationMissing, ModelUnusable
from classifiers.faces import CHECK as LIKENESS
from classifiers.run import skipped
from classifiers.similarity import MAX_MOMENTS, Scoring, clip_score
from classifiers.thresholds import Calibration
from classifiers.unsafe import known
from classifiers.unsafe.check import CATEGORIES, NEVER, SURE
from classifiers.unsafe.features import ages
from classifiers.unsafe.heads import HOW, ConceptHead
from classifiers.unsafe.taxonomy import Category, Side, code

CHECK: Final = "unsafe_frames"
SEXUAL: Final = code(Category.SEXUAL, Side.CLIP)
_PERSONS: Final = frozenset((known.POLITICIANS, known.CELEBRITIES))


class Judge(Protocol):
    """What a head and a classifier have in common."""

    @property
    def space(self) -> str: ...  # noqa: D102
    @property
    def judged(self) -> frozenset[Category]: ...  # noqa: D102


class PictureJudge(Judge, Protocol):
    """Judges whole pictures."""

    def judge(self, pictures: Sequence[Picture]) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]`` of RGB pictures ``uint8[h, w, 3]``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameJudges:
    """What judges frames, one or both."""

    head: ConceptHead | None = None
    classifier: PictureJudge | None = None

    @property
    def all(self) -> tuple[Judge, ...]:
        """Those that there are."""
        return tuple(one for one in (self.head, self.classifier) if one is not None)


def demand_layers(judge: Judge, calibration: Calibration) -> None:
    """Raises: ModelUnusable where a calibration has no threshold for something that is judged."""
    for category in sorted(judge.judged):
        if code(category, Side.CLIP) not in calibration.layers:
            raise ModelUnusable(
                f"the calibration of {judge.space} has no threshold for {category}: calibrate it again, with "
                f"pictures of that category, by {HOW}"
            )


def seen_unsafe(space: str, logits: Vectors, times: Sequence[float], boxes: Sequence[Box] = ()) -> Seen:
    """What a judge says of frames or regions, as it is kept: ``logits[n, len(CATEGORIES)]``."""
    kept = np.asarray(logits, np.float32).astype(np.float16).astype(np.float32)
    return Seen(kind=Kind.UNSAFE_FRAME, space=space, vectors=kept, times=tuple(times), boxes=tuple(boxes))


def check_unsafe_frames(sight: Sight, calibrations: Mapping[str, Calibration]) -> CheckReport:
    """The findings of every judge that has looked. Raises: CalibrationMissing, ValueError."""
    seen = sight.of(Kind.UNSAFE_FRAME)
    if not any(len(part.vectors) for part in seen):
        return skipped(CHECK, "no frame of the clip was judged")
    findings: list[Finding] = []
    scores: dict[str, float] = {}
    for part in seen:
        calibration = calibrations.get(part.space)
        if calibration is None:
            raise CalibrationMissing(f"there is no calibration of {part.space}; make one with {HOW}")
        for finding in judged(part, calibration):
            scores[finding.code] = max(finding.score, scores.get(finding.code, NEVER))
            if not finding.score < finding.threshold:
                findings.append(finding)
    found = _strongest(findings)
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=(*found, *_of_texts(found, sight.texts)),
        scores=scores,
    )  # fmt: skip


def judged(seen: Seen, calibration: Calibration) -> Iterator[Finding]:
    """A finding for each category that is judged, also below the threshold. Raises: as the check."""
    rows = seen.vectors
    if rows.shape != (len(seen.times), len(CATEGORIES)) or not np.isfinite(rows).all():
        raise ValueError(f"{seen.space} has not judged these frames: what it saw is damaged")
    scoring = Scoring.of(calibration)
    for column, category in enumerate(CATEGORIES):
        if len(rows) and rows[:, column].max() > NEVER:
            yield _finding(seen, column, code(category, Side.CLIP), calibration, scoring)


def clip_logit(seen: Seen, column: int, scoring: Scoring) -> float:
    """The number of a clip for a category from those of its moments."""
    return clip_score([float(seen.vectors[row, column]) for row in _moments(seen, column)], scoring)


def _moments(seen: Seen, column: int) -> list[int]:
    """The surest row of each moment, surest first."""
    best: dict[float, int] = {}
    numbers = seen.vectors[:, column]
    for row, time in enumerate(seen.times):
        if time not in best or numbers[row] > numbers[best[time]]:
            best[time] = row
    return sorted(best.values(), key=lambda row: -float(numbers[row]))


def _finding(seen: Seen, column: int, name: str, calibration: Calibration, scoring: Scoring) -> Finding:
    layer = calibration.layer(name)
    score = clip_logit(seen, column, scoring)
    rows = _moments(seen, column)
    over = [row for row in rows if seen.vectors[row, column] >= layer.threshold] or rows[:1]
    shown = sorted(over[:MAX_MOMENTS], key=lambda row: seen.times[row])
    return Finding(
        check=CHECK, subject="", code=name, score=score, threshold=layer.threshold,
        probability=round(layer.probability(score), 4), calibration=calibration.mark,
        sure=score >= calibration.numbers.get(SURE.format(layer=name), np.inf),
        times=tuple(seen.times[row] for row in shown),
        boxes=tuple(seen.boxes[row] for row in shown) if seen.boxes else (),
    )  # fmt: skip


def _strongest(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding for each category: a sure one first, then the likeliest."""
    ordered = sorted(findings, key=_strength, reverse=True)
    best: dict[str, Finding] = {}
    for finding in ordered:
        best.setdefault(finding.code, finding)
    return tuple(best.values())


def _strength(finding: Finding) -> tuple[bool, float]:
    return finding.sure, finding.probability or 0.0  # scores of two judges are not comparable


def _of_texts(found: Sequence[Finding], texts: Sequence[str]) -> Iterator[Finding]:
    """Rule 3, as far as texts say it."""
    sexual = next((finding for finding in found if finding.code == SEXUAL), None)
    if sexual is None:
        return
    codes = {finding.code for finding in found}
    for category, places in ((Category.MINORS, ages), (Category.SEXUAL_LIKENESS, _persons)):
        said = ((turn, *span) for turn, text in enumerate(texts) for span in places(text))
        place = next(said, None)
        if place is not None and code(category, Side.CLIP) not in codes:
            turn, start, end = place
            yield replace(
                sexual, code=code(category, Side.CLIP), turn=turn, span=(start, end),
                quote=texts[turn][start:end],
            )  # fmt: skip


def _persons(text: str) -> Iterator[tuple[int, int]]:
    """Where somebody is named whom everybody knows."""
    return ((one.start, one.end) for one in known.default().find(text) if one.list in _PERSONS)


def with_likeness(reports: Sequence[CheckReport]) -> tuple[CheckReport, ...]:
    """The reports, of which that of unsafe frames says whose face is in a clip that is sexual (rule 3).

    A face is a resemblance: such a finding is never sure.
    """
    faces = [
        finding
        for report in reports
        if report.check == LIKENESS
        for finding in report.findings
        if not finding.score < finding.threshold and not finding.quarantined
    ]
    return tuple(_with_faces(report, faces) if report.check == CHECK else report for report in reports)


def _with_faces(report: CheckReport, faces: Sequence[Finding]) -> CheckReport:
    sexual = next((finding for finding in report.findings if finding.code == SEXUAL), None)
    if sexual is None or not faces:
        return report
    likeness = code(Category.SEXUAL_LIKENESS, Side.CLIP)
    more = [
        replace(sexual, code=likeness, subject=subject, sure=False)
        for subject in dict.fromkeys(face.subject for face in faces)
    ]
    return replace(report, findings=(*report.findings, *more))
