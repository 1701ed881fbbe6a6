"""Text in other languages: every grammar has every list, speaks, and writes of adults only."""

import re
from functools import partial
from operator import eq
from random import Random

import pytest

from classifiers.unsafe.features import ages
from classifiers.unsafe.taxonomy import Category
from training.safety.corpus import targets
from training.safety.grammar import PARTS, Grammar
from training.safety.languages import HARMLESS, JUDGED, LANGUAGES, foreign, told

LISTS = [*map(str, JUDGED), HARMLESS]
SOME = frozenset(("en",))  # English text of all categories stands elsewhere


def test_the_languages_that_the_docs_name_are_there() -> None:
    assert LANGUAGES == ("ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "ru", "tr", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_list_of_a_language_speaks_and_leaves_no_bracket(language: str) -> None:
    for part in range(PARTS):
        grammar = Grammar(f"languages/{language}", partial(eq, part))
        assert language in SOME or grammar.lists >= set(LISTS)
        for name in grammar.lists & set(LISTS):
            for number in range(20):
                text = told(grammar, language, name, Random(f"{part} {name} {number}"))
                assert text
                assert not re.search(r"[{}()@~|]", text), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sexual_text_speaks_of_somebody_under_age(language: str) -> None:
    grammar = Grammar(f"languages/{language}")
    for number in range(400):
        text = grammar.of(str(Category.SEXUAL), Random(number))
        assert not list(ages(text)), text


def test_english_articles_are_left_alone_elsewhere() -> None:
    spanish = {Grammar("languages/es").of("benign", Random(number)) for number in range(300)}
    assert not [text for text in spanish if re.search(r"\ban \w", text)]


def test_the_same_seed_makes_the_same_texts_and_some_are_harmless() -> None:
    texts = foreign(4, 8)
    assert texts == foreign(4, 8)
    wanted, counts = targets(texts)
    assert wanted.sum() == len([text for text in texts if text.labels])
    assert (len(LANGUAGES) - 1) * len(JUDGED) * 4 < wanted.sum() < len(LANGUAGES) * len(JUDGED) * 4
    harmless = [text for text in texts if not text.labels]
    assert len(harmless) > len(LANGUAGES) * 8  # and ordinary prompts
    assert counts[[not text.labels for text in texts]].all()
