"""Claims: provisional at once, a clock, a cap, disputes, decisions; what ends takes its subject along."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from party_builders import BY, delegate, filing, party, said
from registry_builders import SIGNER, Home, draft, picture, vector

from registry import changes, claim_log, claims, log, optouts, parties, statements
from registry.db import read
from registry.errors import ActRefused, ClaimInvalid, NotFound, OptOutInvalid
from registry.migrations import r0005_triggers
from registry.party_types import CLAIM_KINDS, Estate, Filing, Terms
from registry.subject_types import NameDraft, SubjectRecord

LATER = "2026-02-14T12:00:00Z"
JUST_BEFORE = "2026-02-14T11:59:59.999999Z"
CAP: dict[str, Any] = {"terms": Terms(cap=2)}


def record(home: Home, subject: str) -> SubjectRecord:
    found = optouts.get(home.engine, subject)
    assert found is not None
    return found


def state(home: Home, claim: str | None) -> str:
    return claims.get(home.engine, claim or "").state


def expire(home: Home, now: str = LATER) -> list[str]:
    return claims.expire_due(home.engine, now, SIGNER)


def decide(home: Home, claim: str | None, accept: bool) -> str:
    return claims.decide(home.engine, claim or "", accept=accept, why={}, **BY).state


def test_the_states_of_the_code_are_those_of_the_database() -> None:
    assert claim_log.TRANSITIONS == r0005_triggers.TRANSITIONS
    assert set(statements.NEEDED) == set(CLAIM_KINDS)


def test_an_unverified_party_blocks_at_once_until_its_clock_ends(home: Home) -> None:
    someone = party(home, "Someone")
    made = said(home, someone)
    assert (made.standing, made.due_at, made.new) == ("provisional", LATER, True)
    before = record(home, made.subject)
    assert (before.state, before.standing, len(before.names), before.claim) == (
        "active", "provisional", 1, made.claim,
    )  # fmt: skip
    assert expire(home, JUST_BEFORE) == []
    assert expire(home) == [made.claim]
    assert expire(home) == []
    after = record(home, made.subject)
    assert (after.state, after.names, state(home, made.claim)) == ("withdrawn", (), "expired")
    assert after.seq > before.seq
    again = said(home, someone)
    assert (again.subject, again.new, again.claim != made.claim) == (made.subject, True, True)
    assert record(home, made.subject).standing == "provisional"


def test_a_verified_party_and_the_operator_are_in_force_at_once(home: Home) -> None:
    studio = party(home, "Studio", level="domain")
    made = said(home, studio)
    assert (made.standing, made.due_at, state(home, made.claim)) == ("active", None, "active")
    assert home.opt_out("Zabble").claim is None
    with read(home.engine) as conn:
        assert parties.named(conn, "acme").level == "trusted"
    assert expire(home) == []


def test_verifying_a_party_makes_everything_it_said_stand(home: Home) -> None:
    someone = party(home, "Someone")
    made = [said(home, someone, f"Hero {n}", **CAP) for n in range(4)]
    assert [one.standing for one in made] == ["provisional", "provisional", "draft", "draft"]
    assert [one.subject != "" for one in made] == [True, True, False, False]
    done = claims.verify(home.engine, someone.id, "document", why={"seen": "passport"}, **BY)
    assert set(done) == {one.claim for one in made}
    found = {one.name: one for one in optouts.list_subjects(home.engine)}
    assert set(found) == {f"Hero {n}" for n in range(4)}
    assert {one.standing for one in found.values()} == {"active"}
    assert {claims.get(home.engine, one.claim or "").subject for one in made} == {
        one.id for one in found.values()
    }
    assert expire(home) == []
    assert said(home, someone, "Hero 9").standing == "active"


def test_what_waits_is_kept_whole_and_once(home: Home) -> None:
    someone = party(home, "Someone")
    for n in range(2):
        said(home, someone, f"Hero {n}", **CAP)
    shown = {
        "references": (picture(1),), "vectors": (vector(kind="picture", reference=picture(1).sha256),),
        "names": (NameDraft(text="Up", tier="context", context=("balloon",)),), "attributes": ("red", "blue"),
        "description": "A fox.", "mode": "ask", "work": "The Film",
    }  # fmt: skip
    waiting = said(home, someone, "Whole", **shown, **CAP)
    again = said(home, someone, "Whole", **shown, **CAP)
    assert (waiting.standing, waiting.new, again.claim, again.new) == ("draft", True, waiting.claim, False)
    assert decide(home, waiting.claim, True) == "active"
    subject = claims.get(home.engine, waiting.claim or "").subject
    found = record(home, subject or "")
    assert (found.name, found.mode, found.attributes, found.standing) == (
        "Whole", "ask", ("red", "blue"), "active",
    )  # fmt: skip
    assert ([n.context for n in found.names], len(found.vectors)) == ([("balloon",)], 1)
    assert record(home, subject or "").work == parties.works(home.engine, someone.id)[0][0]


def test_a_draft_does_not_settle_a_dispute(home: Home) -> None:
    someone = party(home, "Someone")
    other = said(home, someone, "Hero", terms=Terms(cap=1))
    draft_ = said(home, someone, "Zibble", terms=Terms(cap=1))
    claims.withdraw(home.engine, other.claim or "", by=someone.id, why={}, **BY)
    made = said(home, someone, "Zibble", terms=Terms(cap=1))
    claims.dispute(home.engine, made.claim or "", by=None, why={}, **BY)
    assert claims.verify(home.engine, someone.id, "domain", why={}, **BY) == [draft_.claim]
    assert (record(home, made.subject).standing, record(home, made.subject).claim) == ("disputed", made.claim)
    assert decide(home, made.claim, False) == "rejected"
    assert (record(home, made.subject).state, state(home, draft_.claim)) == ("withdrawn", "withdrawn")


def test_a_draft_is_not_in_force_and_expires_too(home: Home) -> None:
    someone = party(home, "Someone")
    made = [said(home, someone, f"Hero {n}", **CAP) for n in range(3)]
    assert {one.name for one in optouts.list_subjects(home.engine)} == {"Hero 0", "Hero 1"}
    with read(home.engine) as conn:
        found = changes.load(conn, 0, log.head(conn))
    assert [c.subject.name if c.subject else None for c in found] == [
        "Hero 0", "Hero 0", "Hero 1", "Hero 1", None,
    ]  # fmt: skip
    home.release()
    assert set(expire(home)) == {one.claim for one in made}
    with pytest.raises(ClaimInvalid):
        decide(home, made[2].claim, True)


def test_the_cap_counts_whoever_speaks_and_for_whom(home: Home) -> None:
    owner, agents = party(home, "Owner"), [party(home, f"Agent {n}", "agency") for n in range(3)]
    for agent in agents:
        delegate(home, owner, agent)
    got = [said(home, agent, f"Hero {n}", owner="Owner", **CAP).standing for n, agent in enumerate(agents)]
    assert got == ["provisional", "provisional", "draft"]
    others = [party(home, f"Other {n}") for n in range(3)]
    for other in others:
        delegate(home, other, agents[2])
    got = [said(home, agents[2], "Hero", owner=other.name, **CAP).standing for other in others]
    assert got == ["provisional", "provisional", "draft"]


def test_a_persons_likeness_blocks_whatever_the_cap(home: Home) -> None:
    someone = party(home, "Someone")
    for n in range(2):
        said(home, someone, f"Hero {n}", **CAP)
    for n in range(3):
        made = said(home, someone, f"Jane Doe {n}", kind="likeness", **CAP | {"draft_kind": "person"})
        assert made.standing == "provisional"
    assert said(home, someone, "Hero 9", **CAP).standing == "draft"
    with pytest.raises(ClaimInvalid, match="A likeness is a person's"):
        said(home, someone, "Hero", kind="likeness")


def test_a_verified_representative_stands_for_an_unverified_owner(home: Home) -> None:
    owner, agency = party(home, "Owner"), party(home, "Agency", "agency", level="document")
    delegate(home, owner, agency)
    assert said(home, agency, owner="Owner").standing == "active"
    assert said(home, owner, "Zabble").standing == "provisional"


def test_an_unverified_party_does_not_widen_what_was_accepted(home: Home) -> None:
    someone = party(home, "Someone")
    made = said(home, someone)
    more = said(home, someone, names=(NameDraft(text="Zib"),))  # the same clock
    assert (more.subject, more.claim, more.standing) == (made.subject, made.claim, "provisional")
    assert decide(home, made.claim, True) == "active"
    with pytest.raises(ActRefused, match="have the party verified first"):
        said(home, someone, names=(NameDraft(text="the"),))
    assert said(home, someone).new is False  # says nothing new
    home.opt_out("Zabble", owner="Someone")
    with pytest.raises(ActRefused):
        said(home, someone, "Zabble", description="red", mode="ask")
    claims.verify(home.engine, someone.id, "domain", why={}, **BY)
    assert said(home, someone, names=(NameDraft(text="Zob"),)).standing == "active"


def test_the_operators_word_makes_a_provisional_opt_out_stand(home: Home) -> None:
    someone = party(home, "Someone")
    made = said(home, someone)
    again = home.opt_out(owner="Someone")
    assert (again.new, again.standing, state(home, made.claim)) == (True, "active", "active")
    assert record(home, made.subject).standing == "active"
    assert home.opt_out(owner="Someone").new is False


def test_the_operators_word_after_an_expired_claim(home: Home) -> None:
    made = said(home, party(home, "Someone"))
    expire(home)
    home.opt_out(owner="Someone")
    assert (record(home, made.subject).standing, record(home, made.subject).state) == ("active", "active")
    assert home.opt_out(owner="Someone").standing == "active"
    optouts.withdraw(home.engine, made.subject, why={}, **BY)
    assert state(home, made.claim) == "expired"


def test_a_fake_claim_is_disputed_and_rejected(home: Home) -> None:
    fake, studio = party(home, "Fake"), party(home, "Studio", level="trusted")
    made = said(home, fake)
    with pytest.raises(ActRefused):
        claims.dispute(home.engine, made.subject, by=fake.id, why={}, **BY)
    disputed = claims.dispute(home.engine, made.subject, by=studio.id, why={"says": "ours"}, **BY)
    assert (disputed.state, disputed.disputed_by, disputed.id) == ("disputed", studio.id, made.claim)
    found = record(home, made.subject)
    assert (found.state, found.standing, found.seq) == ("active", "disputed", disputed.seq)
    with pytest.raises(ActRefused):
        said(home, fake, names=(NameDraft(text="more"),))
    assert expire(home) == []  # a person decides
    assert decide(home, made.claim, False) == "rejected"
    found = record(home, made.subject)
    assert (found.state, found.names) == ("withdrawn", ())
    for act in (lambda: decide(home, made.claim, True), lambda: decide(home, made.claim, False)):
        with pytest.raises(ClaimInvalid, match="is rejected; it cannot become"):
            act()
    with pytest.raises(ClaimInvalid):
        claims.dispute(home.engine, made.subject, by=studio.id, why={}, **BY)


def test_the_operators_word_can_be_disputed_and_upheld(home: Home) -> None:
    made, studio = home.opt_out(), party(home, "Studio")
    claim = claims.dispute(home.engine, made.subject, by=None, why={}, **BY)
    assert (claim.by, claim.state, record(home, made.subject).standing) == (None, "disputed", "disputed")
    assert decide(home, claim.id, True) == "active"
    assert record(home, made.subject).standing == "active"
    agency = party(home, "Agency", "agency")
    with pytest.raises(ActRefused):
        claims.dispute(home.engine, claim.id, by=agency.id, owner=studio.id, why={}, **BY)
    delegate(home, studio, agency, acts=("dispute",))
    again = claims.dispute(home.engine, claim.id, by=agency.id, owner=studio.id, why={}, **BY)
    assert (again.id, again.disputed_by) == (claim.id, studio.id)


def test_withdrawing_ends_the_claim_and_is_itself_one(home: Home) -> None:
    someone, other = party(home, "Someone"), party(home, "Other")
    made = said(home, someone)
    with pytest.raises(ActRefused):
        optouts.withdraw(home.engine, made.subject, why={}, filing=Filing(by=other.id, kind="withdraw"), **BY)
    mine = Filing(by=someone.id, kind="withdraw")
    assert optouts.withdraw(home.engine, made.subject, why={}, filing=mine, **BY).new
    found = claims.list_claims(home.engine, party_id=someone.id)
    assert [(one.kind, one.state, one.subject) for one in sorted(found, key=lambda one: one.seq)] == [
        ("opt_out", "withdrawn", made.subject), ("withdraw", "active", made.subject),
    ]  # fmt: skip
    assert not optouts.withdraw(home.engine, made.subject, why={}, filing=mine, **BY).new


def test_a_claim_is_taken_back(home: Home) -> None:
    someone = party(home, "Someone")
    made = said(home, someone)
    with pytest.raises(ActRefused):
        claims.withdraw(home.engine, made.claim or "", by=party(home, "O").id, why={}, **BY)
    gone = claims.withdraw(home.engine, made.claim or "", by=someone.id, why={}, **BY)
    assert (gone.state, record(home, made.subject).state) == ("withdrawn", "withdrawn")


@pytest.mark.parametrize("kind", ["opt_out", "likeness"])
def test_what_is_missing_is_named(home: Home, kind: str) -> None:
    someone = party(home, "Someone")
    given_ = draft("Jane", owner="Someone", kind="person")
    with pytest.raises(ClaimInvalid, match=r"authority .*; good_faith"):
        optouts.add(home.engine, given_, filing=Filing(by=someone.id, kind=kind), **BY)
    bad = Filing(by=someone.id, kind=kind, statements={"faith": "yes"})
    with pytest.raises(ClaimInvalid, match="'faith' is no statement"):
        optouts.add(home.engine, given_, filing=bad, **BY)
    with pytest.raises(ClaimInvalid, match="claimed as opt_out or likeness"):
        optouts.add(home.engine, given_, filing=Filing(by=someone.id, kind="dsa16"), **BY)
    assert optouts.list_subjects(home.engine) == []


def test_one_bad_draft_of_many_stops_all_and_is_named(home: Home) -> None:
    someone, studio = party(home, "Someone"), party(home, "Studio")
    drafts = [draft("A", owner="Someone"), draft("B", owner="Studio")]
    with pytest.raises(ActRefused) as refused:
        optouts.add_many(home.engine, drafts, filing=filing(someone), **BY)
    assert refused.value.index == 1
    with pytest.raises(NotFound):
        said(home, studio, owner="Nobody")
    with pytest.raises(OptOutInvalid):
        said(home, studio, names=())
    assert optouts.list_subjects(home.engine) == []


def test_an_estate_speaks_for_the_dead(home: Home) -> None:
    of = Estate(deceased="Jane Doe", died_on="2001-09-10")
    estate, heir = party(home, "Estate of Jane Doe", "estate", of=of), party(home, "An Heir", "person")
    stranger = party(home, "Stranger", "person", level="trusted")
    dead: dict[str, Any] = {"draft_kind": "person", "kind": "likeness"}
    made = said(home, estate, "Jane Doe", **dead)
    found = record(home, made.subject)
    assert (found.died_on, found.owner, found.standing, found.mode) == (
        "2001-09-10", "Estate of Jane Doe", "provisional", "block",
    )  # fmt: skip
    with pytest.raises(ActRefused, match="Only an estate or heir"):
        said(home, stranger, "Jane Doe", died_on="2001-09-10", **dead)
    with pytest.raises(ActRefused):
        said(home, estate, "Somebody Else", died_on="2001-09-10", **dead)
    with pytest.raises(ActRefused):
        said(home, estate, "Jane Doe", died_on="2001-09-11", **dead)
    with pytest.raises(ActRefused):
        said(home, heir, "Jane Doe", owner="Estate of Jane Doe", names=(NameDraft(text="J. D."),), **dead)
    delegate(home, estate, heir)
    more = said(home, heir, "Jane Doe", owner="Estate of Jane Doe", names=(NameDraft(text="J. D."),), **dead)
    assert more.subject == made.subject


ACTS = st.tuples(
    st.sampled_from(
        ["say", "extend", "verify", "accept", "reject", "dispute", "withdraw", "operator", "expire", "back"]
    ),
    st.integers(0, 1), st.integers(0, 3),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTS, max_size=14))
def test_a_subject_is_in_force_exactly_while_somebody_stands_behind_it(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int]]
) -> None:
    with Home(tmp_path_factory.mktemp("property")) as home:
        who = [party(home, "P0"), party(home, "P1", level="domain")]
        for act, number, what in acts:
            try:
                _do(home, who[number], act, what)
            except (ClaimInvalid, ActRefused):
                continue
        with read(home.engine) as conn:
            everybody = list(optouts.records(conn))
            assert log.audit(conn)
            for found in everybody:
                claim = claim_log.get(conn, found.claim) if found.claim else None
                if claim is not None and claim.state in ("provisional", "active", "disputed"):
                    assert (found.state, found.standing) == ("active", claim.state)
                elif claim is not None and found.state == "active":
                    assert found.standing == "active"  # the operator's word came after it
                if claim is not None and found.state == "withdrawn":
                    assert claim.state in ("rejected", "withdrawn", "expired")
            provisional = [
                one for one in everybody if one.standing == "provisional" and one.state == "active"
            ]
            assert len(provisional) <= 2


def _do(home: Home, who: Any, act: str, what: int) -> None:
    listed = claims.list_claims(home.engine)
    mine = [one for one in listed if one.party == who.id]
    claim = mine[what % len(mine)] if mine else None
    if act in ("say", "extend"):
        names = (NameDraft(text=f"name {what if act == 'extend' else 0}"),)
        said(home, who, f"S{what}", names=names, **CAP)
    elif act == "operator":
        home.opt_out(f"S{what}", owner=who.name)
    elif act == "expire":
        expire(home)
    elif act == "verify":
        claims.verify(home.engine, who.id, "domain" if what else "claimed", why={}, **BY)
    elif claim is None:
        return
    elif act in ("accept", "reject"):
        decide(home, claim.id, act == "accept")
    elif act == "dispute":
        claims.dispute(home.engine, claim.id, by=None, why={}, **BY)
    elif act == "back":
        claims.withdraw(home.engine, claim.id, by=who.id, why={}, **BY)
    elif claim.subject:
        optouts.withdraw(home.engine, claim.subject, why={}, filing=Filing(by=who.id, kind="withdraw"), **BY)
