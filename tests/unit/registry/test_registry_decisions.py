import json

import pytest
from log_world import BY
from registry_builders import BLOCK, NOW, SIGNER, Home, Judgement
from sqlalchemy import text

from registry import decisions, erasure, log, optouts
from registry.canonical import Json
from registry.db import read, write
from registry.errors import ConstraintBroken
from registry.types import Held, JobState, Reason, Release

NAMED = Judgement(
    verdict="block",
    reasons=(
        Reason(code="name_match", check="names", detail="“zibble” names Zibble.", evidence={"subject": "s1"}),
        Reason(code="name_match", check="names", detail="Again."),
    ),
)


def of_kind(home: Home, kind: str) -> list[log.LogEntry]:
    with read(home.engine) as conn:
        return [entry for entry in log.entries(conn, 0, log.head(conn)) if entry.kind == kind]


def rows(home: Home) -> list[tuple[str, int]]:
    with read(home.engine) as conn:
        return [tuple(row) for row in conn.execute(text("SELECT verdict, log_seq FROM decision ORDER BY 2"))]


def test_a_release_names_its_decision_which_is_a_leaf_before_it(home: Home) -> None:
    made = home.release()
    (decided,), (released,) = of_kind(home, "decision"), of_kind(home, "release")
    assert (decided.seq, released.seq) == (made.log_seq - 1, made.log_seq)
    assert released.public["decision_seq"] == decided.seq
    assert decided.public == {
        "v": 1, "verdict": "allow", "policy": "test", "policy_version": 1, "registry_seq": 0,
        "checks": {"names": "completed"}, "reasons": [], "decided_at": NOW,
    }  # fmt: skip
    assert decided.private == {"decision": made.decision_id, "job": made.job_id, "reasons": []}
    with read(home.engine) as conn:
        assert log.registry_seq(conn) == 0  # a decision changes no verdict


@pytest.mark.parametrize(
    ("state", "made"), [(JobState.REFUSED, NAMED), (JobState.HELD, Judgement(verdict="review"))]
)
def test_a_refusal_and_a_hold_are_logged_once(home: Home, state: JobState, made: Judgement) -> None:
    job = home.jobs.submit("make", "k", {"prompt": "zibble"})
    why = (Reason(code="x", check="y", detail="z"),)
    end = {"reasons": why, "decided": made, "sign_checkpoint": SIGNER}
    done = home.jobs.finish(job, state, {"why": "told"}, **end)
    assert home.jobs.finish(job, state, {"why": "told"}, **end) == done
    (entry,) = of_kind(home, "decision")
    assert (entry.public["verdict"], rows(home)) == (made.verdict, [(made.verdict, entry.seq)])
    with read(home.engine) as conn:
        assert log.prove(conn, entry.seq).tree_size == entry.seq  # a checkpoint came with it


def test_what_might_name_somebody_is_in_the_private_part_only(home: Home) -> None:
    job = home.jobs.submit("make", "k", {"prompt": "zibble", "account": "studio"})
    home.jobs.finish(job, JobState.REFUSED, {}, decided=NAMED, sign_checkpoint=SIGNER)
    (entry,) = of_kind(home, "decision")
    assert entry.public["reasons"] == ["name_match"]
    for word in (b"ibble", b"studio", job.id.encode(), decisions_id(home).encode()):
        assert word not in entry.entry
    told = json.dumps(entry.private)
    assert "studio" not in told
    assert entry.private is not None
    assert entry.private["job"] == job.id
    assert entry.private["reasons"][0]["subject"] == "s1"  # type: ignore[index, call-overload]


def decisions_id(home: Home) -> str:
    with read(home.engine) as conn:
        return str(conn.execute(text("SELECT id FROM decision")).scalar_one())


def test_a_hold_by_the_fence_is_a_decision_of_its_own(home: Home) -> None:
    seq = home.opt_out().seq
    held = home.publish("k", lambda _: BLOCK)
    assert isinstance(held, Held)
    assert home.publish("k", lambda _: BLOCK) == held
    (entry,) = of_kind(home, "decision")
    assert (entry.public["verdict"], entry.public["registry_seq"]) == ("block", seq)
    assert entry.public["reasons"] == ["opted_out"]


def test_the_same_decision_again_is_the_same_leaf(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    with write(home.engine) as conn:
        first = decisions.record(conn, job.id, NAMED, NOW)
        assert decisions.record(conn, job.id, NAMED, "2027-01-01T00:00:00Z") == first
        assert decisions.record(conn, job.id, Judgement(), NOW) != first
    assert len(of_kind(home, "decision")) == 2


def test_an_erasure_of_the_subject_closes_decisions_about_it(home: Home) -> None:
    made = home.opt_out("Zibble")
    job = home.jobs.submit("make", "k", {})
    about = Reason(code="name_match", check="names", detail="Zibble.", evidence={"subject": made.subject})
    decided = Judgement(verdict="block", reasons=(about,))
    home.jobs.finish(job, JobState.REFUSED, {}, decided=decided, sign_checkpoint=SIGNER)
    assert isinstance(home.publish("other"), Release)
    optouts.withdraw(home.engine, made.subject, why={}, **BY)
    erasure.erase_subject(home.engine, made.subject, why={}, **BY)
    refused, allowed = of_kind(home, "decision")
    assert (refused.erased, allowed.erased) == (True, False)
    with read(home.engine) as conn:
        log.audit(conn)


ROW = (
    "INSERT INTO decision (id, job_id, verdict, policy, policy_version, checks, reasons, registry_seq, "
    "decided_at, log_seq) VALUES ('{id}', '{job}', '{verdict}', 'test', 1, '{{}}', '[]', 0, '{at}', {seq})"
)
PUBLIC: Json = {"verdict": "allow", "policy": "test", "decided_at": NOW}


@pytest.mark.parametrize(
    ("kind", "public", "private", "seq"),
    [
        ("decision", PUBLIC, {}, "NULL"),
        ("decision", PUBLIC, {}, "1"),
        ("decision", PUBLIC, None, "2"),
        ("decision", PUBLIC | {"verdict": "block"}, {}, "2"),
        ("decision", PUBLIC | {"policy": "other"}, {}, "2"),
        ("decision", PUBLIC | {"decided_at": "2027-01-01T00:00:00Z"}, {}, "2"),
        ("release", PUBLIC, {}, "2"),
        ("opt-out", PUBLIC, {}, "2"),
    ],
)
def test_the_database_takes_no_decision_without_its_leaf(
    home: Home, kind: str, public: Json, private: Json | None, seq: str
) -> None:
    job = home.jobs.submit("make", "k", {})
    row = {"id": "a" * 64, "job": job.id, "verdict": "allow", "at": NOW}

    def attempt(kind: str, public: Json, private: Json | None, seq: str) -> None:
        with write(home.engine) as conn:
            log.append(conn, "decision", PUBLIC, {}, NOW)
            log.append(conn, kind, public, private, NOW)
            conn.exec_driver_sql(ROW.format(**row, seq=seq))

    with pytest.raises(ConstraintBroken):
        attempt(kind, public, private, seq)
    attempt("decision", PUBLIC, {}, "2")
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        conn.exec_driver_sql("UPDATE decision SET log_seq = 1")
