"""Appeals: one for each decision, never decided by who took part in it; and what a grant clears."""

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home, Judgement, Judging, raw

from registry import (
    apikeys,
    appeals,
    caseload,
    cases,
    holds,
    log,
    recalls,
    releases,
    restrictions,
    reviews,
    subjects,
)
from registry.appeals import Against, Appeal, Voter
from registry.db import read, write
from registry.errors import (
    ActRefused,
    AppealRefused,
    CaseClosed,
    ConstraintBroken,
    NotFound,
    StillForbidden,
)
from registry.ids import new_id
from registry.reviews import Clearance
from registry.statistics import statistics
from registry.types import JobState, Reason, Release, ReleaseState

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
ORDER = "a" * 64
NAMED = Reason(code="name_match", check="prompt_names", detail="A name.", evidence={"subject_kind": "logo"})
SEEN = Clearance(check="prompt_names", code="name_match", subject="s", seq=4)


def refused(home: Home, key: str = "k") -> str:
    """A job that was refused by the checks."""
    job = home.jobs.submit("make", key, {"prompt": "a red kite", "account": "maker"})
    judged = Judgement(verdict="block", reasons=(NAMED,))
    home.jobs.finish(job, JobState.REFUSED, {"reasons": []}, decided=judged, sign_checkpoint=SIGNER)
    return job.id


def refused_by(home: Home, person: str) -> str:
    """A job that was held, and refused by a person."""
    job = home.jobs.submit("make", "held", {"prompt": "a red kite", "account": "maker"})
    home.jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=[NAMED])
    with read(home.engine) as conn:
        hold = holds.open_hold(conn, job.id)
    assert hold is not None
    refusal = reviews.Refusal(decided=Judgement(verdict="block", reasons=(NAMED,)), result={})
    reviews.vote_refuse(home.engine, hold.id, refusal, by=person, why="", **BY)
    return job.id


def against(home: Home, job_id: str, release: str | None = None, words: str = "No.") -> Appeal:
    with read(home.engine) as conn:
        found = restrictions.of_release(conn, release)[0] if release else restrictions.of_job(conn, job_id)
    assert found is not None
    made = Against(
        decision=found.id,
        account="maker",
        job_id=job_id,
        release_id=release,
        order_sha256=ORDER,
        words=words,
    )
    return appeals.add(home.engine, made, **BY)


def grant(home: Home, made: Appeal, by: str, needed: int = 1, *cleared: Clearance) -> Appeal:
    voter = Voter(by=by, why="a village")
    return appeals.grant(home.engine, made.id, voter, cleared or (SEEN,), needed, lambda _: None, **BY)


def test_it_is_made_once(home: Home) -> None:
    made = against(home, refused(home))
    assert (made.state, made.words) == ("open", "No.")
    assert appeals.add(home.engine, _same(made), **BY) == made
    with pytest.raises(AppealRefused, match="once"):
        appeals.add(home.engine, replace(_same(made), words="Look again."), **BY)
    with read(home.engine) as conn:
        [entry] = log.entries(conn, made.log_seq - 1, made.log_seq)
        assert appeals.page(conn, "maker") == [made]
        assert appeals.page(conn, "maker", after=made.id) == appeals.page(conn, "other") == []
        assert statistics(conn).appeals == {"open": 1}
        with pytest.raises(NotFound):
            appeals.get(conn, "nothing")
    assert entry.public == {"v": 1, "case": made.id, "action": "open", "kind": "appeal"}


def _same(made: Appeal) -> Against:
    return Against(
        decision=made.decision,
        account=made.account,
        job_id=made.job_id,
        release_id=made.release_id,
        order_sha256=made.order_sha256,
        words=made.words,
    )


def test_granted_it_clears_what_was_found_for_that_order(home: Home) -> None:
    made = against(home, refused(home))
    assert appeals.clearances(home.engine, "maker", ORDER) == ()
    [waiting] = [one for one in _waiting(home) if one.id == made.id]
    assert waiting.of == caseload.APPEALED
    granted = grant(home, made, "Ada")
    assert (granted.state, granted.closed_at) == ("granted", NOW)
    assert appeals.clearances(home.engine, "maker", ORDER) == (replace(SEEN, appealed=True),)
    assert appeals.clearances(home.engine, "maker", "b" * 64) == ()
    assert appeals.clearances(home.engine, "other", ORDER) == ()
    assert _waiting(home) == []
    with pytest.raises(CaseClosed, match="twice"):
        grant(home, made, "Ben")
    with read(home.engine) as conn:
        assert statistics(conn).appeals_granted == (1, 1)


def _waiting(home: Home) -> list[caseload.Waiting]:
    with read(home.engine) as conn:
        return caseload.waiting(conn)


def test_upheld_it_stays(home: Home) -> None:
    made = against(home, refused(home))
    done = appeals.uphold(home.engine, made.id, Voter(by="Ada", why="it is"), **BY)
    assert done.state == "upheld"
    assert appeals.clearances(home.engine, "maker", ORDER) == ()
    with read(home.engine) as conn:
        assert [(one.vote, one.voter) for one in appeals.votes(conn, made.id)] == [("uphold", "Ada")]
        assert statistics(conn).appeals_granted == (0, 1)


def test_two_people_where_two_are_needed(home: Home) -> None:
    made = against(home, refused(home))
    key, _ = apikeys.create(home.engine, "safety", "Ada", ("review",), now=NOW)
    did: list[str] = []
    voter = Voter(by="Ada", why="", key=key.id)
    appeals.grant(home.engine, made.id, voter, (SEEN,), 2, lambda _: did.append("Ada"), **BY)
    with pytest.raises(CaseClosed, match="another person"):
        grant(home, made, "Ada", 2)
    apikeys.revoke(home.engine, key.id, why={}, **BY)  # a vote is worth what its key is
    assert grant(home, made, "Ben", 2).state == "open"
    assert grant(home, made, "Cem", 1).state == "granted"
    assert did == []


def test_nobody_decides_about_their_own_decision(home: Home) -> None:
    made = against(home, refused_by(home, "Ada"))
    assert caseload.take_next(home.engine, "Ada", NOW) is None
    for act in (
        grant,
        lambda home, made, by: appeals.uphold(home.engine, made.id, Voter(by=by, why=""), **BY),
    ):
        with pytest.raises(ActRefused, match="own decision"):
            act(home, made, "Ada")  # type: ignore[operator]
    taken = caseload.take_next(home.engine, "Ben", NOW)
    assert taken is not None
    assert taken.id == made.id
    assert grant(home, made, "Ben").state == "granted"


def test_the_database_holds_to_that(home: Home) -> None:
    made = against(home, refused_by(home, "Ada"))
    with pytest.raises(ConstraintBroken, match="own decision"):
        _vote_raw(home, made, "Ada")
    _vote_raw(home, made, "Ben")
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        raw(conn, "UPDATE appeal SET state = 'granted' WHERE id = ?", (made.id,))


def _vote_raw(home: Home, made: Appeal, voter: str) -> None:
    vote = new_id(NOW)
    public: Any = {"v": 1, "case": made.id, "action": "uphold", "kind": "appeal", "vote": vote}
    with write(home.engine) as conn:
        seq = log.append(conn, "case", public, {}, NOW).seq
        values = (vote, made.id, "uphold", voter, "", "[]", 1, NOW, seq)
        raw(conn, "INSERT INTO appeal_vote VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '')", values)


@pytest.mark.parametrize(
    "act",
    [
        "DELETE FROM appeal",
        "DELETE FROM appeal_vote",
        "UPDATE appeal SET words = 'x'",
        "UPDATE appeal_vote SET voter = 'x'",
        "UPDATE appeal SET state = 'upheld'",
    ],
)
def test_rows_are_never_changed(home: Home, act: str) -> None:
    grant(home, against(home, refused(home)), "Ada")
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        raw(conn, act)


def test_only_what_was_refused_or_withdrawn(home: Home) -> None:
    released = home.release()
    made = Against(
        decision="d" * 64,
        account="maker",
        job_id=released.job_id,
        release_id=None,
        order_sha256=ORDER,
        words="No.",
    )
    with pytest.raises(ConstraintBroken, match="refused"):
        appeals.add(home.engine, made, **BY)
    with pytest.raises(ConstraintBroken, match="withdrawn"):
        appeals.add(home.engine, replace(made, release_id=released.id), **BY)


def withdrawn_by_a_wish(home: Home) -> tuple[Release, Appeal, str]:
    optout = home.opt_out()
    released = home.release()
    with write(home.engine) as conn:
        recalls.stop(conn, released.id, recalls.WISH, optout.subject, why={"reasons": []}, now=NOW)
    return released, against(home, released.job_id, released.id), optout.subject


def reinstate(home: Home, released: Release, made: Appeal, judge: Judging, by: str = "Ben") -> Release:
    def vote(conn: Any) -> None:
        appeals.vote_grant(conn, made.id, Voter(by=by, why=""), (), 1, NOW)

    upon = recalls.Upon(clear={"s": 9}, first=vote)
    return recalls.reinstate(home.engine, released.id, judge, why={}, upon=upon, **BY)


def test_a_release_comes_back_in_the_transaction_of_the_vote(home: Home) -> None:
    released, made, subject = withdrawn_by_a_wish(home)
    assert subjects.get(home.engine, subject) is not None
    [found] = _of_release(home, released.id)
    assert (found.kind, found.by, found.account) == ("withdrawal", "machine", "")
    assert [(one.code, one.kind) for one in found.found] == [("opted_out", "character")]
    with pytest.raises(StillForbidden):
        reinstate(home, released, made, Judging(Judgement(verdict="block", reasons=(NAMED,))))
    with read(home.engine) as conn:
        assert appeals.get(conn, made.id).state == "open"
        assert appeals.votes(conn, made.id) == []
    judge = Judging()
    assert reinstate(home, released, made, judge).state is ReleaseState.RELEASED
    assert judge.asked[0] == (released.id, None, {"s": 9})
    with read(home.engine) as conn:
        assert appeals.get(conn, made.id).state == "granted"
    assert _of_release(home, released.id) == []


def _of_release(home: Home, release_id: str) -> list[restrictions.Restriction]:
    with read(home.engine) as conn:
        return restrictions.of_release(conn, release_id)


def test_who_decided_the_case_of_a_release_does_not_decide_its_appeal(home: Home) -> None:
    released = home.release()
    with write(home.engine) as conn:
        case = recalls.open_case(
            conn, cases.RETRO_MATCH, released.id, "s", [{"code": "picture_match"}], now=NOW, hold=True
        )
    assert case is not None
    recalls.uphold(home.engine, case.id, by="Ada", decision="", **BY)
    [found] = _of_release(home, released.id)
    assert found.by == "both"
    made = against(home, released.job_id, released.id)
    with pytest.raises(ActRefused):
        grant(home, made, "Ada")
    assert grant(home, made, "Ben").state == "granted"


def test_restrictions_by_time_and_account(home: Home) -> None:
    first, second = refused(home, "a"), refused(home, "b")
    released = home.release("c")
    releases.withdraw(home.engine, released.id, why={}, **BY)
    everything = [*chain.from_iterable(restrictions.pages(home.engine, since="", until=""))]
    since = [*chain.from_iterable(restrictions.pages(home.engine, since=NOW, until=""))]
    with read(home.engine) as conn:
        mine = restrictions.page(conn, account="maker", limit=1)
        rest = restrictions.page(conn, account="maker", after=mine[0].place)
        assert restrictions.page(conn, until=NOW) == []
        assert restrictions.page(conn, account="other") == []
        assert restrictions.get(conn, mine[0].id) == mine[0]
        assert since == everything
        with pytest.raises(NotFound):
            restrictions.get(conn, "nothing")
    assert {one.kind for one in everything} == {"refusal", "withdrawal"}
    assert {one.job for one in (*mine, *rest)} == {first, second}
    assert everything == sorted(everything, key=lambda one: one.place)
