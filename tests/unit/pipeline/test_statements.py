"""Statements of reasons say what the DSA Transparency Database takes, for whatever was decided."""

from dataclasses import replace
from itertools import product

import pytest

from classifiers.unsafe.taxonomy import Category, Side, code
from pipeline import policy as policies
from pipeline.statements import EEA, statement
from registry import recalls
from registry.restrictions import (
    BOTH,
    HOLD,
    MACHINE,
    PERSON,
    REFUSAL,
    SUSPENSION,
    WITHDRAWAL,
    Found,
    Restriction,
)

CATEGORIES = {
    f"STATEMENT_CATEGORY_{name}"
    for name in (
        "ANIMAL_WELFARE", "CONSUMER_INFORMATION", "CYBER_VIOLENCE", "CYBER_VIOLENCE_AGAINST_WOMEN",
        "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS", "ILLEGAL_OR_HARMFUL_SPEECH",
        "INTELLECTUAL_PROPERTY_INFRINGEMENTS", "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS",
        "NOT_SPECIFIED_NOTICE", "OTHER_VIOLATION_TC", "PROTECTION_OF_MINORS", "RISK_FOR_PUBLIC_SECURITY",
        "SCAMS_AND_FRAUD", "SELF_HARM", "UNSAFE_AND_PROHIBITED_PRODUCTS", "VIOLENCE",
    )
}  # fmt: skip
"""All that the database takes, of its API's documentation."""
TOLD = Restriction(
    id="01a2259b-5c03-7c80-ae60-7262e7eaea76", kind=REFUSAL, account="maker", job="j", release=None,
    at="2026-01-31T12:00:00Z", ended_at=None, content_at="2026-01-30T23:59:59Z", by=MACHINE,
    found=(Found(code="name_match", check=policies.NAMES, kind="person"),), policy=("opt-out", 4),
)  # fmt: skip


def test_the_territories_are_those_of_the_eea() -> None:
    assert len(set(EEA)) == len(EEA) == 30
    assert {"DE", "IS", "LI", "NO"} <= set(EEA)


@pytest.mark.parametrize(
    ("kind", "by"), [*product((HOLD, REFUSAL, WITHDRAWAL, SUSPENSION), (MACHINE, PERSON, BOTH))]
)
def test_every_kind_has_what_is_required(kind: str, by: str) -> None:
    told = statement(replace(TOLD, kind=kind, by=by))
    assert ("decision_visibility" in told) != ("decision_account" in told)
    assert told["automated_detection"] == ("No" if by == PERSON else "Yes")
    assert str(told["automated_decision"]).startswith("AUTOMATED_DECISION_")
    assert (told["application_date"], told["content_date"]) == ("2026-01-31", "2026-01-30")
    assert told["category"] in CATEGORIES
    assert told["puid"] == TOLD.id
    content = told["content_type"]
    assert isinstance(content, list)
    assert ("CONTENT_TYPE_OTHER" in content) == ("content_type_other" in told)
    for name, most in (("incompatible_content_ground", 500), ("incompatible_content_explanation", 2000)):
        assert 0 < len(str(told[name])) <= most


def test_every_unsafe_category_has_one_of_theirs() -> None:
    for category, side in product(Category, Side):
        found = (Found(code=code(category, side), check=policies.UNSAFE),)
        assert statement(replace(TOLD, found=found))["category"] in CATEGORIES


def test_the_gravest_reason_names_the_category() -> None:
    found = (
        Found(code="audio_not_checked", check="audio"),
        Found(code="name_match", check=policies.NAMES, kind="character"),
        Found(code="unsafe_prompt_minors", check=policies.UNSAFE),
    )
    assert statement(replace(TOLD, found=found))["category"] == "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"
    less = statement(replace(TOLD, found=found[:2]))["category"]
    assert less == "STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS"
    assert statement(replace(TOLD, found=found[:1]))["category"] == "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"


@pytest.mark.parametrize("notice", ["dsa16", "notice_512", "takedown48", "likeness"])
def test_what_follows_a_notice_is_said_to_be_illegal(notice: str) -> None:
    found = (Found(code="notice", check="claim"),)
    one = replace(TOLD, kind=WITHDRAWAL, by=PERSON, cause=recalls.CLAIM, notice=notice, found=found)
    told = statement(one)
    assert told["decision_ground"] == "DECISION_GROUND_ILLEGAL_CONTENT"
    assert told["illegal_content_legal_ground"]
    assert "incompatible_content_ground" not in told
    assert (told["source_type"] == "SOURCE_ARTICLE_16") == (notice == "dsa16")
    assert told["category"] in CATEGORIES


def test_an_end_is_said() -> None:
    over = replace(TOLD, ended_at="2026-02-03T00:00:00Z")
    assert statement(replace(over, kind=HOLD))["end_date_visibility_restriction"] == "2026-02-03"
    assert statement(replace(over, kind=SUSPENSION))["end_date_account_restriction"] == "2026-02-03"


def test_a_reason_that_nobody_knows_is_told_all_the_same() -> None:
    told = statement(replace(TOLD, found=(Found(code="new_code", check="new_check"),)))
    assert "new check" in str(told["decision_facts"])
    assert "new_code" in str(told["decision_facts"])
    assert statement(replace(TOLD, found=()))["decision_facts"]
