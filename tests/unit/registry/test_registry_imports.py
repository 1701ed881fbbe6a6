"""Imports in chunks: no line twice, none left out, whatever happens in between; a plan says what comes."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_builders import NOW, SIGNER, Home, draft, picture, vector
from sqlalchemy import text

from registry import import_runs, log, merkle, optouts
from registry.db import read, write
from registry.errors import ConstraintBroken, ImportMoved, NotFound, OptOutInvalid
from registry.import_types import ImportRun, SkippedLine
from registry.planner import Planner
from registry.planning import Outcome, subject_key
from registry.proving import prove_many
from registry.subject_types import NameDraft, OptOutDraft

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
DIGEST = "ab" * 32
RUN = "00000000-0000-7000-8000-000000000000"


def begin(home: Home, lines: int = 3, digest: str = DIGEST) -> ImportRun:
    source = {"file": "a.csv"}
    return import_runs.begin(
        home.engine, digest=digest, source=source, by_party=None, lines=lines, **BY
    )  # fmt: skip


def chunk(home: Home, run: ImportRun, *titles: str, skipped: tuple[int, ...] = ()) -> ImportRun:
    first = run.next_line
    drafts = [(first + place, draft(title)) for place, title in enumerate(titles)]
    passed = [SkippedLine(line=line, code="usage") for line in skipped]
    return import_runs.write_chunk(
        home.engine, run, drafts, passed, next_line=first + len(titles) + len(skipped), **BY
    )  # fmt: skip


def refused(home: Home, statement: str, *values: Any) -> None:
    """Expect that the statement is refused; values go in for ``:a``, ``:b`` and so on."""
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        conn.execute(text(statement), dict(zip("abcdef", values, strict=False)))


def replacing(home: Home) -> str:
    """How rows are written over rows: PostgreSQL has no word for it."""
    return "INSERT OR REPLACE" if home.engine.dialect.name == "sqlite" else "INSERT"


def test_an_import_goes_on_where_it_was_and_does_no_line_twice(home: Home) -> None:
    run = chunk(home, begin(home), "Zibble", "Zobble")
    again = begin(home)
    assert (again.id, again.next_line, again.done) == (run.id, 3, 2)
    done = import_runs.finish(home.engine, chunk(home, again, "Zibble"), **BY)
    assert (done.state, done.made, done.unchanged, done.next_line) == ("done", 2, 1, 4)
    told = import_runs.lines(home.engine, run.id)
    assert [(one.line, one.outcome) for one in told] == [(1, "new"), (2, "new"), (3, "unchanged")]
    assert told[0].subject == told[2].subject
    assert [one.line for one in import_runs.lines(home.engine, run.id, after=1, limit=1)] == [2]
    assert import_runs.finish(home.engine, done, **BY) == done
    fresh = begin(home)
    assert (fresh.id != run.id, fresh.next_line) == (True, 1)
    listed = import_runs.list_runs(home.engine)
    assert sorted(one.id for one in listed) == sorted([run.id, fresh.id]) == [one.id for one in listed]
    assert import_runs.list_runs(home.engine, after=listed[0].id) == listed[1:]
    assert import_runs.find_open(home.engine, DIGEST) == fresh
    with read(home.engine) as conn:
        log.audit(conn)
        said = [entry for entry in log.entries(conn, 0, log.head(conn)) if entry.kind == "import"]
    assert [entry.public["action"] for entry in said] == ["begin", "end", "begin"]
    assert {key: said[1].public[key] for key in ("lines", "new", "unchanged", "skipped")} == {
        "lines": 3, "new": 2, "unchanged": 1, "skipped": 0
    }  # fmt: skip
    assert "a.csv" not in said[0].entry.decode()


def test_a_chunk_that_another_process_wrote_is_not_written_again(home: Home) -> None:
    run = begin(home)
    chunk(home, run, "Zibble")
    with pytest.raises(ImportMoved):
        chunk(home, run, "Zobble")
    assert len(optouts.list_subjects(home.engine)) == 1


def test_a_chunk_is_whole_or_not_there(home: Home) -> None:
    run = begin(home)
    bad = draft("Zobble", vectors=(vector(0), vector(1, space="space", dimension=4, vector=b"\0\x3c" * 4)))
    with pytest.raises(OptOutInvalid) as caught:
        import_runs.write_chunk(
            home.engine, run, [(1, draft()), (2, bad)], [], next_line=3, **BY
        )  # fmt: skip
    assert caught.value.index == 1
    assert (import_runs.get(home.engine, run.id), import_runs.lines(home.engine, run.id)) == (run, [])
    assert optouts.list_subjects(home.engine) == []


def test_a_failed_import_can_go_on_and_an_unfinished_one_cannot_end(home: Home) -> None:
    run = chunk(home, begin(home), "Zibble", skipped=(2,))
    import_runs.fail(home.engine, run, code="storage_full", now=NOW)
    failed = import_runs.get(home.engine, run.id)
    assert (failed.state, failed.error, failed.skipped) == ("failed", "storage_full", 1)
    again = begin(home)
    assert (again.state, again.error, again.next_line) == ("running", None, 3)
    with pytest.raises(OptOutInvalid, match="1 lines left"):
        import_runs.finish(home.engine, again, **BY)
    with pytest.raises(NotFound):
        import_runs.get(home.engine, RUN)
    [_, passed] = import_runs.lines(home.engine, run.id)
    assert (passed.outcome, passed.code, passed.subject) == ("skipped", "usage", None)


def test_the_record_is_not_rewritten(home: Home) -> None:
    run = chunk(home, begin(home), "Zibble")
    subject = import_runs.lines(home.engine, run.id)[0].subject
    for table in ("import_run", "import_line"):
        refused(home, f"DELETE FROM {table}")
        refused(home, f"{replacing(home)} INTO {table} SELECT * FROM {table}")
    for change in (
        "next_line = 1", "made = 0", "digest = upper(digest)", "lines = 9", "log_seq = 2", "source = '{}'",
        "state = 'done', end_seq = 1, finished_at = started_at", "state = 'failed'", "made = 4",
        "by_party = 'x'",
    ):  # fmt: skip
        refused(home, f"UPDATE import_run SET {change}")
    refused(home, "UPDATE import_line SET line = 7")
    line = "INSERT INTO import_line VALUES (:a, :b, :c, :d, :e, :f)"
    refused(home, line, run.id, 1, "new", subject, 2, None)  # done before
    refused(home, line, run.id, 2, "new", RUN, 2, None)  # nobody's subject
    refused(home, line, run.id, 2, "new", subject, 3, None)  # later than the subject
    refused(home, line, run.id, 2, "new", None, None, None)
    refused(home, line, run.id, 2, "skipped", None, None, None)
    refused(home, line, RUN, 2, "skipped", None, None, "usage")
    done = import_runs.finish(home.engine, chunk(home, run, "Zobble", skipped=(3,)), **BY)
    refused(home, "UPDATE import_run SET state = 'running', end_seq = NULL, finished_at = NULL")
    refused(home, line, run.id, 9, "skipped", None, None, "usage")
    assert import_runs.get(home.engine, run.id) == done


def test_an_import_begins_with_its_entry(home: Home) -> None:
    run = begin(home)
    columns = "digest, source, by_party, lines, next_line, made, extended, unchanged, skipped, state, error,"
    columns += " started_at, changed_at, finished_at, log_seq, end_seq"
    copied = f"INSERT INTO import_run (id, {columns}) SELECT :a, {columns} FROM import_run"
    refused(home, copied, RUN)
    refused(home, copied.replace("SELECT :a, digest", f"SELECT :a, '{'cd' * 32}'"), RUN)
    assert import_runs.list_runs(home.engine) == [run]


TITLES = st.sampled_from(["Zibble", "ZIBBLE", "Zobble", "Zubble"])
DRAFTS = st.lists(
    st.builds(
        lambda title, names, text, mode, pictures: draft(
            title, names=tuple(NameDraft(text=name) for name in (title, *names)), description=text, mode=mode,
            references=tuple(picture(number) for number in sorted(pictures)),
            vectors=tuple(
                vector(number, kind="picture", reference=picture(number).sha256)
                for number in sorted(pictures)
            ),
        ),
        TITLES, st.lists(st.sampled_from(["Zib", "Zob"]), max_size=2),
        st.sampled_from(["", "a fox", "a dog"]), st.sampled_from(["block", "ask"]),
        st.sets(st.integers(0, 2)),
    ),
    max_size=6,
)  # fmt: skip


def planned(home: Home, drafts: list[OptOutDraft]) -> list[Outcome | None]:
    planner = Planner([subject_key(one) for one in drafts])
    with read(home.engine) as conn:
        return [one.outcome for one in planner.plan(conn, drafts, NOW)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=DRAFTS, drafts=DRAFTS, cut=st.integers(0, 6), withdrawn=st.booleans())
def test_a_plan_says_what_writing_does(
    home: Home, before: list[OptOutDraft], drafts: list[OptOutDraft], cut: int, withdrawn: bool
) -> None:
    optouts.add_many(home.engine, before, **BY)
    subjects = optouts.list_subjects(home.engine)
    if withdrawn and subjects:
        optouts.withdraw(home.engine, subjects[0].id, why={}, **BY)
    expected = planned(home, drafts)
    with write(home.engine) as conn:  # in two chunks
        done = optouts.write_all(conn, drafts[:cut], now=NOW)
        done += optouts.write_all(conn, drafts[cut:], now=NOW)
    assert [one.outcome for one in done] == expected
    assert planned(home, drafts[-1:]) in ([], [Outcome.UNCHANGED])


def test_a_plan_tells_what_cannot_be_and_writes_nothing(home: Home) -> None:
    made = home.opt_out(references=(picture(1),), description="red", vectors=(vector(),))
    drafts = [draft(references=(picture(1, polarity=-1),)), draft(), draft("Zobble"), draft("Zobble")]
    planner = Planner([subject_key(drafts[2])])
    with read(home.engine) as conn:
        told = planner.plan(conn, drafts, NOW)
        assert log.head(conn) == made.seq
    assert "not both" in str(told[0].error)
    assert [one.outcome for one in told[1:]] == [Outcome.UNCHANGED, Outcome.NEW, Outcome.UNCHANGED]
    assert [one.subject for one in told] == [made.subject, made.subject, None, None]


def test_proofs_in_bulk_are_those_one_by_one(home: Home) -> None:
    for number in range(11):
        home.opt_out(f"Zibble {number}")
    with read(home.engine) as conn:
        seqs = [3, 11, 1, 3, *range(1, 12)]
        told = prove_many(conn, seqs)
        assert told == [log.prove(conn, seq) for seq in seqs]
        with pytest.raises(NotFound):
            prove_many(conn, [1, 12])
        assert prove_many(conn, []) == []
    for proof in told:
        merkle.verify_inclusion(proof.leaf_hash, proof.seq - 1, proof.tree_size, proof.path, proof.root)
