"""Public codes and sentences: stable, both sides, with words."""

import pytest

from classifiers.unsafe.check import CATEGORIES
from classifiers.unsafe.taxonomy import TRAINED, Category, Side, category_of, code, sentence

# Never changed, since others store them; new ones may be added.
CODES = (
    "sexual", "sexual_likeness", "minors", "violence", "gore", "disturbing", "self_harm", "hate",
    "harassment", "illegal", "political", "misinformation", "fraud", "real_person", "known_work", "other",
)  # fmt: skip


def test_codes_are_stable() -> None:
    assert tuple(map(str, CATEGORIES)) == CODES
    assert code(Category.SEXUAL, Side.PROMPT) == "unsafe_prompt_sexual"
    assert code(Category.SEXUAL, Side.CLIP) == "unsafe_clip_sexual"
    assert set(TRAINED) == set(Category) - {Category.SEXUAL_LIKENESS, Category.MINORS, Category.OTHER}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("category", list(Category))
def test_every_category_has_a_sentence_on_both_sides(category: Category, side: Side) -> None:
    assert category_of(code(category, side)) is category
    told = sentence(category, side, "these words")
    assert "“these words”" in told
    assert told.startswith(("The prompt asks for ", "The clip seems to show "))
    assert ("clip" in told) is (side is Side.CLIP)


@pytest.mark.parametrize(
    "other", ["name_match", "unsafe_prompt_", "unsafe_prompt_nothing", "unsafe_sexual", ""]
)
def test_other_codes_are_of_no_category(other: str) -> None:
    assert category_of(other) is None
