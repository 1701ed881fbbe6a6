"""Notices about clips that are out: what they need, what they stop, and what becomes of them."""

from typing import Any

import pytest
from party_builders import BY, filing, party
from registry_builders import SIGNER, Home, Judgement, Judging

from registry import cases, claims, grounds, optouts, recalls, releases, statements
from registry.db import read
from registry.errors import ClaimInvalid, NotFound
from registry.party_types import Filing, Terms
from registry.types import Parent, Reason, ReleaseState


def state(home: Home, claim: str) -> str:
    return claims.get(home.engine, claim).state


def expire(home: Home, now: str = "2026-02-14T12:00:00Z") -> list[str]:
    return claims.expire_due(home.engine, now, SIGNER)


def decide(home: Home, claim: str, accept: bool) -> str:
    return claims.decide(home.engine, claim, accept=accept, why={}, **BY).state


NOTICE = {
    "works": "Zibble", "location": "here", "contact": "a@b.example", "good_faith": "yes", "accuracy": "yes",
    "authority": "yes", "reasons": "copied", "name": "Ann", "email": "a@b.example",
}  # fmt: skip


def notice(home: Home, by: str, kind: str, release: str, **how: Any) -> Any:
    needed = {name: NOTICE[name] for name in statements.NEEDED[kind] if name != "signature"}
    told = Filing(by=by, kind=kind, statements=needed, signature="Ann")
    return claims.notify(home.engine, told, release_id=release, **how, **BY)


def out(home: Home, release: str) -> bool:
    found = releases.get(home.engine, release)
    assert found is not None
    return found.state is ReleaseState.RELEASED


def test_a_takedown_notice_acts_at_once_and_silence_accepts_it(home: Home) -> None:
    someone, release = party(home, "Someone", "person"), home.release().id
    made = notice(home, someone.id, "takedown48", release)
    assert (made.state, made.due_at, out(home, release)) == ("provisional", "2026-02-02T12:00:00Z", False)
    assert expire(home, "2026-02-02T11:59:59Z") == []
    assert expire(home, "2026-02-02T12:00:00.5Z") == [made.id]
    assert (state(home, made.id), out(home, release)) == ("active", False)


def settled(home: Home) -> list[str]:
    return grounds.settle(home.engine, Judging, **BY)


def test_a_rejected_notice_gives_the_clip_back_unless_something_else_holds_it(home: Home) -> None:
    someone, release = party(home, "Someone", "person"), home.release().id
    made = notice(home, someone.id, "takedown48", release)
    assert settled(home) == []  # it still counts
    assert decide(home, made.id, False) == "rejected"
    assert settled(home) == [release]
    assert out(home, release)
    releases.withdraw(home.engine, release, why={"by": "retroscan"}, **BY)
    again = notice(home, someone.id, "takedown48", release)
    decide(home, again.id, False)
    assert (settled(home), out(home, release)) == ([], False)


@pytest.mark.parametrize("accept", [False, True])
def test_what_was_made_from_a_taken_down_clip_follows_it(home: Home, accept: bool) -> None:
    someone, root = party(home, "Someone", "person"), home.release("root")
    parent = Parent(release=root.id, relation="guard", evidence="credential")
    made = home.release("made", parents=(parent,))
    told = notice(home, someone.id, "takedown48", root.id)
    with read(home.engine) as conn:
        assert [(case.kind, case.release_id) for case in cases.page(conn)] == [("derivative", made.id)]
    assert [out(home, one.id) for one in (root, made)] == [False, False]
    decide(home, told.id, accept)
    assert settled(home) == ([] if accept else [root.id])
    assert [out(home, one.id) for one in (root, made)] == [not accept] * 2
    with read(home.engine) as conn:
        assert [case.release_id for case in cases.page(conn)] == ([made.id] if accept else [])


def test_a_wish_that_forbids_the_clip_meanwhile_keeps_it_away(home: Home) -> None:
    someone, release = party(home, "Someone", "person"), home.release().id
    told = notice(home, someone.id, "takedown48", release)
    wish = home.opt_out("Zibble").subject
    reason = Reason(code="name_match", check="names", detail="Zibble.", evidence={"subject": wish})
    decide(home, told.id, False)
    asked = Judging(Judgement(verdict="block", reasons=(reason,)))
    assert grounds.settle(home.engine, lambda: asked, **BY) == []
    with read(home.engine) as conn:
        assert [(one.cause, one.about) for one in recalls.standing(conn, release)] == [("wish", wish)]
    assert (settled(home), out(home, release)) == ([], False)
    optouts.withdraw(home.engine, wish, why={}, **BY)
    assert (settled(home), out(home, release)) == ([release], True)


def test_other_notices_wait_for_a_decision(home: Home) -> None:
    someone, studio = party(home, "Someone"), party(home, "Studio", level="trusted")
    one, two = home.release("a").id, home.release("b").id
    slow, known = notice(home, someone.id, "dsa16", one), notice(home, studio.id, "notice_512", two)
    assert (out(home, one), out(home, two)) == (True, True)
    expire(home)
    assert (state(home, slow.id), state(home, known.id)) == ("expired", "active")
    assert (out(home, one), out(home, two)) == (True, False)


def test_fake_notices_do_not_shut_the_service(home: Home) -> None:
    fake = party(home, "Fake")
    shown = [home.release(str(n)).id for n in range(3)]
    made = [notice(home, fake.id, "takedown48", one, terms=Terms(cap=2)) for one in shown]
    assert [one.state for one in made] == ["provisional", "provisional", "draft"]
    assert [out(home, one) for one in shown] == [False, False, True]
    assert decide(home, made[2].id, True) == "active"
    assert not out(home, shown[2])


def test_a_notice_names_what_it_lacks(home: Home) -> None:
    someone, release = party(home, "Someone"), home.release().id
    for kind in claims.NOTICES:
        with pytest.raises(ClaimInvalid) as refused:
            claims.notify(home.engine, Filing(by=someone.id, kind=kind), release_id=release, **BY)
        assert all(f"{name} (" in str(refused.value) for name in statements.NEEDED[kind])
    with pytest.raises(ClaimInvalid):
        claims.notify(home.engine, filing(someone), release_id=release, **BY)
    with pytest.raises(NotFound):
        notice(home, someone.id, "dsa16", "nothing")
