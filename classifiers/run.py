"""Runs checks so that whatever happens is in a report: nothing raises, nothing waits for ever.

A check that fails, or that does not end in time, is never passed: its report says so, and a policy that
requires it holds. Threads are kept for the next check: on a busy machine a new one costs more than a check.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from classifiers.base import CheckReport, CheckState
from classifiers.errors import TooMuchToSee

Check = Callable[[], CheckReport]

MAX_DETAIL: Final = 300
IDLE_MAX: Final = 16  # threads that are kept


def run_checks(checks: Mapping[str, Check], *, seconds: float) -> tuple[CheckReport, ...]:
    """Run the named checks one after another, each for at most `seconds`; one report for each.

    What ran out of time goes on in a thread that nobody waits for; those after it get another one. As long as
    none does, one thread runs them all: each change of threads costs as much as a small check.
    """
    asked, reports = list(checks.items()), list[CheckReport]()
    while len(reports) < len(asked):
        reports += _Series(asked[len(reports) :]).run(seconds)
    return tuple(reports)


def run(name: str, check: Check, seconds: float) -> CheckReport:
    """Run one check for at most `seconds`."""
    [report] = run_checks({name: check}, seconds=seconds)
    return report


class _Series:
    """Checks that one thread runs one after another, until one takes too long."""

    def __init__(self, checks: Sequence[tuple[str, Check]]) -> None:
        self._checks, self._reports = checks, list[CheckReport]()
        self._guard, self._given_up = threading.Lock(), False
        self._began = 0.0  # the one that runs now
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self, seconds: float) -> list[CheckReport]:
        """The reports of all, or of those up to one that is given up."""
        self._began = time.monotonic()
        if seconds > 0:
            _Worker.free().give(self)
        while True:
            with contextlib.suppress(queue.Empty):
                self._ended.get(timeout=max(0.0, self._began + seconds - time.monotonic()))
                return self._reports
            late = self._give_up(seconds)
            if late is not None:
                return [*self._reports, late]

    def _give_up(self, seconds: float) -> CheckReport | None:
        """The report of the check that runs now, if its time is over."""
        with self._guard:
            done = len(self._reports) == len(self._checks)  # and it says so in a moment
            if done or time.monotonic() < self._began + seconds:
                return None
            self._given_up = True
        name = self._checks[len(self._reports)][0]
        told = f"the check {name} took over {seconds:g} s and was given up"
        return CheckReport(check=name, state=CheckState.TIMED_OUT, detail=told)

    def work(self) -> None:
        """On the other thread: all of them, or those before one that was given up meanwhile."""
        for name, check in self._checks:
            report = reported(name, check)
            with self._guard:
                if self._given_up:
                    return
                self._reports.append(report)
                self._began = time.monotonic()

    def tell(self) -> None:
        """Say that all are done."""
        self._ended.put(None)


class _Worker:
    """A thread that runs one series after another. One that is stuck is not idle, so nobody gets it."""

    _idle: ClassVar[list["_Worker"]] = []  # a list's append and pop are atomic

    def __init__(self) -> None:
        self._given: queue.SimpleQueue[_Series] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="check", daemon=True).start()

    @classmethod
    def free(cls) -> "_Worker":
        """One that is idle, else a new one."""
        try:
            return cls._idle.pop()
        except IndexError:
            return cls()

    def give(self, series: _Series) -> None:
        """Have it run a series and say so."""
        self._given.put(series)

    def _work(self) -> None:
        while True:
            series = self._given.get()
            series.work()
            kept = len(self._idle) < IDLE_MAX
            if kept:  # before it says so: whoever waits finds it at the next check
                self._idle.append(self)
            series.tell()
            del series  # what it looked at is not kept until it is given something else
            if not kept:
                return

    @classmethod
    def forget(cls) -> None:
        """In a forked child: its parent's threads are not there."""
        cls._idle.clear()


os.register_at_fork(after_in_child=_Worker.forget)


def reported(name: str, check: Check) -> CheckReport:
    """The report of `check`, or a report of its failure, whatever it was."""
    try:
        report = check()
    except TooMuchToSee as error:
        return CheckReport(check=name, state=CheckState.FAILED, detail=str(error), plain=True)
    except Exception as error:  # noqa: BLE001 - a check that fails says so in its report, whatever it was
        return failed(name, error)
    if report.check == name:
        return report
    return failed(name, ValueError(f"it answered for another check, {report.check[:40]}"))


def failed(name: str, error: Exception) -> CheckReport:
    """The report of a check that could not be completed because of `error`."""
    told = f"the check {name} failed: {type(error).__name__}: {error}"
    return CheckReport(check=name, state=CheckState.FAILED, detail=told[:MAX_DETAIL])


def skipped(name: str, why: str) -> CheckReport:
    """The report of a check that had nothing to look at; never passed."""
    return CheckReport(check=name, state=CheckState.SKIPPED, detail=why)
