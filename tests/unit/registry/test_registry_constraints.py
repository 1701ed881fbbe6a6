"""Raw SQL against the release table: an unmarked, unsigned or unchecked release cannot be a row."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_builders import BLOCK, NOW, Home, Judgement, candidate, raw
from sqlalchemy import text

from registry import holds, log, looks, releases
from registry.db import read, write
from registry.errors import ConstraintBroken
from registry.tables import release
from registry.types import Candidate, Job, Reason

REFUSED = (sqlite3.IntegrityError, ConstraintBroken)
HEX = "0123456789abcdef" * 4


class Bench:
    """Everything a good row needs, so that one piece at a time can be spoilt."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.job: Job = home.jobs.submit("make", "k", {})
        self.other: Job = home.jobs.submit("make", "other", {})
        self.candidate: Candidate = candidate(self.job, 1, decision=Judgement(registry_seq=1))
        with write(home.engine) as conn:
            log.append(conn, "name", {}, None, NOW)
            self.decision = releases.record_decision(conn, self.job.id, self.candidate.decision)
            self.blocked = releases.record_decision(conn, self.job.id, BLOCK)
            self.foreign = releases.record_decision(conn, self.other.id, self.candidate.decision)
            self.entry = log.append(conn, "release", {}, None, NOW)
            looks.store(conn, self.job.id, {})

    def row(self, **changes: Any) -> dict[str, Any]:
        good = releases._row(self.candidate, self.decision) | {
            "id": self.job.id,
            "facts": "{}",
            "registry_seq": 1,
            "log_seq": self.entry.seq,
            "published_at": NOW,
            "state": "released",
            "state_seq": self.entry.seq,
        }
        return good | changes

    def insert(self, verb: str = "INSERT", foreign_keys: bool = True, **changes: Any) -> None:
        row = self.row(**changes)
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        statement = f"{verb} INTO release ({names}) VALUES ({marks})"
        if self.home.engine.dialect.name == "postgresql":
            with write(self.home.engine) as conn:
                raw(conn, statement, tuple(row.values()))
            return
        with closing(sqlite3.connect(self.home.path, isolation_level=None)) as file:
            file.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
            file.execute(statement, tuple(row.values()))

    def count(self) -> int:
        with read(self.home.engine) as conn:
            return int(conn.execute(text("SELECT count(*) FROM release")).scalar_one())


@pytest.fixture
def bench(home: Home) -> Bench:
    return Bench(home)


@pytest.fixture(scope="module")
def closed(new_root: Callable[[str], Path]) -> Iterator[Bench]:
    """One bench for all the tests in which nothing gets in."""
    with Home(new_root("closed")) as home:
        yield Bench(home)


COLUMNS = [c.name for c in release.columns]
WRONG: list[tuple[str, Any]] = [
    ("payload", ""),
    ("payload", "0" * 15),
    ("payload", "G" * 16),
    ("payload", b"0123456789abcdef"),
    ("detected_payload", "0123456789abcdef"),
    ("detected_payload", ""),
    ("mark_log10_chance", -8.99),
    ("mark_log10_chance", 0.0),
    ("mark_log10_chance", float("-inf")),
    ("mark_log10_chance", float("nan")),
    ("mark_log10_chance", "certain"),
    ("visible_variant", -1),
    ("visible_variant", 16),
    ("visible_variant", "none"),
    ("urn", ""),
    ("urn", "https://example.com"),
    ("file_sha256", HEX[:-1]),
    ("file_sha256", HEX.upper()),
    ("file_sha256", HEX[:-1] + " "),
    ("file_sha256", HEX + "\x00"),
    ("manifest_sha256", "x" * 64),
    ("manifest_sha256", ""),
    ("signer_sha256", ""),
    ("signer_sha256", "none"),
    ("timestamped_at", ""),
    ("timestamped_at", "never"),
    ("timestamped_at", "2026-01-31"),
    ("reread_verdict", "altered"),
    ("reread_verdict", "not_checked"),
    ("reread_verdict", "INTACT"),
    ("fingerprint", b""),
    ("fingerprint", "text"),
    ("decision_id", HEX),
    ("decision_verdict", "review"),
    ("decision_verdict", "block"),
    ("job_id", "00000000-0000-7000-8000-000000000000"),
    ("checked_seq", 2),
    ("checked_seq", 0),
    ("checked_seq", -1),
    ("registry_seq", 0),
    ("registry_seq", 2),
    ("log_seq", 1),
    ("log_seq", 3),
    ("state", "withdrawn"),
    ("state", "held"),
    ("state_seq", 1),
    ("published_at", "now"),
    ("facts", "not json"),
    ("id", ""),
]


def test_the_good_row_is_good(bench: Bench) -> None:
    bench.insert()
    assert bench.count() == 1
    assert set(bench.row()) == set(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS)
