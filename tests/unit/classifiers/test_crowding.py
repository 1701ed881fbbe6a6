"""Whoever registers much that is alike hides nobody else's opt-out behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from classifiers.base import CheckState, Kind, Seen, Sight, Vectors
from classifiers.descriptions import check_descriptions
from classifiers.faces import check_faces
from classifiers.run import run_checks
from classifiers.similarity import check_frames
from classifiers.thresholds import Calibration, Layer

SPACE = "crowded"
COUNT = 300  # more than any check asks for at first
THRESHOLDS = {"picture": 0.8, "portrait": -0.6, "description": 0.8, "attribute": 0.8}


@dataclass(frozen=True)
class Near:
    subject: str
    reference: str
    kind: str
    polarity: int
    score: float


class Crowd:
    """Near everything: `COUNT` vectors of one owner (or of as many), then one of another, then of nobody."""

    seq, names = 1, ()

    def __init__(self, kinds: Sequence[str], crowds: int) -> None:
        self._kinds, self._crowds = kinds, crowds

    def search(self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int) -> list[list[Near]]:
        found = [near for kind in kinds if kind in self._kinds for near in self._near(kind)]
        return [found[:neighbours] for _ in vectors]

    def rows_of(
        self, _space: str, kind: str, subjects: Sequence[str]
    ) -> tuple[list[str], Vectors, "np.typing.NDArray[np.int8]"]:
        mine = sorted(
            (near for near in self._near(kind) if near.subject in subjects), key=lambda n: n.subject
        )
        vectors = np.array([np.full(8, near.score / 8) for near in mine], np.float32).reshape(-1, 8)
        return [near.subject for near in mine], vectors, np.ones(len(mine), np.int8)

    def _near(self, kind: str) -> list[Near]:
        best, worst = THRESHOLDS[kind] + 0.1, THRESHOLDS[kind] - 0.1
        crowd = [Near(f"crowd-{n % self._crowds}", "", kind, 1, best) for n in range(COUNT)]
        return [*crowd, Near("hidden", "", kind, 1, best - 0.05), Near("other", "", kind, 1, worst)]


def calibrations(*layers: str, **numbers: float) -> dict[str, Calibration]:
    thresholds = {"face_portrait": -0.6}
    made = {name: Layer(threshold=thresholds.get(name, 0.8), slope=1, intercept=0) for name in layers}
    return {SPACE: Calibration(space=SPACE, version=1, made={}, layers=made, numbers=numbers)}


def seen(kind: Kind, count: int = 2) -> Seen:
    return Seen(kind=kind, space=SPACE, vectors=np.ones((count, 8), np.float32))


@pytest.mark.parametrize("crowds", [1, COUNT])
def test_nobody_is_hidden(crowds: int) -> None:
    frames = check_frames(
        Sight(seen=(seen(Kind.FRAME),)), Crowd(["picture"], crowds), calibrations("frame_picture")
    )
    faces = check_faces(
        Sight(seen=(seen(Kind.FACE),)), Crowd(["portrait"], crowds), calibrations("face_portrait")
    )
    prompt = Sight(texts=("x",), seen=(seen(Kind.PROMPT), seen(Kind.CLAUSE)))
    shown = check_descriptions(
        prompt, Crowd(["picture"], crowds), calibrations("prompt_picture", "prompt_description")
    )
    told = check_descriptions(
        prompt,
        Crowd(["description", "attribute"], crowds),
        calibrations("prompt_fused", clause_weight=0.5, passages=8),
    )
    for report in (frames, faces, shown, told):
        found = {finding.subject for finding in report.findings}
        assert "hidden" in found, report.check
        assert "other" not in found, report.check


def test_too_many_fail_the_check() -> None:
    class Endless(Crowd):
        def search(
            self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
        ) -> list[list[Near]]:
            return [[Near("crowd", "", "picture", 1, 1.0)] * neighbours for _ in vectors]

    frames = Sight(seen=(seen(Kind.FRAME),))
    check = partial(check_frames, frames, Endless(["picture"], 1), calibrations("frame_picture"))
    [report] = run_checks({"frames": check}, seconds=30)
    assert report.state is CheckState.FAILED
