"""Questions of several requests, answered together: models take hardly longer for four prompts than for two.

Nothing waits for others to come. A thread that is free takes what waits; while it works, more may come.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.api.queue import Pool

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(eq=False, slots=True)
class _Asked(Generic[Q, A]):
    question: Q
    answer: Future[A] = field(default_factory=Future)


class Together(Generic[Q, A]):
    """`answer` gives one answer for each question, or the exception that is raised for it.

    ``most``: questions that are answered together at most.
    """

    def __init__(
        self, pool: Pool, answer: Callable[[Sequence[Q]], Sequence[A | Exception]], most: int
    ) -> None:
        self._pool, self._answer, self._most = pool, answer, most
        self._waiting: deque[_Asked[Q, A]] = deque()
        self._guard = threading.Lock()

    async def ask(self, question: Q) -> A:
        """Its answer. Raises: TooBusy, and what is the answer to this question."""
        asked: _Asked[Q, A] = _Asked(question)
        with self._pool.reserve() as slot:
            with self._guard:
                self._waiting.append(asked)
            turn = slot.start(lambda: self._take(asked))
        turn.add_done_callback(lambda ended: self._ended(ended, asked))
        return await asyncio.wrap_future(asked.answer)

    def _take(self, first: _Asked[Q, A]) -> None:
        """The turn of a question: answer it, and those that wait behind it.

        Nothing where it was taken with one before it: turns come in the order of questions, and were this one
        to take others, theirs would pile up.
        """
        with self._guard:
            if not self._waiting or self._waiting[0] is not first:
                return
            taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        wanted = [one for one in taken if one.answer.set_running_or_notify_cancel()]
        try:
            answers = self._answer([one.question for one in wanted]) if wanted else ()
            for one, answer in zip(wanted, answers, strict=True):
                if isinstance(answer, Exception):
                    one.answer.set_exception(answer)
                else:
                    one.answer.set_result(answer)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            for one in wanted:
                if not one.answer.done():
                    one.answer.set_exception(error)

    def _ended(self, turn: "Future[None]", asked: _Asked[Q, A]) -> None:
        """Where the pool is stopping it begins no turn, and nobody comes to this question any more."""
        error = turn.exception()
        if error is None:
            return
        with self._guard:
            left = asked in self._waiting
            if left:
                self._waiting.remove(asked)
        if left and asked.answer.set_running_or_notify_cancel():
            asked.answer.set_exception(error)
