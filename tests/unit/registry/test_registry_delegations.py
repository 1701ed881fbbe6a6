"""Who may act for whom: paths of delegations that are in force, at most three long."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from party_builders import BY, delegate, party, said
from registry_builders import NOW, Home

from registry import claims, delegations, optouts, parties
from registry.db import read
from registry.delegations import DEPTH_MAX, right
from registry.errors import ActRefused, EntryInvalid, NotFound, PartyInvalid
from registry.party_types import ACTS, Delegation, Filing, Party, Scope, Target

SOME = Target(kind="character", work="w1", subject="s1")
PARTIES = "abcdef"


def edge(giver: str, to: str, number: int = 0, **how: Any) -> Delegation:
    made = Delegation(
        id=f"{giver}{to}{number}", from_party=giver, to_party=to, scope=Scope(), acts=frozenset(ACTS),
        may_subdelegate=True, valid_from=None, valid_until=None, revoked=False,
    )  # fmt: skip
    return replace(made, **how)


def path(edges: list[Delegation], actor: str, owner: str = "a", **asked: Any) -> tuple[str, ...] | None:
    how: dict[str, Any] = {"act": "register", "target": SOME, "now": NOW} | asked
    return right(edges, owner, actor, **how)


SCOPES = st.one_of(
    st.just(Scope()),
    st.builds(Scope, of=st.just("works"), items=st.frozensets(st.sampled_from(["w1", "w2"]), min_size=1)),
    st.builds(
        Scope, of=st.just("kinds"), items=st.frozensets(st.sampled_from(["character", "logo"]), min_size=1)
    ),
    st.builds(Scope, of=st.just("subjects"), items=st.frozensets(st.sampled_from(["s1", "s2"]), min_size=1)),
)
EDGES = st.lists(
    st.builds(
        lambda pair, number, scope, acts, more, until: edge(
            pair[0], pair[1], number, scope=scope, acts=acts, may_subdelegate=more, valid_until=until
        ),
        st.tuples(st.sampled_from(PARTIES), st.sampled_from(PARTIES)).filter(lambda pair: pair[0] != pair[1]),
        st.integers(0, 10**9),
        SCOPES,
        st.frozensets(st.sampled_from(ACTS), min_size=1),
        st.booleans(),
        st.sampled_from([None, "2026-01-31T11:59:59Z", "2027-01-01T00:00:00Z"]),
    ),
    max_size=12,
    unique_by=lambda made: made.id,
)
TARGETS = st.builds(
    Target, kind=st.sampled_from(["character", "logo"]), work=st.sampled_from([None, "w1", "w2"]),
    subject=st.sampled_from([None, "s1", "s2"]),
)  # fmt: skip
ASKED = st.tuples(st.sampled_from(PARTIES), st.sampled_from(PARTIES), st.sampled_from(ACTS), TARGETS)
Asked = tuple[str, str, str, Target]


def rights(edges: list[Delegation]) -> set[Asked]:
    """Everything that anybody may do for anybody."""
    targets = [Target(kind=kind, work=work, subject=subject) for kind in ("character", "logo")
               for work in (None, "w1") for subject in (None, "s1")]  # fmt: skip
    return {
        (owner, actor, act, target) for owner in PARTIES for actor in PARTIES for act in ACTS[:2]
        for target in targets if right(edges, owner, actor, act, target, NOW) is not None
    }  # fmt: skip


@settings(max_examples=40)
@given(EDGES, st.data())
def test_revoking_never_adds_a_right(edges: list[Delegation], data: st.DataObject) -> None:
    before = rights(edges)
    gone = data.draw(st.integers(0, max(len(edges) - 1, 0)))
    revoked = [replace(one, revoked=True) if at == gone else one for at, one in enumerate(edges)]
    assert rights(revoked) <= before
    assert rights([one for at, one in enumerate(edges) if at != gone]) == rights(revoked)


@given(EDGES, ASKED)
def test_a_path_is_what_it_has_to_be(edges: list[Delegation], asked: Asked) -> None:
    """Short, connected, in force, passed on only where that is allowed; every part covers the whole act."""
    owner, actor, act, target = asked
    found = right(edges, owner, actor, act, target, NOW)
    assert (found == ()) == (owner == actor)
    if not found:
        return
    by_id = {one.id: one for one in edges}
    taken = [by_id[one] for one in found]
    assert len(taken) <= DEPTH_MAX
    assert [one.from_party for one in taken] == [owner, *(one.to_party for one in taken[:-1])]
    assert taken[-1].to_party == actor
    assert all(one.may_subdelegate for one in taken[:-1])
    assert all(act in one.acts and one.scope.covers(target) for one in taken)
    assert all(one.valid_until is None or one.valid_until > NOW for one in taken)


@given(EDGES, ASKED)
def test_what_is_passed_on_is_never_more_than_what_was_given(edges: list[Delegation], asked: Asked) -> None:
    owner, actor, act, target = asked
    found = right(edges, owner, actor, act, target, NOW)
    for length in range(1, len(found or ())):
        middle = next(one for one in edges if one.id == (found or ())[length - 1]).to_party
        assert right(edges, owner, middle, act, target, NOW) is not None


def test_depth_four_never() -> None:
    chain = [edge(a, b) for a, b in zip("abcd", "bcde", strict=True)]
    assert path(chain, "d") == ("ab0", "bc0", "cd0")
    assert path(chain, "e") is None
    assert path([*chain, edge("e", "a"), edge("b", "a")], "e") is None  # cycles help nobody
    assert path([*chain, edge("a", "c")], "e") == ("ac0", "cd0", "de0")


def test_passing_on_must_be_allowed() -> None:
    chain = [edge("a", "b", may_subdelegate=False), edge("b", "c")]
    assert (path(chain, "b"), path(chain, "c")) == (("ab0",), None)


@pytest.mark.parametrize(
    ("how", "asked", "may"),
    [
        ({"scope": Scope(of="works", items=frozenset(["w1"]))}, {}, True),
        ({"scope": Scope(of="works", items=frozenset(["w2"]))}, {}, False),
        ({"scope": Scope(of="works", items=frozenset(["w1"]))}, {"target": Target(kind="character")}, False),
        ({"scope": Scope(of="kinds", items=frozenset(["person"]))}, {}, False),
        ({"scope": Scope(of="subjects", items=frozenset(["s1"]))}, {}, True),
        ({"acts": frozenset(["rules"])}, {}, False),
        ({"acts": frozenset(["rules"])}, {"act": "rules"}, True),
        ({"valid_from": NOW}, {}, True),
        ({"valid_from": "2026-01-31T12:00:01Z"}, {}, False),
        ({"valid_until": NOW}, {}, False),
        ({"revoked": True}, {}, False),
    ],
)
def test_what_a_delegation_covers(how: dict[str, Any], asked: dict[str, Any], may: bool) -> None:
    assert (path([edge("a", "b", **how)], "b", **asked) is not None) is may


def test_an_association_acts_for_its_members_until_they_leave(home: Home) -> None:
    union = party(home, "Union of Studios", "association", level="trusted")
    members = [party(home, f"Studio {number}") for number in range(36)]
    given_ = [delegate(home, member, union, may_subdelegate=True) for member in members]
    for number, member in enumerate(members):
        assert said(home, union, f"Hero {number}", owner=member.name).standing == "active"
    stranger = party(home, "Stranger")
    with pytest.raises(ActRefused, match="Union of Studios may not register for Stranger"):
        said(home, union, "Hero", owner=stranger.name)
    made = said(home, union, "Hero of 7", owner="Studio 7")
    claim = claims.get(home.engine, made.claim or "")
    assert (claim.party, claim.by, claim.path) == (members[7].id, union.id, (given_[7].id,))
    seq = delegations.revoke(home.engine, given_[7].id, by=members[7].id, **BY)
    assert delegations.revoke(home.engine, given_[7].id, **BY) == seq
    with pytest.raises(ActRefused):
        said(home, union, "Another", owner="Studio 7")
    with pytest.raises(ActRefused):
        optouts.withdraw(home.engine, made.subject, why={}, filing=_of(union), **BY)
    kept = optouts.get(home.engine, made.subject)
    assert kept is not None
    assert (kept.state, kept.owner) == ("active", "Studio 7")  # what was said stays said
    assert optouts.withdraw(home.engine, made.subject, why={}, filing=_of(members[7]), **BY).new


def _of(by: Party) -> Filing:
    return Filing(by=by.id, kind="withdraw")


def test_a_scope_by_work_and_a_second_hand(home: Home) -> None:
    studio, agency = party(home, "Studio", level="trusted"), party(home, "Agency", "agency")
    first = said(home, studio, "Zibble", work="The First Film")
    said(home, studio, "Zabble", work="The Second Film")
    work = next(id for id, title in parties.works(home.engine, studio.id) if title == "The First Film")
    delegate(home, studio, agency, scope=Scope(of="works", items=frozenset([work])), may_subdelegate=True)
    made = said(home, agency, "Zobble", owner="Studio", work="the first  FILM")
    assert made.standing == "active"
    for how in ({"work": "The Second Film"}, {}, {"work": "A Third Film"}):
        with pytest.raises(ActRefused):
            said(home, agency, "Zubble", owner="Studio", **how)
    helper = party(home, "Helper")
    delegate(home, agency, helper, acts=("register",))
    assert said(home, helper, "Zybble", owner="Studio", work="The First Film").standing == "active"
    with pytest.raises(ActRefused):
        optouts.withdraw(home.engine, first.subject, why={}, filing=_of(helper), **BY)
    titles = [title for _, title in parties.works(home.engine, studio.id)]
    assert sorted(titles) == ["The First Film", "The Second Film"]


def test_a_scope_by_work_does_not_reach_what_is_of_another_work(home: Home) -> None:
    studio, agency = party(home, "Studio", level="trusted"), party(home, "Agency", "agency")
    said(home, studio, "Zibble", work="The First Film")
    other = said(home, studio, "Zabble", work="The Second Film")
    said(home, studio, "Zubble")
    work = next(id for id, title in parties.works(home.engine, studio.id) if title == "The First Film")
    delegate(home, studio, agency, scope=Scope(of="works", items=frozenset([work])))
    for title in ("Zabble", "Zubble"):  # naming the work does not make it that work's
        with pytest.raises(ActRefused):
            said(home, agency, title, owner="Studio", work="The First Film")
    with pytest.raises(ActRefused):
        optouts.withdraw(home.engine, other.subject, why={}, filing=_of(agency), **BY)
    with pytest.raises(ActRefused):  # it would speak for all works
        said(home, agency, "All", owner="Studio", work="The First Film", draft_kind="portfolio")
    assert said(home, agency, "Zobble", owner="Studio", work="The First Film").standing == "active"


def test_what_cannot_be_delegated(home: Home) -> None:
    a, b = party(home, "A"), party(home, "B")
    for how, error in (
        ({"acts": ()}, PartyInvalid), ({"acts": ("dance",)}, PartyInvalid),
        ({"scope": Scope(of="works")}, PartyInvalid), ({"valid_from": "yesterday"}, EntryInvalid),
        ({"scope": Scope(of="kinds", items=frozenset(["person", "persn"]))}, PartyInvalid),
        ({"valid_from": "2026-02-01T00:00:00Z", "valid_until": "2026-02-01T00:00:00Z"}, PartyInvalid),
    ):  # fmt: skip
        with pytest.raises(error):
            delegate(home, a, b, **how)
    with pytest.raises(PartyInvalid):
        delegate(home, a, a)
    with pytest.raises(NotFound):
        delegations.grant(home.engine, a.id, "nobody", **BY)
    with pytest.raises(NotFound):
        delegations.revoke(home.engine, "nothing", **BY)
    made = delegate(home, a, b)
    with pytest.raises(ActRefused):
        delegations.revoke(home.engine, made.id, by=b.id, **BY)
    assert delegations.list_delegations(home.engine, b.id) == [made]
    assert delegations.list_delegations(home.engine, party(home, "C").id) == []
    with read(home.engine) as conn:
        assert delegations.reaching(conn, b.id) == []
