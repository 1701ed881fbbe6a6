"""What becomes of an unsafe category is the policy's to say, and what a caller is told of it."""

import pytest

from classifiers.base import CheckReport, CheckState, Finding
from classifiers.unsafe.taxonomy import Category, Side, code
from pipeline import policy
from pipeline.policy import PRESETS, UNSAFE, for_callers
from pipeline.types import Decision, Verdict


def decided(preset: str, category: Category, *, sure: bool = True) -> Decision:
    finding = Finding(
        check=UNSAFE, subject="", score=2.0, threshold=1.0, code=code(category, Side.PROMPT), sure=sure,
        probability=0.9, turn=0, span=(2, 7), quote="words",
    )  # fmt: skip
    report = CheckReport(check=UNSAFE, state=CheckState.COMPLETED, findings=(finding,))
    return policy.decide(
        PRESETS[preset].only([UNSAFE]), [report], sound=policy.Sound.ACCEPT, has_sound=False, registry_seq=1,
        now="2026-01-01T00:00:00Z",
    )  # fmt: skip


@pytest.mark.parametrize("preset", ["opt-out", "permission-first"])
def test_every_category_has_an_effect_and_what_is_not_sure_holds(preset: str) -> None:
    assert UNSAFE in PRESETS[preset].required
    for category in Category:
        effect = PRESETS[preset].unsafe[category]
        assert decided(preset, category).verdict is effect
        milder = Verdict.REVIEW if effect is Verdict.BLOCK else effect
        assert decided(preset, category, sure=False).verdict is milder
        assert decided(preset, category).allowed == ()
    assert PRESETS[preset].unsafe[Category.MINORS] is Verdict.BLOCK


def test_names_of_persons_and_works_are_no_harm_where_nobody_asked() -> None:
    for category in (Category.REAL_PERSON, Category.KNOWN_WORK):
        assert decided("opt-out", category).verdict is Verdict.ALLOW
        assert decided("permission-first", category).verdict is Verdict.REVIEW


def test_a_reason_names_words_and_no_score_leaves_the_house() -> None:
    document = policy.to_json(decided("opt-out", Category.GORE))
    [inside] = document["reasons"]  # type: ignore[misc]
    assert inside["code"] == "unsafe_prompt_gore"  # type: ignore[index,call-overload]
    assert "“words”" in str(inside["detail"])  # type: ignore[index,call-overload]
    [outside] = for_callers(document)["reasons"]  # type: ignore[misc]
    evidence = outside["evidence"]  # type: ignore[index,call-overload]
    assert (evidence["category"], evidence["quote"]) == ("gore", "words")
    assert not {"score", "threshold", "probability"} & set(evidence)
    assert inside["evidence"]["score"] == 2.0  # type: ignore[index,call-overload]
