"""A bounded pool of threads. Where it is full the answer is 503, at once; nothing waits without a limit."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, Self, TypeVar

from pipeline.errors import TooBusy

STOP_SECONDS: Final = 10.0  # that running work may take to end when the service stops

T = TypeVar("T")


class Slot:
    """A place in the pool that is kept free for one piece of work; used once, or given back on leaving."""

    def __init__(self, pool: "Pool") -> None:
        self._pool, self._used = pool, False

    def start(self, work: Callable[[], T]) -> "Future[T]":
        """Queue the work; it runs on one of the pool's threads."""
        self._used = True
        future: Future[T] = Future()
        self._pool.put(future, work)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._used:
            self._pool.leave()


class Pool:
    """`workers` threads and `waiting` places before them."""

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self._places = threading.BoundedSemaphore(workers + waiting)
        self._taken, self._counting = 0, threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def reserve(self) -> Slot:
        """A place for one piece of work. Raises: TooBusy."""
        if self._stopping or not self._places.acquire(blocking=False):
            raise TooBusy("the service has as much work as it takes; try again in a moment")
        with self._counting:
            self._taken += 1
        return Slot(self)

    async def run(self, work: Callable[[], T]) -> T:
        """Do it in this pool and wait for it. Raises: TooBusy, and what the work raises."""
        with self.reserve() as slot:
            future = slot.start(work)
        return await asyncio.wrap_future(future)

    @property
    def taken(self) -> int:
        """Places that are taken, waiting or at work."""
        return self._taken

    def check(self) -> None:
        """Raises: TooBusy if there is no place now, so that nobody uploads in vain."""
        with self.reserve():
            pass

    def put(self, future: "Future[T]", work: Callable[[], T]) -> None:
        """Queue work in a reserved place."""
        self._queue.put((future, work))

    def leave(self) -> None:
        """Give a place back."""
        with self._counting:
            self._taken -= 1
        self._places.release()

    def stop(self) -> bool:
        """Begin nothing more; wait a moment for what runs. False if something still runs."""
        self._stopping = True
        for _ in self._threads:
            self._queue.put(None)
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            future, work = item
            try:
                if not future.set_running_or_notify_cancel():
                    continue  # nobody waits for it any more
                if self._stopping:
                    future.set_exception(TooBusy("the service is stopping; try again in a moment"))
                else:
                    future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future is told
                future.set_exception(error)
            finally:
                self.leave()
