from collections.abc import Sequence

import pytest
from registry_builders import BLOCK, NOW, SIGNER, Home, Judgement, Judging, allow, candidate

from registry import holds, log, recalls, releases
from registry.checkpoint import parse_note
from registry.counter import reserve_payload_counter
from registry.db import read, write
from registry.errors import CandidateStale, ConstraintBroken, JobNotOwned, NotFound
from registry.types import Change, Held, JobState, Release, ReleaseState


def opt_out(home: Home, name: str = "Ada") -> int:
    return home.opt_out(name).seq


def test_a_release_is_a_row_a_log_entry_and_a_checkpoint(home: Home) -> None:
    made = home.release()
    with read(home.engine) as conn:
        decided, entry = log.entries(conn, 0, 9)
        proof = log.prove(conn, made.log_seq)
    assert (entry.kind, entry.seq) == ("release", made.log_seq)
    assert (decided.kind, decided.seq) == ("decision", entry.public["decision_seq"])
    assert entry.public["release"] == made.id
    assert entry.public["file_sha256"] == made.file_sha256
    assert parse_note(proof.note).size == made.log_seq
    assert releases.get(home.engine, made.id) == made
    assert releases.find_by_payload(home.engine, made.payload) == made
    assert releases.find_by_job(home.engine, made.job_id) == made
    assert releases.find_by_payload(home.engine, "0" * 16) is None
    assert made.facts == {"prompt": "a red kite", "vector": [0.25, -1.5]}


def test_publishing_again_returns_the_same_release(home: Home) -> None:
    made = home.release()
    assert home.publish("k", lambda _: BLOCK) == made
    with read(home.engine) as conn:
        assert log.head(conn) == 2


def test_the_recheck_sees_exactly_what_changed_since_the_check(home: Home) -> None:
    first = opt_out(home, "before")
    home.release("other", decision=Judgement(registry_seq=first))
    opt_out(home, "one")
    last = opt_out(home, "two")
    seen: list[Change] = []

    def recheck(changes: Sequence[Change]) -> Judgement:
        seen.extend(changes)
        return Judgement()

    made = home.release("k", recheck=recheck, decision=Judgement(registry_seq=first))
    assert [c.subject and c.subject.name for c in seen] == ["one", "two"]
    assert [(c.kind, c.revoked_key) for c in seen] == [("opt-out", None)] * 2
    assert (made.checked_seq, made.registry_seq) == (first, last)
    assert made.checked_seq <= made.registry_seq < made.log_seq


def test_the_recheck_is_asked_even_when_nothing_changed(home: Home) -> None:
    asked: list[int] = []

    def recheck(changes: Sequence[Change]) -> Judgement:
        asked.append(len(changes))
        return Judgement()

    home.release("k", recheck=recheck)
    assert asked == [0]


@pytest.mark.parametrize("verdict", ["block", "review", "", "ALLOW", "allowed", "not_checked"])
def test_anything_but_allow_is_held_and_stays_held(home: Home, verdict: str) -> None:
    seq = opt_out(home)
    held = home.publish("k", lambda _: Judgement(verdict=verdict))
    assert isinstance(held, Held)
    assert held.registry_seq == seq
    assert held.reasons
    assert home.publish("k") == held
    assert home.jobs.get(held.job_id).state is JobState.HELD
    with read(home.engine) as conn:
        (decided,) = log.entries(conn, seq, 9)  # the fence's own decision, once
    assert (decided.kind, decided.public["registry_seq"]) == ("decision", seq)
    assert decided.public["verdict"] == ("block" if verdict == "block" else "review")
    with read(home.engine) as conn:
        assert holds.open_holds(conn) == [held]
    assert releases.list_releases(home.engine) == []


