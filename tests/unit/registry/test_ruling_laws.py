"""What holds for all rules: a block never opens, a rule acts by its own effect, the order is total."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_builders import NOW

from registry.errors import OptOutInvalid
from registry.ruling import Ask, Ruling, Used, ruling
from registry.subject_types import RuleRow, SubjectRecord
from registry.vocabulary import EFFECTS, Conditions, check_conditions, from_json, to_json

LATER, EARLIER = "2026-01-31T12:00:00.5Z", "2026-01-31T11:59:59.999Z"
STRICT = {"allow": 0, "review": 1, "block": 2}


def few(*words: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), max_size=2, unique=True).map(tuple)


conditions = st.builds(
    Conditions,
    accounts=few("a", "b"),
    tags=few("t", "u"),
    regions=few("DE", "EU", "US"),
    purposes=few("parody", "education", "commercial"),
    content=few("general", "political"),
    intent=st.sampled_from(["", "depict", "style"]),
    job=st.sampled_from(["", "", "j", "k"]),
    cap_account=st.sampled_from([None, 1, 2]),
    cap_all=st.sampled_from([None, 2]),
)
rows = st.builds(
    RuleRow,
    id=st.integers(0, 10**6).map(str),
    subject=st.just("s"),
    effect=st.sampled_from(EFFECTS),
    account=st.sampled_from([None, None, "a", "b"]),
    valid_from=st.sampled_from([None, None, EARLIER, NOW, LATER]),
    valid_until=st.sampled_from([None, None, EARLIER, NOW, LATER]),
    priority=st.integers(-2, 2),
    licence=st.booleans(),
    conditions=conditions,
)
sets = st.lists(rows, max_size=6, unique_by=lambda row: row.id)
used = st.dictionaries(
    st.integers(0, 10**6).map(str), st.builds(Used, account=st.integers(0, 2), everybody=st.integers(0, 3))
)
asks = st.builds(
    Ask,
    account=st.sampled_from([None, "a", "b"]),
    tags=few("t", "u").map(frozenset),
    region=st.sampled_from(["", "DE", "FR", "US"]),
    purpose=st.sampled_from(["", "unspecified", "parody", "education"]),
    content_class=st.sampled_from(["", "general", "political"]),
    intent=st.sampled_from(["depict", "style"]),
    job=st.sampled_from(["", "j"]),
)


@st.composite
def records(draw: Any) -> SubjectRecord:
    every = draw(sets)
    cut = draw(st.integers(0, len(every)))
    return SubjectRecord(
        id="s", kind=draw(st.sampled_from(["character", "person"])), name="n", owner="o", party="p",
        mode=draw(st.sampled_from(["block", "ask", "allow"])), description="", attributes=(), exclusions=(),
        names=(), vectors=(), rules=tuple(every[:cut]), state="active", seq=1,
        standing=draw(st.sampled_from(["provisional", "active", "disputed"])), inherited=tuple(every[cut:]),
    )  # fmt: skip


def asked(record: SubjectRecord, ask: Ask, counts: list[int]) -> Ask:
    """With uses of the rules that are there, so that caps are met."""
    ids = [row.id for row in (*record.rules, *record.inherited)]
    uses = {name: Used(account=n % 3, everybody=n) for name, n in zip(ids, counts, strict=False)}
    return replace(ask, uses=uses)


def added(record: SubjectRecord, row: RuleRow, own: bool) -> SubjectRecord:
    made = replace(row, id="x")
    if own:
        return replace(record, rules=(*record.rules, made))
    return replace(record, inherited=(*record.inherited, made))


counted = st.lists(st.integers(0, 3), max_size=6)


@given(records(), rows, asks, counted, st.booleans())
def test_a_block_that_is_added_never_turns_a_block_into_an_allow(
    record: SubjectRecord, row: RuleRow, ask: Ask, counts: list[int], own: bool
) -> None:
    ask = asked(record, ask, counts)
    before = ruling(record, ask, NOW)
    after = ruling(added(record, replace(row, effect="block"), own), ask, NOW)
    assert not (before.outcome == "block" and after.outcome == "allow")
    assert STRICT[after.outcome] >= min(STRICT[before.outcome], STRICT["review"])


@given(records(), rows, asks, counted, st.booleans())
def test_a_rule_that_is_added_acts_by_its_own_effect_or_not_at_all(
    record: SubjectRecord, row: RuleRow, ask: Ask, counts: list[int], own: bool
) -> None:
    ask = asked(record, ask, counts)
    before, after = ruling(record, ask, NOW), ruling(added(record, row, own), ask, NOW)
    if after.rule != "x":
        assert (after.outcome, after.rule, after.by) == (before.outcome, before.rule, before.by)
    else:
        # A dispute makes a block milder, and a licence none; parody makes an allow of a person stricter.
        softer = {("disputed", "block"): "review", ("parody", "allow"): "review"}
        assert after.outcome == softer.get((after.softened, row.effect), row.effect)
        assert not (after.softened and after.licence)
        assert before.rule is None or before.rule in {one.rule for one in after.lost}


@given(records(), asks, counted, st.randoms())
def test_the_order_of_rules_never_matters_and_the_winner_is_one(
    record: SubjectRecord, ask: Ask, counts: list[int], chance: Any
) -> None:
    ask = asked(record, ask, counts)
    found = ruling(record, ask, NOW)
    shuffled = replace(
        record, rules=tuple(chance.sample(record.rules, len(record.rules))),
        inherited=tuple(chance.sample(record.inherited, len(record.inherited))),
    )  # fmt: skip
    assert ruling(shuffled, ask, NOW) == found
    told = [*filter(None, [found.rule]), *(one.rule for one in (*found.lost, *found.not_applying))]
    assert sorted(told) == sorted(row.id for row in (*record.rules, *record.inherited))


@given(records(), asks, counted)
def test_the_winner_beats_every_loser_alone(record: SubjectRecord, ask: Ask, counts: list[int]) -> None:
    ask = asked(record, ask, counts)
    found = ruling(record, ask, NOW)
    for lost in found.lost:
        pair = {found.rule, lost.rule}
        two = replace(
            record, rules=tuple(row for row in record.rules if row.id in pair),
            inherited=tuple(row for row in record.inherited if row.id in pair),
        )  # fmt: skip
        alone = ruling(two, ask, NOW)
        assert (alone.rule, [one.rule for one in alone.lost]) == (found.rule, [lost.rule])
        assert alone.lost[0].why == lost.why != ""


@given(records(), asks, counted, st.sampled_from(["region", "purpose", "content_class"]))
def test_what_is_not_said_never_opens(record: SubjectRecord, ask: Ask, counts: list[int], what: str) -> None:
    """An allow that names what is not said does not apply; a review or block that names it does, unless it is
    milder than the mode.
    """
    ask = replace(asked(record, ask, counts), **{what: ""})
    named = {"region": "regions", "purpose": "purposes", "content_class": "content"}[what]
    found = ruling(record, ask, NOW)
    rows = {row.id: row for row in (*record.rules, *record.inherited)}
    applying = [*filter(None, [found.rule]), *(one.rule for one in found.lost)]
    for name in applying:
        assert rows[name].effect != "allow" or not getattr(rows[name].conditions, named)
    for one in found.not_applying:
        assert one.why != f"no {what.replace('content_class', 'class of content')} was said" or (
            rows[one.rule].effect == "allow" or (rows[one.rule].effect, record.mode) == ("review", "block")
        )


@given(records(), asks, counted)
def test_saying_nothing_is_no_way_around_the_mode(record: SubjectRecord, ask: Ask, counts: list[int]) -> None:
    def asking(row: RuleRow) -> bool:
        return row.effect != "allow" and bool(
            row.conditions.regions or row.conditions.purposes or row.conditions.content
        )

    strict = replace(
        record, standing="active", state="active", rules=tuple(filter(asking, record.rules)),
        inherited=tuple(filter(asking, record.inherited)),
    )  # fmt: skip
    nothing = replace(asked(record, ask, counts), region="", purpose="", content_class="")
    without = ruling(replace(strict, rules=(), inherited=()), nothing, NOW).outcome
    assert EFFECTS.index(ruling(strict, nothing, NOW).outcome) >= EFFECTS.index(without)


@given(records(), asks, counted)
def test_out_of_force_nothing_is_wished(record: SubjectRecord, ask: Ask, counts: list[int]) -> None:
    gone = replace(record, state="withdrawn")
    assert ruling(gone, asked(record, ask, counts), NOW) == Ruling(outcome="allow", by="nothing")


@pytest.mark.parametrize(
    ("mode", "rule_asks", "intent", "asks"),
    [
        ("ask", None, "depict", True),
        ("ask", None, "style", True),
        ("block", None, "style", False),
        ("allow", None, "depict", False),
        ("block", True, "depict", True),
        ("ask", False, "depict", False),
    ],
)
def test_who_is_asked(mode: str, rule_asks: bool | None, intent: str, asks: bool) -> None:
    row = RuleRow(
        id="r", subject="s", effect="review", account=None, valid_from=None, valid_until=None, priority=0,
        licence=False, conditions=Conditions(ask=bool(rule_asks)),
    )  # fmt: skip
    record = SubjectRecord(
        id="s", kind="character", name="n", owner="o", party="p", mode=mode, description="", attributes=(),
        exclusions=(), names=(), vectors=(), rules=() if rule_asks is None else (row,), state="active", seq=1,
    )  # fmt: skip
    assert ruling(record, Ask(account="a", intent=intent), NOW).asks is asks


@pytest.mark.parametrize(
    ("standing", "counts", "softened"),
    [("active", True, ""), ("provisional", False, ""), ("disputed", False, "disputed")],
)
def test_a_licence_counts_only_of_who_stands(standing: str, counts: bool, softened: str) -> None:
    """A policy that denies by default is not opened by whoever says that a subject is theirs."""
    row = RuleRow(
        id="r", subject="s", effect="allow", account="a", valid_from=None, valid_until=None, priority=0,
        licence=True,
    )  # fmt: skip
    for own, inherited in (((row,), ()), ((), (row,))):
        record = SubjectRecord(
            id="s", kind="person", name="n", owner="o", party="p", mode="block", description="",
            attributes=(), exclusions=(), names=(), vectors=(), rules=own, state="active", seq=1,
            standing=standing, inherited=inherited,
        )  # fmt: skip
        found = ruling(record, Ask(account="a"), NOW)
        assert (found.outcome, found.licence, found.softened) == ("allow", counts, softened)


@given(conditions, st.text(max_size=5), st.booleans())
def test_conditions_are_read_as_they_were_written(made: Conditions, credit: str, ask: bool) -> None:
    made = replace(made, credit=credit, ask=ask)
    assert from_json(to_json(made)) == made


@pytest.mark.parametrize(
    ("made", "effect", "account"),
    [
        (Conditions(regions=("XX",)), "allow", None),
        (Conditions(regions=("de",)), "allow", None),
        (Conditions(regions=("DE", "DE")), "allow", None),
        (Conditions(purposes=("fun",)), "allow", None),
        (Conditions(purposes=("unspecified",)), "block", None),
        (Conditions(content=("nice",)), "allow", None),
        (Conditions(intent="praise"), "allow", None),
        (Conditions(cap_account=0), "allow", None),
        (Conditions(cap_all=-1), "allow", None),
        (Conditions(cap_all=1), "block", None),
        (Conditions(credit="by us"), "review", None),
        (Conditions(licence_ref="7"), "block", None),
        (Conditions(credit="\x1b[2J"), "allow", None),
        (Conditions(credit="x" * 201), "allow", None),
        (Conditions(tags=(" ",)), "allow", None),
        (Conditions(ask=True), "allow", None),
        (Conditions(accounts=("a", "b")), "allow", "c"),
    ],
)
def test_what_no_rule_may_say(made: Conditions, effect: str, account: str | None) -> None:
    with pytest.raises(OptOutInvalid):
        check_conditions(made, effect=effect, account=account)


def test_a_word_of_a_newer_version_is_refused() -> None:
    with pytest.raises(OptOutInvalid):
        from_json({"moon": "full"})
