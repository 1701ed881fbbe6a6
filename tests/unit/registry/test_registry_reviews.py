"""People decide about holds: once each, two where two are needed; and nobody takes another's case."""

from dataclasses import replace
from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home, Judgement, raw

from registry import apikeys, caseload, cases, holds, log, permissions, recalls, reviews
from registry.canonical import Json
from registry.db import read, write
from registry.errors import CaseClosed, CaseTaken, ConstraintBroken, NotFound
from registry.reviews import Clearance, Refusal, Vote
from registry.types import Held, JobState, Reason, Release

BY: dict[str, Any] = {"why": "another person of that name", "now": NOW, "sign_checkpoint": SIGNER}
SOON, LATE = "2026-01-31T12:09:59Z", "2026-01-31T12:10:01Z"
NAMED = Reason(code="name_near", check="prompt_names", detail="A name.", evidence={"subject": "s"})
SEEN = Clearance(check="prompt_names", code="name_near", subject="s")
REFUSAL = Refusal(
    decided=Judgement(verdict="block", reasons=(NAMED,)), result={"decision": None, "reasons": []}
)


def held(home: Home, key: str = "k", reason: Reason = NAMED) -> Held:
    job = home.jobs.submit("make", key, {"prompt": "a red kite"})
    home.jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=[reason])
    with read(home.engine) as conn:
        hold = holds.open_hold(conn, job.id)
    assert hold is not None
    return hold


def let_go(home: Home, hold: Held, by: str, needed: int = 1, *cleared: Clearance) -> Vote:
    return reviews.vote_release(home.engine, hold.id, cleared or (SEEN,), needed, by=by, **BY)


def state(home: Home, hold: Held) -> JobState:
    return home.jobs.get(hold.job_id).state


def test_one_person_lets_it_go_on(home: Home) -> None:
    home.opt_out()
    hold = held(home)
    made = let_go(home, hold, "Ada")
    assert state(home, hold) is JobState.OPEN
    assert reviews.clearances(home.engine, hold.job_id) == (replace(SEEN, seq=hold.registry_seq),)
    with read(home.engine) as conn:
        assert reviews.votes(conn, hold.id) == [made]
        [entry] = log.entries(conn, made.log_seq - 1, made.log_seq)
        assert reviews.get_hold(conn, hold.id)[1] == NOW
        assert log.covering(conn, made.log_seq) is not None
    assert entry.public == {"v": 1, "case": hold.id, "action": "release", "kind": "held", "vote": made.id}
    assert entry.private is not None
    assert (entry.private["by"], entry.private["job"]) == ("Ada", hold.job_id)
    with pytest.raises(CaseClosed, match="twice"):
        let_go(home, hold, "Ben")


def test_two_people_where_two_are_needed(home: Home) -> None:
    hold = held(home)
    let_go(home, hold, "Ada", 2)
    assert (state(home, hold), reviews.clearances(home.engine, hold.job_id)) == (JobState.HELD, ())
    with pytest.raises(CaseClosed, match="another person"):
        let_go(home, hold, "Ada", 2)
    assert caseload.take_next(home.engine, "Ada", NOW) is None
    let_go(home, hold, "Ben", 1)  # what the first was told still counts
    assert state(home, hold) is JobState.OPEN
    assert len(reviews.clearances(home.engine, hold.job_id)) == 2


def test_the_second_may_refuse(home: Home) -> None:
    hold = held(home)
    let_go(home, hold, "Ada", 2)
    reviews.vote_refuse(home.engine, hold.id, REFUSAL, by="Ben", **BY)
    assert (state(home, hold), reviews.clearances(home.engine, hold.job_id)) == (JobState.REFUSED, ())
    with read(home.engine) as conn:
        assert [one.vote for one in reviews.votes(conn, hold.id)] == ["release", "refuse"]
        assert raw(conn, "SELECT count(*) FROM decision WHERE verdict = 'block'").scalar() == 1


def test_a_hold_that_something_else_lifts_clears_nothing(home: Home) -> None:
    hold = held(home)
    let_go(home, hold, "Ada", 2)
    with write(home.engine) as conn:
        holds.lift(conn, hold.job_id, "another day", NOW)
    assert reviews.clearances(home.engine, hold.job_id) == ()


def test_a_lease_keeps_others_away_and_ends(home: Home) -> None:
    first, second = sorted([held(home, "a"), held(home, "b")], key=lambda hold: hold.id)
    taken = caseload.take_next(home.engine, "Ada", NOW)
    assert taken == caseload.Waiting(id=first.id, of=caseload.HELD)
    assert caseload.take_next(home.engine, "Ada", SOON) == taken  # the one she has
    other = caseload.take_next(home.engine, "Ben", NOW)
    assert other is not None
    assert other.id == second.id
    assert caseload.take_next(home.engine, "Cem", NOW) is None
    with pytest.raises(CaseTaken, match="Somebody else"):
        let_go(home, first, "Ben")
    with pytest.raises(CaseTaken):
        caseload.take(home.engine, first.id, "Ben", NOW)
    caseload.give_back(home.engine, first.id, "Ben")  # not his
    lease = caseload.lease_of(home.engine, first.id, SOON)
    assert lease is not None
    assert lease.holder == "Ada"
    caseload.give_back(home.engine, second.id, "Ben")
    left = caseload.take_next(home.engine, "Cem", NOW)
    assert left is not None
    assert left.id == second.id
    assert caseload.lease_of(home.engine, second.id, LATE) is None
    again = caseload.take_next(home.engine, "Dee", LATE)
    assert again is not None
    assert again.id == second.id  # Ada's was renewed at SOON
    let_go(home, first, "Ada")
    assert caseload.lease_of(home.engine, first.id, NOW) is None


