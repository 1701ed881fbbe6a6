"""Threads share the models: what one asks of a tokenizer changes nothing of what another is told."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from classifiers.embed import OpenClipEmbedder
from classifiers.minilm import MiniLm

LONG = " ".join(["a lighthouse keeper waves at a green otter in the rain"] * 40)
SHORT = "a fox in the snow"
TURNS = 60


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("make", [OpenClipEmbedder, MiniLm])
def test_a_text_is_counted_and_read_the_same_beside_others(make: Callable[[], Any]) -> None:
    model = make()
    counted, read = model.pieces([LONG, SHORT]), model.embed_texts([SHORT, LONG])

    def count(_turn: int) -> bool:
        return bool(model.pieces([LONG, SHORT]) == counted)

    def look(_turn: int) -> bool:
        return bool(np.allclose(model.embed_texts([SHORT, LONG]), read, atol=1e-5))

    with ThreadPoolExecutor(4) as threads:
        counts = [threads.submit(count, turn) for turn in range(20 * TURNS)]
        looks = [threads.submit(look, turn) for turn in range(TURNS)]
        assert all(one.result() for one in (*looks, *counts))
