"""How a prompt is cut into the parts that are judged."""

from hypothesis import given
from hypothesis import strategies as st

from classifiers.unsafe.units import units
from classifiers.wording import MAX_WORDS, SENTENCE_WINDOW

WORDS = st.lists(st.sampled_from(["a", "cat.", "runs", "far;", "日本。", "x!", "\n"]), max_size=400).map(
    " ".join
)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_every_part_stands_where_it_says_and_every_word_is_in_one(texts: list[str]) -> None:
    found = units(texts)
    assert found is not None
    for unit in found:
        if unit.turn >= 0:
            assert texts[unit.turn][unit.start : unit.end] == unit.text
    for turn, text in enumerate(texts):
        covered = {place for one in found if one.turn == turn for place in range(one.start, one.end)}
        repeated = " ".join(one.text for one in found if one.turn == turn)
        for place, letter in enumerate(text):
            assert letter.isspace() or place in covered or letter in repeated


def test_a_sentence_is_judged_alone_and_turns_together() -> None:
    found = units(["A quiet day. Then it rains!", "He laughs."])
    assert found is not None
    told = [(one.turn, one.text) for one in found]
    assert (0, "Then it rains!") in told
    assert (1, "He laughs.") in told
    assert (-1, "A quiet day. Then it rains!\nHe laughs.") in told
    assert [one.text for one in found if not one.whole] == ["A quiet day.", "Then it rains!"]


def test_more_words_than_anybody_reads_are_not_cut() -> None:
    assert units(["word " * (MAX_WORDS + 1)]) is None
    assert units(["word " * MAX_WORDS]) is not None
    assert units(["x" * 100_000]) is None or len(units(["x" * 100_000]) or []) < 2 * MAX_WORDS
    assert units(["日" * 3_000]) is None
    assert units(["", " \n"]) == []


def test_long_texts_are_windows() -> None:
    found = units([" ".join(f"w{number}" for number in range(SENTENCE_WINDOW * 2))])
    assert found is not None
    assert all(len(one.text.split()) <= SENTENCE_WINDOW for one in found)
    assert any(one.text.endswith(f"w{SENTENCE_WINDOW * 2 - 1}") for one in found)


def test_what_is_glued_together_is_no_single_word() -> None:
    found = units(["森の中を歩く" * 100 + " a fight", "a-" * 300 + "b"])
    assert found is not None
    assert max(len(one.text) for one in found) < 200 * 6
    assert any(one.text.endswith("a fight") and len(one.text) < 400 for one in found)
