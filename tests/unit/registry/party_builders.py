"""Parties and what they say, for tests."""

from typing import Any

from registry_builders import NOW, SIGNER, Home, draft

from registry import delegations, optouts, parties
from registry.party_types import Delegation, Filing, Party
from registry.types import OptOut

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
STATED = {"authority": "yes", "good_faith": "yes"}


def party(home: Home, name: str, kind: str = "company", **how: Any) -> Party:
    return parties.add(home.engine, name, kind, **how, **BY)


def delegate(home: Home, giver: Party, to: Party, **how: Any) -> Delegation:
    return delegations.grant(home.engine, giver.id, to.id, **how, **BY)


def filing(by: Party, kind: str = "opt_out") -> Filing:
    return Filing(by=by.id, kind=kind, statements=STATED, signature=by.name)


def said(home: Home, by: Party, title: str = "Zibble", *, kind: str = "opt_out", **changes: Any) -> OptOut:
    """What a party says, for itself unless `owner` is told."""
    now, terms = changes.pop("now", NOW), changes.pop("terms", None)
    if "draft_kind" in changes:
        changes["kind"] = changes.pop("draft_kind")
    given = draft(title, **{"owner": by.name} | changes)
    extra = {} if terms is None else {"terms": terms}
    return optouts.add(home.engine, given, filing=filing(by, kind), now=now, sign_checkpoint=SIGNER, **extra)
