"""What the publish fence asks: each kind of change that can forbid a clip does, and nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from classifiers.base import CheckReport, CheckState, Kind, Line, Seen, Sight
from classifiers.words import ReadLine, seen_words
from pipeline import policy
from pipeline.policy import PRESETS
from pipeline.reasons import Wish
from pipeline.recheck import Question, in_full, recheck, shown, unprompted, wishes_of
from pipeline.types import Decision, Verdict
from registry.ruling import Ask, Used
from registry.subject_types import NameRow, RuleRow, SubjectRecord, VectorRow
from registry.types import Change, LogEntry
from registry.uses import Shown
from registry.vocabulary import Conditions

NOW = "2026-01-02T00:00:00Z"
CLIP, MINI, FACE = "clip-test", "minilm-test", "dlib-face-test"
ALONG, ACROSS = np.eye(8, dtype=np.float32)[:2]
PROMPT = "Zorbolino dances in the rain"


def seen(kind: Kind, space: str, vector: Any) -> Seen:
    return Seen(kind=kind, space=space, vectors=np.array([vector], np.float32), times=(1.5,))


SIGHT = Sight(
    texts=(PROMPT,),
    seen=(
        seen(Kind.PROMPT, CLIP, ACROSS), seen(Kind.PROMPT, MINI, ALONG), seen(Kind.CLAUSE, MINI, ALONG),
        seen(Kind.FRAME, CLIP, ALONG), seen(Kind.FACE, FACE, ALONG), seen_words([]),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def calibrations() -> Any:
    """The shipped ones, under the names of the test's spaces: their numbers are the product's own."""
    from classifiers import thresholds
    from classifiers.embed import OpenClipEmbedder
    from classifiers.faces_dlib import DlibFaces
    from classifiers.minilm import MiniLm

    models = {CLIP: OpenClipEmbedder(), MINI: MiniLm(), FACE: DlibFaces()}
    found = {space: thresholds.load(model.space) for space, model in models.items()}
    return {
        space: replace(one, space=space, cohort=np.zeros((0, 0), np.float32)) for space, one in found.items()
    }


def subject(**changes: Any) -> SubjectRecord:
    plain = SubjectRecord(
        id="s1", kind="character", name="Zorbolino", owner="Studio", party="p1", mode="block", description="",
        attributes=(), exclusions=(), names=(), vectors=(), rules=(), state="active", seq=5,
    )  # fmt: skip
    return replace(plain, **changes)


def name(text: str) -> NameRow:
    return NameRow(subject="s1", text=text, tier="block", context=(), kind="official", language="")


def vector(kind: str, space: str, direction: Any) -> VectorRow:
    return VectorRow(
        subject="s1", reference="ab" * 32, space=space, kind=kind, polarity=1,
        vector=np.asarray(direction, "<f2").tobytes(), dimension=8,
    )  # fmt: skip


def rule(effect: str, *, licence: bool = False, account: str | None = None) -> RuleRow:
    return RuleRow(
        id="r1", subject="s1", effect=effect, account=account, valid_from=None, valid_until=None, priority=0,
        licence=licence,
    )  # fmt: skip


def change(kind: str, record: SubjectRecord | None, key: str | None = None) -> Change:
    entry = LogEntry(
        seq=5, kind=kind, at=NOW, public={}, private=None, commitment=None, entry=b"", leaf_hash=b""
    )
    return Change(entry=entry, subject=record, revoked_key=key)


def question(preset: str = "opt-out", **changes: Any) -> Question:
    decision = Decision(
        verdict=Verdict.ALLOW, policy=preset, policy_version=PRESETS[preset].version, reasons=(), checks={},
        registry_seq=4, decided_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    asked = Question(policy=PRESETS[preset], decision=decision, sight=SIGHT, account="a", key="key-1")
    return replace(asked, **changes)


NAMED = subject(names=(name("Zorbolino"),))
SHOWN = seen_words([(2.5, [ReadLine(line=Line(text="ZORBOLINO", confidence=0.9), box=(0.1, 0.8, 0.6, 0.9))])])
PICTURED = subject(vectors=(vector("picture", CLIP, ALONG),))
FACED = subject(kind="person", vectors=(vector("portrait", FACE, ALONG),))


@pytest.mark.parametrize(
    ("kind", "record", "verdict", "code"),
    [
        ("opt-out", NAMED, "block", "name_match"),
        ("name", NAMED, "block", "name_match"),
        ("opt-out", PICTURED, "review", "picture_match"),
        ("reference", PICTURED, "review", "picture_match"),
        ("reference", FACED, "review", "likeness_match"),
        ("rule", replace(NAMED, mode="allow", rules=(rule("block"),)), "block", "name_match"),
        ("licence", NAMED, "block", "name_match"),
    ],
)
def test_each_kind_of_change_can_forbid(
    calibrations: Any, kind: str, record: SubjectRecord, verdict: str, code: str
) -> None:
    answer = recheck(question(), [change(kind, record)], calibrations, now=NOW)
    assert answer.verdict == verdict
    assert code in [reason.code for reason in answer.reasons]
    assert answer.decided_at == NOW


@pytest.mark.parametrize(
    "record",
    [
        subject(names=(name("Quellandro"),)),
        subject(vectors=(vector("picture", CLIP, -ALONG),)),
        subject(kind="person", vectors=(vector("portrait", FACE, ALONG + 2 * ACROSS),)),
        replace(NAMED, state="withdrawn", names=()),
        replace(NAMED, mode="allow"),
        replace(NAMED, rules=(rule("allow", licence=True, account="a"),)),
    ],
)
def test_what_does_not_concern_the_clip_lets_it_pass(calibrations: Any, record: SubjectRecord) -> None:
    answer = recheck(question(), [change("opt-out", record)], calibrations, now=NOW)
    assert (answer.verdict, answer.reasons) == (Verdict.ALLOW, ())


def test_a_licence_of_another_account_does_not_help(calibrations: Any) -> None:
    record = replace(NAMED, rules=(rule("allow", licence=True, account="b"),))
    answer = recheck(question(), [change("licence", record)], calibrations, now=NOW)
    assert answer.verdict is Verdict.BLOCK


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_revoked_key_stops_only_its_own_jobs(preset: str) -> None:
    revoked = [change("key", None, "key-1")]
    answer = recheck(question(preset), revoked, {}, now=NOW)
    assert (answer.verdict, [r.code for r in answer.reasons]) == (Verdict.BLOCK, ["key_revoked"])
    for other in (question(preset, key=""), question(preset, key="key-2")):
        assert recheck(other, revoked, {}, now=NOW).verdict is Verdict.ALLOW


def about_release(kind: str, release: str) -> Change:
    plain = change(kind, None)
    return replace(plain, entry=replace(plain.entry, public={"release": release}))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_what_it_was_made_from_was_withdrawn(preset: str) -> None:
    child, gone = question(preset, parents=("a", "b")), about_release("withdrawal", "b")
    answer = recheck(child, [gone], {}, now=NOW)
    assert (answer.verdict, [r.code for r in answer.reasons]) == (Verdict.REVIEW, ["parent_withdrawn"])
    for changes in ([gone, about_release("reinstatement", "b")], [about_release("withdrawal", "c")]):
        assert recheck(child, changes, {}, now=NOW).verdict is Verdict.ALLOW
    back = [about_release("reinstatement", "b"), gone]
    assert recheck(child, back, {}, now=NOW).verdict is Verdict.REVIEW
    assert recheck(question(preset), [gone], {}, now=NOW).verdict is Verdict.ALLOW


def test_another_version_of_the_policy_holds() -> None:
    old = question()
    old = replace(old, decision=replace(old.decision, policy_version=1))
    answer = recheck(old, [], {}, now=NOW)
    assert (answer.verdict, [r.code for r in answer.reasons]) == (Verdict.REVIEW, ["policy_changed"])


def test_marks_only_asks_nothing_of_the_registry() -> None:
    assert recheck(question("marks-only"), [change("opt-out", NAMED)], {}, now=NOW).verdict is Verdict.ALLOW


def test_what_another_model_registered_cannot_be_compared(calibrations: Any) -> None:
    foreign = subject(vectors=(vector("picture", "clip-other", ALONG),))
    answer = recheck(question(), [change("opt-out", foreign)], calibrations, now=NOW)
    assert answer.verdict is Verdict.REVIEW
    assert [(r.code, r.check) for r in answer.reasons] == [("not_comparable", policy.FRAMES)]


def test_what_was_never_seen_holds(calibrations: Any) -> None:
    blind = question(sight=Sight(texts=(PROMPT,)))
    answer = recheck(blind, [change("opt-out", PICTURED)], calibrations, now=NOW)
    assert answer.verdict is Verdict.REVIEW
    assert "check_unfinished" in [reason.code for reason in answer.reasons]


def test_without_a_prompt_frames_decide(calibrations: Any) -> None:
    silent = question(sight=replace(SIGHT, texts=(), seen=SIGHT.of(Kind.FRAME, Kind.FACE, Kind.WORDS)))
    assert recheck(silent, [change("opt-out", NAMED)], calibrations, now=NOW).verdict is Verdict.ALLOW
    assert recheck(silent, [change("opt-out", PICTURED)], calibrations, now=NOW).verdict is Verdict.REVIEW


@pytest.mark.parametrize(
    ("preset", "wish", "held"),
    [
        ("opt-out", Wish(effect=Verdict.ALLOW, name="Z", owner="S"), False),
        ("opt-out", Wish(effect=Verdict.BLOCK, name="Z", owner="S"), True),
        ("opt-out", Wish(effect=Verdict.REVIEW, name="Z", owner="S"), True),
        ("opt-out", None, False),
        ("permission-first", Wish(effect=Verdict.ALLOW, name="Z", owner="S"), True),
        ("permission-first", Wish(effect=Verdict.ALLOW, name="Z", owner="S", licence=True), False),
    ],
)
def test_a_permission_that_ended_by_the_clock_holds(preset: str, wish: Wish | None, held: bool) -> None:
    asked = question(preset, wishes=lambda _subject, _intent="depict": wish)
    asked = replace(asked, decision=replace(asked.decision, allowed=("s1",)))
    answer = recheck(asked, [], {}, now=NOW)
    assert [reason.code for reason in answer.reasons] == (["permission_ended"] if held else [])
    assert recheck(replace(asked, decision=question(preset).decision), [], {}, now=NOW).reasons == ()


class Strangers:
    """A registry in which one subject's pictures were seen by another model only."""

    def strangers(self, kinds: Any, spaces: Any) -> frozenset[str]:
        return frozenset({"s1"} if "picture" in kinds and "clip-other" not in spaces else ())


