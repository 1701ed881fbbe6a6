"""The check of frames on drawn clips: as files through the whole way, and as drawn for anchors."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.calibrate import Scores, fitted, seen_of
from benchmarks.common import Conditions, Row, mean, rate
from benchmarks.tools.drawn_trials import (
    BRIEF,
    CLIP_SIZE,
    EMPTY,
    FRAME_RATE,
    LOOK_ALIKE,
    REGISTERED,
    UNREGISTERED,
    DrawnClip,
    Trial,
    draw_trial,
    write_clip,
)  # fmt: skip
from benchmarks.tools.plain_references import Pictures, PlainReferences
from classifiers.base import CheckReport, CheckState, Kind, Picture, Seen, Vectors
from classifiers.sampling import regions_of
from classifiers.similarity import Scoring, check_frames, clip_score, subject_moments
from classifiers.thresholds import FRAME_PICTURE, Calibration, Layer
from pipeline import checks
from pipeline.media.types import MediaLimits
from pipeline.policy import FRAMES

CRF: Final = 20
NO_COHORT: Final = np.zeros((0, 0), np.float32)
HELD: Final = (REGISTERED, BRIEF, LOOK_ALIKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A clip that was checked."""

    drawn: DrawnClip
    report: CheckReport
    seen: Seen
    seconds: float

    @property
    def held(self) -> bool:
        """Whether a policy that requires the check would hold the clip."""
        return self.report.state is not CheckState.COMPLETED or bool(self.report.findings)

    @property
    def right(self) -> bool:
        """Whether the subject that is shown, or resembled, was found."""
        return any(finding.subject == str(self.drawn.owner) for finding in self.report.findings)


def references_of(trial: Trial, clip: Pictures) -> PlainReferences:
    """The registered pictures of a trial, by number of the design."""
    own = {str(number): clip.embed_images(pictures) for number, pictures in enumerate(trial.pictures)}
    return PlainReferences(clip.space, Kind.PICTURE, own)


def checked(
    trial: Trial, references: PlainReferences, eyes: checks.Eyes, calibration: Calibration,
    say: Callable[[str], None],
) -> Iterator[Checked]:  # fmt: skip
    """Every clip of the trial, coded as a file, looked at and compared."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        for number, drawn in enumerate(trial.clips):
            write_clip(drawn.frames(), file, FRAME_RATE, CRF)
            begun = time.monotonic()
            looked = checks.look(file, eyes, MediaLimits())
            seconds = time.monotonic() - begun
            report = check_frames(looked.sight, references, {calibration.space: calibration})
            report = next((one for one in looked.unfinished if one.check == FRAMES), report)
            (seen,) = looked.sight.of(Kind.FRAME)
            yield Checked(drawn=drawn, report=report, seen=seen, seconds=seconds)
            if number % 10 == 0:
                say(f"  clip {number + 1} of {len(trial.clips)}")


def rows(found: Sequence[Checked], conditions: Conditions) -> list[Row]:
    """Shares of clips by kind and, for registered designs, by style."""
    made = []
    for kind in (REGISTERED, BRIEF, LOOK_ALIKE, UNREGISTERED, EMPTY):
        those = [one for one in found if one.drawn.kind == kind]
        if not those:
            continue
        held = sum(one.held for one in those)
        if kind in HELD:
            made.append(rate(f"clips held: {kind}", held, len(those), conditions))
            made.append(
                rate(f"right subject found: {kind}", sum(one.right for one in those), len(those), conditions)
            )
        else:
            made.append(rate(f"clips released: {kind}", len(those) - held, len(those), conditions))
    for style in sorted({one.drawn.scene.style for one in found}):
        those = [one for one in found if one.drawn.kind == REGISTERED and one.drawn.scene.style == style]
        if those:
            told = {**conditions, "style": style}
            made.append(rate("clips held: registered", sum(one.held for one in those), len(those), told))
    made.append(mean("looking at a clip of 3 s", [one.seconds for one in found], "s", conditions))
    return made


def frame_rows(
    found: Sequence[Checked], references: PlainReferences, calibration: Calibration, conditions: Conditions
) -> list[Row]:
    """Single frames over the clip's threshold, by kind: with regions, and whole frames alone."""
    scoring, layer = Scoring.of(calibration), calibration.layer(FRAME_PICTURE)
    made = []
    for name, step in (("frames with regions", 1), ("whole frames", len(regions_of(*CLIP_SIZE)))):
        for kind in (REGISTERED, UNREGISTERED):
            over = total = 0
            for one in (one for one in found if one.drawn.kind == kind):
                moments = subject_moments(_every(one.seen, step), references, scoring, calibration.cohort)
                own = str(one.drawn.owner)
                near = moments.get(own, []) if kind == REGISTERED else chain(*moments.values())
                over += len({moment.time for moment in near if moment.score >= layer.threshold})
                total += len(set(one.seen.times))
            if total:
                made.append(rate(f"{name} over the threshold: {kind}", over, total, conditions))
    return made


def _every(seen: Seen, step: int) -> Seen:
    return Seen(
        kind=seen.kind, space=seen.space, vectors=seen.vectors[::step], times=seen.times[::step],
        boxes=seen.boxes[::step],
    )  # fmt: skip


def anchor_rows(
    name: str, anchor: Pictures, seeds: Sequence[int], calibration_seeds: Sequence[int], false_share: float,
    whole_only: bool = False,
) -> list[Row]:  # fmt: skip
    """What another way of comparing pictures holds, at the threshold of a calibration made the same way."""
    scoring, step = Scoring(), len(regions_of(*CLIP_SIZE)) if whole_only else 1
    scores = Scores()
    for seed in calibration_seeds:
        _score(draw_trial(seed, designs=20), anchor, scoring, step, scores)
    layer = fitted(scores, false_share)
    found = Scores()
    for seed in seeds:
        _score(draw_trial(seed, designs=20), anchor, scoring, step, found)
    told: Conditions = {"anchor": name, "threshold": layer.threshold, "frames": "as drawn"}
    return [
        rate(f"clips held: {REGISTERED}", _over(found.own, layer), len(found.own), told),
        rate(
            f"clips released: {UNREGISTERED}", len(found.strangers) - _over(found.strangers, layer),
            len(found.strangers), told,
        ),
    ]  # fmt: skip


def _over(scores: Sequence[float], layer: Layer) -> int:
    return sum(score >= layer.threshold for score in scores)


def _score(trial: Trial, anchor: Pictures, scoring: Scoring, step: int, scores: Scores) -> None:
    references = references_of(trial, anchor)
    for drawn in trial.clips:
        if drawn.kind not in (REGISTERED, UNREGISTERED):
            continue
        moments = subject_moments(_every(seen_of(drawn, anchor), step), references, scoring, NO_COHORT)
        each = {name: clip_score([one.score for one in own], scoring) for name, own in moments.items()}
        if drawn.kind == REGISTERED:
            scores.own.append(each.get(str(drawn.owner), -1.0))
        else:
            scores.strangers.append(max(each.values()))


class ColourHistogram:
    """Colours alone: 8 × 8 × 8 bins, square roots, so that the inner product is Bhattacharyya's."""

    space = "colour-histogram"

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        """Unit vectors ``float32[n, 512]``."""
        return np.stack([self._one(image) for image in images])

    def _one(self, image: Picture) -> Vectors:
        counts = cv2.calcHist([image], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel()
        return np.asarray(np.sqrt(counts / counts.sum()), dtype=np.float32)
