"""What parties that nobody verified may do, and what becomes of what they said."""

from typing import Any

import pytest
from party_builders import BY, delegate, party, said
from registry_builders import SIGNER, Home

from registry import claims, delegations, optouts
from registry.errors import ActRefused
from registry.party_types import Terms

LATER = "2026-02-14T12:00:00Z"
CAP: dict[str, Any] = {"terms": Terms(cap=2)}


def state(home: Home, claim: str | None) -> str:
    return claims.get(home.engine, claim or "").state


def test_a_party_that_nobody_verified_has_so_many_disputes_open(home: Home) -> None:
    someone, studio = party(home, "Someone"), party(home, "Studio")
    made = [home.opt_out(f"Hero {n}").subject for n in range(4)]
    first, *_ = [claims.dispute(home.engine, one, by=someone.id, why={}, **CAP, **BY) for one in made[:2]]
    with pytest.raises(ActRefused, match="2 disputes of this party wait"):
        claims.dispute(home.engine, made[2], by=someone.id, why={}, **CAP, **BY)
    untouched = optouts.get(home.engine, made[2])
    assert untouched is not None
    assert untouched.standing == "active"
    claims.dispute(home.engine, made[3], by=studio.id, why={}, **CAP, **BY)  # each for itself
    claims.decide(home.engine, first.id, accept=True, why={}, **BY)
    claims.dispute(home.engine, made[2], by=someone.id, why={}, **CAP, **BY)
    claims.verify(home.engine, someone.id, "domain", why={}, **BY)
    claims.dispute(home.engine, first.id, by=someone.id, why={}, **CAP, **BY)  # a third
    claims.dispute(home.engine, home.opt_out("Hero 9").subject, by=None, why={}, **CAP, **BY)


@pytest.mark.parametrize("verified", ["agency", "owner"])
def test_what_a_revoked_agency_said_becomes_active_for_nobodys_being_verified(
    home: Home, verified: str
) -> None:
    owner, agency = party(home, "Owner"), party(home, "Agency", "agency")
    given_ = delegate(home, owner, agency)
    made, own = said(home, agency, owner="Owner"), said(home, owner, "Zabble")
    assert (made.standing, own.standing) == ("provisional", "provisional")
    delegations.revoke(home.engine, given_.id, **BY)
    who = agency if verified == "agency" else owner
    done = claims.verify(home.engine, who.id, "document", why={}, **BY)
    assert done == ([] if verified == "agency" else [own.claim])
    assert state(home, made.claim) == "provisional"  # until it is decided, or its clock ends
    assert made.claim in claims.expire_due(home.engine, LATER, SIGNER)
    assert state(home, made.claim) == "expired"
