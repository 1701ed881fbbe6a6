"""Whatever a check does, it ends in a report, and only what was completed says so."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial

import pytest

from classifiers.base import CheckReport, CheckState
from classifiers.run import MAX_DETAIL, run, run_checks


def fine() -> CheckReport:
    return CheckReport(check="fine", state=CheckState.COMPLETED)


def breaks() -> CheckReport:
    raise ValueError("no numbers " * 100)


def test_each_has_its_report() -> None:
    waits = threading.Event()

    def slow() -> CheckReport:
        waits.wait(30)
        return CheckReport(check="slow", state=CheckState.COMPLETED)

    reports = run_checks({"fine": fine, "breaks": breaks, "slow": slow}, seconds=0.2)
    waits.set()
    assert [(report.check, report.state) for report in reports] == [
        ("fine", CheckState.COMPLETED),
        ("breaks", CheckState.FAILED),
        ("slow", CheckState.TIMED_OUT),
    ]
    assert "ValueError: no numbers" in reports[1].detail
    assert len(reports[1].detail) <= MAX_DETAIL


def test_each_has_its_own_time_and_the_slow_one_holds_up_no_other() -> None:
    go_on, ran = threading.Event(), list[str]()

    def waits(name: str, seconds: float) -> Callable[[], CheckReport]:
        def check() -> CheckReport:
            go_on.wait(seconds)
            ran.append(name)
            return ok(name)

        return check

    asked = {"a": waits("a", 0.3), "b": waits("b", 0.3), "c": waits("c", 30), "d": waits("d", 0.3)}
    states = {report.check: report.state for report in run_checks(asked, seconds=0.5)}
    assert states == {
        "a": CheckState.COMPLETED,
        "b": CheckState.COMPLETED,
        "c": CheckState.TIMED_OUT,
        "d": CheckState.COMPLETED,
    }
    assert ran == ["a", "b", "d"]
    go_on.set()


def test_without_time_nothing_is_run() -> None:
    ran = list[int]()
    reports = run_checks({"a": lambda: ok(str(ran.append(1))), "b": lambda: ok("b")}, seconds=0)
    assert [report.state for report in reports] == [CheckState.TIMED_OUT] * 2
    assert not ran


def test_all_of_them_take_one_thread() -> None:
    threads: list[int] = []

    def told(name: str) -> CheckReport:
        threads.append(threading.get_ident())
        return ok(name)

    run_checks({name: partial(told, name) for name in "abcd"}, seconds=5)
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_an_answer_for_another_check_is_a_failure() -> None:
    (report,) = run_checks({"frames": fine}, seconds=1)
    assert (report.check, report.state) == ("frames", CheckState.FAILED)


@pytest.mark.parametrize("error", [MemoryError("all"), RecursionError("deep"), KeyError("x")])
def test_any_error(error: Exception) -> None:
    def fails() -> CheckReport:
        raise error

    (report,) = run_checks({"frames": fails}, seconds=1)
    assert report.state is CheckState.FAILED


def ok(name: str) -> CheckReport:
    return CheckReport(check=name, state=CheckState.COMPLETED)


def test_threads_are_used_again_and_a_stuck_one_is_nobodys() -> None:
    seen: list[int] = []

    def told() -> CheckReport:
        seen.append(threading.get_ident())
        return ok("a")

    go_on = threading.Event()

    def stuck() -> CheckReport:
        seen.append(threading.get_ident())
        go_on.wait(20)
        return ok("a")

    for _ in range(20):
        assert run("a", told, 5.0).state is CheckState.COMPLETED
    assert len(set(seen)) == 1
    assert run("a", stuck, 0.05).state is CheckState.TIMED_OUT
    lost = seen[-1]
    assert run("a", told, 5.0).state is CheckState.COMPLETED
    assert seen[-1] != lost
    go_on.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_wait_for_its_parents_threads() -> None:
    assert run("a", lambda: ok("a"), 5.0).state is CheckState.COMPLETED
    script = (
        "import os, sys\n"
        "from classifiers.base import CheckReport, CheckState\n"
        "from classifiers.run import run\n"
        "made = lambda: CheckReport(check='a', state=CheckState.COMPLETED)\n"
        "assert run('a', made, 5.0).state is CheckState.COMPLETED\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if run('a', made, 5.0).state is CheckState.COMPLETED else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