def test_a_lifted_hold_asks_every_question_again(home: Home) -> None:
    held = home.publish("k", lambda _: BLOCK)
    assert isinstance(held, Held)
    assert held.reasons == BLOCK.reasons
    home.jobs.close()
    with write(home.engine) as conn:
        holds.lift(conn, held.job_id, "reviewed: another person of that name", NOW)
    with pytest.raises(NotFound), write(home.engine) as conn:
        holds.lift(conn, held.job_id, "twice", NOW)
    again = home.publish("k", lambda _: BLOCK)
    assert isinstance(again, Held)
    assert again.id != held.id
    home.jobs.close()
    with write(home.engine) as conn:
        holds.lift(conn, held.job_id, "reviewed", NOW)
    assert isinstance(home.publish("k"), Release)


def test_an_exception_in_the_recheck_or_the_signer_publishes_nothing(home: Home) -> None:
    def broken(_: object) -> Judgement:
        raise RuntimeError("index not loaded")

    with pytest.raises(RuntimeError):
        home.publish("k", broken)
    home.jobs.close()
    job = home.jobs.submit("make", "k", {"prompt": "a red kite"})
    signer = type(SIGNER)(origin="o", name="n", key_id=b"abcd", sign=broken)
    with pytest.raises(RuntimeError):
        releases.publish(home.engine, candidate(job, 9), allow, now=NOW, sign_checkpoint=signer)
    with read(home.engine) as conn:
        assert (log.head(conn), holds.open_holds(conn)) == (0, [])
    assert home.jobs.get(job.id).state is JobState.OPEN


def test_a_candidate_from_the_future_is_stale(home: Home) -> None:
    with pytest.raises(CandidateStale, match="older backup"):
        home.publish("k", decision=Judgement(registry_seq=5))


def test_a_candidate_of_no_job_or_of_a_block_is_refused(home: Home) -> None:
    with pytest.raises(NotFound):
        home.publish("k", job_id="00000000-0000-7000-8000-000000000000")
    for owner in (None, "", "somebody"):
        with pytest.raises(JobNotOwned):
            home.publish("k", owner=owner)
    with pytest.raises(ConstraintBroken):
        home.publish("k2", decision=BLOCK)
    with read(home.engine) as conn:
        assert log.head(conn) == 0


def test_withdrawing_and_reinstating_are_logged_and_idempotent(home: Home) -> None:
    made = home.release()
    why = {"case": "c1", "name": "Ada"}
    gone = releases.withdraw(home.engine, made.id, why=why, now=NOW, sign_checkpoint=SIGNER)
    assert gone == releases.withdraw(home.engine, made.id, why=why, now=NOW, sign_checkpoint=SIGNER)
    assert (gone.state, gone.state_seq) == (ReleaseState.WITHDRAWN, 3)
    with read(home.engine) as conn:
        (entry,) = log.changes(conn, 0, 9)
        assert (entry.kind, entry.private, log.registry_seq(conn)) == ("withdrawal", why, 3)
        assert b"Ada" not in entry.entry
    back = recalls.reinstate(home.engine, made.id, Judging(), why={}, now=NOW, sign_checkpoint=SIGNER)
    assert (back.state, back.state_seq) == (ReleaseState.RELEASED, 4)
    with pytest.raises(NotFound):
        releases.withdraw(home.engine, "nobody", why={}, now=NOW, sign_checkpoint=SIGNER)


def test_a_decision_is_recorded_once(home: Home) -> None:
    job = home.jobs.submit("make", "k", {})
    with write(home.engine) as conn:
        first = releases.record_decision(conn, job.id, BLOCK)
        assert releases.record_decision(conn, job.id, BLOCK) == first
        assert releases.record_decision(conn, job.id, Judgement()) != first


def test_pages_of_releases(home: Home) -> None:
    made = [home.release(f"k{i}") for i in range(5)]
    newest = sorted((r.id for r in made), reverse=True)
    page = releases.list_releases(home.engine, limit=2)
    assert [r.id for r in page] == newest[:2]
    assert [r.id for r in releases.list_releases(home.engine, before=page[-1].id)] == newest[2:]


def test_the_payload_counter_never_repeats(home: Home) -> None:
    numbers = [reserve_payload_counter(home.engine) for _ in range(5)]
    assert numbers == sorted(set(numbers))
    with pytest.raises(ConstraintBroken):
        home.publish("k", urn="nothing")
    assert reserve_payload_counter(home.engine) == numbers[-1] + 2
