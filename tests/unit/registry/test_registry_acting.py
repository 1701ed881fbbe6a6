"""Who acts on a subject for its holder: by which right, and that the log's private part says who did."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from party_builders import BY, delegate, party, said
from registry_builders import SIGNER, Home
from sqlalchemy import select
from test_registry_permissions import held, reason

from registry import claims, delegations, log, optouts, permissions, rules
from registry.db import read
from registry.errors import ActRefused
from registry.party_types import Party, Scope
from registry.permissions import Approval
from registry.subject_types import NameDraft
from registry.tables import log_private

Act = Callable[[Home, str, str | None], Any]


def set_rule(home: Home, subject: str, by: str | None) -> Any:
    return rules.set_rule(home.engine, subject, "block", account="a", by=by, **BY)


def unset_rule(home: Home, subject: str, by: str | None) -> Any:
    rule = rules.set_rule(home.engine, subject, "allow", account="a", **BY).id
    return rules.unset_rule(home.engine, rule, by=by, **BY)


def grant(home: Home, subject: str, by: str | None) -> Any:
    return rules.grant_licence(home.engine, subject, "a", by=by, **BY)


def revoke(home: Home, subject: str, by: str | None) -> Any:
    licence = rules.grant_licence(home.engine, subject, "a", **BY).id
    return rules.revoke_licence(home.engine, licence, by=by, **BY)


def approve(home: Home, subject: str, by: str | None) -> Any:
    return permissions.approve(home.engine, asked(home, subject), Approval(), by=by, **BY)


def refuse(home: Home, subject: str, by: str | None) -> Any:
    return permissions.refuse(home.engine, asked(home, subject), why="no", by=by, **BY)


def extend(home: Home, subject: str, by: str | None) -> Any:
    return optouts.extend(home.engine, subject, names=[NameDraft(text="Zib")], by=by, **BY)


def asked(home: Home, subject: str) -> str:
    known = permissions.list_permissions(home.engine)
    waiting = [one.id for one in known if one.state == "asked"]
    return waiting[0] if waiting else held(home, reason(subject), key=str(len(known)))[1][0].id


ACTS = [
    ("rules", set_rule), ("rules", unset_rule), ("rules", grant), ("rules", revoke),
    ("answer", approve), ("answer", refuse), ("register", extend),
]  # fmt: skip


def holder(home: Home) -> tuple[Party, str]:
    studio = party(home, "Studio", level="trusted")
    return studio, said(home, studio, mode="ask").subject


def actors(home: Home) -> set[str | None]:
    """Who acted, as the private parts of the last acts say."""
    with read(home.engine) as conn:
        told = [json.loads(row.private) for row in conn.execute(select(log_private))]
    return {one["by"] for one in told if one.get("by") is not None}


@pytest.mark.parametrize(("act", "doing"), ACTS)
def test_only_the_holder_and_whom_it_let_act(home: Home, act: str, doing: Act) -> None:
    studio, subject = holder(home)
    agency, stranger = party(home, "Agency", level="trusted"), party(home, "Stranger", level="trusted")
    others = sorted({"register", "rules", "answer", "withdraw", "dispute"} - {act})
    delegate(home, studio, agency, acts=others)
    delegate(home, studio, agency, acts=[act], scope=Scope(of="subjects", items=frozenset({"x" * 36})))
    for who in (agency, stranger):
        with pytest.raises(ActRefused):
            doing(home, subject, who.id)
    given = delegate(home, studio, agency, acts=[act])
    doing(home, subject, agency.id)
    assert agency.id in actors(home)
    delegations.revoke(home.engine, given.id, **BY)
    with pytest.raises(ActRefused):
        doing(home, subject, agency.id)
    with read(home.engine) as conn:
        log.audit(conn)


@pytest.mark.parametrize(("act", "doing"), ACTS)
def test_the_holder_and_the_operator_need_nobody(home: Home, act: str, doing: Act) -> None:
    studio, subject = holder(home)
    assert act
    doing(home, subject, studio.id)
    assert studio.id in actors(home)
    other = said(home, studio, "Bramble", mode="ask").subject
    if doing not in (approve, refuse):
        doing(home, other, None)


def test_what_is_refused_changes_nothing(home: Home) -> None:
    _, subject = holder(home)
    stranger = party(home, "Stranger", level="trusted")
    request = asked(home, subject)
    with read(home.engine) as conn:
        before = log.head(conn)
    for doing in (set_rule, grant, approve, refuse, extend):
        with pytest.raises(ActRefused):
            doing(home, subject, stranger.id)
    with read(home.engine) as conn:
        assert log.head(conn) == before
    assert permissions.get(home.engine, request).state == "asked"


def test_an_unverified_party_does_not_widen_what_was_accepted(home: Home) -> None:
    fan = party(home, "Fan")
    made = said(home, fan)
    assert extend(home, made.subject, fan.id).new  # as provisional as the rest of it
    assert made.claim is not None
    claims.decide(home.engine, made.claim, accept=True, why={}, now=BY["now"], sign_checkpoint=SIGNER)
    with pytest.raises(ActRefused, match="verified"):
        optouts.extend(home.engine, made.subject, names=[NameDraft(text="Zob")], by=fan.id, **BY)