def test_a_check_that_cannot_compare_everybody_is_not_complete() -> None:
    checks = (*policy.COMPARED, policy.UNSAFE)
    done = [CheckReport(check=check, state=CheckState.COMPLETED) for check in checks]
    states = {report.check: report for report in in_full(done, SIGHT, Strangers())}
    assert {check for check, report in states.items() if report.state is not CheckState.COMPLETED} == {
        policy.FRAMES
    }
    assert states[policy.FRAMES].state is CheckState.SKIPPED
    decided = policy.decide(
        PRESETS["opt-out"], list(states.values()), sound=policy.Sound.ACCEPT, has_sound=False,
        registry_seq=1, now=NOW,
    )  # fmt: skip
    assert decided.verdict is Verdict.REVIEW
    assert "another model" in decided.reasons[0].detail
    failed = [CheckReport(check=policy.FRAMES, state=CheckState.FAILED)]
    assert in_full(failed, SIGHT, Strangers()) == tuple(failed)


def test_a_permission_ends_with_the_subject_only_where_one_is_needed() -> None:
    gone = [change("opt-out", replace(NAMED, state="withdrawn", names=()))]
    for preset, verdict in (("permission-first", Verdict.REVIEW), ("opt-out", Verdict.ALLOW)):
        asked = question(preset)
        asked = replace(asked, decision=replace(asked.decision, allowed=("s1",)))
        assert recheck(asked, gone, {}, now=NOW).verdict is verdict


