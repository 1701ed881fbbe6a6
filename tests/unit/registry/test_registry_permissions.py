"""Ask me: a hold asks, an answer lifts or refuses, a clock refuses; once, in one transaction, in the log."""

from dataclasses import replace
from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home, Judgement, candidate

from registry import holds, log, optouts, permissions, releases, restrictions, rules
from registry.canonical import Json
from registry.db import read, write
from registry.errors import ConstraintBroken, NotFound, OptOutInvalid, PermissionAnswered
from registry.permissions import ACCOUNT, ONCE, Approval, Permission, Request
from registry.ruling import Ask, ruling
from registry.tables_rules import permission
from registry.types import Held, Job, JobState, Reason
from registry.vocabulary import Conditions

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
SOON, LATE = "2026-02-07T11:59:59Z", "2026-02-07T12:00:00Z"
REQUEST = Request(account="studio", purpose="education", prompt="Zibble waves", preview="", days=7)


def reason(subject: str, *, asks: bool = True, intent: str = "depict") -> Reason:
    evidence: Json = {"subject": subject, "intent": intent, "asks": asks}
    return Reason(code="name_match", check="prompt_names", detail="A name.", evidence=evidence)


def held(home: Home, *reasons: Reason, key: str = "k") -> tuple[Job, list[Permission]]:
    """A job that these reasons hold, and what its holders are asked."""
    job = home.jobs.submit("make", key, {"prompt": "Zibble waves"})
    made: list[Permission] = []

    def also(conn: Any, hold: Held) -> None:
        made.extend(permissions.ask(conn, hold, REQUEST, now=NOW, signer=SIGNER))

    decided: Json = {"decision": {"verdict": "review", "reasons": []}, "reasons": []}
    home.jobs.finish(
        job, JobState.HELD, decided, reasons=reasons, also_held=also,
        decided=Judgement(verdict="review", reasons=reasons), sign_checkpoint=SIGNER,
    )  # fmt: skip
    return job, made


def ask_me(home: Home, title: str = "Zibble") -> str:
    return home.opt_out(title, mode="ask").subject


def outcome(
    home: Home, subject: str, account: str = "studio", job: str = "", purpose: str = "",
    intent: str = "depict",
) -> str:  # fmt: skip
    record = optouts.get(home.engine, subject)
    assert record is not None
    return ruling(record, Ask(account=account, job=job, purpose=purpose, intent=intent), NOW).outcome


def test_a_hold_asks_each_subject_once(home: Home) -> None:
    subject, other = ask_me(home), ask_me(home, "Wobble")
    job, made = held(home, reason(subject), reason(subject), reason(other), reason(other, intent="style"))
    assert [(one.subject_id, one.intent, one.state) for one in made] == [
        (subject, "depict", "asked"), (other, "depict", "asked"), (other, "style", "asked"),
    ]  # fmt: skip
    first = permissions.get(home.engine, made[0].id)
    assert first == made[0]
    assert (first.account, first.purpose, first.prompt, first.due_at) == (
        "studio", "education", "Zibble waves", LATE,
    )  # fmt: skip
    listed = permissions.list_permissions(home.engine, job_id=job.id)
    assert listed == sorted(made, key=lambda one: one.id)
    assert permissions.list_permissions(home.engine, state="approved") == []


def test_what_else_holds_asks_nobody(home: Home) -> None:
    subject = ask_me(home)
    unfinished = Reason(code="check_unfinished", check="frames", detail="It took too long.")
    assert held(home, reason(subject), unfinished)[1] == []
    assert held(home, reason(subject, asks=False), key="l")[1] == []


