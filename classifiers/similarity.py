"""Frames against registered pictures, in the space of the model that saw both.

1. Every frame and region asks for its nearest pictures, several of them, since the first may be one subject's
   tenth picture. A picture that a subject's owner named as *not* meant suppresses what is nearer to it.
2. A score is the cosine less a share of how near the frame is to a fixed cohort of pictures of nobody, which
   comes with the calibration: some frames are near everything.
3. Per subject and moment the best region counts. Over time the best moment and the next best count together,
   or the best alone if it is a little better still: a subject may be seen for a moment only.
4. What reaches the calibrated threshold is a finding. One that rests on pictures in quarantine alone says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from classifiers.base import (
    Box,
    CheckReport,
    CheckState,
    Finding,
    Kind,
    Match,
    References,
    Seen,
    Sight,
    Vectors,
    doubted,
)
from classifiers.errors import CalibrationMissing, TooManyAlike
from classifiers.run import skipped
from classifiers.thresholds import FRAME_PICTURE, HOW, Calibration

CHECK: Final = "frames"
CODE: Final = "picture_match"
NEIGHBOURS: Final = 24
WIDER: Final = 4
"""How many times as many are asked for where the last of them may still count."""
MOST: Final = 6144
"""Neighbours of one vector that are held in memory."""
MAX_MOMENTS: Final = 16
"""Times and boxes that a finding lists."""
UNTIMED: Final = 0.0

# Numbers of a calibration, and what they are where it does not say: see `Scoring`.
COHORT_WEIGHT: Final = "cohort_weight"
COHORT_NEAREST: Final = "cohort_nearest"
SUPPORT_WEIGHT: Final = "support_weight"
SUPPORT_MOMENTS: Final = "support_moments"
SINGLE_MARGIN: Final = "single_margin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How cosines become the score of a clip.

    ``cohort_weight``: share of the mean cosine with the nearest ``cohort_nearest`` of the cohort that is
    taken off. ``support_weight``: share of the score that is the mean over the best ``support_moments``
    moments instead of the best one. ``single_margin``: what is taken off the best moment where it counts
    alone; infinite: it never does.
    """

    cohort_weight: float = 0.0
    cohort_nearest: int = 20
    support_weight: float = 0.0
    support_moments: int = 3
    single_margin: float = math.inf

    @classmethod
    def of(cls, calibration: Calibration) -> "Scoring":
        """The scoring that a calibration was made with."""
        numbers = calibration.numbers
        return cls(
            cohort_weight=numbers.get(COHORT_WEIGHT, 0.0),
            cohort_nearest=int(numbers.get(COHORT_NEAREST, 20)),
            support_weight=numbers.get(SUPPORT_WEIGHT, 0.0),
            support_moments=max(1, int(numbers.get(SUPPORT_MOMENTS, 3))),
            single_margin=numbers.get(SINGLE_MARGIN, math.inf),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The best region of one moment for one subject."""

    score: float
    time: float
    box: Box | None
    reference: str


def check_frames(
    sight: Sight, references: References, calibrations: Mapping[str, Calibration]
) -> CheckReport:
    """Which registered subjects the frames of `sight` show; `calibrations` by space.

    A sight without frames is skipped, not passed. Raises: CalibrationMissing, ValueError for vectors that
    are no numbers; `classifiers.run` makes reports of both.
    """
    frames = sight.of(Kind.FRAME)
    if not any(len(seen.vectors) for seen in frames):
        return skipped(CHECK, "no frame of the clip was looked at")
    findings: list[Finding] = []
    best: list[float] = []
    for seen in frames:
        calibration = calibrations.get(seen.space)
        if calibration is None:
            raise CalibrationMissing(f"there is no calibration of {seen.space}; make one with {HOW}")
        for finding in _found(seen, references, calibration):
            best.append(finding.score)
            if not finding.score < finding.threshold:
                findings.append(finding)
    findings.sort(key=lambda finding: -finding.score)
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=tuple(findings),
        scores={FRAME_PICTURE: max(best)} if best else {},
    )  # fmt: skip


def subject_moments(
    seen: Seen, references: References, scoring: Scoring, cohort: Vectors, least: float = math.inf
) -> dict[str, list[Moment]]:
    """The best region of each moment, for every subject that is near any; best moments first.

    ``least``: from which score on no subject may be missing, whoever else is near.
    """
    near, offsets = _near_regions(seen, references, scoring, cohort, least)
    return _moments(seen, near, offsets)


def _found(seen: Seen, references: References, calibration: Calibration) -> list[Finding]:
    """A finding for each subject that is near, also below the threshold."""
    least = calibration.layer(FRAME_PICTURE).threshold
    scoring = Scoring.of(calibration)
    near, offsets = _near_regions(seen, references, scoring, calibration.cohort, least)
    found = [
        _judged(subject, moments, calibration) for subject, moments in _moments(seen, near, offsets).items()
    ]
    if not any(doubted(match) for matches in near for match in matches):
        return found
    sound = _moments(seen, [[match for match in matches if not doubted(match)] for matches in near], offsets)
    without = {subject: _judged(subject, moments, calibration) for subject, moments in sound.items()}
    return [_sounder(finding, without.get(finding.subject)) for finding in found]


def _sounder(finding: Finding, sound: Finding | None) -> Finding:
    """The finding without what is in quarantine, where that is enough; else it says that it is not."""
    if sound is not None and not sound.score < sound.threshold:
        return sound
    return finding if finding == sound else replace(finding, quarantined=True)


def _near_regions(
    seen: Seen, references: References, scoring: Scoring, cohort: Vectors, least: float
) -> tuple[list[Sequence[Match]], Vectors]:
    """The pictures near each region, and what is taken off their cosines."""
    if not np.isfinite(seen.vectors).all():
        raise ValueError("what was seen holds values that are no numbers")
    offsets = nearness(seen.vectors, cohort, scoring)
    return all_near(references, seen, Kind.PICTURE, NEIGHBOURS, least + offsets), offsets


def _moments(seen: Seen, near: Sequence[Sequence[Match]], offsets: Vectors) -> dict[str, list[Moment]]:
    best: dict[str, dict[float, Moment]] = {}
    for row, matches in enumerate(near):
        time = seen.times[row] if seen.times else UNTIMED
        box = seen.boxes[row] if seen.boxes else None
        for subject, match in nearest_of(matches).items():
            score = float(match.score - offsets[row])
            moments = best.setdefault(subject, {})
            if time not in moments or moments[time].score < score:
                moments[time] = Moment(score=score, time=time, box=box, reference=match.reference)
    return {
        subject: sorted(moments.values(), key=lambda moment: -moment.score)
        for subject, moments in best.items()
    }


def nearness(vectors: Vectors, cohort: Vectors, scoring: Scoring) -> Vectors:
    """What is taken off the cosines of each of ``vectors[n, d]``: ``float32[n]``."""
    if not len(cohort) or not scoring.cohort_weight:
        return np.zeros(len(vectors), np.float32)
    count = min(max(1, scoring.cohort_nearest), len(cohort))
    cosines = np.partition(vectors @ cohort.T, len(cohort) - count, axis=1)[:, -count:]
    return np.asarray(scoring.cohort_weight * cosines.mean(axis=1), dtype=np.float32)


def all_near(
    references: References, seen: Seen, kind: Kind, neighbours: int, least: Vectors, *, demand: bool = True
) -> list[Sequence[Match]]:
    """For each vector seen its nearest registered ones, and all that score at least ``least[n]``.

    Otherwise an owner of many pictures that are alike, or many owners together, would hide those of another
    behind them. Raises: TooManyAlike where `MOST` count, and there may be more: a check that meets so many is
    not completed; without `demand` it has to do with those.
    """
    found = list(references.search(seen.space, (kind,), seen.vectors, neighbours))
    rows = _cut_off(range(len(found)), found, neighbours, least)
    while rows and neighbours < MOST:
        neighbours = min(WIDER * neighbours, MOST)
        wider = references.search(seen.space, (kind,), seen.vectors[rows], neighbours)
        for row, matches in zip(rows, wider, strict=True):
            found[row] = matches
        rows = _cut_off(rows, found, neighbours, least)
    if rows and demand:
        raise TooManyAlike(
            f"more than {MOST} registered pictures or descriptions fit it; say it in other words, or show "
            "something else"
        )
    return found


def _cut_off(
    rows: Sequence[int], found: Sequence[Sequence[Match]], neighbours: int, least: Vectors
) -> list[int]:
    """The rows of which even the last match may count, so that there may be more."""
    return [row for row in rows if len(found[row]) >= neighbours and not found[row][-1].score < least[row]]


def nearest_of(matches: Sequence[Match]) -> dict[str, Match]:
    """Each subject's best match, without those that one of its own negative references is nearer to.

    A negative reference in quarantine suppresses nothing.
    """
    positive: dict[str, Match] = {}
    negative: dict[str, float] = {}
    for match in matches:
        if match.polarity < 0:
            if doubted(match):
                continue
            negative[match.subject] = max(negative.get(match.subject, -2.0), match.score)
        elif match.subject not in positive or positive[match.subject].score < match.score:
            positive[match.subject] = match
    return {
        subject: match
        for subject, match in positive.items()
        if subject not in negative or match.score > negative[subject]
    }


def clip_score(scores: Sequence[float], scoring: Scoring) -> float:
    """The score of a clip from those of its moments, best first."""
    support = scores[: scoring.support_moments]
    mean = sum(support) / len(support)
    together = scores[0] + scoring.support_weight * (mean - scores[0])
    return max(together, scores[0] - scoring.single_margin)


def _judged(subject: str, moments: Sequence[Moment], calibration: Calibration) -> Finding:
    layer = calibration.layer(FRAME_PICTURE)
    score = clip_score([moment.score for moment in moments], Scoring.of(calibration))
    near = [moment for moment in moments if moment.score >= layer.threshold] or moments[:1]
    shown = sorted(near[:MAX_MOMENTS], key=lambda moment: moment.time)
    return Finding(
        check=CHECK, code=CODE, subject=subject, reference=moments[0].reference,
        score=score, threshold=layer.threshold, probability=layer.probability(score),
        calibration=calibration.mark, sure=False,  # a resemblance: a person should look
        times=tuple(moment.time for moment in shown),
        boxes=tuple(moment.box for moment in shown if moment.box is not None),
    )  # fmt: skip
