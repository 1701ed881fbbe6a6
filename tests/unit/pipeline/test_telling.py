"""What people are told: every reason names its check, where, whose right it is, and whom to turn to."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from classifiers.base import CheckReport, CheckState, Finding, Sight
from classifiers.unsafe.taxonomy import Category, Side, category_of, code
from pipeline import policy, reasons
from pipeline.appeals import appeal
from pipeline.cli.release_words import say_outcome
from pipeline.gate import GateResult, document
from pipeline.policy import PRESETS
from pipeline.reasons import Wish
from pipeline.settings import load
from pipeline.telling import line, line_of
from pipeline.texts import Texts, with_origins
from pipeline.types import Decision, Verdict
from pipeline.workbench import Outcome
from registry.types import Job, JobState

NOW = "2026-01-01T00:00:00Z"
WORDS = "Sp1der-M4n"
TEXTS = Texts(history=("a dog",), prompt=f"a {WORDS} swings")
IN_TEXT = ("name_match", "name_near", "style_of_holder", "description_match", "prompt_resembles_picture",
           "unregistered_name")  # fmt: skip
IN_CLIP = ("picture_match", "likeness_match", "words_match", "words_near")
UNSAFE = [code(category, side) for category in Category for side in Side]
CHECK_OF = {
    "unregistered_name": policy.UNREGISTERED, "description_match": policy.DESCRIPTIONS,
    "prompt_resembles_picture": policy.DESCRIPTIONS, "picture_match": policy.FRAMES,
    "likeness_match": policy.LIKENESS, "words_match": policy.WORDS, "words_near": policy.WORDS,
}  # fmt: skip
OWNED = [one for one in (*IN_TEXT, *IN_CLIP) if one != "unregistered_name"]


def finding(reason_code: str) -> Finding:
    of_clip = reason_code in IN_CLIP or f"_{Side.CLIP}_" in reason_code
    check = policy.UNSAFE if reason_code in UNSAFE else CHECK_OF.get(reason_code, policy.NAMES)
    if of_clip:
        return Finding(
            check=check, subject="s1", score=1.0, threshold=0.5, code=reason_code, quote=WORDS, times=(1.5,),
            boxes=((0.1, 0.2, 0.5, 0.6),),
        )  # fmt: skip
    return Finding(
        check=check, subject="s1" if reason_code in OWNED else "", score=1.0, threshold=0.5, code=reason_code,
        turn=1, span=(2, 12), quote=WORDS,
    )  # fmt: skip


def decided(*reports: CheckReport, preset: str = "permission-first", **told: Any) -> Decision:
    def wish(subject: str, _intent: str = "depict", /) -> Wish | None:
        return Wish(effect=Verdict.BLOCK, name="Spider-Man", owner="a studio") if subject else None

    found = policy.decide(
        PRESETS[preset].judging_frames(True), reports, sound=told.pop("sound", policy.Sound.ACCEPT),
        has_sound=told.pop("has_sound", False), registry_seq=1, now=NOW, wishes=wish, **told,
    )  # fmt: skip
    return with_origins(found, TEXTS)


def of_finding(reason_code: str) -> Decision:
    one = finding(reason_code)
    whole = [
        CheckReport(check=check, state=CheckState.COMPLETED, findings=(one,) if check == one.check else ())
        for check in policy.CHECKS
    ]
    return decided(*whole)


def test_no_code_is_left_out() -> None:
    assert {*IN_TEXT, *IN_CLIP} == set(reasons._SENTENCES)
    assert all(category_of(one) for one in UNSAFE)


@pytest.mark.parametrize("reason_code", [*IN_TEXT, *IN_CLIP, *UNSAFE])
def test_every_finding_names_check_place_and_owner(reason_code: str) -> None:
    decision = of_finding(reason_code)
    if not decision.reasons:  # a name that nobody registered is no harm in itself
        assert category_of(reason_code) in (Category.REAL_PERSON, Category.KNOWN_WORK)
        return
    [reason] = decision.reasons
    told = line(reason.check, reason.detail, reason.evidence)
    wanted = [f"[{finding(reason_code).check}, "]
    clip = bool(finding(reason_code).times)
    wanted += ["at 1.5 s", "10% to 50% from the left"] if clip else ["characters 3 to 12 of the prompt"]
    wanted += ["Spider-Man (a studio)"] if reason_code in OWNED else []
    assert [part for part in wanted if part not in told] == []
    outside = policy.for_callers(policy.to_json(decision))
    [answered] = json.loads(json.dumps(outside["reasons"]))  # as the service sends it
    assert line_of(answered) == told
    if reason_code in OWNED:
        assert answered["evidence"]["owner"] == "a studio"


UNFINISHED = (CheckState.FAILED, CheckState.TIMED_OUT, CheckState.SKIPPED, CheckState.NOT_CONFIGURED)


@pytest.mark.parametrize("check", policy.CHECKS)
@pytest.mark.parametrize("state", UNFINISHED)
def test_a_check_that_did_not_complete_is_named(check: str, state: CheckState) -> None:
    decision = decided(CheckReport(check=check, state=state, detail="it is too long"))
    told = [line(one.check, one.detail, one.evidence) for one in decision.reasons if one.check == check]
    assert len(told) == 1
    assert check in told[0]
    assert told[0].endswith(f"[{check}]")


def test_sound_that_nobody_heard_is_named() -> None:
    whole = [CheckReport(check=check, state=CheckState.COMPLETED) for check in policy.CHECKS]
    [reason] = decided(*whole, sound=policy.Sound.HOLD, has_sound=True).reasons
    assert line(reason.check, reason.detail, reason.evidence).endswith("[audio]")


def test_the_gate_and_a_job_say_how_to_object(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERMARK_CONTACT", "help@studio.test")
    decision = of_finding("name_match")
    told = document(GateResult(sight=Sight(), reports=(), decision=decision, snapshot_seq=1))
    assert isinstance(told["reasons"], list)
    [reason] = told["reasons"]
    assert isinstance(reason, Mapping)
    assert (reason["layer"], reason["owner"], reason["origin"]) == (policy.NAMES, "a studio", "prompt")
    job = Job(
        id="j1",
        kind="create/1",
        key="k",
        state=JobState.REFUSED,
        inputs={},
        result=None,
        created_at=NOW,
        finished_at=NOW,
        owner=None,
    )
    recorded: Any = policy.to_json(decision)
    outcome = Outcome(
        job=job, decision=recorded, release=None, held=tuple(recorded["reasons"]), stages={}, file=None
    )
    assert say_outcome(outcome, None, load(tmp_path), as_json=True) == 1
    shown = capsys.readouterr()
    assert "[prompt_names, characters 3 to 12 of the prompt]" in shown.err
    assert appeal("help@studio.test", "the job j1") in shown.err
    assert json.loads(shown.out)["appeal"] == appeal("help@studio.test", "the job j1")
