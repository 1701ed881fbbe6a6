"""Decisions that wait: undone before they are begun or not at all, and carried out once."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from registry_builders import NOW, Home

from registry import caseload, holds, pending
from registry.db import read, write
from registry.errors import CaseClosed, CaseTaken
from registry.pending import Pending, Wanted
from registry.types import JobState, Reason

REASON = Reason(code="name_near", check="prompt_names", detail="A name.", evidence={"subject": "s"})
FAR = 3600.0


@pytest.fixture(name="case")
def a_hold(home: Home) -> str:
    return held(home, "k")


def held(home: Home, key: str) -> str:
    job = home.jobs.submit("make", key, {"prompt": "a red kite"})
    home.jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=[REASON])
    with read(home.engine) as conn:
        hold = holds.open_hold(conn, job.id)
    assert hold is not None
    return hold.id


def wanted(case: str, by: str = "Ada", decision: str = pending.RELEASE) -> Wanted:
    return Wanted(case_id=case, decision=decision, by=by, key="", why="a bird", subjects=("s",))


def found(home: Home, case: str) -> Pending | None:
    with read(home.engine) as conn:
        return pending.of(conn, case)


def age(home: Home, seconds: float, column: str = "due") -> None:
    """As if so much time had gone by."""
    with write(home.engine) as conn:
        conn.exec_driver_sql(f"UPDATE pending_decision SET {column} = {column} - {seconds}")


def test_it_waits_and_the_case_stays_theirs(home: Home, case: str) -> None:
    pending.put(home.engine, wanted(case), FAR, NOW)
    one = found(home, case)
    assert one is not None
    assert (one.by, one.why, one.subjects, one.begun, one.trouble) == ("Ada", "a bird", ("s",), False, "")
    assert FAR - 60 < one.left <= FAR
    assert pending.begin_due(home.engine) == []
    lease = caseload.lease_of(home.engine, case, NOW)
    assert lease is not None
    assert lease.holder == "Ada"
    for other in ("Ada", "Ben"):
        with pytest.raises(CaseTaken):
            pending.put(home.engine, wanted(case, other), FAR, NOW)
    assert caseload.take_next(home.engine, "Ada", NOW) is None  # she goes on to another one


def test_undone_is_as_if_it_never_was(home: Home, case: str) -> None:
    pending.put(home.engine, wanted(case), FAR, NOW)
    with pytest.raises(CaseClosed):
        pending.undo(home.engine, case, "Ben")
    pending.undo(home.engine, case, "Ada")
    assert found(home, case) is None
    age(home, 2 * FAR)
    assert pending.begin_due(home.engine) == []
    taken = caseload.take_next(home.engine, "Ada", NOW)
    assert taken is not None
    assert taken.id == case
    with pytest.raises(CaseClosed, match="too late"):
        pending.undo(home.engine, case, "Ada")


def test_what_is_begun_is_not_undone(home: Home, case: str) -> None:
    pending.put(home.engine, wanted(case), 0.0, NOW)
    [one] = pending.begin_due(home.engine)
    assert (one.case_id, one.begun, one.void) == (case, False, False)
    assert pending.begin_due(home.engine) == []  # one process has it
    with pytest.raises(CaseClosed, match="too late"):
        pending.undo(home.engine, case, "Ada")
    pending.done(home.engine, case)
    assert found(home, case) is None


def test_of_many_who_undo_and_carry_out_one_wins(home: Home) -> None:
    for number in range(5):
        case = held(home, f"race {number}")
        pending.put(home.engine, wanted(case), 0.02, NOW)

        def carry_out(_: int) -> int:
            time.sleep(0.02)
            return len(pending.begin_due(home.engine))

        def undo(_: int, case: str = case) -> int:
            time.sleep(0.02)
            try:
                pending.undo(home.engine, case, "Ada")
            except CaseClosed:
                return 0
            return 1

        with ThreadPoolExecutor(6) as pool:
            wins = [*pool.map(carry_out, range(3)), *pool.map(undo, range(3))]
        assert sum(wins) == 1
        pending.done(home.engine, case)


def test_one_that_was_left_behind_is_begun_again(home: Home, case: str) -> None:
    pending.put(home.engine, wanted(case), 0.0, NOW)
    assert pending.begin_due(home.engine)
    age(home, pending.RETRY_SECONDS, "begun")
    [again] = pending.begin_due(home.engine)
    assert again.begun


def test_nobody_came_in_time(home: Home, case: str) -> None:
    pending.put(home.engine, wanted(case), 0.0, NOW)
    age(home, pending.VOID_SECONDS + 1)
    [one] = pending.begin_due(home.engine)
    assert one.void


def test_what_failed_says_so_and_is_anybodys(home: Home, case: str) -> None:
    pending.put(home.engine, wanted(case), 0.0, NOW)
    [one] = pending.begin_due(home.engine)
    pending.fail(home.engine, one, "The disk is full.")
    told = found(home, case)
    assert told is not None
    assert told.trouble == "The disk is full."
    with pytest.raises(CaseClosed):
        pending.undo(home.engine, case, "Ada")
    taken = caseload.take_next(home.engine, "Ben", NOW)
    assert taken is not None
    assert taken.id == case
    pending.put(home.engine, wanted(case, "Ben", pending.BLOCK), FAR, NOW)
    told = found(home, case)
    assert told is not None
    assert (told.by, told.trouble) == ("Ben", "")


def test_trouble_is_forgotten_after_a_day(home: Home, case: str) -> None:
    pending.put(home.engine, wanted(case), 0.0, NOW)
    [one] = pending.begin_due(home.engine)
    pending.fail(home.engine, one, "The disk is full.")
    age(home, pending.KEPT_SECONDS + 1)
    pending.put(home.engine, wanted(held(home, "l")), 0.0, NOW)
    assert pending.begin_due(home.engine)
    assert found(home, case) is None
