from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_builders import NOW, SIGNER, Home

from registry import log, optouts, rules
from registry.db import read
from registry.errors import EntryInvalid, NotFound, OptOutInvalid
from registry.subject_types import RuleRow, SubjectRecord

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
LATER, EARLIER = "2026-01-31T12:00:00.5Z", "2026-01-31T11:59:59.999Z"
TIMES = (None, EARLIER, NOW, LATER)


def rule(effect: str = "block", **changes: Any) -> RuleRow:
    given: dict[str, Any] = {
        "id": "0", "subject": "s", "effect": effect, "account": None, "valid_from": None,
        "valid_until": None, "priority": 0, "licence": False,
    }  # fmt: skip
    return RuleRow(**given | changes)


def record(*rows: RuleRow, mode: str = "block") -> SubjectRecord:
    return SubjectRecord(
        id="s", kind="character", name="n", owner="o", party="p", mode=mode, description="", attributes=(),
        exclusions=(), names=(), vectors=(), rules=rows, state="active", seq=1,
    )  # fmt: skip


def effect(*rows: RuleRow, account: str | None = "a", mode: str = "block") -> str:
    return rules.effect(record(*rows, mode=mode), account, NOW).effect


def test_the_mode_counts_where_no_rule_does() -> None:
    assert [effect(mode=mode) for mode in ("block", "ask", "allow")] == ["block", "review", "allow"]
    assert effect(rule("allow", account="b")) == "block"
    assert effect(rule("allow", account="b"), account=None) == "block"


def test_a_withdrawn_subject_wishes_nothing() -> None:
    gone = replace(record(rule("block")), state="withdrawn")
    assert rules.effect(gone, "a", NOW) == rules.Effect(effect="allow", rule_id=None, licence=False)


def test_the_order_of_rules() -> None:
    assert effect(rule("block"), rule("allow", account="a")) == "allow"
    assert effect(rule("allow", account="a"), rule("block", account="a")) == "block"
    assert effect(rule("allow"), rule("review"), mode="allow") == "review"
    assert effect(rule("allow", priority=9), rule("block")) == "block"
    first = rules.effect(record(rule(priority=1, id="1"), rule(priority=2, id="2")), "a", NOW)
    assert first.rule_id == "2"
    licence = rules.effect(record(rule("allow", account="a", licence=True)), "a", NOW)
    assert (licence.effect, licence.licence) == ("allow", True)


def test_a_rule_counts_from_its_beginning_and_until_its_end() -> None:
    allow: dict[str, Any] = {"effect": "allow", "account": "a"}
    assert effect(rule(**allow, valid_from=NOW, valid_until=LATER)) == "allow"
    assert effect(rule(**allow, valid_from=LATER)) == "block"
    assert effect(rule(**allow, valid_until=NOW)) == "block"
    assert effect(rule(**allow, valid_until=EARLIER)) == "block"


ROWS = st.builds(
    rule,
    st.sampled_from(rules.EFFECTS),
    id=st.integers(0, 10**6).map(str),
    account=st.sampled_from([None, "a", "b"]),
    valid_from=st.sampled_from(TIMES),
    valid_until=st.sampled_from(TIMES),
    priority=st.integers(-3, 3),
)


@given(st.lists(ROWS, max_size=8, unique_by=lambda row: row.id), st.randoms(), st.sampled_from(["a", None]))
def test_the_order_is_total(rows: list[RuleRow], chance: Any, account: str | None) -> None:
    """Neither the order of the rules nor rules that do not apply change what counts."""
    asked = rules.effect(record(*rows), account, NOW)
    shuffled = chance.sample(rows, len(rows))
    assert rules.effect(record(*shuffled), account, NOW) == asked
    others = [row for row in rows if row.id != asked.rule_id]
    if asked.rule_id is None:
        assert all(rules.effect(record(row), account, NOW).rule_id is None for row in rows)
    else:
        winner = next(row for row in rows if row.id == asked.rule_id)
        for row in others:  # the winner beats each of the others alone
            assert rules.effect(record(row, winner), account, NOW) == asked


@given(st.lists(ROWS, max_size=6, unique_by=lambda row: row.id), st.sampled_from(["a", None]))
def test_a_block_at_the_same_scope_is_never_overruled(rows: list[RuleRow], account: str | None) -> None:
    block = rule("block", account=account, id="x")
    assert rules.effect(record(*rows, block), account, NOW).effect == "block"


def test_rules_and_licences_are_logged_and_move_their_subject(home: Home) -> None:
    subject = home.opt_out().subject
    licence = rules.grant_licence(home.engine, subject, "studio", valid_until=LATER, **BY)
    strict = rules.set_rule(home.engine, subject, "review", priority=3, **BY)
    made = optouts.get(home.engine, subject)
    assert made is not None
    assert ({row.id: row for row in made.rules}, made.seq) == ({licence.id: licence, strict.id: strict}, 3)
    assert rules.revoke_licence(home.engine, licence.id, **BY) == 4
    assert rules.revoke_licence(home.engine, licence.id, **BY) == 4
    assert rules.unset_rule(home.engine, strict.id, **BY) == 5
    with read(home.engine) as conn:
        entries = log.changes(conn, 1, 9)
    told = [(e.kind, e.public["action"]) for e in entries]
    assert told == [("licence", "grant"), ("rule", "set"), ("licence", "revoke"), ("rule", "unset")]
    assert all(b"studio" not in e.entry for e in entries)
    made = optouts.get(home.engine, subject)
    assert made is not None
    assert (made.rules, made.seq) == ((), 5)


def test_a_withdrawal_takes_licences_along(home: Home) -> None:
    subject = home.opt_out().subject
    licence = rules.grant_licence(home.engine, subject, "studio", **BY)
    gone = optouts.withdraw(home.engine, subject, why={}, **BY)
    assert rules.revoke_licence(home.engine, licence.id, **BY) == gone.seq
    home.opt_out()
    again = optouts.get(home.engine, subject)
    assert again is not None
    assert rules.effect(again, "studio", NOW).effect == "block"


def test_what_cannot_be_a_rule(home: Home) -> None:
    subject = home.opt_out().subject
    with pytest.raises(OptOutInvalid):
        rules.set_rule(home.engine, subject, "perhaps", **BY)
    with pytest.raises(OptOutInvalid):
        rules.set_rule(home.engine, subject, "block", priority=1001, **BY)
    with pytest.raises(OptOutInvalid):
        rules.grant_licence(home.engine, subject, "", **BY)
    with pytest.raises(OptOutInvalid):
        rules.grant_licence(home.engine, subject, "a", valid_from=LATER, valid_until=NOW, **BY)
    with pytest.raises(EntryInvalid):
        rules.grant_licence(home.engine, subject, "a", valid_until="tomorrow", **BY)
    with pytest.raises(NotFound):
        rules.set_rule(home.engine, "nobody", "block", **BY)
    licence = rules.grant_licence(home.engine, subject, "a", **BY)
    with pytest.raises(NotFound):
        rules.unset_rule(home.engine, licence.id, **BY)
