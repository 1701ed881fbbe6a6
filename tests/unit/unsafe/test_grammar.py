"""The training text: the same seed makes the same, parts share no line, every grammar can be spoken."""

import re
from functools import partial
from operator import eq
from random import Random

import pytest

from classifiers.unsafe.features import ages
from classifiers.unsafe.taxonomy import TRAINED, Category
from training.safety.corpus import EVERYDAY, HARMLESS, corpus, sentences, targets
from training.safety.grammar import PARTS, Grammar, part_of

KINDS = [*map(str, TRAINED), HARMLESS, EVERYDAY]


@pytest.mark.parametrize("kind", KINDS)
def test_every_grammar_speaks_and_leaves_no_bracket(kind: str) -> None:
    for part in range(PARTS):
        grammar = Grammar(kind, partial(eq, part))
        for number in range(150):
            text = grammar.make(Random(f"{kind} {part} {number}"))
            assert text
            assert not re.search(r"[{}@~|]|\(\w+\|", text), text


def test_the_same_seed_makes_the_same_texts() -> None:
    assert corpus(4, 8) == corpus(4, 8)
    assert corpus(4, 8) != corpus(4, 8, seed=2)


def test_what_a_text_may_be_besides_is_left_out_of_the_fit() -> None:
    texts = corpus(8, 16)
    wanted, counts = targets(texts)
    assert wanted.shape == counts.shape == (len(TRAINED) * 8 + 16, len(TRAINED))
    gore = next(at for at, text in enumerate(texts) if text.labels == (Category.GORE,))
    assert wanted[gore].tolist() == [category is Category.GORE for category in TRAINED]
    assert counts[gore, TRAINED.index(Category.VIOLENCE)] == 0
    assert counts[~wanted.any(axis=1)].all()


def test_no_sexual_text_speaks_of_somebody_under_age() -> None:
    grammar = Grammar(str(Category.SEXUAL))
    for number in range(3000):
        text = grammar.make(Random(number))
        assert not list(ages(text)), text


def test_parts_are_about_even() -> None:
    counts = [sum(part_of(str(number)) == part for number in range(4000)) for part in range(PARTS)]
    assert min(counts) > 800


def test_sentences_of_harmless_texts_are_judged_and_never_learnt() -> None:
    texts = corpus(4, 40, everyday=40)
    pieces = sentences(texts)
    assert pieces
    for piece in pieces:
        whole = texts[piece.of]
        assert piece.text in whole.text
        assert (whole.labels, whole.part) == ((), piece.part)
    assert not targets(pieces)[1].any()
    assert corpus(4, 40) == corpus(4, 40, everyday=0)
    assert [text for text in texts if text.labels] == [text for text in corpus(4, 40) if text.labels]
