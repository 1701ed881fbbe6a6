"""Faces in frames against portraits of persons who opted out; what finds them is one of two backends.

1. A backend (`classifiers.faces_dlib`, `classifiers.faces_onnx`) finds faces and gives each a vector; vectors
   of two backends are never compared.
2. Only portraits are searched, which the registry has of persons alone: a face finds no character, and a
   picture of a character no face.
3. The nearest portrait of the nearest face counts, in each space by its own calibration. Where two spaces
   (`classifiers.drawn`) name one person, there is one finding. It is a resemblance, of the living and the
   dead alike, so a person should look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np

from classifiers.base import (
    Box,
    CheckReport,
    CheckState,
    Finding,
    Kind,
    Match,
    Picture,
    References,
    Seen,
    Sight,
    Vectors,
    doubted,
)  # fmt: skip
from classifiers.drawn import MARK
from classifiers.errors import CalibrationMissing, TooManyFaces
from classifiers.run import skipped
from classifiers.similarity import all_near, nearest_of
from classifiers.thresholds import FACE_PORTRAIT, HOW, Calibration

CHECK: Final = "likeness"
CODE: Final = "likeness_match"
DRAWN_PORTRAIT: Final = "drawn_portrait"
"""Beside `FACE_PORTRAIT`, how the best score in a space of drawn faces is called."""
DIMENSION: Final = 128
"""Numbers in a vector of either backend's usual models."""
NEIGHBOURS: Final = 16
MAX_MOMENTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceLimits:
    """What one look may cost.

    ``pixels``: of a picture; a larger one is made smaller. ``smallest``: pixels of the smallest face that is
    searched, ``finest``: its least share of the picture's side (the root of its area). ``turned``: pixels of
    the picture that is turned to find faces that lie on their side, ``lying``: of the smallest of these.
    ``faces``: of one picture; one with more is not looked at in part. ``side``: of the smallest picture that
    is searched.
    """

    pixels: int = 1280 * 720
    smallest: float = 20.0
    finest: float = 1 / 24
    turned: int = 640 * 360
    lying: float = 48.0
    faces: int = 64
    side: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face: where, its vector ``float32[128]`` (not of unit length), how sure the detector is."""

    box: Box
    vector: Vectors
    certainty: float


class FaceFinder(Protocol):
    """Finds faces in RGB ``uint8[h, w, 3]``; safe to share between threads."""

    @property
    def space(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    def look(self, picture: Picture) -> tuple[Face, ...]:
        """The faces, the surest first. Raises: TooManyFaces for more than are told apart."""
        ...


def demand_few(count: int, limits: FaceLimits) -> None:
    """Raises: TooManyFaces: whoever is among so many is not left out unseen."""
    if count > limits.faces:
        raise TooManyFaces(f"a frame shows {count} faces; {limits.faces} are compared")


def seen_faces(space: str, looks: Sequence[tuple[float, Sequence[Face]]]) -> Seen:
    """What was seen, from the faces at each time; without any face it says that none was found."""
    found = [(time, face) for time, faces in looks for face in faces]
    vectors = np.stack([face.vector for _, face in found]) if found else np.zeros((0, DIMENSION), np.float32)
    return Seen(
        kind=Kind.FACE, space=space, vectors=vectors, times=tuple(time for time, _ in found),
        boxes=tuple(face.box for _, face in found),
    )  # fmt: skip


def check_faces(sight: Sight, references: References, calibrations: Mapping[str, Calibration]) -> CheckReport:
    """Which registered persons the faces of `sight` look like; `calibrations` by space.

    A clip in which no face was found is completed, one that was not looked at is skipped. Raises:
    CalibrationMissing, ValueError for vectors that are no numbers; `classifiers.run` makes reports of both.
    """
    looks = sight.of(Kind.FACE)
    if not looks:
        return skipped(CHECK, "the clip was not looked at for faces")
    found: dict[str, Finding] = {}
    scores: dict[str, float] = {}
    for seen in looks:
        calibration = calibrations.get(seen.space)
        if calibration is None:
            raise CalibrationMissing(f"there is no calibration of {seen.space}; make one with {HOW}")
        threshold = calibration.layer(FACE_PORTRAIT).threshold
        layer = DRAWN_PORTRAIT if MARK in seen.space else FACE_PORTRAIT
        for subject, matches in _by_subject(seen, references, threshold).items():
            scores[layer] = max(matches[0][0].score, scores.get(layer, -np.inf))
            for finding in _judged(subject, seen, matches, calibration):
                found[subject] = _plainer(found.get(subject), finding)
    findings = sorted(found.values(), key=lambda finding: (-(finding.probability or 0.0), -finding.score))
    return CheckReport(check=CHECK, state=CheckState.COMPLETED, findings=tuple(findings), scores=scores)


def _plainer(one: Finding | None, other: Finding) -> Finding:
    """Of what two spaces say about one person: what is not in quarantine, then what is likelier."""
    if one is None:
        return other
    return max(one, other, key=lambda finding: (not finding.quarantined, finding.probability or 0.0))


def _by_subject(seen: Seen, references: References, threshold: float) -> dict[str, list[tuple[Match, int]]]:
    """For every person near any face: the nearest portrait of each such face with its row, nearest first."""
    if not np.isfinite(seen.vectors).all():
        raise ValueError("what was seen holds values that are no numbers")
    found: dict[str, list[tuple[Match, int]]] = {}
    if len(seen.vectors):
        least = np.full(len(seen.vectors), threshold, np.float32)
        nearest = all_near(references, seen, Kind.PORTRAIT, NEIGHBOURS, least)
        for row, matches in enumerate(nearest):
            sound = nearest_of([match for match in matches if not doubted(match)])
            for subject, match in nearest_of(matches).items():
                other = sound.get(subject)
                enough = other is not None and not other.score < threshold
                found.setdefault(subject, []).append((other if enough and other else match, row))
    return {subject: sorted(pairs, key=lambda pair: -pair[0].score) for subject, pairs in found.items()}


def _judged(
    subject: str, seen: Seen, matches: Sequence[tuple[Match, int]], calibration: Calibration
) -> list[Finding]:
    layer = calibration.layer(FACE_PORTRAIT)
    near = [(match, row) for match, row in matches if not match.score < layer.threshold]
    if not near:
        return []
    sound = [(match, row) for match, row in near if not doubted(match)]
    near = (sound or near)[:MAX_MOMENTS]
    best = near[0][0]
    rows = sorted(row for _, row in near)
    return [
        Finding(
            check=CHECK, code=CODE, subject=subject, reference=best.reference, score=best.score,
            threshold=layer.threshold, probability=layer.probability(best.score),
            calibration=calibration.mark,
            sure=False,  # a resemblance: a person should look
            times=tuple(seen.times[row] for row in rows) if seen.times else (),
            boxes=tuple(seen.boxes[row] for row in rows) if seen.boxes else (), quarantined=not sound,
        )
    ]  # fmt: skip


def within(picture: Picture, pixels: int) -> Picture:
    """The picture, made smaller if it has more than `pixels`."""
    height, width = picture.shape[:2]
    factor = (pixels / (height * width)) ** 0.5
    if factor >= 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def clipped(left: float, top: float, right: float, bottom: float) -> Box:
    """A box of shares that lies within the picture."""
    x0, y0, x1, y1 = (min(max(float(side), 0.0), 1.0) for side in (left, top, right, bottom))
    return x0, y0, x1, y1


def overlap(one: Box, other: Box) -> float:
    """What both boxes cover, as a share of what either does."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    whole = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)) - both
    return both / whole if whole > 0 else 0.0
