"""Questions that are answered together: each has its own answer, and nothing piles up."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from pipeline.api.queue import Pool
from pipeline.api.together import Together
from pipeline.errors import TooBusy, UsageError


def test_each_has_its_answer_and_what_waits_is_answered_together() -> None:
    batches: list[int] = []

    def doubled(numbers: Sequence[int]) -> list[int | Exception]:
        batches.append(len(numbers))
        time.sleep(0.01)
        return [2 * number for number in numbers]

    pool = Pool("test", 1, 30)
    together = Together(pool, doubled, most=4)

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(together.ask(number) for number in range(20)))

    assert asyncio.run(all_of_them()) == [2 * number for number in range(20)]
    assert sum(batches) == 20
    assert max(batches) == 4
    assert len(batches) <= 8
    assert pool.stop()
    assert pool.taken == 0


def test_who_asks_again_at_once_finds_a_place() -> None:
    """More ask than are answered together, each the next time as soon as it was answered."""

    def same(numbers: Sequence[int]) -> list[int | Exception]:
        time.sleep(0.002)
        return list(numbers)

    pool = Pool("test", 1, 15)
    together = Together(pool, same, most=4)

    async def asks(first: int) -> None:
        for number in range(first, first + 40):
            assert await together.ask(number) == number

    async def several() -> None:
        await asyncio.gather(*(asks(1000 * one) for one in range(8)))

    asyncio.run(several())
    assert pool.stop()
    assert pool.taken == 0


def test_an_error_is_whose_it_is() -> None:
    def odd(numbers: Sequence[int]) -> list[int | Exception]:
        if 13 in numbers:
            raise MemoryError
        return [number if number % 2 else UsageError(f"{number} is even") for number in numbers]

    pool = Pool("test", 1, 30)
    together = Together(pool, odd, most=8)

    async def asked(*numbers: int) -> list[int | BaseException]:
        return await asyncio.gather(*map(together.ask, numbers), return_exceptions=True)

    one, two, three = asyncio.run(asked(1, 2, 3))
    assert (one, str(two), three) == (1, "2 is even", 3)
    assert {type(each) for each in asyncio.run(asked(13, 15))} <= {MemoryError, int}
    assert type(asyncio.run(asked(13))[0]) is MemoryError
    assert asyncio.run(asked(5)) == [5]
    assert pool.stop()


def test_where_the_service_stops_nobody_waits_for_ever() -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(numbers: Sequence[int]) -> list[int | Exception]:
        began.set()
        go_on.wait(20)
        return list(numbers)

    pool = Pool("test", 1, 30)
    together = Together(pool, slow, most=1)

    async def ask() -> list[int | BaseException]:
        waiting = [asyncio.ensure_future(together.ask(number)) for number in range(3)]
        await asyncio.to_thread(began.wait, 20)
        stopping = threading.Thread(target=pool.stop)
        stopping.start()
        while True:  # until it takes nothing more
            try:
                pool.check()
            except TooBusy:
                break
            await asyncio.sleep(0.01)
        go_on.set()
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)

    first, *others = asyncio.run(ask())
    assert first == 0
    assert [type(one) for one in others] == [TooBusy, TooBusy]


def test_who_has_gone_is_not_answered() -> None:
    answered: list[int] = []
    began, go_on = threading.Event(), threading.Event()

    def told(numbers: Sequence[int]) -> list[int | Exception]:
        answered.extend(numbers)
        began.set()
        go_on.wait(20)
        return list(numbers)

    pool = Pool("test", 1, 30)
    together = Together(pool, told, most=8)

    async def ask() -> int:
        first = asyncio.ensure_future(together.ask(0))
        await asyncio.to_thread(began.wait, 20)
        gone, stays = (asyncio.ensure_future(together.ask(number)) for number in (1, 2))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        go_on.set()
        await first
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(ask()) == 2
    assert answered == [0, 2]
    assert pool.stop()
    assert pool.taken == 0
