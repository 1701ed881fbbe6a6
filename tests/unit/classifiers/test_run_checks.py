"""Whatever a check does, it ends in a report, and only what was completed says so."""

import threading

import pytest

from classifiers.base import CheckReport, CheckState
from classifiers.run import MAX_DETAIL, run_checks


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


def test_an_answer_for_another_check_is_a_failure() -> None:
    (report,) = run_checks({"frames": fine}, seconds=1)
    assert (report.check, report.state) == ("frames", CheckState.FAILED)


@pytest.mark.parametrize("error", [MemoryError("all"), RecursionError("deep"), KeyError("x")])
def test_any_error(error: Exception) -> None:
    def fails() -> CheckReport:
        raise error

    (report,) = run_checks({"frames": fails}, seconds=1)
    assert report.state is CheckState.FAILED
