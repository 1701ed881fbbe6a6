"""Simulation: what a change would have done, decided by the functions that decide in earnest."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.base import Kind, Seen, Sight
from classifiers.thresholds import (
    FACE_PORTRAIT,
    FRAME_PICTURE,
    PROMPT_DESCRIPTION,
    PROMPT_PICTURE,
    Calibration,
    Layer,
)  # fmt: skip
from classifiers.unsafe.check import CATEGORIES, NEVER
from classifiers.unsafe.frames import seen_unsafe
from classifiers.unsafe.taxonomy import Category
from classifiers.weighing import CLAUSE_WEIGHT, FUSED
from classifiers.words import seen_words
from pipeline.errors import UsageError
from pipeline.past import HELD, REFUSED, RELEASE, Past
from pipeline.policy import PRESETS
from pipeline.simulate import MAX_EXAMPLES, UNKNOWN, Change, Simulation, rule_of, threshold_of
from pipeline.types import Verdict
from registry.subject_types import NameRow, SubjectRecord, VectorRow
from registry.subjectset import SubjectSet

NOW = "2026-01-02T00:00:00Z"
CLIP, MINI, FACE = "clip-1", "mini-1", "face-1"
ALONG = np.eye(8, dtype=np.float32)[0]
STRICT = ("allow", "review", "block")


def calibration(space: str, *layers: str, least: float = 0.5, **numbers: float) -> Calibration:
    layer = Layer(threshold=least, slope=10.0, intercept=-5.0)
    return Calibration(
        space=space, version=1, made={}, layers=dict.fromkeys(layers, layer), numbers=numbers,
        cohort=np.zeros((0, 8), np.float32),
    )  # fmt: skip


CALIBRATIONS = {
    CLIP: calibration(CLIP, FRAME_PICTURE, PROMPT_PICTURE, PROMPT_DESCRIPTION),
    MINI: calibration(MINI, FUSED, **{CLAUSE_WEIGHT: 0.5, "passages": 8}),
    FACE: calibration(FACE, FACE_PORTRAIT, least=-0.6),
}


class Registry(SubjectSet):
    """A set that knows, as a view does, that nobody is a stranger."""

    def strangers(self, _kinds: Any, _spaces: Any) -> frozenset[str]:
        return frozenset()


RECORD = SubjectRecord(
    id="s1", kind="character", name="Zorbolino", owner="Studio", party="p1", mode="block", description="",
    attributes=(), exclusions=(), rules=(), state="active", seq=5,
    names=(NameRow(subject="s1", text="Zorbolino", tier="block", context=(), kind="official", language=""),),
    vectors=(
        VectorRow(subject="s1", reference="ab" * 32, space=CLIP, kind="picture", polarity=1,
                  vector=ALONG.astype("<f2").tobytes(), dimension=8),
    ),
)  # fmt: skip
REGISTRY = Registry([RECORD])


def case(prompt: str | None = "a dog", cosine: float = 0.0, **changes: Any) -> Past:
    shown = np.array([[cosine, np.sqrt(1 - cosine**2), *[0] * 6]], np.float32)
    across = np.eye(8, dtype=np.float32)[7:]

    def seen(kind: Kind, space: str, vectors: Any) -> Seen:
        return Seen(kind=kind, space=space, vectors=vectors, times=(0.5,) * len(vectors))

    parts = [seen(Kind.FRAME, CLIP, shown), seen(Kind.FACE, FACE, np.zeros((0, 8), np.float32))]
    parts.append(seen_words([]))
    if prompt is not None:
        parts += [seen(Kind.PROMPT, CLIP, across), seen(Kind.PROMPT, MINI, across)]
        parts.append(seen(Kind.CLAUSE, MINI, across))
    made = Past(
        kind=RELEASE, id="r1", at=NOW, account="anna", policy="opt-out", verdict=Verdict.ALLOW,
        sight=Sight(texts=() if prompt is None else (prompt,), seen=tuple(parts)), seen=True,
    )  # fmt: skip
    return replace(made, **changes)


def run(change: Change, *cases: Past) -> Any:
    return Simulation(REGISTRY, CALIBRATIONS, change, now=NOW).run(cases)


def outcomes(change: Change, *cases: Past) -> dict[tuple[str, str], int]:
    return dict(run(change, *cases).outcomes)


def test_without_a_change_nothing_changes() -> None:
    told = outcomes(Change(), case(), case(cosine=0.9), case("Zorbolino dances"), case(None))
    assert told == {("allow", "allow"): 2, ("review", "review"): 1, ("block", "block"): 1}


def test_a_threshold_of_what_judges_frames() -> None:
    judge, code = "concepts-1", "unsafe_clip_gore"
    numbers = np.full((2, len(CATEGORIES)), NEVER, np.float32)
    numbers[:, CATEGORIES.index(Category.GORE)] = 1.0
    plain = case()
    shown = replace(plain.sight, seen=(*plain.sight.seen, seen_unsafe(judge, numbers, (0.0, 1.0))))
    known = {**CALIBRATIONS, judge: calibration(judge, code, least=2.0)}
    stricter = Simulation(REGISTRY, known, Change(thresholds={(judge, code): 0.5}), now=NOW)
    assert stricter.outcomes(replace(plain, sight=shown)) == ("allow", "review", (code,))
    assert stricter.outcomes(plain) == ("allow", "allow", ())
    forgotten = Simulation(
        REGISTRY, CALIBRATIONS, Change(), now=NOW
    )  # the judge and its calibration are gone
    assert forgotten.outcomes(replace(plain, sight=shown))[:2] == ("allow", "allow")


def test_a_threshold() -> None:
    cases = [case(cosine=cosine) for cosine in (0.2, 0.55, 0.9)]
    told = run(Change(thresholds={(CLIP, FRAME_PICTURE): 0.6}), *cases)
    assert dict(told.outcomes) == {
        ("allow", "allow"): 1, ("review", "allow"): 1, ("review", "review"): 1,
    }  # fmt: skip
    lower = outcomes(Change(thresholds={(CLIP, FRAME_PICTURE): 0.1}), *cases)
    assert lower == {("allow", "review"): 1, ("review", "review"): 2}


@pytest.mark.parametrize(
    ("effect", "account", "after"),
    [
        ("allow", None, "allow"),
        ("review", "anna", "review"),
        ("allow", "ben", "block"),
        ("block", None, "block"),
    ],
)
def test_a_rule(effect: str, account: str | None, after: str) -> None:
    rule = rule_of("s1", effect, account, REGISTRY, NOW)
    assert outcomes(Change(rule=rule), case("Zorbolino dances")) == {("block", after): 1}
    assert RECORD.rules == ()


def test_a_policy() -> None:
    change = Change(policy=PRESETS["permission-first"])
    told = run(change, case("Quellandro Vex dances"), case("a dog"))
    assert dict(told.outcomes) == {("allow", "review"): 1, ("allow", "allow"): 1}
    assert told.examples[0].codes == ("unregistered_name",)
    assert outcomes(Change(policy=PRESETS["marks-only"]), case("Zorbolino")) == {("block", "allow"): 1}


def test_of_what_is_not_kept_only_names_count() -> None:
    gone = Sight(texts=("Zorbolino dances",))
    refused = case(kind=REFUSED, verdict=Verdict.BLOCK, sight=gone, seen=False)
    held = case(kind=HELD, sight=Sight(texts=("a dog",)), seen=False)
    silent = case(kind=HELD, sight=Sight(), seen=False)
    allow = Change(rule=rule_of("s1", "allow", None, REGISTRY, NOW))
    told = run(allow, refused, held, silent)
    assert (told.partly, dict(told.outcomes)) == (3, {("block", UNKNOWN): 1, (UNKNOWN, UNKNOWN): 2})
    ask = Change(rule=rule_of("s1", "review", None, REGISTRY, NOW))
    assert outcomes(ask, refused) == {("block", "review"): 1}


def test_a_policy_that_is_gone_is_unknown() -> None:
    assert outcomes(Change(), case(policy="of yesterday")) == {(UNKNOWN, UNKNOWN): 1}


def test_memory_is_constant() -> None:
    change = Change(rule=rule_of("s1", "allow", None, REGISTRY, NOW))
    told = run(change, *(case("Zorbolino dances", id=str(n)) for n in range(40)))
    assert (told.compared, len(told.examples)) == (40, MAX_EXAMPLES)
    assert told.to_json()["changed"] == 40


@pytest.mark.parametrize(
    "told",
    ["", "clip-1", "frame_picture=0.5", "nowhere/frame_picture=0.5", "clip/nothing=0.5",
     "clip/frame_picture=x", "/frame_picture=1"],
)  # fmt: skip
def test_thresholds_that_mean_nothing(told: str) -> None:
    with pytest.raises(UsageError):
        threshold_of(told, {CLIP, MINI}, CALIBRATIONS)


def test_a_space_may_be_told_by_its_beginning() -> None:
    read = threshold_of("clip/frame_picture=0.75", {CLIP, MINI}, CALIBRATIONS)
    assert read == ((CLIP, FRAME_PICTURE), 0.75)


def test_rules_that_mean_nothing() -> None:
    with pytest.raises(UsageError):
        rule_of("s2", "allow", None, REGISTRY, NOW)
    with pytest.raises(UsageError):
        rule_of("s1", "forbid", None, REGISTRY, NOW)


CASES = st.builds(
    case,
    st.sampled_from((None, "a dog", "Zorbolino dances", "the Zorboline")),
    st.sampled_from((0.1, 0.55, 0.9)),
)


@settings(max_examples=40)
@given(CASES, st.floats(0.05, 0.95), st.sampled_from(STRICT))
def test_laws(one: Past, threshold: float, effect: str) -> None:
    """A higher threshold is never stricter, a lower one never milder; a block rule is never milder."""
    [(before, after)] = outcomes(Change(thresholds={(CLIP, FRAME_PICTURE): threshold}), one)
    order = STRICT.index(after) - STRICT.index(before)
    assert order <= 0 if threshold >= 0.5 else order >= 0
    [(before, after)] = outcomes(Change(rule=rule_of("s1", effect, None, REGISTRY, NOW)), one)
    assert effect != "block" or STRICT.index(after) >= STRICT.index(before)
    assert effect != "allow" or STRICT.index(after) <= STRICT.index(before)


def test_the_registry_of_a_view_fits() -> None:
    from registry.view import EMPTY

    assert SimpleNamespace(it=Simulation(EMPTY, CALIBRATIONS, Change(), now=NOW)).it is not None
