"""The check of likeness on a portrait in many conditions, and on photographs of known persons."""

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.common import Conditions, Row, mean, once, rate
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.face_trials import COVERS, FRAME_RATE, TRIALS, FaceTrial, covered, frames_of
from benchmarks.tools.plain_references import PlainReferences
from classifiers.base import Finding, Kind, Picture, Vectors
from classifiers.faces import Face, FaceFinder, check_faces
from classifiers.thresholds import FACE_PORTRAIT, Calibration
from pipeline import checks
from pipeline.media.types import MediaLimits

SUFFIXES: Final = (".jpg", ".jpeg", ".png")
PERSON: Final = "portrait"
SMALL_SIDE: Final = 40

Seen = tuple[str, Vectors | None]
"""Who a photograph shows, and the vector of the face."""


def portrait_rows(
    picture: Picture, others: Sequence[Vectors], eyes: checks.Eyes, faces: FaceFinder,
    calibration: Calibration, say: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    """A registered portrait in each condition: was it found, how near, and was anybody else named?"""
    face = faces.look(picture)[0]
    known = {PERSON: face.vector[None]} | {f"other {n}": vector[None] for n, vector in enumerate(others)}
    references = PlainReferences(faces.space, Kind.PORTRAIT, known)
    box = _pixels(face, picture)
    made, wrong, found_all = [], 0, 0
    trials = [(trial, picture) for trial in TRIALS]
    trials += [(FaceTrial(name=name), covered(picture, box, part)) for name, part in COVERS.items()]
    for trial, shown in trials:
        say(f"  {trial.name}")
        findings, best = _likeness(shown, box, trial, eyes, references, calibration)
        subjects = {finding.subject for finding in findings}
        found_all += PERSON in subjects
        wrong += bool(subjects - {PERSON})
        told: Conditions = {"condition": trial.name, "face": f"{trial.side} pixels", "crf": trial.crf}
        made.append(rate("portrait found in a clip", int(PERSON in subjects), 1, told))
        if best is not None:
            made.append(once("nearest distance to a registered portrait", -best, "distance", told))
    count = len(trials)
    told = {"threshold": -calibration.layer(FACE_PORTRAIT).threshold, "others registered": len(others)}
    return [
        rate("portrait found, all conditions", found_all, count, told),
        rate("somebody else named, all conditions", wrong, count, told),
        *made,
    ]


def _likeness(
    shown: Picture, box: tuple[int, int, int, int], trial: FaceTrial, eyes: checks.Eyes,
    references: PlainReferences, calibration: Calibration,
) -> tuple[tuple[Finding, ...], float | None]:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        write_clip(frames_of(shown, box, trial), file, FRAME_RATE, trial.crf)
        looked = checks.look(file, eyes, MediaLimits())
    report = check_faces(looked.sight, references, {calibration.space: calibration})
    return report.findings, report.scores.get(FACE_PORTRAIT)


def _pixels(face: Face, picture: Picture) -> tuple[int, int, int, int]:
    height, width = picture.shape[:2]
    left, top, right, bottom = face.box
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def photograph_rows(folder: Path, faces: FaceFinder, calibration: Calibration) -> list[Row]:
    """Pairs of photographs, of one person or of two by the letters of their names, whole and made small."""
    threshold = calibration.layer(FACE_PORTRAIT).threshold
    found = vectors_of(folder, faces, None)
    small = vectors_of(folder, faces, SMALL_SIDE)
    told: Conditions = {"threshold": -threshold, "photographs": len(found)}
    told_small: Conditions = {**told, "probe": f"face of {SMALL_SIDE} pixels"}
    pairs = list(combinations(found, 2))
    crossed = [(one, other) for i, one in enumerate(found) for j, other in enumerate(small) if i != j]
    metric = "photographs with a face found"
    return [
        rate(metric, sum(vector is not None for _, vector in found), len(found), told),
        rate(metric, sum(vector is not None for _, vector in small), len(small), told_small),
        *_pair_rows(pairs, threshold, told),
        *_pair_rows(crossed, threshold, told_small),
    ]


def _pair_rows(pairs: Iterable[tuple[Seen, Seen]], threshold: float, conditions: Conditions) -> list[Row]:
    made = []
    for metric, same in (("same person recognised", True), ("other person recognised", False)):
        apart = [
            float(np.linalg.norm(one[1] - other[1]))
            for one, other in pairs
            if (one[0] == other[0]) is same and one[1] is not None and other[1] is not None
        ]
        if apart:
            made.append(rate(metric, sum(-one >= threshold for one in apart), len(apart), conditions))
            made.append(mean(f"distance: {metric}", apart, "distance", conditions))
    return made


def vectors_of(folder: Path, faces: FaceFinder, side: int | None) -> list[Seen]:
    """Who each photograph shows and the surest face's vector; made so small that the face has `side`."""
    found: list[Seen] = []
    for path in sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES):
        loaded = cv2.imread(str(path))
        assert loaded is not None, path.name
        picture = np.asarray(cv2.cvtColor(loaded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        look = faces.look(picture)
        if look and side is not None:
            look = faces.look(_smaller(picture, side / _width(look[0], picture)))
        who = re.match(r"[a-zA-Z]+", path.stem)
        found.append((who.group() if who else path.stem, look[0].vector if look else None))
    return found


def _width(face: Face, picture: Picture) -> float:
    return float((face.box[2] - face.box[0]) * picture.shape[1])


def _smaller(picture: Picture, factor: float) -> Picture:
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(small if factor < 1 else picture, dtype=np.uint8)
