"""Rewriting a prompt that is held for what it describes: when, what is left out, and what is left."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import rewriting
from pipeline.rewriting import cut, described, negative_of, rewritten
from pipeline.types import Decision, Reason, Verdict
from registry.subject_types import NameRow, SubjectRecord

OTTER = SubjectRecord(
    id="s1", kind="character", name="Mossa Pondry", owner="Pond Pictures", party="p", mode="block",
    description="a small green otter", attributes=("a small green otter", "a yellow raincoat"), exclusions=(),
    names=(NameRow(subject="s1", text="Mossa", tier="block", context=(), kind="alias", language=""),),
    vectors=(), rules=(), state="active", seq=1,
)  # fmt: skip
PROMPT = "a small green otter in a yellow raincoat walks along the beach, while gulls cry over the waves"
FOUND = Reason(
    code="description_match", check="prompt_descriptions", detail="It.",
    evidence={"subject": "s1", "sure": False},
)  # fmt: skip
HELD = Decision(
    verdict=Verdict.REVIEW, policy="opt-out", policy_version=1, reasons=(FOUND,), checks={}, registry_seq=1,
    decided_at="2026-01-01T00:00:00Z",
)  # fmt: skip


def shared_words(parts: list[str], _subjects: object) -> np.ndarray:
    """Nearness by words in common: enough for a test, and nothing is loaded."""
    known = {"small", "green", "otter", "yellow", "raincoat"}
    return np.array([len(known & set(part.split())) for part in parts], np.float32)


def without(*words: str) -> Callable[[str], bool]:
    return lambda text: not any(word in text for word in words)


def test_only_a_description_that_nobody_is_sure_of_is_rewritten() -> None:
    assert described(HELD) == ("s1",)
    sure = replace(FOUND, evidence=FOUND.evidence | {"sure": True})
    name = Reason(
        code="name_near", check="prompt_names", detail="It.", evidence={"subject": "s1", "sure": False}
    )
    nobody = replace(FOUND, evidence={"subject": "", "sure": False})
    for more in (sure, name, nobody, replace(FOUND, code="check_unfinished", evidence={})):
        assert described(replace(HELD, reasons=(FOUND, more))) == ()
    assert described(replace(HELD, verdict=Verdict.BLOCK)) == ()


def test_the_nearest_parts_give_way_until_the_gate_allows_it() -> None:
    made = rewritten(PROMPT, [OTTER], shared_words, without("otter"))  # type: ignore[arg-type]
    assert made is not None
    assert made.prompt.startswith("an original character in a yellow raincoat")
    assert made.left_out == ("a small green otter",)
    both = rewritten(PROMPT, [OTTER], shared_words, without("otter", "raincoat"))  # type: ignore[arg-type]
    assert both is not None
    assert both.prompt == "an original character while gulls cry over the waves"
    assert both.negative == "Mossa Pondry, Mossa, a small green otter, a yellow raincoat"
    assert rewritten(PROMPT, [OTTER], shared_words, lambda _text: False) is None  # type: ignore[arg-type]
    assert rewritten("a small green otter", [OTTER], shared_words, lambda _text: True) is None  # type: ignore[arg-type]


@given(
    text=st.text(alphabet="ab ,.;\n", max_size=40)
    | st.lists(
        st.sampled_from(["with", "a", "red", "kite", "and", "in", "the", "sea,", "(", "-", "。"]), max_size=20
    ).map(" ".join)
)
def test_parts_together_are_the_prompt(text: str) -> None:
    letters = [letter for letter in text if letter.isalnum()]
    assert [letter for part in cut(text) for letter in part if letter.isalnum()] == letters
    assert all(part == part.strip() for part in cut(text))


def test_a_negative_prompt_is_short() -> None:
    long = replace(OTTER, attributes=tuple(f"attribute number {n}" for n in range(200)))
    assert len(negative_of([long])) <= rewriting.MAX_NEGATIVE


@pytest.mark.parametrize("known", [{}, {"s1": OTTER}])
def test_a_subject_that_is_gone_ends_it(known: dict[str, SubjectRecord]) -> None:
    assert rewriting.records(["s1", "s2"], known) == ()


def test_a_gap_of_a_hundred_thousand_spaces_is_cut_at_once() -> None:
    begun = time.process_time()
    assert cut("a heron" + " " * 99_000 + "in the snow") == ["a heron", "in the snow"]
    assert cut("a heron" + " " * 99_000 + "x") == ["a heron" + " " * 99_000 + "x"]
    assert time.process_time() - begun < 2
