"""What people can lift, and what not."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import policy as policies
from pipeline.clearing import clearance_of, people_needed, without_cleared
from pipeline.types import Decision, Reason, Verdict
from registry.reviews import Clearance


@dataclass(frozen=True)
class Subject:
    seq: int


NAMED = Reason(code="name_near", check=policies.NAMES, detail="A name.", evidence={"subject": "s"})
FACE = Reason(code="likeness_match", check=policies.LIKENESS, detail="A face.", evidence={"subject": "t"})
GORE = Reason(code="unsafe_prompt_gore", check=policies.UNSAFE, detail="Blood.")
SEXUAL = Reason(code="unsafe_clip_sexual", check=policies.UNSAFE_FRAMES, detail="Nudity.")
SOUND = Reason(code="audio_not_checked", check=policies.AUDIO, detail="Sound.")
UNFINISHED = Reason(code="check_unfinished", check=policies.FRAMES, detail="It failed.")
DIED = Reason(code="job_died", check="jobs", detail="It died.")
PARENT = Reason(code="parent_withdrawn", check="release_parent", detail="A parent.")
ALL = (NAMED, FACE, GORE, SEXUAL, SOUND, UNFINISHED, DIED, PARENT)
LIFTED = (NAMED, FACE, GORE, SEXUAL, SOUND)
SUBJECTS = {"s": Subject(4), "t": Subject(9)}


def decision(*reasons: Reason, verdict: Verdict = Verdict.REVIEW) -> Decision:
    return Decision(
        verdict=verdict, policy="opt-out", policy_version=4, reasons=reasons, checks={}, registry_seq=9,
        decided_at="2026-01-31T12:00:00Z",
    )  # fmt: skip


def shown(*reasons: Reason, seq: int = 9) -> list[Clearance]:
    return [one for reason in reasons if (one := clearance_of(reason, seq)) is not None]


SOME = st.lists(st.sampled_from(ALL), unique_by=lambda reason: reason.code)


@given(SOME.filter(bool), SOME)
def test_what_was_shown_goes_and_nothing_else(found: list[Reason], seen: list[Reason]) -> None:
    left = [one for one in found if one not in seen or one not in LIFTED]
    made = without_cleared(decision(*found), shown(*seen), SUBJECTS)
    assert list(made.reasons) == left
    assert made.verdict is (Verdict.REVIEW if left else Verdict.ALLOW)
    assert set(made.cleared) == {one.code for one in found if one not in left}


@pytest.mark.parametrize("reason", LIFTED)
def test_a_block_is_not_lifted(reason: Reason) -> None:
    blocked = decision(reason, verdict=Verdict.BLOCK)
    assert without_cleared(blocked, shown(reason), SUBJECTS) == blocked


def test_a_subject_that_changed_since_counts_again() -> None:
    held = decision(NAMED)
    assert without_cleared(held, shown(NAMED, seq=4), SUBJECTS).verdict is Verdict.ALLOW
    assert without_cleared(held, shown(NAMED, seq=3), SUBJECTS) == held
    assert without_cleared(held, shown(NAMED, seq=9), {}) == held  # it is gone, or not known here
    twice = [*shown(NAMED, seq=3), *shown(NAMED, seq=4)]
    assert without_cleared(held, twice, SUBJECTS).verdict is Verdict.ALLOW


def test_another_finding_about_the_same_counts() -> None:
    style = replace(NAMED, evidence={"subject": "s", "intent": "style"})
    for other in (style, replace(NAMED, code="name_match"), replace(NAMED, check=policies.WORDS)):
        assert without_cleared(decision(other), shown(NAMED), SUBJECTS).verdict is Verdict.REVIEW


def test_what_is_found_elsewhere_was_shown_to_nobody() -> None:
    """Another text, another name in it, or the clip itself where only a picture beside it was seen."""
    named = replace(NAMED, evidence={"subject": "", "origin": "prompt", "quote": "Jane Doe"})
    for evidence in (
        {"subject": "", "origin": "speech", "quote": "Jane Doe"},
        {"subject": "", "origin": "prompt", "quote": "John Roe"},
    ):
        other = replace(named, evidence=dict(evidence))
        assert without_cleared(decision(other), shown(named), SUBJECTS).verdict is Verdict.REVIEW
    picture = replace(FACE, evidence={"subject": "t", "origin": "input_picture"})
    assert without_cleared(decision(FACE), shown(picture), SUBJECTS).verdict is Verdict.REVIEW
    assert without_cleared(decision(named), shown(named), SUBJECTS).verdict is Verdict.ALLOW


def test_who_needs_a_second_person() -> None:
    assert [people_needed([reason]) for reason in ALL] == [1, 2, 1, 2, 1, 1, 1, 1]
    assert people_needed([GORE, FACE]) == 2


def test_what_people_cleared_is_in_the_document() -> None:
    made = without_cleared(decision(NAMED), shown(NAMED), SUBJECTS)
    assert policies.to_json(made)["cleared"] == ["name_near"]
    assert policies.from_json(dict(policies.to_json(made))) == made
    assert "cleared" not in policies.to_json(decision(NAMED))


def upon_appeal(*reasons: Reason, seq: int = 9) -> list[Clearance]:
    return [replace(one, appealed=True) for one in shown(*reasons, seq=seq)]


@pytest.mark.parametrize("reason", LIFTED)
def test_upon_an_appeal_a_block_is_lifted(reason: Reason) -> None:
    made = without_cleared(decision(reason, verdict=Verdict.BLOCK), upon_appeal(reason), SUBJECTS)
    assert (made.verdict, made.reasons, made.cleared) == (Verdict.ALLOW, (), (reason.code,))


def test_what_was_not_appealed_against_blocks_as_ever() -> None:
    both = decision(NAMED, GORE, verdict=Verdict.BLOCK)
    made = without_cleared(both, [*upon_appeal(NAMED), *shown(GORE)], SUBJECTS)
    assert (made.verdict, made.reasons) == (Verdict.BLOCK, (GORE,))
    old = without_cleared(decision(NAMED, verdict=Verdict.BLOCK), upon_appeal(NAMED, seq=3), SUBJECTS)
    assert old.verdict is Verdict.BLOCK  # its owner registered more since


def test_no_appeal_lifts_what_concerns_somebody_under_age() -> None:
    minors = Reason(code="unsafe_prompt_minors", check=policies.UNSAFE, detail="A child.")
    blocked = decision(minors, verdict=Verdict.BLOCK)
    assert without_cleared(blocked, upon_appeal(minors), SUBJECTS).verdict is Verdict.BLOCK
