"""Work ahead keeps order, passes errors on, and ends with its block."""

import threading
from collections.abc import Iterator

import pytest

from pipeline.media.ahead import FRAMES_AHEAD, ahead


def test_order_and_end() -> None:
    with ahead(range(50)) as parts:
        assert list(parts) == list(range(50))


def test_an_error_comes_in_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("second")

    with ahead(broken()) as parts:
        assert next(parts) == 1
        with pytest.raises(ValueError, match="second"):
            next(parts)


def test_a_reader_that_stops_early_stops_the_thread() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(1)
            yield 1

    before = threading.active_count()
    with ahead(endless()) as parts:
        next(parts)
    assert threading.active_count() == before
    assert len(made) <= FRAMES_AHEAD + 3
