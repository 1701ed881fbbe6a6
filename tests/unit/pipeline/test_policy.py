"""The rules of `pipeline.policy`, and that nothing unfinished is ever allowed."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import CheckReport, CheckState, Finding
from pipeline import policy
from pipeline.errors import UsageError
from pipeline.policy import CHECKS, PRESETS, Policy, Sound
from pipeline.reasons import Wish
from pipeline.types import Decision, Verdict

OPT_OUT, MARKS_ONLY = PRESETS["opt-out"], PRESETS["marks-only"]
DONE = tuple(CheckReport(check=check, state=CheckState.COMPLETED) for check in CHECKS)


def decide(preset: Policy, reports: Any, sound: Sound = Sound.ACCEPT, *, has_sound: bool = False) -> Decision:
    return policy.decide(
        preset, reports, sound=sound, has_sound=has_sound, registry_seq=7, now="2026-01-01T00:00:00Z"
    )


def found(score: float, threshold: float = 0.5) -> CheckReport:
    finding = Finding(check=policy.FRAMES, subject="somebody", score=score, threshold=threshold)
    return CheckReport(check=policy.FRAMES, state=CheckState.COMPLETED, findings=(finding,))


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


scores = st.floats(allow_nan=True, allow_infinity=True)
findings = st.builds(
    Finding, check=st.sampled_from(CHECKS), subject=st.just("x"), score=scores, threshold=scores
)
reports = st.lists(
    st.builds(
        CheckReport, check=st.sampled_from((*CHECKS, "new")), state=st.sampled_from(CheckState),
        findings=st.lists(findings, max_size=2).map(tuple),
    ),
    max_size=10,
)  # fmt: skip
policies = st.builds(
    Policy, name=st.just("p"), version=st.just(1), description=st.just(""),
    required=st.lists(st.sampled_from((*CHECKS, "new")), unique=True).map(tuple),
)  # fmt: skip


@given(preset=policies, given_reports=reports, sound=st.sampled_from(Sound), has_sound=st.booleans())
def test_what_did_not_complete_is_never_allowed(
    preset: Policy, given_reports: list[CheckReport], sound: Sound, has_sound: bool
) -> None:
    decision = decide(preset, given_reports, sound, has_sound=has_sound)
    if decision.verdict is not Verdict.ALLOW:
        assert decision.reasons
        return
    assert decision.reasons == ()
    for check in preset.required:
        states = {report.state for report in given_reports if report.check == check}
        unasked = {CheckState.NOT_APPLICABLE} if check in policy.PROMPT_CHECKS else set()
        assert states, check
        assert states <= {CheckState.COMPLETED} | unasked, check
    for report in given_reports:
        assert all(finding.score < finding.threshold for finding in report.findings)
    assert not (has_sound and sound is Sound.HOLD)
    assert policy.from_json(policy.to_json(decision)) == decision


UNFINISHED = [state for state in CheckState if state not in (CheckState.COMPLETED, CheckState.NOT_APPLICABLE)]


@pytest.mark.parametrize("state", UNFINISHED)
@pytest.mark.parametrize("first", [True, False])
def test_one_unfinished_report_outweighs_a_finished_one(state: CheckState, first: bool) -> None:
    bad = CheckReport(check=policy.NAMES, state=state)
    decision = decide(OPT_OUT, (bad, *DONE) if first else (*DONE, bad))
    assert decision.verdict is (Verdict.BLOCK if state is CheckState.NOT_CONFIGURED else Verdict.REVIEW)
    assert decision.checks[policy.NAMES] == state


def test_without_checks_the_default_blocks_and_marks_only_allows() -> None:
    blocked = decide(OPT_OUT, policy.not_configured())
    assert (blocked.verdict, set(codes(blocked))) == (Verdict.BLOCK, {"check_not_configured"})
    allowed = decide(MARKS_ONLY, policy.not_configured())
    assert (allowed.verdict, allowed.reasons) == (Verdict.ALLOW, ())
    assert set(allowed.checks.values()) == {"not_configured", "absent"}


def test_block_comes_before_review() -> None:
    decision = decide(OPT_OUT, (found(0.9),))
    assert decision.verdict is Verdict.BLOCK
    assert codes(decision)[-1] == "match"


@pytest.mark.parametrize(
    ("score", "threshold", "verdict"),
    [(0.49, 0.5, "allow"), (0.5, 0.5, "review"), (math.nan, 0.5, "review"), (0.1, math.nan, "review")],
)
def test_findings(score: float, threshold: float, verdict: str) -> None:
    assert decide(OPT_OUT, (*DONE, found(score, threshold))).verdict == verdict


@pytest.mark.parametrize(
    ("sound", "has_sound", "verdict", "state"),
    [
        (Sound.HOLD, True, "review", "not_checked"),
        (Sound.HOLD, False, "allow", "absent"),
        (Sound.ACCEPT, True, "allow", "not_checked"),
        (Sound.STRIP, True, "allow", "stripped"),
    ],
)
def test_sound(sound: Sound, has_sound: bool, verdict: str, state: str) -> None:
    decision = decide(MARKS_ONLY, (), sound, has_sound=has_sound)
    assert (decision.verdict, decision.checks[policy.AUDIO]) == (verdict, state)


def test_a_clip_without_a_prompt_is_judged_by_its_frames_alone() -> None:
    nothing = dict.fromkeys(policy.PROMPT_CHECKS, CheckState.NOT_APPLICABLE)
    reports = [CheckReport(check=r.check, state=nothing.get(r.check, r.state)) for r in DONE]
    assert decide(OPT_OUT, reports).verdict is Verdict.ALLOW
    unseen = CheckReport(check=policy.FRAMES, state=CheckState.NOT_APPLICABLE)
    held = decide(OPT_OUT, (*reports, unseen))
    assert (held.verdict, codes(held)) == (Verdict.REVIEW, ["check_unfinished"])


@pytest.mark.parametrize(
    ("preset", "effect", "licence", "sure", "verdict"),
    [
        ("opt-out", Verdict.BLOCK, False, True, "block"),
        ("opt-out", Verdict.BLOCK, False, False, "review"),
        ("opt-out", Verdict.REVIEW, False, True, "review"),
        ("opt-out", Verdict.ALLOW, False, True, "allow"),
        ("permission-first", Verdict.ALLOW, False, True, "review"),
        ("permission-first", Verdict.ALLOW, True, True, "allow"),
        ("permission-first", Verdict.BLOCK, False, True, "block"),
    ],
)
def test_what_the_owner_wishes(preset: str, effect: Verdict, licence: bool, sure: bool, verdict: str) -> None:
    wish = Wish(effect=effect, name="Zorbo", owner="Studio", rule="r1", licence=licence)
    finding = replace(found(0.9).findings[0], sure=sure, times=(1.25,))
    report = CheckReport(check=policy.FRAMES, state=CheckState.COMPLETED, findings=(finding,))
    decision = policy.decide(
        PRESETS[preset], (*DONE, report), sound=Sound.ACCEPT, has_sound=False, registry_seq=7,
        now="2026-01-01T00:00:00Z", wishes=lambda _subject, _intent="depict": wish,
    )  # fmt: skip
    assert decision.verdict == verdict
    assert decision.permits == ("r1",)
    for reason in decision.reasons:
        assert "Zorbo (Studio)" in reason.detail
        assert reason.evidence["times"] == [1.25]


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("person", "block"), ("character", "review"), ("logo", "review"), ("artwork", "review"), ("", "review")],
)
def test_each_kind_of_subject_has_its_default(kind: str, verdict: str) -> None:
    """Under `permission-first` an allow that is no licence is denied, of persons most strictly."""
    finding = found(0.9).findings[0]
    report = CheckReport(check=policy.FRAMES, state=CheckState.COMPLETED, findings=(finding,))
    for licence in (False, True):
        wish = Wish(
            effect=Verdict.ALLOW, name="Z", owner="S", rule="r1", licence=licence, kind=kind, by="rule"
        )
        decision = policy.decide(
            PRESETS["permission-first"], (*DONE, report), sound=Sound.ACCEPT, has_sound=False, registry_seq=7,
            now="2026-01-01T00:00:00Z", wishes=lambda _subject, _intent="depict", wish=wish: wish,
        )  # fmt: skip
        assert decision.verdict == ("allow" if licence else verdict)
        [ruled] = decision.rulings
        assert (ruled.by, ruled.rule, ruled.effect) == (
            ("rule", "r1", "allow") if licence else ("preset", "r1", verdict)
        )
        for reason in decision.reasons:
            assert (reason.evidence["won"], reason.evidence["preset"]) == (
                "preset",
                f"permission-first/{PRESETS['permission-first'].version}",
            )
        assert policy.from_json(policy.to_json(decision)) == decision


def test_every_kind_that_can_be_registered_is_in_the_table() -> None:
    from registry.drafts import SUBJECT_KINDS

    assert set(policy.DEFAULT_DENY) == set(SUBJECT_KINDS)
    assert not PRESETS["opt-out"].unlicensed


def test_a_style_is_asked_about_as_a_style() -> None:
    asked: list[str] = []

    def wishes(_subject: str, intent: str = "depict") -> Wish:
        asked.append(intent)
        return Wish(effect=Verdict.ALLOW, name="Z", owner="S")

    findings = tuple(replace(found(0.9).findings[0], code=code) for code in ("match", "style_of_holder"))
    report = CheckReport(check=policy.FRAMES, state=CheckState.COMPLETED, findings=findings)
    decision = policy.decide(
        OPT_OUT, (*DONE, report), sound=Sound.ACCEPT, has_sound=False, registry_seq=7,
        now="2026-01-01T00:00:00Z", wishes=wishes,
    )  # fmt: skip
    assert asked == ["depict", "style"]
    assert [ruled.intent for ruled in decision.rulings] == ["depict", "style"]


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(UsageError, match="marks-only"):
        policy.preset("nonsense")
