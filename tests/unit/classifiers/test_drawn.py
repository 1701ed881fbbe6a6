"""Drawn faces: the learnt map and its space; a portrait finds its drawing there, and nobody else."""

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from classifiers import drawn
from classifiers.base import Kind, Picture, Seen, Sight, Vectors
from classifiers.drawn import DrawnSpace, drawings, drawn_space, of_portrait, parse, spaces_of, with_drawn
from classifiers.errors import ModelUnusable
from classifiers.faces import check_faces, seen_faces
from classifiers.faces_dlib import DlibFaces
from classifiers.thresholds import FACE_PORTRAIT, Calibration, Layer, load

data = pytest.importorskip("skimage.data")
pytest.importorskip("dlib")


@cache
def finder() -> DlibFaces:
    return DlibFaces()


@cache
def space() -> DrawnSpace:
    found = drawn_space(finder().space)
    assert found is not None
    return found


@cache
def portrait() -> Picture:
    return np.asarray(data.astronaut(), dtype=np.uint8)


class Row:
    """A match."""

    kind, polarity, quarantined = "portrait", 1, False

    def __init__(self, subject: str, score: float, quarantined: bool = False) -> None:
        self.subject, self.reference, self.score = subject, f"{subject}-1", score
        self.quarantined = quarantined


class Portraits:
    """References: portraits by space and person."""

    seq, names = 1, ()

    def __init__(self, **rows: dict[str, Vectors]) -> None:
        self._rows = rows

    def search(self, space, kinds, vectors, neighbours):  # type: ignore[no-untyped-def]
        return [
            sorted(
                (Row(who, -float(np.linalg.norm(one - vector)))
                 for who, theirs in self._rows.items() for one in theirs.get(space, ())),
                key=lambda row: -row.score,
            )[:neighbours]
            for vector in vectors
        ]  # fmt: skip


def registered() -> dict[str, Vectors]:
    """What an opt-out keeps of the portrait, by space."""
    face = finder().look(portrait())[0]
    return of_portrait(portrait(), face, finder())


def test_a_drawing_is_found_in_the_space_of_drawings_only() -> None:
    head = cv2.resize(portrait()[0:220, 130:330], None, fx=1.2, fy=1.2, interpolation=cv2.INTER_CUBIC)
    bgr = cv2.stylization(np.ascontiguousarray(head[..., ::-1]), sigma_s=100, sigma_r=0.35)
    look = finder().look(np.ascontiguousarray(bgr[..., ::-1]))
    plain, other = with_drawn(seen_faces(finder().space, [(1.0, look)]))
    known = {one: load(one) for one in (plain.space, other.space)}
    stranger = {plain.space: plain.vectors + 0.2, other.space: -other.vectors}
    references = Portraits(her=registered(), stranger=stranger)
    assert not check_faces(Sight(seen=(plain,)), references, known).findings
    report = check_faces(Sight(seen=(plain, other)), references, known)
    [finding] = report.findings
    assert (finding.subject, finding.threshold) == ("her", known[other.space].layer(FACE_PORTRAIT).threshold)
    assert set(report.scores) == {"face_portrait", "drawn_portrait"}


def test_who_is_found_in_both_spaces_is_one_finding_the_likelier() -> None:
    rows = {"f": np.eye(4, dtype=np.float32)[:1], "f-drawn-1": np.eye(4, dtype=np.float32)[1:2]}
    seen = tuple(
        Seen(kind=Kind.FACE, space=one, vectors=vector * 0.9, times=(float(n),))
        for n, (one, vector) in enumerate(rows.items())
    )
    for likelier, slope in (("f", (20.0, 5.0)), ("f-drawn-1", (5.0, 20.0))):
        known = {
            one: Calibration(
                space=one, version=1, made={},
                layers={FACE_PORTRAIT: Layer(threshold=-0.5, slope=steep, intercept=steep / 2)},
            )
            for one, steep in zip(rows, slope, strict=True)
        }  # fmt: skip
        [finding] = check_faces(Sight(seen=seen), Portraits(her=rows), known).findings
        assert finding.times == (float(list(rows).index(likelier)),)


def test_other_spaces_have_no_drawn_one() -> None:
    assert drawn_space("opencv-face-0123456789ab") is None
    assert spaces_of("opencv-face-0123456789ab") == ("opencv-face-0123456789ab",)
    assert spaces_of(finder().space) == (finder().space, space().space)
    frame = Seen(kind=Kind.FRAME, space=finder().space, vectors=np.ones((1, 128), np.float32))
    assert with_drawn(frame) == (frame,)


