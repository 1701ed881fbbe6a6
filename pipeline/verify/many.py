"""Many files in several processes, in the order in which they were given; one that dies takes one file along.

The rules: (1) processes are spawned, never forked: the contexts of the credential library are dead after a
fork; (2) each opens the verifier once, and no model; (3) at most `WINDOW` files per process are ahead of the
one that is waited for, so that results do not pile up behind a long one; (4) a process that dies is replaced,
and its file is *inconclusive*; (5) they end with whoever started them, and leave Ctrl-C to that one.
"""

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from pipeline.settings import Settings
from pipeline.verify.examining import Examined, Wanted, examine, lost
from pipeline.verify.opening import open_local

WINDOW: Final = 4
FILES_EACH: Final = 500  # then a process makes room for a fresh one
LEAVE_SECONDS: Final = 2.0
DIED: Final = "the process that checked this file died (status {status}); the others went on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every process works with: settings, the bundle instead of the home's keys, what is wanted."""

    settings: Settings
    bundle: Path | None
    wanted: Wanted


@dataclass(slots=True, eq=False)
class _Worker:
    process: Any
    pipe: Connection
    place: int | None = None
    done: int = 0

    def give(self, place: int, path: Path) -> None:
        self.place = place
        with contextlib.suppress(OSError):  # it has died; that is noticed when its answer is read
            self.pipe.send(path)


@dataclass(slots=True)
class _Pool:
    desk: Desk
    paths: Sequence[Path]
    told: Callable[[], None]
    workers: list[_Worker] = field(default_factory=list)
    answers: dict[int, Examined] = field(default_factory=dict)


def examine_many(
    desk: Desk, paths: Sequence[Path], *, jobs: int, told: Callable[[], None] = lambda: None
) -> Generator[Examined]:
    """One answer for each path, in order. ``told``: called whenever a file is done, in whatever order.

    Closing the iterator ends the processes.
    """
    pool = _Pool(desk, paths, told)
    waiting = deque(range(len(paths)))
    try:
        for place in range(len(paths)):
            while place not in pool.answers:
                _hand_out(pool, waiting, place, jobs)
                _collect(pool)
            yield pool.answers.pop(place)
    finally:
        _end(pool.workers)


def _hand_out(pool: _Pool, waiting: deque[int], place: int, jobs: int) -> None:
    while waiting and waiting[0] < place + WINDOW * jobs:
        idle = next((worker for worker in pool.workers if worker.place is None), None)
        if idle is None and len(pool.workers) >= jobs:
            return
        if idle is None:
            idle = _spawn(pool.desk)
            pool.workers.append(idle)
        next_place = waiting.popleft()
        idle.give(next_place, pool.paths[next_place])


def _collect(pool: _Pool) -> None:
    """Wait until at least one process has answered or died."""
    busy = {worker.pipe: worker for worker in pool.workers if worker.place is not None}
    for pipe in wait(list(busy)):
        worker = busy[pipe]  # type: ignore[index]
        place, worker.place = worker.place, None
        assert place is not None  # noqa: S101 - for the type checker
        try:
            pool.answers[place] = worker.pipe.recv()
            worker.done += 1
        except (EOFError, OSError):
            worker.process.join()
            why = DIED.format(status=worker.process.exitcode)
            pool.answers[place] = Examined(report=lost(pool.paths[place], why))
            worker.done = FILES_EACH
        if worker.done >= FILES_EACH:
            pool.workers.remove(worker)
            _end([worker])
        pool.told()


def _spawn(desk: Desk) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, desk), daemon=True)
    # Blocked, which it inherits, until it ignores it: an interruption must not end one that still imports.
    # `start` would start the tracker, and that ends with SIGINT unblocked.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that its death ends the pipe
    return _Worker(process, ours)


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.pipe.close()
        if worker.place is not None:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(LEAVE_SECONDS)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()


def _work(pipe: Connection, desk: Desk) -> None:
    """A process: one path after the other until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    signal.signal(signal.SIGTERM, _leave)  # so that the readers of untrusted bytes end with us
    with contextlib.suppress(EOFError, BrokenPipeError), open_local(desk.settings, desk.bundle) as verifier:
        while True:
            pipe.send(examine(verifier, pipe.recv(), desk.wanted))


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit
