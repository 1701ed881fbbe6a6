"""What falls by itself: stops and cases whose opt-out is out of force."""

from typing import Any

import pytest
from party_builders import BY, party, said
from registry_builders import NOW, SIGNER, Home, Judgement, Judging

from registry import cases, claims, grounds, log, optouts, recalls
from registry.db import read, write
from registry.types import OptOut, Reason, Release

OTHER = Reason(code="name_match", check="names", detail="Seen.", evidence={"subject": "o" * 36})


def stopped(home: Home, of: Release, about: str, cause: str = recalls.WISH) -> None:
    with write(home.engine) as conn:
        recalls.stop(conn, of.id, cause, about, why={}, now=NOW)
        log.add_checkpoint(conn, SIGNER, NOW)


def case_about(home: Home, of: Release, about: str, *, hold: bool) -> str:
    told = [{"code": "picture_match", "check": "frames", "detail": "Seen."}]
    with write(home.engine) as conn:
        made = recalls.open_case(conn, cases.RETRO_MATCH, of.id, about, told, now=NOW, hold=hold)
        log.add_checkpoint(conn, SIGNER, NOW)
    assert made is not None
    return made.id


def settle(home: Home, answer: Judgement | None = None) -> list[str]:
    return grounds.settle(home.engine, lambda: Judging(answer), **BY)


def withdraw(home: Home, made: OptOut, **how: Any) -> None:
    optouts.withdraw(home.engine, made.subject, why={}, **how, **BY)


def stands(home: Home, of: Release) -> list[tuple[str, str]]:
    with read(home.engine) as conn:
        return [(one.cause, one.about) for one in recalls.standing(conn, of.id)]


def state(home: Home, of: Release) -> str:
    with read(home.engine) as conn:
        return str(recalls.demand(conn, of.id).state)


def test_nothing_falls_while_the_opt_out_is_in_force(home: Home) -> None:
    wish, made = home.opt_out(), home.release(decision=Judgement(registry_seq=1))
    stopped(home, made, wish.subject)

    def nobody() -> Judging:
        raise AssertionError

    assert grounds.settle(home.engine, nobody, **BY) == []
    assert stands(home, made) == [("wish", wish.subject)]


def test_a_withdrawn_opt_out_gives_back_what_it_alone_kept(home: Home) -> None:
    made = [home.release(key) for key in "abc"]
    wish, other = home.opt_out(), home.opt_out("Bramble")
    for one in made:
        stopped(home, one, wish.subject)
    stopped(home, made[1], other.subject)
    stopped(home, made[2], "", recalls.MANUAL)
    withdraw(home, wish)
    assert settle(home) == [made[0].id]
    assert settle(home) == []
    assert [stands(home, one) for one in made] == [[], [("wish", other.subject)], [("manual", "")]]
    with read(home.engine) as conn:
        log.audit(conn)


@pytest.mark.parametrize("verdict", ["block", "review"])
def test_what_somebody_else_forbids_stays_away(home: Home, verdict: str) -> None:
    made = home.release()
    wish = home.opt_out()
    stopped(home, made, wish.subject)
    idle = case_about(home, made, "o" * 36, hold=False)
    withdraw(home, wish)
    assert settle(home, Judgement(verdict=verdict, reasons=(OTHER,))) == []
    assert state(home, made) == "withdrawn"
    expected = ("wish", "o" * 36) if verdict == "block" else ("case", idle)
    assert stands(home, made) == [expected]
    assert settle(home) == []


def test_its_cases_fall_and_those_that_a_person_upheld_stay(home: Home) -> None:
    held, served, upheld = (home.release(key) for key in "abc")
    wish = home.opt_out()
    first = case_about(home, held, wish.subject, hold=True)
    second = case_about(home, served, wish.subject, hold=False)
    third = case_about(home, upheld, wish.subject, hold=True)
    recalls.uphold(home.engine, third, by="Ada", decision="yes", **BY)
    withdraw(home, wish)
    assert settle(home) == [held.id]
    with read(home.engine) as conn:
        found = [cases.get(conn, one) for one in (first, second, third)]
    assert [(one.state, one.decided_by) for one in found] == [
        ("dismissed", "registry"), ("dismissed", "registry"), ("upheld", "Ada"),
    ]  # fmt: skip
    assert [state(home, one) for one in (held, served, upheld)] == ["released", "released", "withdrawn"]


def test_the_holder_may_keep_them_withdrawn(home: Home) -> None:
    stopping, held, other = (home.release(key) for key in "abc")
    wish, another = home.opt_out(), home.opt_out("Bramble")
    stopped(home, stopping, wish.subject)
    case_about(home, held, wish.subject, hold=True)
    stopped(home, other, another.subject)
    withdraw(home, wish, keep=True)
    assert settle(home) == []
    assert [stands(home, one) for one in (stopping, held)] == [[("manual", "")]] * 2
    assert stands(home, other) == [("wish", another.subject)]
    assert recalls.reinstate(home.engine, held.id, Judging(), why={}, **BY).state == "released"


@pytest.mark.parametrize("keep", [False, True])
def test_a_withdrawn_portfolio_gives_back_what_it_covered(home: Home, keep: bool) -> None:
    free, own = home.release("a"), home.release("b")
    whole = home.opt_out("Everything", kind="portfolio")
    wish = home.opt_out(mode="allow")
    foreign, theirs = home.opt_out("Bramble", owner="Another"), home.release("c", decision=later(home))
    for one in (free, own):
        stopped(home, one, wish.subject)
    stopped(home, theirs, foreign.subject)
    withdraw(home, whole, keep=keep)
    again = Judgement(
        verdict="block",
        reasons=(Reason(code="x", check="x", detail="Still.", evidence={"subject": wish.subject}),),
    )

    class Asked(Judging):
        def __call__(self, released: Release, *rest: Any, by_itself: bool) -> Judgement:
            assert by_itself
            return again if released.id == own.id else super().__call__(released, *rest, by_itself=True)

    assert grounds.settle(home.engine, Asked, **BY) == ([] if keep else [free.id])
    assert stands(home, free) == ([("manual", "")] if keep else [])
    assert stands(home, own) == ([("manual", "")] if keep else [("wish", wish.subject)])
    assert stands(home, theirs) == [("wish", foreign.subject)]
    with read(home.engine) as conn:
        before = log.head(conn)
    assert settle(home) == []  # not asked about again
    with read(home.engine) as conn:
        assert log.head(conn) == before


def later(home: Home) -> Judgement:
    with read(home.engine) as conn:
        return Judgement(registry_seq=log.registry_seq(conn))


def test_a_rejected_claim_and_one_whose_clock_ended_give_back(home: Home) -> None:
    fake = party(home, "Fake")
    one, two = home.release("a"), home.release("b")
    first, second = said(home, fake, "Zibble"), said(home, fake, "Bramble")
    stopped(home, one, first.subject)
    stopped(home, two, second.subject)
    assert first.claim is not None
    claims.decide(home.engine, first.claim, accept=False, why={}, **BY)
    assert settle(home) == [one.id]
    claims.expire_due(home.engine, "2026-03-31T12:00:00Z", SIGNER)
    assert settle(home) == [two.id]
