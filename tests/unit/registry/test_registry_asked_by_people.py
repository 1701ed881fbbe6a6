"""People ask a holder about a hold: a yes and silence give it back to people, a no refuses it."""

from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home

from registry import apikeys, caseload, holds, log, optouts, permissions, reviews
from registry.canonical import Json
from registry.db import read, write
from registry.errors import CaseClosed, CaseTaken, ConstraintBroken, PermissionAnswered
from registry.permissions import Approval, Permission, Request
from registry.reviews import Clearance
from registry.ruling import Ask, ruling
from registry.types import Held, JobState, Reason

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
LATE = "2026-02-07T12:00:00Z"
REQUEST = Request(account="studio", purpose="", prompt="Zibble waves", preview="", days=7)


def held(home: Home, *subjects: str) -> Held:
    """A job that is held for subjects whose mode is not to be asked."""
    job = home.jobs.submit("make", "k", {"prompt": "Zibble waves"})
    found: list[Json] = [{"subject": one, "intent": "depict", "asks": False} for one in subjects]
    reasons = [
        Reason(code="name_near", check="prompt_names", detail="A name.", evidence=one) for one in found
    ]
    home.jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=reasons)
    with read(home.engine) as conn:
        hold = holds.open_hold(conn, job.id)
    assert hold is not None
    return hold


def ask(home: Home, hold: Held, *subjects: str, by: str = "Ada") -> list[Permission]:
    whom = [(one, "depict") for one in subjects]
    return reviews.ask_holders(home.engine, hold.id, whom, REQUEST, by=by, **BY)


def state(home: Home, hold: Held) -> JobState:
    return home.jobs.get(hold.job_id).state


def next_of(home: Home, by: str) -> str | None:
    taken = caseload.take_next(home.engine, by, NOW)
    return None if taken is None else taken.id


def test_it_waits_where_people_can_see_it(home: Home) -> None:
    subject = home.opt_out().subject
    hold = held(home, subject)
    [one] = ask(home, hold, subject)
    assert (one.state, one.asked_by, one.party_id) == ("asked", "Ada", one.party_id)
    with read(home.engine) as conn:
        assert caseload.waiting(conn) == []
        assert [case.id for case in caseload.with_holders(conn)] == [hold.id]
        [entry] = log.entries(conn, one.log_seq - 1, one.log_seq)
        assert log.covering(conn, one.log_seq) is not None
    assert entry.private is not None
    assert entry.private["by"] == "Ada"
    assert "by" not in entry.public
    assert next_of(home, "Ben") is None
    with pytest.raises(CaseTaken, match="rights holder is asked"):
        reviews.vote_release(home.engine, hold.id, (), 1, by="Ben", why="", **BY)


def test_a_yes_gives_it_back_and_releases_nothing(home: Home) -> None:
    subject = home.opt_out().subject
    hold = held(home, subject)
    [one] = ask(home, hold, subject)
    permissions.approve(home.engine, one.id, Approval(), **BY)
    assert state(home, hold) is JobState.HELD
    record = optouts.get(home.engine, subject)
    assert record is not None
    assert ruling(record, Ask(account="studio", job=hold.job_id), NOW).outcome == "allow"
    assert next_of(home, "Ben") == hold.id
    seen = Clearance(check="prompt_names", code="name_near", subject=subject)
    reviews.vote_release(home.engine, hold.id, (seen,), 2, by="Ben", why="", **BY)
    assert state(home, hold) is JobState.HELD  # two are needed as before
    reviews.vote_release(home.engine, hold.id, (seen,), 2, by="Ada", why="", **BY)
    assert state(home, hold) is JobState.OPEN


def test_a_no_refuses_it_and_ends_the_other_requests(home: Home) -> None:
    subject, other = home.opt_out().subject, home.opt_out("Wobble").subject
    hold = held(home, subject, other)
    first, second = ask(home, hold, subject, other)
    permissions.refuse(home.engine, first.id, why="never", **BY)
    ended = home.jobs.get(hold.job_id)
    assert ended.state is JobState.REFUSED
    assert ended.result is not None
    told: Any = ended.result["reasons"]
    assert [one["code"] for one in told] == ["permission_refused"]
    assert permissions.get(home.engine, second.id).state == "expired"


def test_silence_gives_it_back(home: Home) -> None:
    subject = home.opt_out().subject
    hold = held(home, subject)
    [one] = ask(home, hold, subject)
    [ended] = permissions.expire_due(home.engine, now=LATE, sign_checkpoint=SIGNER)
    assert (ended.id, ended.state) == (one.id, "expired")
    assert state(home, hold) is JobState.HELD
    assert next_of(home, "Ben") == hold.id


def test_a_late_yes_is_none_and_gives_it_back(home: Home) -> None:
    subject = home.opt_out().subject
    hold = held(home, subject)
    [one] = ask(home, hold, subject)
    with pytest.raises(PermissionAnswered):
        permissions.approve(home.engine, one.id, Approval(), now=LATE, sign_checkpoint=SIGNER)
    assert (state(home, hold), next_of(home, "Ben")) == (JobState.HELD, hold.id)
    record = optouts.get(home.engine, subject)
    assert record is not None
    assert record.rules == ()


def test_a_holder_is_asked_once_about_a_hold(home: Home) -> None:
    subject, other = home.opt_out().subject, home.opt_out("Wobble").subject
    hold = held(home, subject, other)
    [one] = ask(home, hold, subject)
    permissions.approve(home.engine, one.id, Approval(), **BY)
    with pytest.raises(PermissionAnswered, match="asked about this clip before"):
        ask(home, hold, other, subject)
    with read(home.engine) as conn:
        assert len(permissions.of_hold(conn, hold.id)) == 1
    ask(home, hold, other)


def test_who_may_not_decide_does_not_ask(home: Home) -> None:
    subject = home.opt_out().subject
    hold = held(home, subject)
    caseload.take(home.engine, hold.id, "Ben", NOW)
    with pytest.raises(CaseTaken):
        ask(home, hold, subject)
    key, _ = apikeys.create(home.engine, "safety", "Ben", ("review",), now=NOW)
    reviews.vote_release(home.engine, hold.id, (), 1, by="Ben", why="", key=key.id, **BY)
    with pytest.raises(CaseClosed):
        ask(home, hold, subject, by="Cem")


@pytest.mark.parametrize(
    ("message", "statement"),
    [
        ("never change", "UPDATE permission SET asked_by = ''"),
        ("comes back to people",
         "UPDATE held SET lifted_at = held_at, lifted_because = "
         "(SELECT 'permission ' || p.id FROM permission p)"),
    ],
)  # fmt: skip
def test_the_database_refuses_what_must_not_be(home: Home, message: str, statement: str) -> None:
    subject = home.opt_out().subject
    ask(home, held(home, subject), subject)
    with pytest.raises(ConstraintBroken, match=message), write(home.engine) as conn:
        conn.exec_driver_sql(statement)
