"""Runs checks so that whatever happens is in a report: nothing raises, nothing waits for ever.

A check that fails, or that does not end in time, is never passed: its report says so, and a policy that
requires it holds. Threads are kept for the next check: on a busy machine a new one costs more than a check.
"""

import os
import queue
import threading
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from classifiers.base import CheckReport, CheckState
from classifiers.errors import TooMuchToSee

Check = Callable[[], CheckReport]

MAX_DETAIL: Final = 300
IDLE_MAX: Final = 16  # threads that are kept


def run_checks(checks: Mapping[str, Check], *, seconds: float) -> tuple[CheckReport, ...]:
    """Run the named checks one after another, each for at most `seconds`; one report for each."""
    return tuple(run(name, check, seconds) for name, check in checks.items())


def run(name: str, check: Check, seconds: float) -> CheckReport:
    """Run one check for at most `seconds`. What ran out of time goes on in a thread that nobody waits for."""
    told = f"the check {name} took over {seconds:g} s and was given up"
    given_up = CheckReport(check=name, state=CheckState.TIMED_OUT, detail=told)
    if seconds <= 0:
        return given_up
    done: queue.SimpleQueue[CheckReport] = queue.SimpleQueue()
    _Worker.free().give(lambda: reported(name, check), done)
    try:
        return done.get(timeout=seconds)
    except queue.Empty:
        return given_up


class _Worker:
    """A thread that runs one check after another. One that is stuck is not idle, so nobody gets it."""

    _idle: ClassVar[list["_Worker"]] = []  # a list's append and pop are atomic

    def __init__(self) -> None:
        self._given: queue.SimpleQueue[tuple[Check, queue.SimpleQueue[CheckReport]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="check", daemon=True).start()

    @classmethod
    def free(cls) -> "_Worker":
        """One that is idle, else a new one."""
        try:
            return cls._idle.pop()
        except IndexError:
            return cls()

    def give(self, check: Check, done: "queue.SimpleQueue[CheckReport]") -> None:
        """Have it run a check and say so."""
        self._given.put((check, done))

    def _work(self) -> None:
        while True:
            check, done = self._given.get()
            report = check()
            kept = len(self._idle) < IDLE_MAX
            if kept:  # before it says so: whoever waits finds it at the next check
                self._idle.append(self)
            done.put(report)
            del check, done, report  # what it looked at is not kept until it is given something else
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
