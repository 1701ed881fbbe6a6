"""A portfolio speaks for all subjects of its owner, now and later; whoever follows the log learns of it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from party_builders import BY, delegate, party, said
from registry_builders import SIGNER, Home, vector

from registry import changes, claims, log, optouts, rules
from registry.db import read
from registry.drafts import MODES
from registry.errors import ActRefused, NotFound
from registry.subject_types import SubjectRecord
from registry.view import View

ALL: dict[str, Any] = {"kind": "portfolio", "owner": "Studio"}


def record(home: Home, subject: str) -> SubjectRecord:
    found = optouts.get(home.engine, subject)
    assert found is not None
    return found


def test_what_is_registered_before_and_after_is_covered(home: Home) -> None:
    before = home.opt_out("Before", owner="Studio", mode="allow").subject
    other = home.opt_out("Other", owner="Another", mode="allow").subject
    whole = home.opt_out("All of Studio", **ALL).subject
    after = home.opt_out("After", owner="Studio", mode="ask").subject
    agency = party(home, "Agency", "agency", level="trusted")
    delegate(home, _named(home, "Studio"), agency)
    later = said(home, agency, "Later", owner="Studio", mode="allow").subject
    assert [record(home, one).mode for one in (before, after, later, other)] == ["block"] * 3 + ["allow"]
    assert record(home, before).portfolios == (whole,)
    assert (record(home, whole).portfolios, record(home, other).portfolios) == ((), ())
    rule = rules.set_rule(home.engine, whole, "review", account="a", **BY)
    assert [one.id for one in record(home, later).inherited] == [rule.id]
    assert record(home, whole).inherited == ()
    optouts.withdraw(home.engine, whole, why={}, **BY)
    assert [record(home, one).mode for one in (before, after, later)] == ["allow", "ask", "allow"]
    assert record(home, later).inherited == ()


def _named(home: Home, name: str) -> Any:
    from registry import parties

    return parties.find(home.engine, name)


@pytest.mark.parametrize("own", MODES)
@pytest.mark.parametrize("whole", MODES)
def test_the_stricter_mode_counts(home: Home, own: str, whole: str) -> None:
    home.opt_out("All of Studio", **ALL | {"mode": whole})
    subject = home.opt_out("One", owner="Studio", mode=own).subject
    assert record(home, subject).mode == min(own, whole, key=MODES.index)


def test_a_view_learns_of_a_portfolio_without_a_change_of_its_members(home: Home) -> None:
    subject = home.opt_out("One", owner="Studio", mode="allow", vectors=(vector(),)).subject
    view = View(home.engine)
    assert view.current().subjects[subject].mode == "allow"
    whole = home.opt_out("All of Studio", **ALL).subject
    assert view.current().subjects[subject].mode == "block"
    rules.set_rule(home.engine, whole, "review", **BY)
    assert [one.effect for one in view.current().subjects[subject].inherited] == ["review"]
    with read(home.engine) as conn:
        [found] = view.current().search("space", ["description"], vectors_of(vector()), 5)
        assert [match.subject for match in found] == [subject]
        assert record(home, subject).seq < log.registry_seq(conn)
    optouts.withdraw(home.engine, whole, why={}, **BY)
    assert view.current().subjects[subject].mode == "allow"


def vectors_of(made: Any) -> Any:
    import numpy as np

    return np.frombuffer(made.vector, "<f2").astype(np.float32)[None]


def test_the_retro_scan_is_told_of_all_members_and_the_fence_only_of_the_portfolio(home: Home) -> None:
    ones = {home.opt_out(f"S{n}", owner="Studio").subject for n in range(3)}
    home.opt_out("Other", owner="Another")
    with read(home.engine) as conn:
        at = log.head(conn)
    whole = home.opt_out("All of Studio", **ALL).subject
    rules.set_rule(home.engine, whole, "block", **BY)
    with read(home.engine) as conn:
        found = changes.load(conn, at, log.head(conn))
        assert [change.subject.id for change in found if change.subject] == [whole, whole]
        assert changes.concerned(conn, found) == {*ones, whole}
        assert changes.concerned(conn, found[:0]) == set()


def test_a_provisional_portfolio_covers_and_a_disputed_one_asks(home: Home) -> None:
    someone = party(home, "Studio")
    whole = said(home, someone, "All of Studio", draft_kind="portfolio")
    subject = said(home, someone, "One", mode="allow").subject
    rules.set_rule(home.engine, whole.subject, "block", account="a", **BY)
    assert (whole.standing, record(home, subject).mode) == ("provisional", "block")
    view = View(home.engine)
    assert view.current().subjects[subject].inherited[0].effect == "block"
    claims.dispute(home.engine, whole.subject, by=None, why={}, **BY)
    for found in (record(home, subject), view.current().subjects[subject]):
        assert (found.mode, [one.effect for one in found.inherited]) == ("ask", ["review"])
    claims.decide(home.engine, whole.claim or "", accept=True, why={}, **BY)
    assert view.current().subjects[subject].mode == "block"


def test_a_licence_of_a_portfolio_that_nobody_verified_is_none(home: Home) -> None:
    someone = party(home, "Studio")
    subject = home.opt_out("One", owner="Studio").subject  # the operator's word
    whole = said(home, someone, "All of Studio", draft_kind="portfolio")
    rules.grant_licence(home.engine, whole.subject, "a", by=someone.id, **BY)
    assert [one.licence for one in record(home, subject).inherited] == [False]
    claims.decide(home.engine, whole.claim or "", accept=True, why={}, **BY)
    assert [one.licence for one in record(home, subject).inherited] == [True]
    claims.dispute(home.engine, whole.subject, by=None, why={}, **BY)
    assert [one.licence for one in record(home, subject).inherited] == [False]


def test_rules_are_set_by_who_may(home: Home) -> None:
    someone, agency = party(home, "Studio"), party(home, "Agency", "agency")
    subject = said(home, someone).subject
    with pytest.raises(ActRefused):
        rules.set_rule(home.engine, subject, "block", by=agency.id, **BY)
    delegate(home, someone, agency, acts=("rules",))
    made = rules.set_rule(home.engine, subject, "block", by=agency.id, **BY)
    licence = rules.grant_licence(home.engine, subject, "a", by=agency.id, **BY)
    [said_so] = [one for one in claims.list_claims(home.engine) if one.kind == "licence_grant"]
    assert (said_so.by, said_so.party, said_so.subject, len(said_so.path)) == (
        agency.id, someone.id, subject, 1,
    )  # fmt: skip
    with pytest.raises(ActRefused):
        rules.revoke_licence(home.engine, licence.id, by=party(home, "O").id, **BY)
    rules.revoke_licence(home.engine, licence.id, by=someone.id, **BY)
    rules.unset_rule(home.engine, made.id, by=agency.id, **BY)
    with pytest.raises(NotFound):
        rules.set_rule(home.engine, "nothing", "block", by=agency.id, **BY)


ACTS = st.tuples(
    st.sampled_from(["add", "portfolio", "rule", "withdraw", "unportfolio", "dispute", "say", "expire"]),
    st.integers(0, 1), st.sampled_from(MODES),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTS, max_size=12))
def test_who_follows_in_steps_knows_what_who_reads_all_knows(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, str]]
) -> None:
    with Home(tmp_path_factory.mktemp("property")) as home:
        view = View(home.engine)
        owners = [party(home, "P0"), party(home, "P1")]
        for act, number, mode in acts:
            _do(home, owners[number], act, mode)
            followed = view.current()
            fresh = View(home.engine).current()
            assert dict(followed.subjects) == dict(fresh.subjects)


def _do(home: Home, owner: Any, act: str, mode: str) -> None:
    listed = optouts.list_subjects(home.engine, owner=owner.name, state="active")
    whole = [one.id for one in listed if one.kind == "portfolio"]
    ones = [one.id for one in listed if one.kind != "portfolio"]
    if act == "add":
        home.opt_out("One", owner=owner.name, mode=mode, vectors=(vector(),))
    elif act == "portfolio":
        home.opt_out("All", owner=owner.name, kind="portfolio", mode=mode)
    elif act == "say" and not listed:
        said(home, owner, "All", draft_kind="portfolio", mode=mode)
    elif act == "expire":
        claims.expire_due(home.engine, "2026-03-01T00:00:00Z", SIGNER)
    elif act == "rule" and whole:
        rules.set_rule(home.engine, whole[0], "block", **BY)
    elif act == "dispute" and whole and optouts.get(home.engine, whole[0]).standing != "disputed":  # type: ignore[union-attr]
        claims.dispute(home.engine, whole[0], by=None, why={}, **BY)
    elif act in ("withdraw", "unportfolio"):
        for one in (ones if act == "withdraw" else whole)[:1]:
            optouts.withdraw(home.engine, one, why={}, **BY)
