"""Imports that wait: one for each name, an end that stays, lines told in pages and forgotten."""

from collections.abc import Callable
from typing import Any

import pytest
from log_world import BY
from registry_builders import NOW, SIGNER, Home, draft
from sqlalchemy import update

from registry import apikeys, erasure, import_requests, import_runs, optouts
from registry.db import write
from registry.errors import ConstraintBroken, KeyReused, NotFound, QueueFull
from registry.import_requests import DONE, REFUSED, ImportRequest, Told
from registry.import_types import SkippedLine
from registry.jobs import Room
from registry.tables_imports import import_request

LATER = "2999-01-01T00:00:00Z"
Ask = Callable[..., ImportRequest]


@pytest.fixture(name="ask")
def asking(home: Home) -> Ask:
    key, _ = apikeys.create(home.engine, "studio", "test", ["optout"], now=NOW)

    def ask(name: str, account: str = "studio", each: int = 9, most: int = 9, **wanted: Any) -> ImportRequest:
        return import_requests.accept(
            home.engine, account=account, key=key.id, request=name, wanted={"file": "a.csv", **wanted},
            folder=f"/kept/{name}", room=Room(all=most, each=each, account=account), now=NOW,
        )  # fmt: skip

    return ask


def test_one_name_is_one_import(home: Home, ask: Ask) -> None:
    made = ask("one")
    assert (made.state, made.tries, made.run_id) == ("waiting", 0, None)
    assert ask("one") == made
    assert ask("one", account="estate").id != made.id
    with pytest.raises(KeyReused):
        ask("one", skip_bad=True)
    assert import_requests.get(home.engine, made.id) == made
    with pytest.raises(NotFound):
        import_requests.get(home.engine, "nothing")


def test_only_so_many_wait(home: Home, ask: Ask) -> None:
    ask("one")
    with pytest.raises(QueueFull) as own:
        ask("two", each=1)
    assert own.value.own
    with pytest.raises(QueueFull) as full:
        ask("two", account="estate", most=1)
    assert not full.value.own
    assert ask("one", each=1, most=1).state == "waiting"


def test_it_waits_runs_and_ends_once(home: Home, ask: Ask) -> None:
    engine, made = home.engine, ask("one")
    assert [one.id for one in import_requests.unfinished(engine)] == [made.id]
    assert {str(one) for one in import_requests.folders(engine)} == {"/kept/one"}
    for tries in (1, 2):
        begun = import_requests.begin(engine, made.id, NOW)
        assert begun is not None
        assert (begun.state, begun.tries) == ("running", tries)
    import_requests.put_back(engine, made.id, NOW)
    assert import_requests.get(engine, made.id).tries == 1
    import_requests.note_progress(engine, made.id, {"step": "reading", "done": 1, "of": 2}, NOW)
    assert import_requests.get(engine, made.id).tries == 1
    wrote = {"step": "registering", "done": 1, "of": 2}
    import_requests.note_progress(engine, made.id, wrote, NOW, wrote=True)
    assert import_requests.get(engine, made.id).tries == 0
    error = {"code": "usage", "message": "no line"}
    import_requests.end(engine, made.id, REFUSED, error=error, now=NOW)
    import_requests.end(engine, made.id, DONE, now=NOW)
    told = import_requests.get(engine, made.id)
    assert (told.state, told.error, told.progress, told.finished_at) == ("refused", error, None, NOW)
    assert import_requests.begin(engine, made.id, NOW) is None
    assert import_requests.unfinished(engine) == []
    with pytest.raises(ConstraintBroken), write(engine) as conn:
        conn.execute(update(import_request).values(state="waiting", finished_at=None, error=None))


def test_what_was_asked_for_stays(home: Home, ask: Ask) -> None:
    ask("one")
    for column, value in {"account": "rival", "wanted": {}, "folder": "/etc", "named": "ab" * 32}.items():
        with pytest.raises(ConstraintBroken), write(home.engine) as conn:
            conn.execute(update(import_request).values({column: value}))


def test_pages_of_an_account(home: Home, ask: Ask) -> None:
    made = sorted(ask(name).id for name in ("one", "two", "three"))
    ask("one", account="estate")
    first = import_requests.of_account(home.engine, "studio", limit=2)
    rest = import_requests.of_account(home.engine, "studio", after=first[-1].id, limit=2)
    assert [one.id for one in (*first, *rest)] == made


def test_lines_of_a_run_with_what_is_told_of_them(home: Home, ask: Ask) -> None:
    engine, made = home.engine, ask("one")
    run = import_runs.begin(
        engine, digest="ab" * 32, source={}, by_party=None, lines=3, now=NOW, sign_checkpoint=SIGNER
    )
    wrong = Told(line=2, outcome="problem", code="usage", message="write a name")
    noted = Told(line=1, outcome="new", notes=("a small picture",))
    import_requests.note_run(engine, made.id, run.id, [noted, wrong])
    import_requests.note_run(engine, made.id, run.id, [wrong])  # gone on with
    import_runs.write_chunk(
        engine, run, [(1, draft("Zibble")), (3, draft("Zobble"))], [SkippedLine(line=2, code="usage")],
        next_line=4, now=NOW, sign_checkpoint=SIGNER,
    )  # fmt: skip
    now = import_requests.get(engine, made.id)
    lines = import_requests.lines(engine, now, limit=2)
    lines += import_requests.lines(engine, now, after=2)
    assert [(one.line, one.outcome) for one in lines] == [(1, "new"), (2, "skipped"), (3, "new")]
    assert (lines[0].notes, lines[1].message, lines[2].notes) == (("a small picture",), "write a name", ())
    assert lines[0].subject
    assert lines[0].seq
    assert [one.line for one in import_requests.lines(engine, now, problems=True)] == [2]
    assert import_requests.forget_told(engine, before=LATER) == 0  # it has not ended
    import_requests.end(engine, made.id, DONE, now=NOW, counts={"new": 2})
    assert import_requests.forget_told(engine, before=NOW) == 0
    assert import_requests.forget_told(engine, before=LATER) == 2
    assert [one.message for one in import_requests.lines(engine, now)] == [None] * 3


def test_what_is_told_of_a_line_goes_with_its_subject(home: Home, ask: Ask) -> None:
    engine, made = home.engine, ask("one")
    run = import_runs.begin(
        engine, digest="ab" * 32, source={}, by_party=None, lines=2, now=NOW, sign_checkpoint=SIGNER
    )
    told = [Told(line=line, outcome="new", notes=(f"{name}.png is small",))
            for line, name in ((1, "Zibble"), (2, "Zobble"))]  # fmt: skip
    import_requests.note_run(engine, made.id, run.id, told)
    import_runs.write_chunk(
        engine, run, [(1, draft("Zibble")), (2, draft("Zobble"))], [], next_line=3, now=NOW,
        sign_checkpoint=SIGNER,
    )  # fmt: skip
    import_requests.end(engine, made.id, DONE, now=NOW, counts={"new": 2})
    now = import_requests.get(engine, made.id)
    subject = import_requests.lines(engine, now)[0].subject
    assert subject is not None
    optouts.withdraw(engine, subject, why={}, **BY)
    erasure.erase_subject(engine, subject, why={}, **BY)
    assert [one.notes for one in import_requests.lines(engine, now)] == [(), ("Zobble.png is small",)]
