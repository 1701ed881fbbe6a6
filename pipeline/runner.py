"""Runs jobs that wait in the shared queue, so many at a time, until it is told to stop.

1. The oldest job that no living process has is taken; one thread asks at a time, ever less often while
   nothing waits.
2. A job that could not be ended is left to others, and asked for again after a while.
3. To stop: nothing more is begun. What runs gets some seconds; then it is let go at its next sign of
   progress, and another process goes on from its last recorded step.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline import logs
from pipeline.workbench import OURS, LetGo, Observer, carrying_on
from pipeline.working import Working
from registry.types import Job, JobState

POLL_SECONDS: Final = (0.1, 1.0)  # between two questions: after work, and at most
RETRY_SECONDS: Final = 30.0  # before a job that could not be ended is tried again by the same process
STOP_SECONDS: Final = 10.0  # that running jobs have to end, and then to let go

log = logging.getLogger("countermark.service")


class Runner:
    """`count` threads that run jobs of a home; ``observe`` is told of steps, ``ended`` of ends."""

    def __init__(self, home: Working, count: int, observe: Observer, ended: Callable[[Job], None]) -> None:
        self._home, self._observe, self._ended = home, observe, ended
        self._stopping, self._letting_go, self._wake = (threading.Event() for _ in range(3))
        self._asking, self._guard = threading.Lock(), threading.Lock()
        self._later: dict[str, float] = {}  # jobs that this process leaves alone until then
        self._running: set[str] = set()
        self._threads = [
            threading.Thread(target=self._work, name=f"jobs-{number}", daemon=True) for number in range(count)
        ]

    @property
    def running(self) -> int:
        """Jobs that run now."""
        return len(self._running)

    def start(self) -> None:
        """Begin to take jobs."""
        for thread in self._threads:
            thread.start()

    def soon(self) -> None:
        """A job waits, it is known: ask at once."""
        self._wake.set()

    def stop(self) -> bool:
        """The end (3). False if something still runs, in code that tells no progress."""
        self._stopping.set()
        self._wake.set()
        if self._join():
            return True
        self._letting_go.set()
        return self._join()

    def _join(self) -> bool:
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._running.add(job.id)
            try:
                self._run(job)
            finally:
                self._running.discard(job.id)

    def _next(self) -> Job | None:
        """The next job; None at the end (1)."""
        with self._asking:
            pause, longest = POLL_SECONDS
            while not self._stopping.is_set():
                self._wake.clear()
                if (job := self._take()) is not None:
                    return job
                self._wake.wait(pause)
                pause = min(2 * pause, longest)
        return None

    def _take(self) -> Job | None:
        now = time.monotonic()
        with self._guard:
            self._later = {job_id: until for job_id, until in self._later.items() if until > now}
            besides = [*self._later]
        try:
            return self._home.take(besides)
        except OURS as error:
            log.warning("taking jobs: %s", error)
        except Exception:
            log.exception("taking jobs")  # a defect must not end the thread that runs jobs
        return None

    def _run(self, job: Job) -> None:
        log.info("begun, or gone on with", extra=logs.with_fields(job=job.id))
        stages: dict[str, float] = {}

        def watch(step: str, event: str, value: float) -> None:
            if event == "end":
                stages[step] = value
            self._watch(step, event, value)

        try:
            self._home.run(job, watch)
        except LetGo:
            log.info("job %s: let go, since this process stops", job.id)
        except OURS as error:
            log.warning("job %s: %s", job.id, error)
        except Exception:
            log.exception("job %s", job.id)  # a defect: the job is tried again, and its death will count
        self._after(job, stages)

    def _watch(self, step: str, event: str, value: float) -> None:
        if self._letting_go.is_set() and event != "end":
            raise LetGo
        self._observe(step, event, value)

    def _after(self, job: Job, stages: Mapping[str, float]) -> None:
        """Log and tell how it ended, or leave the job alone for a while (2); ``stages``: seconds by step."""
        with self._guard:
            self._later[job.id] = time.monotonic() + RETRY_SECONDS
        with carrying_on("after a job"):  # nothing of this may end the thread that runs jobs
            now = self._home.job(job.id)
            log.info("job", extra=_told(now, stages))
            if now.state is not JobState.OPEN:
                with self._guard:
                    self._later.pop(job.id, None)  # a hold may be lifted at once
                self._home.forget_uploads(now)
                self._ended(now)


def _told(job: Job, stages: Mapping[str, float]) -> dict[str, Any]:
    result = job.result or {}
    decision = result.get("decision")
    return logs.with_fields(
        job=job.id, kind=job.kind.partition("/")[0], state=str(job.state),
        verdict=decision["verdict"] if isinstance(decision, dict) else None,
        stages_ms={step: round(seconds * 1000) for step, seconds in stages.items()}, code=result.get("error"),
    )  # fmt: skip
