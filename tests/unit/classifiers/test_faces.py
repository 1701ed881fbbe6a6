"""Faces: found in a photograph, small ones too, told apart; damaged weights are refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from classifiers import faces_dlib
from classifiers.base import CheckState, Kind, Picture, Seen, Sight, Vectors
from classifiers.errors import ModelUnusable, TooManyFaces
from classifiers.faces import FaceLimits, check_faces, overlap, seen_faces
from classifiers.faces_dlib import DlibFaces, lit
from classifiers.thresholds import Calibration, Layer, load

data = pytest.importorskip("skimage.data")
pytest.importorskip("dlib")


@cache
def finder() -> DlibFaces:
    return DlibFaces()


@cache
def portrait() -> Picture:
    return np.asarray(data.astronaut(), dtype=np.uint8)


@dataclass(frozen=True)
class Near:
    subject: str
    reference: str
    kind: str
    polarity: int
    score: float


class Portraits:
    """References: one portrait of each person."""

    seq, names = 1, ()

    def __init__(self, **vectors: Vectors) -> None:
        self._vectors = vectors

    def search(self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int) -> list[list[Near]]:
        return [list(self._near(vector))[:neighbours] for vector in vectors]

    def _near(self, vector: Vectors) -> Iterator[Near]:
        for name, own in self._vectors.items():
            yield Near(name, f"{name}-1", "portrait", 1, -float(np.linalg.norm(vector - own)))


def calibrations() -> dict[str, Calibration]:
    return {finder().space: load(finder().space)}


def on_canvas(picture: Picture, side: int) -> Picture:
    """The portrait's head in a wide frame, the face about `side` pixels."""
    head = picture[0:220, 130:330]
    scale = side / 95
    small = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.full((360, 640, 3), 110, np.uint8)
    canvas[40 : 40 + small.shape[0], 400 : 400 + small.shape[1]] = small
    return canvas


@pytest.mark.parametrize("side", [24, 40, 90])
def test_a_face_is_found_and_recognised(side: int) -> None:
    known = finder().look(portrait())[0]
    face = finder().look(on_canvas(portrait(), side))[0]
    assert 0.6 < face.box[0] < face.box[2] < 0.95
    assert float(np.linalg.norm(face.vector - known.vector)) < 0.45
    seen = seen_faces(finder().space, [(0.5, [face])])
    other = Portraits(her=known.vector, somebody=known.vector + 0.1)
    (finding,) = check_faces(Sight(seen=(seen,)), other, calibrations()).findings
    assert (finding.subject, finding.reference, finding.code) == ("her", "her-1", "likeness_match")
    assert (finding.times, finding.boxes) == ((0.5,), (face.box,))
    assert finding.threshold < finding.score < 0


def turned(degrees: float) -> Picture:
    matrix = cv2.getRotationMatrix2D((256, 256), degrees, 1.0)
    return np.asarray(cv2.warpAffine(portrait(), matrix, (512, 512)), dtype=np.uint8)


@pytest.mark.parametrize("degrees", [45, 90, -90, 180])
def test_a_face_that_leans_or_lies(degrees: float) -> None:
    known = finder().look(portrait())[0]
    face = finder().look(turned(degrees))[0]
    assert float(np.linalg.norm(face.vector - known.vector)) < 0.3
    matrix = cv2.getRotationMatrix2D((256, 256), degrees, 1.0)
    x, y = matrix @ (256 * (known.box[0] + known.box[2]), 256 * (known.box[1] + known.box[3]), 1)
    left, top, right, bottom = (512 * side for side in face.box)
    assert left < x < right
    assert top < y < bottom


def test_a_face_half_covered() -> None:
    known = finder().look(portrait())[0]
    left, top, right, bottom = (round(512 * side) for side in known.box)
    hidden = portrait().copy()
    hidden[top + (bottom - top) * 11 // 20 : bottom, left:right] = 110
    face = max(finder().look(hidden), key=lambda one: overlap(one.box, known.box))
    assert float(np.linalg.norm(face.vector - known.vector)) < 0.55


def test_a_face_in_the_dark() -> None:
    known = finder().look(portrait())[0]
    grain = np.random.default_rng(0).normal(0, 2, portrait().shape)
    dark = np.clip(portrait() * 0.05 + grain, 0, 255).astype(np.uint8)
    face = finder().look(dark)[0]
    assert overlap(face.box, known.box) > 0.5
    assert float(np.linalg.norm(face.vector - known.vector)) < 0.5


def test_a_bright_picture_is_left_as_it_is() -> None:
    assert lit(portrait()) is portrait()
    assert lit(np.zeros((40, 40, 3), np.uint8)).max() == 0


def test_nothing_to_find() -> None:
    rng = np.random.default_rng(0)
    assert finder().look(rng.integers(0, 256, (360, 640, 3), dtype=np.uint8)) == ()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (31, 40, 3), (40, 33, 3)])
def test_pictures_of_any_size(shape: tuple[int, int, int]) -> None:
    assert finder().look(np.zeros(shape, np.uint8)) == ()


def test_limits_on_pixels_and_faces() -> None:
    many = np.tile(portrait(), (2, 2, 1))
    assert len(finder().look(many)) >= 4
    few = DlibFaces(limits=FaceLimits(pixels=300 * 300, faces=3))
    assert few.look(portrait())
    with pytest.raises(TooManyFaces, match=r"a frame shows \d faces; 3 are compared"):
        few.look(many)


def test_more_than_eight_faces_are_all_told_apart() -> None:
    """A ninth was dropped in silence in old days."""
    other = np.tile(cv2.resize(portrait()[20:200, 130:310], (120, 120)), (3, 4, 1))
    assert len(finder().look(np.ascontiguousarray(other))) == 12


def test_looked_and_found_none_is_completed_not_looked_is_skipped() -> None:
    none = Sight(seen=(seen_faces(finder().space, [(0.0, [])]),))
    report = check_faces(none, Portraits(her=np.zeros(128, np.float32)), calibrations())
    assert (report.state, report.findings, report.scores) == (CheckState.COMPLETED, (), {})
    assert check_faces(Sight(), Portraits(), calibrations()).state is CheckState.SKIPPED


def test_several_moments_of_one_person() -> None:
    vectors = np.zeros((3, 128), np.float32)
    vectors[1, 0], vectors[2, 0] = 0.3, 0.9
    seen = Seen(kind=Kind.FACE, space="s", vectors=vectors, times=(1.0, 2.0, 3.0), boxes=((0, 0, 1, 1),) * 3)
    known = {
        "s": Calibration(
            space="s",
            version=1,
            made={},
            layers={"face_portrait": Layer(threshold=-0.6, slope=25, intercept=15)},
        )
    }
    (finding,) = check_faces(Sight(seen=(seen,)), Portraits(her=np.zeros(128, np.float32)), known).findings
    assert finding.times == (1.0, 2.0)
    assert finding.score == 0


def test_damaged_or_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="cannot be read"):
        DlibFaces(tmp_path)
    (tmp_path / faces_dlib.PREDICTOR[0]).write_bytes(b"other weights")
    with pytest.raises(ModelUnusable, match="not the file that it was"):
        DlibFaces(tmp_path)


def test_the_predictor_that_may_not_be_used_is_not_named() -> None:
    assert not any("68" in name for name, _ in (faces_dlib.PREDICTOR, faces_dlib.ENCODER))
