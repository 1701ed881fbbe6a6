"""The decision table of rules: each line is a case whose outcome was worked out by hand, not by the code.

A line reads: subject | rules | who asks | outcome, by what. See `read` for the few words.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.ruling import Ask, Used, ruling
from registry.subject_types import RuleRow, SubjectRecord
from registry.vocabulary import Conditions

NOW = "2026-01-31T12:00:00Z"
TABLE = Path(__file__).with_name("rule_table.txt")
LEAST = 300
_LISTS = {"tag": "tags", "in": "regions", "for": "purposes", "about": "content", "accounts": "accounts"}


def read(line: str) -> tuple[SubjectRecord, Ask, str, str]:
    """A line of the table as its parts."""
    subject, rules, asks, expected = (part.strip() for part in line.split("|"))
    own: list[RuleRow] = []
    inherited: list[RuleRow] = []
    for words in filter(None, (text.strip() for text in rules.split(";"))):
        row, of_portfolio = rule(words.split())
        (inherited if of_portfolio else own).append(row)
    outcome, by = expected.split()
    record = SubjectRecord(
        id="s", kind="character", name="n", owner="o", party="p", mode="block", description="",
        attributes=(), exclusions=(), names=(), vectors=(), rules=tuple(own), state="active", seq=1,
        inherited=tuple(inherited),
    )  # fmt: skip
    for word in subject.split():
        record = replace(record, **_subject(word))
    return record, ask(asks.split()), outcome, by


def _subject(word: str) -> dict[str, Any]:
    if word in ("block", "ask", "allow"):
        return {"mode": word}
    if word in ("provisional", "disputed"):
        return {"standing": word}
    return {"state": word} if word == "withdrawn" else {"kind": word}


def rule(words: list[str]) -> tuple[RuleRow, bool]:
    """``[portfolio] NAME effect [words…]``; the name is its id, so a later letter is a younger rule."""
    of_portfolio = words[0] == "portfolio"
    name, effect, *rest = words[of_portfolio:]
    row = RuleRow(
        id=name, subject="s", effect=effect, account=None, valid_from=None, valid_until=None, priority=0,
        licence=False,
    )  # fmt: skip
    conditions: dict[str, Any] = {}
    for word in rest:
        key, _, value = word.partition("=")
        if key in _LISTS:
            conditions[_LISTS[key]] = tuple(value.split(","))
        elif key in ("job", "intent"):
            conditions[key] = value
        elif key in ("cap", "cap-all"):
            conditions["cap_account" if key == "cap" else "cap_all"] = int(value)
        elif key == "account":
            row = replace(row, account=value)
        elif key == "priority":
            row = replace(row, priority=int(value))
        elif key in ("from", "until"):
            row = replace(row, **{f"valid_{key}": f"{value}T12:00:00Z"})
        else:
            assert key == "licence", word
            row = replace(row, licence=True)
    return replace(row, conditions=Conditions(**conditions)), of_portfolio


def ask(words: list[str]) -> Ask:
    """``ACCOUNT [+tag…] [@REGION] [for=…] [about=…] [style] [job=…] [used=RULE:account/all]``."""
    made = Ask(account=None if words[0] == "nobody" else words[0])
    for word in words[1:]:
        key, _, value = word.partition("=")
        if word.startswith("+"):
            made = replace(made, tags=made.tags | {word[1:]})
        elif word.startswith("@"):
            made = replace(made, region=word[1:])
        elif word == "style":
            made = replace(made, intent="style")
        elif key == "used":
            name, account, everybody = re.split("[:/]", value)
            made = replace(
                made, uses={**made.uses, name: Used(account=int(account), everybody=int(everybody))}
            )
        else:
            made = replace(made, **{{"for": "purpose", "about": "content_class", "job": "job"}[key]: value})
    return made


CASES = [
    line.strip()
    for line in TABLE.read_text().splitlines()
    if line.strip() and not line.lstrip().startswith("#")
]


def test_the_table_is_long_enough_and_says_nothing_twice() -> None:
    assert len(CASES) >= LEAST
    asked = [" ".join(case.split()) for case in CASES]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    record, asked, outcome, by = read(case)
    found = ruling(record, asked, NOW)
    assert (found.outcome, found.rule or found.by) == (outcome, by)
    known = {row.id for row in (*record.rules, *record.inherited)}
    told = [*([found.rule] if found.rule else []), *(one.rule for one in (*found.lost, *found.not_applying))]
    assert found.by == "nothing" or sorted(told) == sorted(known)  # every rule won, lost or did not apply
