"""Where a check finds something, a pair of vectors reaches the bound: in every layer, at every scoring."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.base import Kind, Seen, Sight
from classifiers.bounds import basis, bounds_of, reached, taken_off
from classifiers.descriptions import check_descriptions
from classifiers.faces import check_faces
from classifiers.passages import MAX_PASSAGE
from classifiers.similarity import check_frames
from classifiers.thresholds import (
    FACE_PORTRAIT,
    FRAME_PICTURE,
    PROMPT_DESCRIPTION,
    PROMPT_PICTURE,
    Calibration,
    Layer,
)
from classifiers.weighing import (
    BARE_LEAST,
    CLAUSE_FEWEST,
    CLAUSE_FULL,
    CLAUSE_SHARE,
    CLAUSE_WEIGHT,
    FUSED,
    LIST_LEAST,
    LISTED,
    PASSAGES,
    WHOLE_LEAST,
)
from registry.subject_types import SubjectRecord, VectorRow
from registry.subjectset import SubjectSet

DIMENSION = 6


def layer(threshold: float) -> Layer:
    return Layer(threshold=threshold, slope=1.0, intercept=0.0)


def units(drawn: Any, count: int) -> Any:
    made = drawn.standard_normal((count, DIMENSION)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def subject(vectors: Any, kinds: list[str], polarities: list[int], space: str) -> SubjectRecord:
    rows = tuple(
        VectorRow(
            subject="s", reference=f"{n}", space=space, kind=kind, polarity=polarity,
            vector=vector.astype("<f2").tobytes(), dimension=DIMENSION,
        )
        for n, (vector, kind, polarity) in enumerate(zip(vectors, kinds, polarities, strict=True))
    )  # fmt: skip
    return SubjectRecord(
        id="s", kind="character", name="S", owner="O", party="p", mode="block", description="",
        attributes=(), exclusions=(), names=(), vectors=rows, rules=(), state="active", seq=1,
    )  # fmt: skip


def passes(sight: Sight, record: SubjectRecord, calibration: Calibration) -> bool:
    for bound in bounds_of(calibration):
        mine = [
            np.frombuffer(row.vector, "<f2").astype(np.float32)
            for row in record.vectors
            if row.kind == bound.registered and row.polarity > 0
        ]
        seen = [one.vectors for one in sight.of(bound.seen)]
        if mine and any(reached(bound, seen, np.stack(mine), calibration)):
            return True
    return False


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10_000), threshold=st.floats(0.0, 0.9), weight=st.floats(0, 0.5),
    support=st.floats(0, 1), margin=st.sampled_from([0.0033, 0.2, float("inf")]),
    moments=st.integers(1, 4), negative=st.booleans(),
)  # fmt: skip
def test_frames(seed: int, threshold: float, weight: float, support: float, margin: float, moments: int,
                negative: bool) -> None:  # fmt: skip
    drawn = np.random.default_rng(seed)
    numbers = {"cohort_weight": weight, "cohort_nearest": 3, "support_weight": support,
               "support_moments": moments, "single_margin": margin}  # fmt: skip
    calibration = Calibration(
        space="c", version=1, made={}, layers={FRAME_PICTURE: layer(threshold)}, numbers=numbers,
        cohort=units(drawn, 8),
    )  # fmt: skip
    frames = Seen(kind=Kind.FRAME, space="c", vectors=units(drawn, 8), times=tuple(range(8)))
    record = subject(units(drawn, 4), ["picture"] * 4, [1, 1, 1, -1 if negative else 1], "c")
    sight = Sight(seen=(frames,))
    report = check_frames(sight, SubjectSet([record]), {"c": calibration})
    if report.findings:
        assert passes(sight, record, calibration)


@settings(max_examples=100)
@given(seed=st.integers(0, 10_000), threshold=st.floats(-2.0, -0.2))
def test_faces(seed: int, threshold: float) -> None:
    drawn = np.random.default_rng(seed)
    calibration = Calibration(space="f", version=1, made={}, layers={FACE_PORTRAIT: layer(threshold)})
    faces = Seen(kind=Kind.FACE, space="f", vectors=units(drawn, 3), times=(0.0, 1.0, 2.0))
    record = subject(units(drawn, 3), ["portrait"] * 3, [1, 1, -1], "f")
    sight = Sight(seen=(faces,))
    if check_faces(sight, SubjectSet([record]), {"f": calibration}).findings:
        assert passes(sight, record, calibration)


@settings(max_examples=300)
@given(
    seed=st.integers(0, 10_000), threshold=st.floats(0.05, 0.7),
    lists=st.one_of(st.none(), st.floats(0.05, 0.7)),
    weight=st.floats(0, 1), share=st.floats(0.1, 1), few=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    leasts=st.one_of(st.none(), st.tuples(st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0, 0.7))),
    cohort=st.floats(0, 1), shapes=st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)),
    clauses=st.integers(0, 5), text=st.sampled_from(["a prompt", "red, blue, fox"]),
)  # fmt: skip
def test_fused(
    seed: int, threshold: float, lists: float | None, weight: float, share: float, few: tuple[int, int],
    leasts: tuple[float, float, float] | None, cohort: float, shapes: tuple[int, int, int], clauses: int,
    text: str,
) -> None:  # fmt: skip
    drawn = np.random.default_rng(seed)
    layers = {FUSED: layer(threshold)} | ({} if lists is None else {LISTED: layer(lists)})
    numbers = {PASSAGES: MAX_PASSAGE, CLAUSE_WEIGHT: weight,
               CLAUSE_SHARE: share, CLAUSE_FEWEST: few[0], CLAUSE_FULL: few[1],
               "cohort_weight": cohort, "cohort_nearest": 2}  # fmt: skip
    if leasts is not None:
        numbers |= dict(zip((WHOLE_LEAST, LIST_LEAST, BARE_LEAST), leasts, strict=True))
    calibration = Calibration(
        space="m", version=1, made={}, layers=layers, numbers=numbers, cohort=units(drawn, 4)
    )  # fmt: skip
    described, attributes, excluded = shapes
    kinds = ["description"] * described + ["attribute"] * (attributes + excluded)
    record = subject(
        units(drawn, len(kinds)), kinds, [1] * (described + attributes) + [-1] * excluded, "m"
    )  # fmt: skip
    seen = [Seen(kind=Kind.PROMPT, space="m", vectors=units(drawn, 2))]
    seen += [Seen(kind=Kind.CLAUSE, space="m", vectors=units(drawn, clauses))] if clauses else []
    sight = Sight(texts=(text,), seen=tuple(seen))
    if check_descriptions(sight, SubjectSet([record]), {"m": calibration}).findings:
        assert passes(sight, record, calibration)


@settings(max_examples=100)
@given(seed=st.integers(0, 10_000), thresholds=st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)))
def test_prompts_in_the_space_of_pictures(seed: int, thresholds: tuple[float, float]) -> None:
    drawn = np.random.default_rng(seed)
    layers = {PROMPT_PICTURE: layer(thresholds[0]), PROMPT_DESCRIPTION: layer(thresholds[1])}
    calibration = Calibration(space="c", version=1, made={}, layers=layers)
    record = subject(units(drawn, 3), ["picture", "picture", "description"], [1, -1, 1], "c")
    sight = Sight(texts=("p",), seen=(Seen(kind=Kind.PROMPT, space="c", vectors=units(drawn, 2)),))
    if check_descriptions(sight, SubjectSet([record]), {"c": calibration}).findings:
        assert passes(sight, record, calibration)


def test_only_frames_lose_something_and_its_ground_has_a_name() -> None:
    drawn = np.random.default_rng(1)
    numbers = {"cohort_weight": 0.25, "cohort_nearest": 2}
    made: dict[str, Any] = {"space": "c", "version": 1, "made": {}, "layers": {}, "numbers": numbers}
    calibration = Calibration(**made, cohort=units(drawn, 4))
    frames = units(drawn, 3)
    assert (taken_off(Kind.PROMPT, frames, calibration) == 0).all()
    assert taken_off(Kind.FRAME, frames, calibration).any()
    assert basis(calibration) == basis(Calibration(**made, cohort=calibration.cohort))
    assert basis(calibration) != basis(Calibration(**made, cohort=units(drawn, 4)))


def test_what_is_no_number_is_looked_at() -> None:
    calibration = Calibration(space="c", version=1, made={}, layers={FRAME_PICTURE: layer(0.5)})
    [bound] = bounds_of(calibration)
    broken = np.full((1, DIMENSION), np.nan, np.float32)
    groups = [broken, np.zeros((0, DIMENSION), np.float32)]
    registered = np.eye(DIMENSION, dtype=np.float32)
    assert reached(bound, groups, registered, calibration) == [list(range(DIMENSION)), []]


def test_each_registered_vector_is_told_apart() -> None:
    calibration = Calibration(space="c", version=1, made={}, layers={FRAME_PICTURE: layer(0.5)})
    [bound] = bounds_of(calibration)
    registered = np.eye(DIMENSION, dtype=np.float32)
    groups = [registered[[1, 4]], registered[:0], registered[[2]], -registered[[0]]]
    assert reached(bound, groups, registered, calibration) == [[1, 4], [], [2], []]
