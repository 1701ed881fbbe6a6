"""What people are told: every reason names its check, where, whose right it is, and whom to turn to, once."""

import ast
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_recheck import NAMED, PICTURED, change, question, rule, seen

from classifiers.base import CheckReport, CheckState, Finding, Kind, Sight
from classifiers.unsafe.taxonomy import Category, Side, category_of, code
from pipeline import policy, reasons
from pipeline.appeals import appeal
from pipeline.cli.release_words import say_outcome
from pipeline.gate import GateResult, document
from pipeline.judging import _without_key
from pipeline.policy import PRESETS
from pipeline.reasons import Wish
from pipeline.recheck import parent_withdrawn, recheck, wishes_of
from pipeline.release.facts import MARK_MISSED, TESTER, missed, never_published
from pipeline.review import REFUSED_BY_PERSON, refused_by_person
from pipeline.settings import load
from pipeline.telling import line, line_of
from pipeline.texts import Texts, with_origins
from pipeline.types import Decision, Json, Reason, Verdict
from pipeline.workbench import Outcome, reason_json
from registry.ruling import Used
from registry.types import Job, JobState
from registry.uses import CAP_REACHED
from registry.vocabulary import Conditions

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


def at_the_fence(changes: Any = (), **asked: Any) -> Decision:
    return recheck(question(**asked), changes, {}, now=NOW)


def with_rule(**told: Any) -> Decision:
    """Who was found and allowed, by a rule that is gone, or used up, when the fence asks."""
    record = replace(NAMED, rules=(replace(rule("allow"), conditions=Conditions(cap_all=1)),))
    wishes = wishes_of({"s1": record}, "a", NOW, lambda *_: {})
    found = policy.ruled_of(PRESETS["opt-out"], "s1", "depict", wishes("s1"))  # type: ignore[arg-type]
    decision = replace(question().decision, allowed=("s1",), rulings=(found,))
    return at_the_fence(decision=decision, **told)


def stopped(check: str, state: CheckState) -> Decision:
    return decided(CheckReport(check=check, state=state, detail="it is too long"))


BY_THE_SYSTEM: dict[str, Callable[[], Any]] = {
    "check_not_configured": lambda: stopped(policy.FRAMES, CheckState.NOT_CONFIGURED).reasons[0],
    "check_unfinished": lambda: next(
        one for one in stopped(policy.FRAMES, CheckState.FAILED).reasons if one.code == "check_unfinished"
    ),
    "audio_not_checked": lambda: next(
        one for one in decided(sound=policy.Sound.HOLD, has_sound=True).reasons if one.check == policy.AUDIO
    ),
    "policy_changed": lambda: at_the_fence(
        decision=replace(question().decision, policy_version=0)
    ).reasons[0],
    "key_revoked": lambda: _without_key(question().decision).reasons[0],
    "parent_withdrawn": lambda: parent_withdrawn(["rel-1"]),
    "not_comparable": lambda: next(
        one
        for one in at_the_fence(
            [change("reference", PICTURED)],
            sight=Sight(texts=("x",), seen=(seen(Kind.FRAME, "another-clip", np.ones(8)),)),
        ).reasons
        if one.code == "not_comparable"
    ),
    "permission_ended": lambda: with_rule(wishes=wishes_of({"s1": NAMED}, "a", NOW)).reasons[0],
    CAP_REACHED: lambda: with_rule(
        wishes=wishes_of(
            {"s1": replace(NAMED, rules=(replace(rule("allow"), conditions=Conditions(cap_all=1)),))}, "a",
            NOW, lambda *_: {"r1": Used(account=1, everybody=1)},
        )
    ).reasons[0],
    MARK_MISSED: missed,
    TESTER: never_published,
    REFUSED_BY_PERSON: refused_by_person,
}  # fmt: skip
BY_THE_REGISTRY = {"job_died", "held", "permission_refused", "permission_expired"} | {
    "opted_out", "notice", "withdrawn_by_operator",
}  # fmt: skip
"""Told by tests of the registry: test_registry_jobs, test_registry_publish, test_registry_permissions; what
stands against a withdrawn release is told to who decides an appeal: test_api_decisions.
"""
ABOUT_SOMEBODY = ("not_comparable", "permission_ended", CAP_REACHED)
PACKAGES = Path(policy.__file__).parents[1]


def codes_in(tree: ast.AST) -> set[str]:
    """What stands as the code of a reason: in a call of Reason or _reason, in a dictionary with a check."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = {word.arg: word.value for word in node.keywords}
            found += [named["code"]] if node.func.id in ("Reason", "OurReason") and "code" in named else []
            found += node.args[:1] if node.func.id == "_reason" else []
        if isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            found += [node.values[keys.index("code")]] if {"code", "check"} <= set(keys) else []
    constants = {
        "MARK_MISSED": MARK_MISSED, "TESTER": TESTER, "CAP_REACHED": CAP_REACHED,
        "REFUSED_BY_PERSON": REFUSED_BY_PERSON,
    }  # fmt: skip
    told = set()
    for one in found:
        if isinstance(one, ast.Constant):
            told.add(str(one.value))
        elif isinstance(one, ast.Name) and one.id in constants:
            told.add(constants[one.id])
        elif isinstance(one, ast.JoinedStr):
            told.add(ast.unparse(one))
    return told


def test_no_code_of_the_system_is_left_out() -> None:
    found = set()
    for package in ("pipeline", "registry"):
        for path in (PACKAGES / package).rglob("*.py"):
            found |= codes_in(ast.parse(path.read_text()))
    found.remove("f'permission_{state}'")
    assert found | {"permission_refused", "permission_expired"} == {*BY_THE_SYSTEM} | BY_THE_REGISTRY
    listed = (PACKAGES / "docs" / "api.md").read_text().partition("## Reasons")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", listed, re.MULTILINE)) == {*BY_THE_SYSTEM} | BY_THE_REGISTRY


@pytest.mark.parametrize("reason_code", BY_THE_SYSTEM)
def test_every_reason_of_the_system_names_check_and_owner_and_how_to_object(
    reason_code: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made = BY_THE_SYSTEM[reason_code]()
    reason: Any = reason_json(made) if isinstance(made, Reason) else made
    assert reason["code"] == reason_code
    told = line_of(reason)
    assert told.endswith(f"[{reason['check']}]")
    if reason_code in ABOUT_SOMEBODY:
        assert "Zorbolino (Studio)" in told
        assert (reason["evidence"]["subject_name"], reason["evidence"]["owner"]) == ("Zorbolino", "Studio")
    assert objections(shown_for([reason], tmp_path, capsys)) == 1


@pytest.mark.parametrize("reason_code", [*IN_TEXT, *IN_CLIP, *UNSAFE])
def test_how_to_object_is_told_once(
    reason_code: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    listed: Any = policy.to_json(of_finding(reason_code))["reasons"]
    assert objections(shown_for(listed, tmp_path, capsys)) == 1


def objections(told: str) -> int:
    return len(re.findall(r"to object|mistake|appeal", told.lower()))


def shown_for(listed: Any, home: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """What `create` says of a job that these reasons ended."""
    job = Job(id="j1", kind="create/1", key="k", state=JobState.REFUSED, inputs={}, result=None,
              created_at=NOW, finished_at=NOW, owner=None)  # fmt: skip
    recorded: Json = {"verdict": "block", "reasons": listed, "checks": {}}
    outcome = Outcome(job=job, decision=recorded, release=None, held=tuple(listed), stages={}, file=None)
    say_outcome(outcome, None, load(home), as_json=False)
    return capsys.readouterr().err


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