def test_what_changed_and_is_allowed_is_counted_at_the_fence(calibrations: Any) -> None:
    record = replace(NAMED, mode="block", rules=(rule("allow", licence=True, account="a"),))
    asked = question(wishes=wishes_of({"s1": record}, "a", NOW))
    answer = recheck(asked, [change("licence", record)], calibrations, now=NOW)
    assert (answer.verdict, answer.allowed) == (Verdict.ALLOW, ("s1",))
    assert shown(answer) == (Shown(subject="s1", intent="depict", rule="r1"),)


def test_the_ask_reaches_the_rules(calibrations: Any) -> None:
    only = replace(rule("allow"), conditions=Conditions(purposes=("education",), cap_all=2))
    record = replace(NAMED, rules=(only,))
    for ask, used, verdict in (
        (Ask(account="a"), 0, Verdict.BLOCK),
        (Ask(account="a", purpose="education"), 0, Verdict.ALLOW),
        (Ask(account="a", purpose="education"), 2, Verdict.BLOCK),
    ):
        counted = Used(account=used, everybody=used)
        asked = question(
            ask=ask, uses=lambda rules, _account, _now, counted=counted: dict.fromkeys(rules, counted)
        )
        answer = recheck(asked, [change("rule", record)], calibrations, now=NOW)
        assert answer.verdict is verdict