def test_once_is_for_this_job_alone(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    made = permissions.approve(home.engine, asked.id, Approval(), **BY)
    assert made.state == "approved"
    assert home.jobs.get(job.id).state is JobState.OPEN
    assert outcome(home, subject, job=job.id) == "allow"
    assert outcome(home, subject, job="another") == "review"
    assert outcome(home, subject, "other", job=job.id) == "review"
    record = optouts.get(home.engine, subject)
    assert record is not None
    assert [(row.id, row.licence, row.conditions.permission) for row in record.rules] == [
        (made.rule_id, True, asked.id)
    ]
    assert ruling(record, Ask(account="studio", job=job.id), NOW).permission == asked.id


def test_the_account_gets_a_licence_within_conditions(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    approval = Approval(scope=ACCOUNT, conditions=Conditions(purposes=("education",), credit="by us"))
    made = permissions.approve(home.engine, asked.id, approval, **BY)
    assert home.jobs.get(job.id).state is JobState.OPEN
    assert outcome(home, subject, purpose="education") == "allow"
    assert outcome(home, subject, purpose="commercial") == "review"
    assert outcome(home, subject, "other", purpose="education") == "review"
    assert made.answer == {
        "scope": "account", "valid_until": None,
        "conditions": {"purposes": ["education"], "credit": "by us"},
    }  # fmt: skip


@pytest.mark.parametrize(("asked_as", "other"), [("style", "depict"), ("depict", "style")])
@pytest.mark.parametrize("scope", [ONCE, ACCOUNT])
def test_a_yes_is_for_what_was_asked(home: Home, scope: str, asked_as: str, other: str) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject, intent=asked_as))
    permissions.approve(home.engine, asked.id, Approval(scope=scope), **BY)
    assert outcome(home, subject, job=job.id, intent=asked_as) == "allow"
    assert outcome(home, subject, job=job.id, intent=other) == "review"


def test_a_holder_may_say_which_of_the_two(home: Home) -> None:
    subject = ask_me(home)
    _, [asked] = held(home, reason(subject))
    approval = Approval(scope=ACCOUNT, conditions=Conditions(intent="style"))
    permissions.approve(home.engine, asked.id, approval, **BY)
    assert outcome(home, subject, intent="style") == "allow"
    assert outcome(home, subject) == "review"


def test_the_hold_is_lifted_when_all_have_approved(home: Home) -> None:
    subjects = [ask_me(home, title) for title in ("Zibble", "Wobble")]
    job, asked = held(home, *map(reason, subjects))
    permissions.approve(home.engine, asked[0].id, Approval(), **BY)
    assert home.jobs.get(job.id).state is JobState.HELD
    permissions.approve(home.engine, asked[1].id, Approval(), **BY)
    assert home.jobs.get(job.id).state is JobState.OPEN
    with read(home.engine) as conn:
        assert holds.lifted(conn, job.id) == 1
    assert [again.id for again in home.jobs.resume()] == [job.id]


def test_one_refusal_ends_the_job_and_the_other_requests(home: Home) -> None:
    subjects = [ask_me(home, title) for title in ("Zibble", "Wobble", "Quoz")]
    job, asked = held(home, *map(reason, subjects))
    permissions.approve(home.engine, asked[0].id, Approval(), **BY)
    permissions.refuse(home.engine, asked[1].id, why="no", **BY)
    ended = home.jobs.get(job.id)
    assert ended.state is JobState.REFUSED
    assert ended.result is not None
    told: Any = ended.result["reasons"][0]  # type: ignore[index]
    assert told["code"] == "permission_refused"
    assert told["detail"] == "The rights holder of Wobble (Acme) was asked, and refused."
    assert (told["evidence"]["subject_name"], told["evidence"]["owner"]) == ("Wobble", "Acme")
    assert ended.result["decision"]["verdict"] == "block"  # type: ignore[index, call-overload]
    states = [permissions.get(home.engine, one.id).state for one in asked]
    assert states == ["approved", "refused", "expired"]
    with pytest.raises(PermissionAnswered):
        permissions.approve(home.engine, asked[2].id, Approval(), **BY)


