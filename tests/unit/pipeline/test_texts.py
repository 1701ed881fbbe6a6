"""What is said of a clip: order, origins, and documents that can be read again."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.texts import CAME_IN, ENHANCED, PICTURE, PROMPT, TURN, Texts, texts_of, with_origins
from pipeline.types import Decision, Reason, Verdict

words = st.text(min_size=1, max_size=8)
several = st.lists(words, max_size=3).map(tuple)
texts = st.builds(
    Texts, history=several, pictures=several, speech=st.text(max_size=5), asked=st.none() | words,
    prompt=words, enhanced=st.none() | words,
)  # fmt: skip


def decided(*turns: tuple[str, int]) -> Decision:
    """A decision with a reason about each (subject, turn)."""
    reasons = tuple(
        Reason(code="name_match", check="prompt_names", detail="It.", evidence={"subject": who, "turn": turn})
        for who, turn in turns
    )
    return Decision(
        verdict=Verdict.BLOCK, policy="opt-out", policy_version=1, reasons=reasons, checks={}, registry_seq=1,
        decided_at="2026-01-01T00:00:00Z",
    )  # fmt: skip


@given(told=texts)
def test_a_document_is_read_as_it_was_written(told: Texts) -> None:
    assert texts_of(told.facts()) == told
    assert len(told.all) == len(told.origins)
    assert told.all[-1] == told.drawn


@given(told=texts)
def test_what_is_said_is_compared_each_alone_and_the_prompts_after_what_stands_before(told: Texts) -> None:
    before = (*told.history, *told.pictures)
    last = [text for text in (told.prompt, told.enhanced) if text]
    wanted = [one for text in last for one in (((text,), (*before, text)) if before else ((text,),))]
    assert list(told.passes) == [*((text,) for text in before), *wanted]


@given(told=texts, again=st.integers(0, 2))
def test_what_describes_is_quoted_from_the_text_of_its_pass(told: Texts, again: int) -> None:
    for number, texts_of_pass in enumerate(told.passes):
        place, alone = told.told_in[number]
        assert (told.all[place], alone) == (texts_of_pass[-1], len(texts_of_pass) == 1)
        part = number + again * len(told.passes)  # of a look that was made again
        reason = Reason(
            code="description_match", check="prompt_descriptions", detail="It.",
            evidence={"subject": "a", "part": part, "turn": len(told.all) - 1, "quote": told.all[-1]},
        )  # fmt: skip
        [found] = with_origins(replace(decided(), reasons=(reason,)), told).reasons
        assert found.evidence["quote"] == texts_of_pass[-1]
        assert found.evidence["origin"] == told.origins[place]
        assert ("together" in found.detail) is not alone
        assert "part" not in found.evidence


def test_without_a_prompt_only_what_is_written_or_spoken_is_said() -> None:
    told = Texts(history=("a",), pictures=("b",), speech="c")
    assert (told.all, told.passes, told.drawn) == (("b", "c"), (), None)


def test_reasons_say_where_a_thing_stands() -> None:
    told = Texts(history=("h",), pictures=("i",), prompt="p", enhanced="e")
    assert told.origins == (TURN, PICTURE, PROMPT, ENHANCED)
    found = with_origins(decided(("a", 0), ("b", 1), ("c", 2), ("c", 3), ("d", 3), ("x", -1)), told).reasons
    origins = [reason.evidence.get("origin") for reason in found]
    assert origins == [TURN, PICTURE, PROMPT, ENHANCED, ENHANCED, None]
    assert [CAME_IN in reason.detail for reason in found] == [False] * 4 + [True, False]
    assert "picture that the clip is made from" in found[1].detail
    again = with_origins(decided(("d", 3)), Texts(prompt="p"))  # a turn that is not there
    assert "origin" not in again.reasons[0].evidence