def test_another_rule_may_carry_what_the_first_no_longer_does() -> None:
    """The first rule is used up at the fence; the second lets the clip leave, and is the one that counts."""
    rows = (
        replace(rule("allow"), conditions=Conditions(cap_all=1), priority=1),
        replace(rule("allow"), id="r2"),
    )
    record = replace(NAMED, rules=rows)
    full = {"r1": Used(account=1, everybody=1)}
    fresh, spent = (
        wishes_of({"s1": record}, "a", NOW, lambda *_args, uses=uses: uses) for uses in ({}, full)
    )
    decided = replace(
        question().decision, allowed=("s1",),
        rulings=(policy.ruled_of(PRESETS["opt-out"], "s1", "depict", fresh("s1")),),  # type: ignore[arg-type]
    )  # fmt: skip
    assert [one.rule for one in shown(decided)] == ["r1"]
    answer = recheck(question(decision=decided, wishes=spent), [], {}, now=NOW)
    assert answer.verdict is Verdict.ALLOW
    assert [one.rule for one in shown(answer)] == ["r2"]
    record = replace(NAMED, rules=rows[:1])
    spent = wishes_of({"s1": record}, "a", NOW, lambda *_args: full)
    answer = recheck(question(decision=decided, wishes=spent), [], {}, now=NOW)
    assert [reason.code for reason in answer.reasons] == ["cap_reached"]