def test_cases_of_both_kinds_come_in_the_order_of_time(home: Home) -> None:
    made = home.release("r")
    with write(home.engine) as conn:
        case = recalls.open_case(conn, cases.RETRO_MATCH, made.id, "s", [{"code": "name_match"}], now=NOW,
                                 hold=True)  # fmt: skip
    assert isinstance(made, Release)
    assert case is not None
    hold = held(home, "h")
    with read(home.engine) as conn:
        found = caseload.waiting(conn)
        assert [one.id for one in found] == sorted([case.id, hold.id])
        assert {one.id: one.of for one in found} == {case.id: "released", hold.id: "held"}
        assert caseload.waiting(conn, after=found[0].id) == found[1:]
        assert caseload.waiting(conn, limit=1) == found[:1]


def test_a_vote_is_worth_what_its_key_is(home: Home) -> None:
    """A thief's vote does not count any more once the key is revoked: another honest person is needed."""
    hold = held(home)
    key, _ = apikeys.create(home.engine, "safety", "Thief", ("review",), now=NOW)
    stolen = {"by": "Thief", "key": key.id, **BY}
    reviews.vote_release(home.engine, hold.id, (SEEN,), 2, **stolen)
    apikeys.revoke(home.engine, key.id, why={}, now=NOW, sign_checkpoint=SIGNER)
    let_go(home, hold, "Ada", 2)
    assert state(home, hold) is JobState.HELD
    with pytest.raises(ConstraintBroken, match="as many people"), write(home.engine) as conn:
        holds.lift(conn, hold.job_id, reviews.BY_PEOPLE, NOW)
    let_go(home, hold, "Ben", 2)
    assert state(home, hold) is JobState.OPEN


def test_a_hold_stands_where_it_was_decided(home: Home) -> None:
    """What was registered between the decision and the hold was shown to nobody."""
    decided_at = home.opt_out("One").seq
    job = home.jobs.submit("make", "k", {"prompt": "a red kite"})
    home.opt_out("Two")
    made = Judgement(verdict="review", reasons=(NAMED,), registry_seq=decided_at)
    home.jobs.finish(
        job, JobState.HELD, {"decision": None}, reasons=[NAMED], decided=made, sign_checkpoint=SIGNER
    )
    with read(home.engine) as conn:
        hold = holds.open_hold(conn, job.id)
    assert hold is not None
    assert hold.registry_seq == decided_at


def test_what_waits_for_a_holder_waits_for_nobody_else(home: Home) -> None:
    subject = home.opt_out(mode="ask").subject
    evidence: Json = {"subject": subject, "intent": "depict", "asks": True}
    hold = held(home, reason=replace(NAMED, evidence=evidence))
    request = permissions.Request(account="a", purpose="", prompt="p", preview="", days=7)
    with write(home.engine) as conn:
        assert permissions.ask(conn, hold, request, now=NOW, signer=SIGNER)
    assert caseload.take_next(home.engine, "Ada", NOW) is None
    with read(home.engine) as conn:
        assert caseload.waiting(conn) == []
    with pytest.raises(CaseTaken, match="rights holder is asked"):  # nobody releases in the holder's place
        let_go(home, hold, "Ada")
    reviews.vote_refuse(home.engine, hold.id, REFUSAL, by="Ada", **BY)
    assert state(home, hold) is JobState.REFUSED


def test_a_case_that_is_not_there(home: Home) -> None:
    with pytest.raises(NotFound):
        reviews.vote_release(home.engine, "x" * 36, (), 1, by="Ada", **BY)


@pytest.mark.parametrize(
    ("message", "statement"),
    [
        ("never change", "UPDATE hold_vote SET why = 'b'"),
        ("never deleted", "DELETE FROM hold_vote"),
        ("head of the log", "INSERT INTO hold_vote SELECT 'y' || substr(id, 2), held_id, vote, 'Ben', why, "
         "cleared, needed, voted_at, log_seq, key_id FROM hold_vote"),
        ("as many people", "UPDATE held SET lifted_at = held_at, lifted_because = 'review'"),
    ],
)  # fmt: skip
def test_the_database_refuses_what_must_not_be(home: Home, message: str, statement: str) -> None:
    let_go(home, held(home), "Ada", 2)
    with pytest.raises(ConstraintBroken, match=message), write(home.engine) as conn:
        conn.exec_driver_sql(statement)