def test_a_clip_without_faces_was_looked_at_in_both_spaces() -> None:
    both = with_drawn(seen_faces(finder().space, [(0.0, ())]))
    assert [(one.space, one.vectors.shape) for one in both] == [
        (one, (0, size)) for one, size in zip(spaces_of(finder().space), (128, 129), strict=True)
    ]


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_vectors_are_of_unit_length_and_one_does_not_change_another(seed: int, count: int) -> None:
    vectors = np.random.default_rng(seed).normal(0, 0.12, (count, 128)).astype(np.float32)
    moved = space().moved(vectors)
    assert np.allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    assert np.allclose(space().moved(vectors[:1]), moved[:1], atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_what_is_drawn_at_registration_is_farther_from_all_that_is_seen_by_as_much(seed: int) -> None:
    seen, portrait = np.random.default_rng(seed).normal(0, 0.12, (2, 3, 128)).astype(np.float32)
    plain = ((space().moved(seen) - space().moved(portrait)) ** 2).sum(axis=1)
    drawn = ((space().moved(seen) - space().moved_drawings(portrait)) ** 2).sum(axis=1)
    assert space().apart > 0
    assert np.allclose(drawn, plain + space().apart, atol=1e-4)


def test_a_portrait_is_registered_as_it_is_and_as_it_is_drawn() -> None:
    own = registered()[space().space]
    assert own.shape == (1 + len(drawn.FILTERS), 129)
    assert own[:, -1].tolist() == pytest.approx([0.0] + [space().apart ** 0.5] * len(drawn.FILTERS))


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_what_drawing_changes_counts_less(seed: int) -> None:
    """Persons differ in some directions, drawings in another: the map forgets the other."""
    from training.drawn_faces import learnt

    rng = np.random.default_rng(seed)
    persons = np.hstack([rng.normal(0, 1, (20, 6)), np.zeros((20, 2))])
    groups = [
        person + np.hstack([rng.normal(0, 0.05, (5, 6)), rng.normal(0, 2, (5, 2))]) for person in persons
    ]
    linear, middle = learnt(groups, 0.1)
    made = DrawnSpace(source="s", space="d", map=linear, middle=middle, apart=0.0)
    moved = [made.moved(np.asarray(group, np.float32)) for group in groups]
    same = max(float(np.linalg.norm(one[0] - one[1])) for one in moved)
    plain = max(float(np.linalg.norm(one[0] - one[1])) for one in groups)
    apart = float(np.median([np.linalg.norm(moved[0][0] - one[0]) for one in moved[1:]]))
    usual = float(np.median([np.linalg.norm(groups[0][0] - one[0]) for one in groups[1:]]))
    assert same / apart < plain / usual


def test_every_view_that_is_learnt_from_is_another_picture_and_always_the_same() -> None:
    from training.face_views import VIEWS

    picture, place = portrait()[0:220, 130:330], (60, 60, 140, 150)
    for name, view in VIEWS.items():
        seen = view(picture, place)
        assert (seen.dtype, seen.ndim, seen.shape[2]) == (np.uint8, 3, 3), name
        assert seen.shape != picture.shape or (seen != picture).mean() > 0.2, name
        assert np.array_equal(seen, view(picture, place)), name
    assert VIEWS["36 pixels"](picture, place).shape == (99, 90, 3)  # of a face of 80


def test_the_shipped_space_is_calibrated() -> None:
    assert -1.2 < load(space().space).layer(FACE_PORTRAIT).threshold < -0.5


def test_a_damaged_file() -> None:
    right: dict[str, NDArray[Any]] = {
        drawn.MAP: np.eye(4, dtype=np.float32), drawn.MIDDLE: np.zeros(4, np.float32),
        drawn.APART: np.array([0.1], np.float32), drawn.SOURCE: np.frombuffer(b"s", np.uint8),
    }  # fmt: skip
    assert parse(save(right)).space.startswith("s-drawn-")
    for wrong in (
        b"", b"words", save(right)[:40], save({**right, drawn.MAP: np.eye(3, dtype=np.float32)}),
        save({**right, drawn.MIDDLE: np.full(4, np.nan, np.float32)}), save({drawn.MAP: right[drawn.MAP]}),
        save({**right, drawn.APART: np.array([-0.1], np.float32)}),
        save({**right, drawn.APART: np.zeros(2, np.float32)}),
    ):  # fmt: skip
        with pytest.raises(ModelUnusable, match="is damaged"):
            parse(wrong)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0.5, 0.5, 0.5, 0.5), (0.9, 0.9, 1, 1), (0, 0, 0.001, 1)])
def test_drawing_any_part_of_any_picture(box: tuple[float, float, float, float]) -> None:
    for shape in ((40, 60, 3), (300, 33, 3)):
        for made in drawings(np.zeros(shape, np.uint8), box):
            assert made.ndim == 3
            assert max(made.shape) < 2000
