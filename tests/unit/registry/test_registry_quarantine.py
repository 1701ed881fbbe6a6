"""Quarantine: logged, seen by every reader, outliving its opt-out; the database refuses wrong rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_builders import NOW, SIGNER, Home, draft, picture, raw, vector

from registry import changes, hits, log, optouts, quarantine
from registry.db import read, write
from registry.errors import ConstraintBroken, NotFound, OptOutInvalid
from registry.hits import Item
from registry.quarantine import MATCHES, NAME, OPERATOR, PICTURE, REGISTRATION, WORDS
from registry.subject_types import NameDraft, QuarantineDraft
from registry.subjectset import SubjectSet
from registry.view import View

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
SHA = picture(1).sha256
QUERY = np.eye(8, dtype=np.float32)[:1]


def doubt(kind: str = PICTURE, item: str = SHA) -> QuarantineDraft:
    return QuarantineDraft(kind=kind, item=item, why="It matches too much.", figures={"hits": 3})


@pytest.fixture
def subject(home: Home) -> str:
    """A character with two names, a picture and words."""
    shown = vector(kind="picture", reference=SHA)
    names = (NameDraft(text="Zibble"), NameDraft(text="Zib"))
    return home.opt_out(names=names, references=(picture(1),), vectors=(shown, vector(1))).subject


def put(home: Home, subject: str, one: QuarantineDraft, cause: str = OPERATOR) -> int | None:
    return quarantine.quarantine(home.engine, subject, [one], cause=cause, **BY)


def let_go(home: Home, subject: str, kind: str, item: str) -> int:
    return quarantine.release(home.engine, subject, kind, item, why="a mistake", **BY)


def flags(home: Home, kind: str) -> list[bool]:
    """What the view, and a set of the changed subject as the fence makes it, say of matches of a kind."""
    with read(home.engine) as conn:
        [*_, last] = changes.load(conn, 0, log.head(conn))
    assert last.subject is not None
    found = [
        references.search("space", [kind], QUERY, 9)[0][0].quarantined
        for references in (View(home.engine).current(), SubjectSet([last.subject]))
    ]
    assert len(set(found)) == 1
    return found


def test_a_picture_in_quarantine_is_marked_for_everybody_until_released(home: Home, subject: str) -> None:
    view = View(home.engine)
    assert flags(home, "picture") == [False, False]
    before = view.current()
    seq = put(home, subject, doubt())
    assert seq == 2
    assert flags(home, "picture") == [True, True]
    assert flags(home, "description") == [False, False]
    assert view.current().seq == seq  # the change reaches who follows the log
    assert before.search("space", ["picture"], QUERY, 1)[0][0].quarantined is False
    assert put(home, subject, doubt()) is None
    assert let_go(home, subject, PICTURE, SHA) == 3
    assert flags(home, "picture") == [False, False]
    [told] = quarantine.listed(home.engine, subject, released=True)
    assert (told.cause, told.log_seq, told.removed_seq, told.figures) == (OPERATOR, 2, 3, {"hits": 3})
    with pytest.raises(NotFound):
        let_go(home, subject, PICTURE, SHA)


def test_words_and_names_are_marked_as_a_whole_and_each(home: Home, subject: str) -> None:
    put(home, subject, doubt(WORDS, ""))
    put(home, subject, doubt(NAME, "ZIB"))
    assert flags(home, "description") == [True, True]
    assert flags(home, "picture") == [False, False]
    record = optouts.get(home.engine, subject)
    assert record is not None
    assert {one.text: one.quarantined for one in record.names} == {"Zibble": False, "Zib": True}
    assert {one.text: one.quarantined for one in View(home.engine).current().names} == {
        "Zibble": False, "Zib": True,
    }  # fmt: skip


def test_the_log_says_so_and_names_nobody(home: Home, subject: str) -> None:
    put(home, subject, doubt(NAME, "Zib"))
    with read(home.engine) as conn:
        [*_, entry] = log.entries(conn, 0, log.head(conn))
        log.audit(conn)
    assert (entry.kind, entry.public["action"], entry.public["subject"]) == (
        "reference",
        "quarantine",
        subject,
    )
    assert "zib" not in entry.entry.decode().lower().replace(subject, "")
    assert entry.private == {"cause": OPERATOR, "parts": [[NAME, "zib"]]}


def test_a_draft_is_registered_with_its_quarantine_in_one_transaction(home: Home) -> None:
    shown = vector(kind="picture", reference=SHA)
    told = draft(references=(picture(1),), vectors=(shown,), quarantine=(doubt(),))
    made = optouts.add(home.engine, told, **BY)
    assert flags(home, "picture") == [True, True]
    again = optouts.add(home.engine, told, **BY)
    assert (made.new, again.new) == (True, False)
    let_go(home, made.subject, PICTURE, SHA)
    optouts.withdraw(home.engine, made.subject, why={}, **BY)
    optouts.add(home.engine, told, **BY)  # an operator has seen it: not again for how it fitted
    assert flags(home, "picture") == [False, False]


def test_withdrawing_and_registering_again_is_no_way_out(home: Home, subject: str) -> None:
    put(home, subject, doubt(), MATCHES)
    optouts.withdraw(home.engine, subject, why={}, **BY)
    home.opt_out(references=(picture(1),), vectors=(vector(kind="picture", reference=SHA),))
    assert flags(home, "picture") == [True, True]


def test_what_is_not_in_force_cannot_be_quarantined(home: Home, subject: str) -> None:
    nothing = (doubt(item="0" * 64), doubt(NAME, "Zobble"))
    for one in nothing:
        with pytest.raises(NotFound):
            put(home, subject, one)
    with pytest.raises(NotFound):
        put(home, "00000000-0000-7000-8000-000000000000", doubt())
    with pytest.raises(OptOutInvalid):
        put(home, subject, doubt("voice"))
    with pytest.raises(NotFound):
        quarantine.find_picture(home.engine, subject, "f" * 8 if not SHA.startswith("f") else "0" * 8)
    with pytest.raises(OptOutInvalid):
        quarantine.find_picture(home.engine, subject, SHA[:7])
    assert quarantine.find_picture(home.engine, subject, SHA[:8].upper()) == SHA
    optouts.withdraw(home.engine, subject, why={}, **BY)
    with pytest.raises(NotFound):
        put(home, subject, doubt())


def row(home: Home, subject: str, action: str = "quarantine", **changes: Any) -> None:
    """Write a row as no function of ours would."""
    values = {"kind": PICTURE, "item": SHA, "cause": OPERATOR, "why": "x", "figures": "{}", "since": NOW}
    with write(home.engine) as conn:
        public = {"v": 1, "subject": subject, "action": action}
        seq = log.append(conn, "reference", public, None, NOW).seq
        raw(conn, "UPDATE subject SET changed_seq = ? WHERE id = ?", (seq, subject))
        values |= {"subject_id": subject, "log_seq": seq} | changes
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        raw(conn, f"INSERT INTO quarantine ({columns}) VALUES ({marks})", tuple(values.values()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "extend"}, {"log_seq": 1}, {"item": "0" * 64}, {"kind": "name", "item": "nobody"},
        {"kind": "words"}, {"kind": "picture", "item": "ab"}, {"cause": "whim"}, {"removed_seq": 1},
        {"why": ""}, {"kind": "voice"},
    ],
)  # fmt: skip
def test_the_database_refuses_wrong_rows(home: Home, subject: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConstraintBroken):
        row(home, subject, **wrong)
    assert quarantine.listed(home.engine) == ()
    row(home, subject)
    with pytest.raises(ConstraintBroken):  # in force twice
        row(home, subject)


def test_rows_are_neither_changed_nor_lifted_by_anything_but_a_release(home: Home, subject: str) -> None:
    put(home, subject, doubt())
    statements = [
        "UPDATE quarantine SET why = 'y'", "DELETE FROM quarantine", "UPDATE quarantine SET removed_seq = 2",
        "INSERT OR REPLACE INTO quarantine SELECT * FROM quarantine",
    ]  # fmt: skip
    for statement in statements:
        with pytest.raises(ConstraintBroken), write(home.engine) as conn:
            raw(conn, statement)
    optouts.withdraw(home.engine, subject, why={}, **BY)
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:  # by its withdrawal
        raw(conn, "UPDATE quarantine SET removed_seq = 3")


@pytest.mark.parametrize("cause", [REGISTRATION, MATCHES])
def test_only_an_operator_quarantines_a_portrait(home: Home, cause: str) -> None:
    face = vector(kind="portrait", reference=SHA, space="faces")
    person = home.opt_out("Ann", kind="person", references=(picture(1),), vectors=(face,)).subject
    with pytest.raises(ConstraintBroken):
        put(home, person, doubt(), cause)
    assert put(home, person, doubt()) == 2


ITEMS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)


@settings(max_examples=25)
@given(st.lists(st.tuples(ITEMS, st.sampled_from("xyz")), max_size=12))
def test_traffic_counts_jobs_and_accounts_once(tmp_path_factory: Any, jobs: Any) -> None:
    with Home(tmp_path_factory.mktemp("hits")) as home:
        subject = home.opt_out().subject
        for number, (found, account) in enumerate(jobs):
            job = home.jobs.submit("make", str(number), {})
            items = [Item(subject, NAME, one) for one in found]
            for _ in range(2):  # a second time does nothing
                hits.record(home.engine, job.id, account, items, "2026-01-31")
        with read(home.engine) as conn:
            for item in "abc":
                told = hits.traffic(conn, Item(subject, NAME, item), "2026-01-30", "2026-01-31")
                mine = [account for found, account in jobs if item in found]
                assert (told.hits, told.accounts, told.jobs) == (len(mine), len(set(mine)), 0)
                assert hits.traffic(conn, Item(subject, NAME, item), "2026-02-01", "2026-02-02").hits == 0
        counted = sum(len(set(found)) for found, _ in jobs)
        assert sum(count for _, count, _ in hits.loudest(home.engine, "2026-01-01", 9)) == counted
        assert hits.forget(home.engine, "2026-01-31") == 0
        assert hits.forget(home.engine, "2026-02-01") == counted
