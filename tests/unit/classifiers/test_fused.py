"""The score of a prompt's words for a subject: the same in a crowd as alone, and what counts in it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.base import Kind, Seen, Sight, Vectors
from classifiers.descriptions import check_descriptions
from classifiers.errors import CalibrationMissing
from classifiers.fused import NEIGHBOURS, fused
from classifiers.thresholds import Calibration, Layer
from classifiers.weighing import FUSED, LISTED
from classifiers.wording import listed
from registry.subject_types import SubjectRecord, VectorRow
from registry.subjectset import SubjectSet

DIMENSION = 12
NUMBERS = {
    "passages": 8, "clause_weight": 0.4, "clause_share": 0.5, "clause_fewest": 2, "clause_full": 3,
    "cohort_weight": 1.0, "cohort_nearest": 2, "whole_least": 0.3, "list_least": 0.2, "bare_least": 0.4,
}  # fmt: skip


def calibration(least: float = 0.3, cohort: Vectors | None = None, **numbers: float) -> Calibration:
    layers = {FUSED: Layer(threshold=least, slope=1, intercept=0),
              LISTED: Layer(threshold=least / 2, slope=1, intercept=0)}  # fmt: skip
    nobody = np.zeros((0, 0), np.float32) if cohort is None else cohort
    return Calibration(
        space="m", version=2, made={}, layers=layers, numbers=NUMBERS | numbers, cohort=nobody
    )  # fmt: skip


def units(drawn: np.random.Generator, count: int, towards: Any = None, by: float = 0.0) -> Vectors:
    made = drawn.standard_normal((count, DIMENSION)) + (0 if towards is None else by * towards)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def record(
    name: str, described: Vectors, attributes: Vectors, not_meant: Vectors | None = None
) -> SubjectRecord:
    given = [("description", 1, row) for row in described] + [("attribute", 1, row) for row in attributes]
    given += [("attribute", -1, row) for row in (() if not_meant is None else not_meant)]
    rows = tuple(
        VectorRow(
            subject=name, reference="", space="m", kind=kind, polarity=sign,
            vector=row.astype("<f2").tobytes(), dimension=DIMENSION,
        )
        for kind, sign, row in given
    )  # fmt: skip
    return SubjectRecord(
        id=name, kind="character", name=name, owner="O", party="p", mode="block", description="",
        attributes=(), exclusions=(), names=(), vectors=rows, rules=(), state="active", seq=1,
    )  # fmt: skip


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000), clauses=st.integers(0, 6), layer=st.sampled_from([FUSED, LISTED]),
    white=st.booleans(),
)  # fmt: skip
def test_the_score_is_the_same_in_a_crowd_as_alone(seed: int, clauses: int, layer: str, white: bool) -> None:
    drawn = np.random.default_rng(seed)
    centre = units(drawn, 1)[0]
    crowd = [
        record(
            f"s{n}", units(drawn, n % 3 and 1, centre, 4), units(drawn, 2, centre, 4),
            units(drawn, n % 2, centre, 4),
        )
        for n in range(NEIGHBOURS + 60)
    ]  # fmt: skip
    whole = Seen(kind=Kind.PROMPT, space="m", vectors=units(drawn, 2, centre, 4))
    parts = [Seen(kind=Kind.CLAUSE, space="m", vectors=units(drawn, clauses, centre, 4))] if clauses else []
    made = calibration(0.45, units(drawn, 6))
    made = replace(made, whitening=whitening(drawn)) if white else made
    together = fused(whole, parts, SubjectSet(crowd), made, layer)
    enough = {FUSED: 0.45, LISTED: 0.225}
    for one in crowd:
        alone = fused(whole, parts, SubjectSet([one]), made, layer).get(one.id)
        if alone is not None and alone.score >= enough[alone.layer] + 1e-3:
            assert one.id in together
            assert together[one.id].layer == alone.layer
        if one.id in together:
            assert alone is not None
            assert together[one.id].score == pytest.approx(alone.score, abs=1e-4)


def whitening(drawn: np.random.Generator) -> Vectors:
    half = drawn.standard_normal((DIMENSION, DIMENSION))
    return np.asarray(np.concatenate([units(drawn, 1) / 4, half @ half.T / DIMENSION]), np.float32)


def test_a_list_is_compared_after_whitening() -> None:
    common, own = AXES[0], AXES[1]
    both = (common * 3 + own) / np.sqrt(10)
    other = (common * 3 + AXES[2]) / np.sqrt(10)
    taken = np.concatenate([common[None] * both[0], np.eye(DIMENSION)]).astype(np.float32)
    made = replace(calibration(0.2, list_clause_weight=0.5), whitening=taken)
    whole, listing = (
        Seen(kind=Kind.PROMPT, space="m", vectors=both[None]),
        SubjectSet([record("same", both[None], AXES[5:6]), record("alike", other[None], AXES[5:6])]),
    )
    found = fused(whole, [], listing, made, LISTED)
    assert found["same"].score == pytest.approx(0.5, abs=1e-3)
    assert found["alike"].score == pytest.approx(0, abs=1e-3)  # the cosine is 0.9 before
    sentences = fused(whole, [], listing, made, FUSED)
    assert sentences["alike"].score == pytest.approx(0.6 * 0.9, abs=1e-3)
    assert not made.whitened(np.zeros((1, DIMENSION), np.float32)).any()
    # Who has no description is judged as in sentences, and what is in no space at all by nobody.
    bare = SubjectSet([record("bare", AXES[:0], AXES[5:6])])
    seen = [Seen(kind=Kind.CLAUSE, space="m", vectors=AXES[5:6])]
    assert fused(whole, seen, bare, made, LISTED) == fused(whole, seen, bare, made, FUSED)


def told(parts: Vectors, one: SubjectRecord, made: Calibration, towards: Vectors) -> float:
    whole = Seen(kind=Kind.PROMPT, space="m", vectors=towards[None])
    seen = [Seen(kind=Kind.CLAUSE, space="m", vectors=parts)]
    found = fused(whole, seen, SubjectSet([one]), made, FUSED)
    return found[one.id].score if one.id in found else -np.inf


AXES = np.eye(DIMENSION, dtype=np.float32)


def test_what_is_said_of_many_counts_for_nothing() -> None:
    one = record("s", AXES[:1], AXES[1:5])
    common, rare = calibration(cohort=AXES[1:5]), calibration(cohort=AXES[6:8])
    assert told(AXES[1:5], one, rare, AXES[0]) == pytest.approx(0.6 + 0.4 * 2 / 3)
    assert told(AXES[1:5], one, common, AXES[0]) == pytest.approx(0.6 + 0.4 / 3)  # the nearest two: 1 and 0


def test_one_clause_proves_little_and_no_clause_without_the_whole() -> None:
    one = record("s", AXES[:1], AXES[1:5])
    assert told(AXES[1:2], one, calibration(), AXES[0]) == pytest.approx(0.6 + 0.4 / 3)
    assert told(AXES[1:5], one, calibration(), AXES[9]) == -np.inf


def test_what_is_nearer_to_an_exclusion_does_not_count() -> None:
    plain, excluding = record("s", AXES[:1], AXES[1:4]), record("s", AXES[:1], AXES[1:4], AXES[1:3] * 1.01)
    assert told(AXES[1:4], plain, calibration(), AXES[0]) == pytest.approx(0.6 + 0.4 * 2 / 3)
    assert told(AXES[1:4], excluding, calibration(), AXES[0]) == pytest.approx(0.6 + 0.4 / 3)


def test_lists_have_a_threshold_of_their_own() -> None:
    assert listed(["red cap, moustache, blue overalls"])
    assert not listed(["a red cap"])
    assert not listed(["A stout man with a moustache walks through a green meadow, smiling, at noon"])
    assert not listed(["An otter in a straw hat and a weasel with round goggles on a boat in fog"])
    one = record("s", AXES[:1], AXES[1:4])
    seen = (AXES[0] * 0.5 + AXES[8] * 0.86)[None].astype(np.float32)
    parts = (
        Seen(kind=Kind.PROMPT, space="m", vectors=seen),
        Seen(kind=Kind.CLAUSE, space="m", vectors=AXES[9:]),
    )
    for text, layer in (("red, blue, moustache", LISTED), ("A long sentence about a man", None)):
        sight = Sight(texts=(text,), seen=parts)
        found = check_descriptions(sight, SubjectSet([one]), {"m": calibration(0.5)}).findings
        assert [finding.threshold for finding in found] == ([0.25] if layer else [])


@pytest.mark.parametrize("passages", [0, 7])
def test_a_calibration_of_an_earlier_score_is_missing(passages: int) -> None:
    one = record("s", AXES[:1], AXES[1:4])
    with pytest.raises(CalibrationMissing, match="make it again"):
        told(AXES[1:2], one, calibration(passages=passages), AXES[0])
