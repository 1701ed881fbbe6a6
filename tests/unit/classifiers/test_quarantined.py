"""What is in quarantine holds and refuses nothing; what else is registered counts as if it were not there."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import Finding, Kind, Seen, Sight, Vectors
from classifiers.descriptions import SURE, check_descriptions
from classifiers.faces import check_faces
from classifiers.names import check_names
from classifiers.similarity import check_frames
from classifiers.thresholds import (
    FACE_PORTRAIT,
    FRAME_PICTURE,
    PROMPT_DESCRIPTION,
    PROMPT_PICTURE,
    Calibration,
    Layer,
)  # fmt: skip
from classifiers.weighing import CLAUSE_WEIGHT, FUSED

CLIP, MINI, FACE = "clip-test", "mini-test", "face-test"
LAYER = Layer(threshold=0.5, slope=10.0, intercept=-5.0)


def calibration(space: str, *layers: str, **numbers: float) -> Calibration:
    return Calibration(
        space=space, version=1, made={}, layers=dict.fromkeys(layers, LAYER), numbers=numbers,
        cohort=np.zeros((0, 8), np.float32),
    )  # fmt: skip


CALIBRATIONS = {
    CLIP: calibration(
        CLIP, FRAME_PICTURE, PROMPT_PICTURE, PROMPT_DESCRIPTION, prompt_picture_sure=0.8,
        prompt_description_sure=0.8,
    ),
    MINI: calibration(
        MINI, FUSED, **{CLAUSE_WEIGHT: 0.5, "passages": 8, SURE.format(layer=FUSED): 0.8}
    ),
    FACE: Calibration(
        space=FACE, version=1, made={},
        layers={FACE_PORTRAIT: Layer(threshold=-0.6, slope=1.0, intercept=0.0)},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    cosine: float
    quarantined: bool = False
    polarity: int = 1
    subject: str = "fox"
    kind: str = "picture"
    space: str = CLIP
    reference: str = "r"
    score: float = 0.0


@dataclass(frozen=True)
class Name:
    text: str
    quarantined: bool = False
    subject: str = "fox"
    tier: str = "block"
    context: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    rows: tuple[Row, ...] = ()
    names: tuple[Name, ...] = ()
    seq: int = field(default=1)

    def search(self, space: str, kinds: object, vectors: Vectors, neighbours: int) -> list[list[Row]]:
        fitting = [r for r in self.rows if r.space == space and r.kind in tuple(kinds)]  # type: ignore[arg-type]
        scored = [Row(**(vars(r) | {"score": r.cosine})) for r in fitting]
        return [sorted(scored, key=lambda r: -r.score)[:neighbours] for _ in vectors]


def seen(kind: Kind, space: str) -> Seen:
    return Seen(kind=kind, space=space, vectors=np.eye(8, dtype=np.float32)[:1], times=(0.5,))


def found(check: object, kind: Kind, space: str, *rows: Row, clause: bool = False) -> list[Finding]:
    parts = (seen(kind, space), *((seen(Kind.CLAUSE, space),) if clause else ()))
    report = check(Sight(texts=("a fox",), seen=parts), Rows(rows), CALIBRATIONS)  # type: ignore[operator]
    return list(report.findings)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([Row(0.9)], [(False, True)]),
        ([Row(0.9, quarantined=True)], [(True, False)]),
        ([Row(0.9, quarantined=True), Row(0.85)], [(False, True)]),
        ([Row(0.9, quarantined=True), Row(0.6)], [(False, False)]),
        ([Row(0.9, quarantined=True), Row(0.4)], [(True, False)]),
        ([Row(0.9, quarantined=True), Row(0.9, subject="owl")], [(False, True), (True, False)]),
    ],
)
def test_prompts_against_pictures(rows: list[Row], told: list[tuple[bool, bool]]) -> None:
    findings = found(check_descriptions, Kind.PROMPT, CLIP, *rows)
    assert sorted((one.quarantined, one.sure) for one in findings) == told


@pytest.mark.parametrize("quarantined", [False, True])
def test_words(quarantined: bool) -> None:
    rows = [
        Row(0.9, quarantined, kind=kind, space=MINI, reference="") for kind in ("description", "attribute")
    ]
    [one] = found(check_descriptions, Kind.PROMPT, MINI, *rows, clause=True)
    assert (one.quarantined, one.sure, one.score) == (quarantined, not quarantined, pytest.approx(0.9))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([Row(0.9, quarantined=True)], (True, 0.9)),
        ([Row(0.9, quarantined=True), Row(0.7)], (False, 0.7)),
        ([Row(0.9, quarantined=True), Row(0.4)], (True, 0.9)),
        ([Row(0.7, quarantined=True), Row(0.9)], (False, 0.9)),
    ],
)
def test_frames(rows: list[Row], told: tuple[bool, float]) -> None:
    [one] = found(check_frames, Kind.FRAME, CLIP, *rows)
    assert (one.quarantined, one.score) == (told[0], pytest.approx(told[1]))
    assert one.sure is False


def test_faces() -> None:
    def face(score: float, quarantined: bool) -> Row:
        return Row(score, quarantined, kind="portrait", space=FACE)

    [alone] = found(check_faces, Kind.FACE, FACE, face(-0.2, True))
    [both] = found(check_faces, Kind.FACE, FACE, face(-0.2, True), face(-0.4, False))
    assert (alone.quarantined, alone.score) == (True, -0.2)
    assert (both.quarantined, both.score) == (False, -0.4)


def test_a_negative_reference_in_quarantine_suppresses_nothing() -> None:
    meant, other = Row(0.8), Row(0.9, polarity=-1)
    assert found(check_frames, Kind.FRAME, CLIP, meant, other) == []
    doubted = Row(0.9, quarantined=True, polarity=-1)
    assert len(found(check_frames, Kind.FRAME, CLIP, meant, doubted)) == 1


@pytest.mark.parametrize(
    ("names", "sure", "quarantined"),
    [
        ([Name("Zibble", True)], False, True),
        ([Name("Zibble", True), Name("Zibble")], True, False),
        ([Name("Zibble Tarr", True), Name("Zibble")], True, False),
    ],
)
def test_names(names: list[Name], sure: bool, quarantined: bool) -> None:
    report = check_names(Sight(texts=("Zibble Tarr dances",)), Rows(names=tuple(names)))
    assert (report.findings[0].sure, report.findings[0].quarantined) == (sure, quarantined)
    assert report.findings[0].code == "name_match"


ROWS = st.builds(
    Row, st.sampled_from((0.3, 0.55, 0.7, 0.85, 0.95)), st.booleans(), st.sampled_from((1, 1, -1)),
    st.sampled_from(("fox", "owl")),
)  # fmt: skip


@given(st.lists(ROWS, max_size=6))
def test_quarantine_adds_nothing_and_hides_nothing(rows: list[Row]) -> None:
    """Laws: who is found with a positive in quarantine is found as without quarantine; never surer; and what
    is found without the quarantined rows is found as sure with them.
    """
    positive = [Row(**(vars(row) | {"quarantined": row.quarantined and row.polarity > 0})) for row in rows]
    plain = [Row(**(vars(row) | {"quarantined": False})) for row in rows]
    sound = [row for row in positive if not row.quarantined]
    for check, kind in ((check_frames, Kind.FRAME), (check_descriptions, Kind.PROMPT)):
        held, free, rest = (
            {one.subject: one for one in found(check, kind, CLIP, *these)}
            for these in (positive, plain, sound)
        )
        assert held.keys() == free.keys()
        assert all(free[name].sure >= held[name].sure for name in held)
        assert all(held[name].quarantined == (name not in rest) for name in held)
        assert all(held[name].sure == rest[name].sure for name in rest)