def test_no_piece_may_be_missing(closed: Bench, column: str) -> None:
    for foreign_keys in (True, False):
        for verb in ("INSERT", "INSERT OR REPLACE"):
            with pytest.raises(REFUSED):
                closed.insert(verb, foreign_keys, **{column: None})
        with contextlib.suppress(*REFUSED):  # it may skip the row in silence
            closed.insert("INSERT OR IGNORE", foreign_keys, **{column: None})
    assert closed.count() == 0


@pytest.mark.parametrize(("column", "value"), WRONG)
def test_no_piece_may_be_wrong(closed: Bench, column: str, value: Any) -> None:
    if (column, value) == ("fingerprint", "text") and closed.home.engine.dialect.name == "postgresql":
        pytest.skip("does not apply: to PostgreSQL, untyped text is bytes where bytes are expected")
    for foreign_keys in (True, False):
        with pytest.raises(REFUSED):
            closed.insert("INSERT", foreign_keys, **{column: value})
    assert closed.count() == 0


@given(st.data())
def test_no_text_but_the_right_one_gets_in(closed: Bench, data: st.DataObject) -> None:
    """Any text in a place that has one right form, and not that form."""
    column = data.draw(st.sampled_from(["detected_payload", "reread_verdict", "decision_verdict", "state"]))
    good = closed.row()[column]
    value = data.draw(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: t != good))
    with pytest.raises(REFUSED):
        closed.insert(foreign_keys=False, **{column: value})


def test_the_decision_must_be_an_allow_about_this_job(bench: Bench) -> None:
    for decision in (bench.blocked, bench.foreign):
        with pytest.raises(REFUSED):
            bench.insert(foreign_keys=False, decision_id=decision)


def test_a_finished_or_held_job_releases_nothing(bench: Bench) -> None:
    with write(bench.home.engine) as conn:
        holds.hold(conn, bench.job.id, [Reason(code="c", check="k", detail="d")], 1, NOW)
    with pytest.raises(REFUSED):
        bench.insert(foreign_keys=False)
    with pytest.raises(ConstraintBroken), write(bench.home.engine) as conn:
        conn.execute(text("UPDATE job SET state = 'open', finished_at = NULL"))


def test_no_release_overtakes_a_change(bench: Bench) -> None:
    with write(bench.home.engine) as conn:
        change = log.append(conn, "opt-out", {}, None, NOW)
        entry = log.append(conn, "release", {}, None, NOW)
    behind = {"log_seq": entry.seq, "state_seq": entry.seq}
    with pytest.raises(REFUSED, match="registry_seq"):
        bench.insert(foreign_keys=False, **behind)
    bench.insert(registry_seq=change.seq, **behind)


def test_an_old_log_entry_is_no_proof(bench: Bench) -> None:
    with write(bench.home.engine) as conn:
        log.append(conn, "release", {}, None, NOW)
    with pytest.raises(REFUSED, match="head of the log"):
        bench.insert(foreign_keys=False)


def test_identity_never_changes(home: Home) -> None:
    home.release()
    verbs = ("UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE")
    for column, verb in product(sorted({*COLUMNS} - {"state", "state_seq"}), verbs):
        with pytest.raises(ConstraintBroken), write(home.engine) as conn:
            raw(conn, f"{verb} release SET {column} = {column}")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM release",
        "UPDATE release SET state = 'withdrawn'",
        "UPDATE release SET state = 'withdrawn', state_seq = 2",
        "UPDATE release SET state = 'deleted', state_seq = 2",
        "UPDATE decision SET verdict = 'block'",
        "DELETE FROM decision",
        "UPDATE payload_counter SET value = value",
        "UPDATE payload_counter SET value = 0",
        "DELETE FROM payload_counter",
        "INSERT OR REPLACE INTO payload_counter VALUES (1, 0)",
        "UPDATE job SET key = 'x'",
        "DELETE FROM job",
        "UPDATE job SET state = 'failed', finished_at = created_at",
        "UPDATE job_step SET result = '1'",
        "DELETE FROM job_step",
        "INSERT INTO held SELECT id, id, '[1]', 0, created_at, NULL, NULL FROM job",
        "DELETE FROM log_entry",
    ],
)
def test_history_is_not_rewritten(home: Home, statement: str) -> None:
    made = home.release()
    with write(home.engine) as conn:
        log.append(conn, "withdrawal", {"release": "another"}, None, NOW)
        step = "INSERT INTO job_step VALUES (:job, 'encode', 'null', :at)"
        conn.execute(text(step), {"job": made.job_id, "at": NOW})
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        raw(conn, statement)
    assert releases.get(home.engine, made.id) == made


def test_the_same_payload_urn_or_file_leaves_once(home: Home) -> None:
    first = home.release("first")
    for piece in ("payload", "urn", "file_sha256"):
        same = {piece: getattr(first, piece)}
        if piece == "payload":
            same["detected_payload"] = first.payload
        with pytest.raises(ConstraintBroken):
            home.publish(f"again {piece}", **same)
    assert [r.id for r in releases.list_releases(home.engine)] == [first.id]
