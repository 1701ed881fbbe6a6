"""What is registered of an opt-out's words: description, attributes, and what is not meant."""

import zlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from classifiers.base import Vectors
from pipeline.optouts.looking import see_words
from pipeline.optouts.order import OptOutOrder


class Bag:
    """Counts hashed words."""

    dimension = 64

    def __init__(self, space: str) -> None:
        self.space = space

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                found[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return found


def test_exclusions_are_registered_as_what_is_not_meant() -> None:
    eyes = cast("Any", SimpleNamespace(clip=Bag("clip"), minilm=Bag("mini")))
    order = OptOutOrder(
        name="Zorblax",
        description="a purple fox, three tails",
        exclusions=("real foxes, grey fur", "Zorblax"),
    )
    told = [(one.kind, one.space, one.polarity) for one in see_words(order, eyes)]
    assert told == [
        ("description", "clip", 1), ("description", "mini", 1), ("attribute", "mini", 1),
        ("attribute", "mini", 1), ("attribute", "mini", -1), ("attribute", "mini", -1),
    ]  # fmt: skip
    assert see_words(OptOutOrder(name="Zorblax", exclusions=("real foxes",)), eyes) == []