def test_who_wants_to_be_asked_now_is_asked_from_the_fence() -> None:
    record = replace(NAMED, mode="ask")
    decided = replace(question().decision, allowed=("s1",))
    asked = question(decision=decided, wishes=wishes_of({"s1": record}, "a", NOW))
    answer = recheck(asked, [], {}, now=NOW)
    [reason] = answer.reasons
    assert (reason.code, reason.evidence) == (
        "permission_ended", {"subject": "s1", "intent": "depict", "asks": True, "subject_name": record.name,
         "owner": record.owner},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("then", "by_now", "held"),
    [
        ("review", "block", True),  # no clearing lifts that
        ("review", "review", False),
        ("review", "allow", False),
        ("block", "block", False),  # a finding that was not sure, or upon an appeal: it was known
    ],
)
def test_what_people_cleared_and_is_forbidden_by_now_holds(then: str, by_now: str, held: bool) -> None:
    record = replace(NAMED, mode="allow", inherited=(rule(by_now),))
    wish = Wish(effect=Verdict(then), name="Zorbolino", owner="Studio")
    cleared = policy.ruled_of(PRESETS["opt-out"], "s1", "depict", wish)
    other = policy.ruled_of(PRESETS["opt-out"], "s2", "depict", replace(wish, effect=Verdict.ALLOW))
    decision = replace(question().decision, rulings=(cleared, other), allowed=("s2",))
    subjects = {"s1": record, "s2": replace(NAMED, id="s2", mode="allow")}
    asked = question(decision=decision, wishes=wishes_of(subjects, "a", NOW))
    answer = recheck(asked, [], {}, now=NOW)
    assert [(one.code, one.evidence["subject"]) for one in answer.reasons] == (
        [("permission_ended", "s1")] if held else []
    )
    if then == by_now == "review":  # the fence asks round by round
        subjects["s1"] = replace(record, inherited=(rule("block"),))
        again = recheck(replace(asked, decision=answer), [], {}, now=NOW)
        assert [one.code for one in again.reasons] == ["permission_ended"]
        assert "A person let Zorbolino (Studio) pass" in again.reasons[0].detail


def test_what_is_allowed_as_a_style_and_cleared_where_it_is_shown_leaves() -> None:
    styled = replace(rule("allow"), conditions=Conditions(intent="style"))
    wishes = wishes_of({"s1": replace(NAMED, rules=(styled,))}, "a", NOW)
    rulings = [policy.ruled_of(PRESETS["opt-out"], "s1", intent, wish)
               for intent in ("depict", "style") if (wish := wishes("s1", intent))]  # fmt: skip
    assert [str(one.effect) for one in rulings] == ["block", "allow"]
    decision = replace(question().decision, rulings=tuple(rulings), allowed=("s1",))
    answer = recheck(question(decision=decision, wishes=wishes), [], {}, now=NOW)
    assert (answer.verdict, answer.reasons) == (Verdict.ALLOW, ())
    assert shown(answer) == (Shown(subject="s1", intent="style", rule="r1"),)


def test_a_name_in_the_frames_holds_whatever_the_prompt_says() -> None:
    silent = replace(SIGHT, texts=("a frog",), seen=(*SIGHT.seen[:-1], SHOWN))
    answer = recheck(question(sight=silent), [change("name", NAMED)], {}, now=NOW)
    [reason] = [one for one in answer.reasons if one.check == policy.WORDS]
    assert (answer.verdict, reason.code) == (Verdict.REVIEW, "words_match")
    assert reason.detail == (
        "“ZORBOLINO”, in the clip at 2.5 s (10% to 60% from the left, 80% to 90% from the top), "
        "names Zorbolino (Studio). The owner opted out."
    )
    assert reason.evidence["times"] == [2.5]


def test_words_that_nobody_read_hold() -> None:
    unread = replace(SIGHT, texts=("a frog",), seen=SIGHT.seen[:-1])
    answer = recheck(question(sight=unread), [change("name", NAMED)], {}, now=NOW)
    unfinished = [one for one in answer.reasons if one.check == policy.WORDS]
    assert (answer.verdict, [one.code for one in unfinished]) == (Verdict.REVIEW, ["check_unfinished"])


def test_what_is_said_in_a_clip_without_a_prompt_is_judged_too() -> None:
    heard = Sight(texts=("words that somebody speaks",))
    judged = replace(heard, seen=(Seen(kind=Kind.UNSAFE, space="any", vectors=np.zeros((1, 1), np.float32)),))
    checks = policy.PROMPT_CHECKS
    assert set(unprompted(checks, Sight())) == set(checks)
    assert set(unprompted(checks, heard)) == {policy.DESCRIPTIONS, policy.UNSAFE}
    assert set(unprompted(checks, judged)) == {policy.DESCRIPTIONS}