def test_the_clock_refuses(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    assert permissions.expire_due(home.engine, now=SOON, sign_checkpoint=SIGNER) == []
    [ended] = permissions.expire_due(home.engine, now=LATE, sign_checkpoint=SIGNER)
    assert (ended.id, ended.state, ended.answer) == (asked.id, "expired", None)
    told = home.jobs.get(job.id)
    assert told.state is JobState.REFUSED
    assert "permission_expired" in str(told.result)
    assert permissions.expire_due(home.engine, now=LATE, sign_checkpoint=SIGNER) == []


@pytest.mark.parametrize(("code", "by"), [("permission_refused", "both"), ("permission_expired", "machine")])
def test_a_no_and_silence_are_decisions(home: Home, code: str, by: str) -> None:
    """With a statement of reasons of their own, and open to an appeal."""
    job, [asked] = held(home, reason(ask_me(home)))
    if code == "permission_refused":
        permissions.refuse(home.engine, asked.id, why="no", now=SOON, sign_checkpoint=SIGNER)
    else:
        permissions.expire_due(home.engine, now=LATE, sign_checkpoint=SIGNER)
    with read(home.engine) as conn:
        found, head = restrictions.of_job(conn, job.id), log.head(conn)
        [entry] = [one for one in log.entries(conn, asked.log_seq, head) if one.kind == "decision"]
        assert log.covering(conn, head) is not None
        assert log.audit(conn)
    assert found is not None
    assert (found.kind, found.by, found.ended_at, found.policy) == ("refusal", by, None, ("test", 1))
    assert [(one.code, one.check) for one in found.found] == [(code, "permission")]
    assert (entry.public["verdict"], entry.public["reasons"]) == ("block", [code])
    assert entry.private is not None
    assert entry.private["job"] == job.id


def test_an_answer_that_comes_too_late_is_none(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    with pytest.raises(PermissionAnswered, match="expired"):
        permissions.approve(home.engine, asked.id, Approval(), now=LATE, sign_checkpoint=SIGNER)
    assert home.jobs.get(job.id).state is JobState.REFUSED
    assert outcome(home, subject) == "review"


def test_the_same_answer_again_changes_nothing_and_another_is_refused(home: Home) -> None:
    subject = ask_me(home)
    _, [asked] = held(home, reason(subject))
    made = permissions.approve(home.engine, asked.id, Approval(), **BY)
    with read(home.engine) as conn:
        before = log.head(conn)
    assert permissions.approve(home.engine, asked.id, Approval(), **BY) == made
    with pytest.raises(PermissionAnswered):
        permissions.approve(home.engine, asked.id, Approval(scope=ACCOUNT), **BY)
    with pytest.raises(PermissionAnswered):
        permissions.refuse(home.engine, asked.id, why="", **BY)
    with read(home.engine) as conn:
        assert log.head(conn) == before
    with pytest.raises(NotFound):
        permissions.refuse(home.engine, "nothing", why="", **BY)


def test_a_bad_answer_is_no_answer(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    with pytest.raises(OptOutInvalid):
        permissions.approve(home.engine, asked.id, Approval(conditions=Conditions(regions=("XX",))), **BY)
    assert permissions.get(home.engine, asked.id).state == "asked"
    assert home.jobs.get(job.id).state is JobState.HELD


def test_an_answer_is_whole_or_not_at_all(home: Home) -> None:
    """A process that dies at the last moment of its answer has answered nothing."""
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))

    def dies(_text: bytes) -> bytes:
        raise KeyboardInterrupt

    signer = replace(SIGNER, sign=dies)
    with read(home.engine) as conn:
        before = log.head(conn)
    with pytest.raises(KeyboardInterrupt):
        permissions.approve(home.engine, asked.id, Approval(), now=NOW, sign_checkpoint=signer)
    with pytest.raises(KeyboardInterrupt):
        permissions.refuse(home.engine, asked.id, why="", now=NOW, sign_checkpoint=signer)
    with pytest.raises(KeyboardInterrupt):
        permissions.expire_due(home.engine, now=LATE, sign_checkpoint=signer)
    with read(home.engine) as conn:
        assert log.head(conn) == before
    assert permissions.get(home.engine, asked.id) == asked
    assert home.jobs.get(job.id).state is JobState.HELD
    assert outcome(home, subject, job=job.id) == "review"


def test_who_withdrew_meanwhile_is_in_nobodys_way(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    optouts.withdraw(home.engine, subject, why={}, **BY)
    made = permissions.approve(home.engine, asked.id, Approval(), **BY)
    assert (made.state, made.rule_id) == ("approved", None)
    assert home.jobs.get(job.id).state is JobState.OPEN


def test_the_fence_asks_in_the_transaction_of_its_hold(home: Home) -> None:
    subject = ask_me(home)
    job = home.jobs.submit("make", "k", {})
    says = Judgement(verdict="review", reasons=(reason(subject),))
    asked: list[Permission] = []

    def also(conn: Any, hold: Held) -> None:
        asked.extend(permissions.ask(conn, hold, REQUEST, now=NOW, signer=SIGNER))

    asking = candidate(job, 1)
    for _ in range(2):  # asked again, the hold is known, and nobody is asked twice
        made = releases.publish(home.engine, asking, lambda _: says, **BY, also_held=also)
        assert isinstance(made, Held)
    assert [one.subject_id for one in asked] == [subject]
    permissions.approve(home.engine, asked[0].id, Approval(), **BY)
    assert home.jobs.get(job.id).state is JobState.OPEN


def test_a_hold_that_cannot_ask_is_no_hold(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})

    def also(conn: Any, hold: Held) -> None:
        permissions.ask(conn, hold, REQUEST, now=NOW, signer=SIGNER)

    with pytest.raises(NotFound):
        home.jobs.finish(job, JobState.HELD, {}, reasons=[reason("nobody")], also_held=also)
    assert home.jobs.get(job.id).state is JobState.OPEN


def test_the_log_says_that_somebody_asked_and_not_who(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    permissions.approve(home.engine, asked.id, Approval(), **BY)
    with read(home.engine) as conn:
        entries = [one for one in log.entries(conn, 0, log.head(conn)) if one.kind == "permission"]
        assert log.audit(conn)
    assert [one.public["action"] for one in entries] == ["ask", "approve"]
    for one in entries:
        assert not any(word in one.entry for word in (b"studio", b"Zibble", job.id.encode()))
        assert one.private is not None
        assert one.private["account"] == "studio"


def test_what_the_database_refuses_of_permissions(home: Home) -> None:
    subject = ask_me(home)
    job, [asked] = held(home, reason(subject))
    with read(home.engine) as conn:
        row = conn.execute(permission.select()).one()._asdict()
    other = "0" * 36
    answered = {"state": "approved", "answered_at": NOW, "answer_seq": asked.log_seq}
    wrong = [
        permission.update().values(prompt="something else"),
        permission.update().values(due_at=LATE.replace("7", "8")),
        permission.delete(),
        permission.update().values(state="approved"),
        permission.update().values(state="refused", answered_at=NOW, answer_seq=1),
        permission.insert().values(**row),
        permission.insert().values(**row | {"id": other}),
        permission.insert().values(**row | {"id": other, **answered}),
    ]
    for statement in wrong:
        with pytest.raises(ConstraintBroken), write(home.engine) as conn:
            conn.execute(statement)
    made = permissions.refuse(home.engine, asked.id, why="", **BY)
    assert made.answer_seq is not None
    with pytest.raises(ConstraintBroken, match="answered once"), write(home.engine) as conn:
        conn.execute(permission.update().values(state="approved"))
    free = home.jobs.submit("make", "free", {})
    with write(home.engine) as conn:
        seq = log.append(conn, "permission", {"permission": other}, None, NOW).seq
    loose = permission.insert().values(**row | {"id": other, "job_id": free.id, "log_seq": seq})
    with pytest.raises(ConstraintBroken, match="held"), write(home.engine) as conn:
        conn.execute(loose)
    assert job.id != free.id


def test_rules_and_tags_of_keys_are_fixed(home: Home) -> None:
    from registry import apikeys
    from registry.tables import api_key, rule

    subject = ask_me(home)
    rules.set_rule(home.engine, subject, "allow", conditions=Conditions(regions=("DE",)), **BY)
    apikeys.create(home.engine, "a", "n", ["create"], tags=["press"], now=NOW)
    for statement in (rule.update().values(conditions={}), api_key.update().values(tags=[])):
        with pytest.raises(ConstraintBroken, match="never change"), write(home.engine) as conn:
            conn.execute(statement)
