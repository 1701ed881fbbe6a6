"""Counts of the registry: what people decided, what is in force, what is out."""

from typing import Any

from registry_builders import NOW, SIGNER, Home

from registry import cases, holds, recalls, releases, reviews
from registry.db import read, write
from registry.statistics import Statistics, statistics
from registry.types import JobState, Reason

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}


def counted(home: Home) -> Statistics:
    with read(home.engine) as conn:
        return statistics(conn)


def held(home: Home, key: str) -> str:
    job = home.jobs.submit("make", key, {"prompt": "a red kite"})
    reason = Reason(code="name_near", check="prompt_names", detail="A name.")
    home.jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=[reason])
    with read(home.engine) as conn:
        hold = holds.open_hold(conn, job.id)
    assert hold is not None
    return hold.id


def test_nothing_yet(home: Home) -> None:
    found = counted(home)
    assert (found.log_seq, found.opt_outs, found.decisions, found.releases) == (0, {}, {}, {})
    assert (found.held_in_vain, found.overturned) == ((0, 0), (0, 0))


def test_what_is_in_force_and_out(home: Home) -> None:
    home.opt_out("One")
    home.opt_out("Two", kind="person")
    first = home.release("a")
    home.release("b")
    releases.withdraw(home.engine, first.id, why={}, **BY)
    found = counted(home)
    assert found.opt_outs == {"character": 1, "person": 1}
    assert found.releases == {"released": 1, "withdrawn": 1}
    assert found.decisions == {"2026-01": {"allow": 2}}


def test_how_often_people_thought_otherwise(home: Home) -> None:
    for number in range(3):
        reviews.vote_release(home.engine, held(home, f"r{number}"), (), 1, by="Ada", why="", **BY)
    twice = held(home, "two")
    for name in ("Ada", "Ben"):
        reviews.vote_release(home.engine, twice, (), 2, by=name, why="", **BY)
    reviews.vote_release(home.engine, held(home, "one"), (), 2, by="Ada", why="", **BY)  # not decided yet
    refusal = reviews.Refusal(decided=_refused(), result={})
    reviews.vote_refuse(home.engine, held(home, "x"), refusal, by="Ada", why="", **BY)
    made = home.release("c")
    with write(home.engine) as conn:
        case = recalls.open_case(conn, cases.RETRO_MATCH, made.id, "s", [{"code": "x"}], now=NOW, hold=True)
    assert case is not None
    recalls.uphold(home.engine, case.id, by="Ada", decision="", **BY)
    found = counted(home)
    assert found.held_in_vain == (4, 5)
    assert found.overturned == (0, 1)


def _refused() -> Any:
    from registry_builders import BLOCK

    return BLOCK
