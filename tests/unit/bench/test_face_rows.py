"""Figures of faces: what counts as a false pair, and how far the threshold moves until there is none."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage.data")

from benchmarks.checks import _folder
from benchmarks.common import Row
from benchmarks.tools.face_checks import NOBODY, OTHER, SAME, Measured, Plan, conditions_of
from benchmarks.tools.face_rows import rows
from benchmarks.tools.face_trials import TRIALS
from classifiers.thresholds import FACE_PORTRAIT, Calibration, Layer

PLAIN = TRIALS[0]
PERSONS = ("ann", "ben", "cid")


def calibration(threshold: float) -> Calibration:
    layer = Layer(threshold=-threshold, slope=20, intercept=12)
    return Calibration(space="faces", version=1, made={}, layers={FACE_PORTRAIT: layer})


def clip(who: str, own: Sequence[float], **others: Sequence[float]) -> Measured:
    """A clip in one space: distances by frame to the one shown, and to each other person."""
    names = tuple(others)
    return Measured(
        who=who, trial=PLAIN, registered=OTHER if own else NOBODY, names=names,
        own=np.array([own], float), others=np.array([np.transpose([others[name] for name in names])], float),
    )  # fmt: skip


def measured() -> list[Measured]:
    return [
        clip("ann", [0.3, 0.5], ben=[0.7, 0.8], cid=[0.9, 0.9]),
        clip("ben", [0.2, np.inf], ann=[0.55], cid=[0.8]),
        clip("stranger", [], ann=[0.9], ben=[0.8], cid=[0.9]),
    ]


def one(found: Sequence[Row], metric: str, **conditions: str) -> Row:
    asked = conditions.items()
    return next(row for row in found if row.metric == metric and asked <= row.conditions.items())


def test_pairs_are_counted_as_frames_as_clips_and_as_persons() -> None:
    found = rows(measured(), [calibration(0.6)])
    frames = one(found, "pairs of a frame and another person, false")
    clips = one(found, "pairs of a clip and another person, false")
    persons = one(found, "pairs of two persons, ever false")
    assert (frames.n, clips.n, persons.n) == (4 + 2 + 3, 2 + 2 + 3, 6)
    assert [round(row.value * row.n) for row in (frames, clips, persons)] == [1, 1, 1]
    assert frames.conditions["persons registered"] == 3


def test_at_no_false_pair_the_threshold_is_that_of_the_nearest_other() -> None:
    found = rows(measured(), [calibration(0.6)])
    assert one(found, "nearest other person, beyond the threshold").value == pytest.approx(-0.05)
    told = {"registered by": OTHER}
    assert one(found, "person found in a frame", **told).value == 3 / 4
    strict = one(found, "person found in a frame, at 0 false pairs", **told)
    assert strict.value == 3 / 4  # 0.3, 0.5 and 0.2 are nearer than 0.55
    assert one(rows(measured(), [calibration(0.4)]), strict.metric, **told).value == strict.value


def test_the_interval_over_persons_holds_the_share_and_knows_how_few_there_are() -> None:
    found = rows(measured(), [calibration(0.6)])
    share = one(found, "person found in a frame, at 0 false pairs, over persons")
    assert share.n == 2  # persons, not frames
    assert share.interval[0] <= share.value <= share.interval[1]
    assert share.interval[0] == 0.5  # all draws of ben alone
    assert share.interval[1] == 1.0


def test_pairs_of_who_is_registered_by_the_same_photograph_count_over_persons_too() -> None:
    alone = replace(clip("cid", [0.0], ann=[0.25], ben=[0.9]), registered=SAME)
    found = rows([*measured(), alone], [calibration(0.6)])
    share = one(found, "person found in a frame, at 0 false pairs, over persons")
    told = {"registered by": OTHER}
    assert share.value == one(found, "person found in a frame, at 0 false pairs", **told).value
    assert share.value == 1 / 4  # 0.2 alone is nearer than 0.25


def test_thresholds_of_other_persons_know_nothing_of_those_they_are_told_of() -> None:
    """Two persons are nearer to each other than all else: with them as the half, thresholds are stricter."""
    near, far = ("ann", "ben"), ("cid", "dan")
    clips = [
        clip(
            who, [0.3],
            **{name: [0.2 if {who, name} == set(near) else 0.6] for name in (*near, *far) if name != who},
        )
        for who in (*near, *far)
    ]  # fmt: skip
    found = rows(clips, [calibration(0.5)])
    told = [row for row in found if row.metric == "person found in a frame, thresholds of other persons"]
    assert [row.n for row in told] == [4, 4]
    assert 0.5 < told[0].value < 1  # all but where the near two are the half that is fitted on
    false = one(found, "pairs of a frame and another person, false, thresholds of other persons")
    assert 0 < false.value < 0.5
    aside = one(found, "person found in a frame, at 0 false pairs, the two nearest persons aside")
    assert (aside.value, one(found, "person found in a frame, at 0 false pairs").value) == (1, 0)


def test_fewer_pairs_are_an_easier_demand() -> None:
    rng = np.random.default_rng(1)
    clips = [
        clip(f"p{n}", list(rng.uniform(0.2, 0.7, 5)), **{
            f"p{m}": list(rng.normal(0.9, 0.12, 5)) for m in range(40) if m != n
        })
        for n in range(40)
    ]  # fmt: skip
    found = rows(clips, [calibration(0.5)])
    few = one(found, "person found in a frame, at 0 false of 3000 pairs")
    every = one(found, "person found in a frame, at 0 false pairs")
    assert every.value < few.value
    assert every.value - 1e-9 <= few.interval[0] <= few.value <= few.interval[1] < 1
    assert not [row for row in rows(measured(), [calibration(0.6)]) if "3000" in row.metric]


def test_each_condition_is_shown_as_often() -> None:
    plan = Plan(conditions=5)
    shown = [trial.name for number in range(len(TRIALS)) for trial in conditions_of(number, plan)]
    assert {shown.count(trial.name) for trial in TRIALS} == {5}
    assert len({trial.name for trial in conditions_of(3, plan)}) == 5


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    assert _folder(str(tmp_path)) == tmp_path
    with pytest.raises(argparse.ArgumentTypeError, match="is no folder; name one of photographs whose names"):
        _folder(str(tmp_path / "missing"))
