"""Claims that wait beyond a cap, and who may dispute what the operator said."""

from dataclasses import replace
from typing import Any

import pytest
from party_builders import BY, delegate, party, said
from registry_builders import NOW, Home, picture, vector

from registry import claims, delegations, log, optouts, parties, rules, spaces, tables
from registry.db import read, write
from registry.errors import ActRefused, ClaimInvalid, ConstraintBroken, SpaceInUse
from registry.party_types import Terms
from registry.subject_types import QuarantineDraft
from registry.tables_spaces import space_retired

CAP: dict[str, Any] = {"terms": Terms(cap=2)}


def test_whoever_it_stops_disputes_the_operators_word(home: Home) -> None:
    made, artist = home.opt_out(), party(home, "Artist", "person")
    claim = claims.dispute(home.engine, made.subject, by=artist.id, why={}, **BY)
    assert (claim.by, claim.state, claim.disputed_by) == (None, "disputed", artist.id)
    with read(home.engine) as conn:
        owner = parties.named(conn, "Acme")
    assert claims.decide(home.engine, claim.id, accept=True, why={}, **BY).state == "active"
    with pytest.raises(ActRefused, match="claimed themselves"):
        claims.dispute(home.engine, made.subject, by=owner.id, why={}, **BY)


def test_what_waits_does_not_come_into_force_for_whom_may_not_say_it_any_more(home: Home) -> None:
    talent, agency = party(home, "Talent", "person"), party(home, "Agency", "agency")
    given_ = delegate(home, talent, agency)
    said(home, agency, "Hero 0", owner="Talent", **CAP)
    said(home, agency, "Hero 1", owner="Talent", **CAP)
    waiting = said(home, agency, "Hero 2", owner="Talent", **CAP)
    mine = said(home, agency, "Agency's own", **CAP)
    assert (waiting.standing, mine.standing) == ("draft", "draft")
    delegations.revoke(home.engine, given_.id, by=talent.id, **BY)
    done = claims.verify(home.engine, agency.id, "document", why={}, **BY)
    assert mine.claim in done
    assert waiting.claim not in done
    assert claims.get(home.engine, waiting.claim or "").state == "draft"
    assert "Hero 2" not in {one.name for one in optouts.list_subjects(home.engine)}
    assert (
        claims.decide(home.engine, waiting.claim or "", accept=True, why={}, **BY).state == "active"
    )  # the operator knows what it does


def test_what_waits_with_doubts_comes_into_force_with_them(home: Home) -> None:
    someone = party(home, "Someone")
    for n in range(2):
        said(home, someone, f"Hero {n}", **CAP)
    doubt = QuarantineDraft(kind="name", item="Zibble", why="It matches too much.", figures={"share": 0.25})
    waiting = said(home, someone, quarantine=(doubt,), **CAP)
    assert waiting.standing == "draft"
    assert waiting.claim in claims.verify(home.engine, someone.id, "document", why={}, **BY)
    found = optouts.get(home.engine, claims.get(home.engine, waiting.claim or "").subject or "")
    assert found is not None
    assert [(one.text, one.quarantined) for one in found.names] == [("Zibble", True)]


def test_a_draft_that_cannot_come_into_force_keeps_no_other_back(home: Home) -> None:
    """Of a retired space, as one could be filed in earlier versions; or with vectors of another size."""
    someone = party(home, "Someone")
    shown = vector(kind="picture", reference=picture(1).sha256)
    everywhere = tuple(replace(shown, space=space) for space in ("space", "old", "new"))
    home.opt_out("Other", references=(picture(1),), vectors=everywhere)
    for n in range(2):
        said(home, someone, f"Hero {n}", **CAP)
    small = replace(shown, vector=bytes(6) + b"\x00\x3c", dimension=4)
    wrong = [
        said(home, someone, f"Wrong {space}", references=(picture(1),), vectors=(made,), **CAP)
        for space, made in (("size", small), ("space", replace(shown, space="old")))
    ]
    good = said(home, someone, "Good", **CAP)
    assert {one.standing for one in (*wrong, good)} == {"draft"}
    with write(home.engine) as conn:
        seq = log.append(conn, "space", {"action": "retire", "space": "old", "into": "new"}, None, NOW).seq
        conn.execute(space_retired.insert().values(space="old", into_space="new", log_seq=seq))
    done = claims.verify(home.engine, someone.id, "document", why={}, **BY)
    assert good.claim in done
    assert len(done) == 3
    assert {one.id for one in claims.list_claims(home.engine, state="draft")} == {one.claim for one in wrong}
    with read(home.engine) as conn:
        assert log.audit(conn)
    assert "Wrong size" not in {one.name for one in optouts.list_subjects(home.engine)}
    with pytest.raises(ConstraintBroken, match="retired"):
        claims.decide(home.engine, wrong[1].claim or "", accept=True, why={}, **BY)


def test_no_space_is_retired_in_which_a_draft_has_vectors(home: Home) -> None:
    someone = party(home, "Someone")
    shown = vector(kind="picture", reference=picture(1).sha256, space="old")
    both = {"references": (picture(1),), "vectors": (shown, replace(shown, space="new"))}
    home.opt_out("Other", **both)
    for n in range(2):
        said(home, someone, f"Hero {n}", **CAP)
    waiting = said(home, someone, "Waits", **both, **CAP)
    said(home, someone, "Speaks of it", description='"space":"old" and "new"', **CAP)
    with pytest.raises(SpaceInUse, match="1 claim that waits has vectors"):
        spaces.retire(home.engine, "old", into="new", **BY)
    claims.decide(home.engine, waiting.claim or "", accept=True, why={}, **BY)
    spaces.retire(home.engine, "old", into="new", **BY)
    with pytest.raises(ClaimInvalid, match="retired"):
        said(home, someone, "Late", **both, **CAP)


def test_drafts_are_not_read_to_file_another(home: Home) -> None:
    someone = party(home, "Someone")
    for n in range(2):
        said(home, someone, f"Hero {n}", **CAP)
    large = {"description": "A fox. " * 500}
    for n in range(3):
        assert said(home, someone, f"Waits {n}", **large, **CAP).standing == "draft"
    read_back: list[int] = []
    loads = tables.json.loads

    def counted(told: str) -> Any:
        read_back.append(len(told))
        return loads(told)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables.json, "loads", counted)
        assert said(home, someone, "Waits 1", **large, **CAP).new is False
        assert said(home, someone, "Waits 9", **large, **CAP).new is True
    assert max(read_back, default=0) < 1_000


def test_what_only_records_an_act_is_not_decided(home: Home) -> None:
    """A licence stays in force whatever becomes of the claim that records it; who says so is told."""
    someone = party(home, "Someone", level="document")
    made = said(home, someone)
    rules.grant_licence(home.engine, made.subject, "a", by=someone.id, **BY)
    [told] = [one for one in claims.list_claims(home.engine) if one.kind == "licence_grant"]
    for act in (
        lambda: claims.dispute(home.engine, told.id, by=None, why={}, **BY),
        lambda: claims.withdraw(home.engine, told.id, by=someone.id, why={}, **BY),
        lambda: claims.decide(home.engine, told.id, accept=False, why={}, **BY),
    ):
        with pytest.raises(ClaimInvalid, match="only records"):
            act()
    assert claims.get(home.engine, told.id).state == "active"
