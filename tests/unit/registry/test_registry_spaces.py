"""From one model to the next: both serve, nobody is missed, and the old one goes when the new has all."""

import random
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_builders import NOW, SIGNER, Home, draft, picture, vector

from registry import log, optouts, spaces, subjects
from registry.db import read, write
from registry.errors import ConstraintBroken, NotFound, SpaceInUse
from registry.subject_types import VectorDraft
from registry.tables_spaces import space_calibration, space_retired
from registry.view import View

OLD, NEW = "clip-old", "clip-new"
BY = {"now": NOW, "sign_checkpoint": SIGNER}


def shown(number: int, space: str) -> VectorDraft:
    """The vector of picture `number` in a space, of eight dimensions; no two alike."""
    values = np.random.default_rng([number, len(space), ord(space[-1])]).normal(size=8)
    values = (values / np.linalg.norm(values)).astype("<f2")
    return vector(kind="picture", reference=picture(number).sha256, space=space, vector=values.tobytes())


def register(home: Home, number: int, *where: str) -> str:
    made = draft(
        f"Zibble {number}", references=(picture(number),), vectors=tuple(shown(number, s) for s in where)
    )
    return optouts.add(home.engine, made, **BY).subject


def embed(home: Home, subject: str, number: int, space: str = NEW) -> None:
    optouts.extend(home.engine, subject, vectors=[shown(number, space)], **BY)


def missed(view: View, subjects: dict[str, int], space: str) -> set[str]:
    """Who would pass a model of this space: not found in it, and not told to be missing either."""
    snapshot = view.current()
    passed = set()
    for subject, number in subjects.items():
        asked = np.frombuffer(shown(number, space).vector, "<f2")[None].astype(np.float32)
        [found] = snapshot.search(space, ["picture"], asked, 3)
        near = any(match.subject == subject and match.score > 0.99 for match in found)
        if not near and subject not in snapshot.strangers({"picture"}, {space}):
            passed.add(subject)
    return passed


def test_during_the_whole_change_nobody_is_missed(home: Home, tmp_path: Path) -> None:
    """By a process with the old model, by one with the new one, before, during and after."""
    chance, view = random.Random(5), View(home.engine, tmp_path / "index")
    known = {register(home, number, OLD): number for number in range(12)}
    late = 100
    waiting = list(known)
    chance.shuffle(waiting)
    while waiting:
        assert missed(view, known, OLD) == missed(view, known, NEW) == set()
        with pytest.raises((SpaceInUse, NotFound)):
            spaces.retire(home.engine, OLD, into=NEW, **BY)
        embed(home, waiting[-1], known[waiting.pop()])
        if chance.random() < 0.5:  # meanwhile others register, with either model
            late += 1
            space = chance.choice([OLD, NEW])
            made = register(home, late, space)
            known[made] = late
            if space == OLD:
                waiting.insert(0, made)
        if chance.random() < 0.3:
            gone = chance.choice(sorted(known))
            optouts.withdraw(home.engine, gone, why={}, **BY)
            del known[gone]
            waiting = [one for one in waiting if one != gone]
    assert missed(view, known, OLD) == missed(view, known, NEW) == set()
    before = view.current()
    seq = spaces.retire(home.engine, OLD, into=NEW, **BY)
    assert seq == view.current().seq
    assert view.current().spaces() == {NEW}
    assert before.spaces() == {OLD, NEW}
    assert missed(view, known, OLD) == missed(view, known, NEW) == set()
    assert view.current().strangers({"picture"}, {OLD}) == frozenset(known)
    assert View(home.engine, tmp_path / "index").current().spaces() == {NEW}


def test_whoever_looks_while_it_changes_misses_nobody(home: Home) -> None:
    view, done, passed = View(home.engine), threading.Event(), list[set[str]]()
    known = {register(home, number, OLD): number for number in range(8)}

    def look() -> None:
        while not done.is_set():
            passed.extend(filter(None, (missed(view, known, space) for space in (OLD, NEW))))

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    for subject, number in known.items():
        embed(home, subject, number)
    spaces.retire(home.engine, OLD, into=NEW, **BY)
    done.set()
    for thread in looking:
        thread.join()
    assert passed == []


def test_how_far_a_space_has_come(home: Home) -> None:
    first, second = register(home, 1, OLD), register(home, 2, OLD)
    register(home, 3, NEW)
    embed(home, first, 1)
    optouts.add(home.engine, draft("Nameonly"), **BY)
    told = {state.id: state for state in spaces.list_spaces(home.engine)}
    assert (told[OLD].subjects, told[OLD].lacking, told[OLD].kinds) == (2, 1, ("picture",))
    assert (told[NEW].subjects, told[NEW].lacking, told[NEW].dimension) == (2, 1, 8)
    assert spaces.lacking(home.engine, NEW) == [second]
    assert spaces.lacking(home.engine, NEW, after=second) == []
    with pytest.raises(NotFound):
        spaces.lacking(home.engine, "nowhere")
    with pytest.raises(SpaceInUse, match="1 subject has"):
        spaces.retire(home.engine, OLD, into=NEW, **BY)
    embed(home, second, 2)
    seq = spaces.retire(home.engine, OLD, into=NEW, **BY)
    assert spaces.retire(home.engine, OLD, into=NEW, **BY) == seq
    told = {state.id: state for state in spaces.list_spaces(home.engine)}
    assert (told[OLD].into, told[NEW].lacking, told[NEW].into) == (NEW, 0, "")
    with pytest.raises(SpaceInUse, match="name a space that serves"):
        spaces.retire(home.engine, NEW, into=OLD, **BY)
    with read(home.engine) as conn:
        log.audit(conn)


def test_part_of_a_subject_is_not_enough(home: Home) -> None:
    made = draft(
        "Zibble", references=(picture(1), picture(2)), vectors=(shown(1, OLD), shown(2, OLD), shown(1, NEW))
    )
    subject = optouts.add(home.engine, made, **BY).subject
    assert spaces.lacking(home.engine, NEW) == [subject]
    with pytest.raises(SpaceInUse):
        spaces.retire(home.engine, OLD, into=NEW, **BY)


def test_what_a_retired_space_has_is_not_in_force(home: Home) -> None:
    subject = register(home, 1, OLD, NEW)
    spaces.retire(home.engine, OLD, into=NEW, **BY)
    record = subjects.get(home.engine, subject)
    assert record is not None
    assert {row.space for row in record.vectors} == {NEW}
    with pytest.raises(ConstraintBroken, match="retired"):
        register(home, 2, OLD)
    optouts.withdraw(home.engine, subject, why={}, **BY)


@pytest.mark.parametrize("wrong", ["no entry", "other entry", "not covered", "itself", "retired", "again"])
def test_the_database_refuses_what_would_miss_somebody(home: Home, wrong: str) -> None:
    subject = register(home, 1, OLD)
    embed(home, subject, 1)
    register(home, 2, OLD, NEW) if wrong != "not covered" else register(home, 2, OLD)
    register(home, 3, "older", OLD, NEW)
    if wrong in ("retired", "again"):
        spaces.retire(home.engine, OLD, into=NEW, **BY)
    row = {"space": OLD, "into_space": NEW}
    if wrong == "itself":
        row["into_space"] = OLD
    if wrong == "retired":
        row = {"space": "older", "into_space": OLD}
    public = {"action": "retire", "space": row["space"], "into": row["into_space"]}
    if wrong == "other entry":
        public["into"] = "another"

    def attempt() -> None:
        with write(home.engine) as conn:
            kind = "reference" if wrong == "no entry" else "space"
            seq = log.append(conn, kind, public, None, NOW).seq
            conn.execute(space_retired.insert().values(**row, log_seq=seq))

    with pytest.raises(ConstraintBroken):
        attempt()


def test_a_retirement_is_never_changed(home: Home) -> None:
    register(home, 1, OLD, NEW)
    spaces.retire(home.engine, OLD, into=NEW, **BY)
    for statement in ("UPDATE space_retired SET into_space = into_space", "DELETE FROM space_retired"):
        with pytest.raises(ConstraintBroken):
            run(home, statement)


def run(home: Home, statement: str) -> None:
    with write(home.engine) as conn:
        conn.exec_driver_sql(statement)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_a_space_is_retired_exactly_when_the_other_has_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[tuple[bool, bool]]
) -> None:
    with Home(tmp_path_factory.mktemp("home")) as home:
        register(home, 90, OLD, NEW)
        for number, (old, new) in enumerate(pictures):
            register(home, number, *([OLD] if old else []), *([NEW] if new else []))
        covered = all(new or not old for old, new in pictures)
        if covered:
            spaces.retire(home.engine, OLD, into=NEW, **BY)
        else:
            with pytest.raises(SpaceInUse):
                spaces.retire(home.engine, OLD, into=NEW, **BY)
        assert View(home.engine).current().spaces() == ({NEW} if covered else {OLD, NEW})


def used(digit: str, version: int = 1, space: str = OLD) -> spaces.CalibrationUsed:
    return spaces.CalibrationUsed(space=space, sha256=digit * 64, version=version)


def test_every_change_of_a_calibration_is_an_entry(home: Home) -> None:
    first, second = used("a"), used("b", 2)
    note = partial(spaces.note_calibrations, home.engine, **BY)
    assert spaces.calibrated(home.engine, OLD) is None
    [begun] = note([first])
    assert note([first]) == []
    [changed] = note([second])
    [back] = note([first])
    assert begun < changed < back
    assert spaces.calibrated(home.engine, OLD) == first
    with read(home.engine) as conn:
        entry = log.entries(conn, changed - 1, changed)[0]
        assert log.registry_seq(conn) == 0  # what is out is not compared again for it
    assert entry.kind == "calibration"
    assert entry.public == {"v": 1, "space": OLD, "sha256": "b" * 64, "version": 2}


def test_a_space_says_its_calibration(home: Home) -> None:
    register(home, 1, OLD)
    register(home, 2, NEW)
    spaces.note_calibrations(home.engine, [used("a", 3), used("c", 1, "faces")], **BY)
    told = {state.id: state for state in spaces.list_spaces(home.engine)}
    assert (told[OLD].calibration, told[OLD].calibration_version) == ("a" * 64, 3)
    assert (told[NEW].calibration, told[NEW].calibration_version) == ("", 0)


@pytest.mark.parametrize("wrong", ["no entry", "another digest", "another space"])
def test_no_calibration_without_its_entry(home: Home, wrong: str) -> None:
    space, digest = (
        ("other" if wrong == "another space" else OLD),
        ("b" if wrong == "another digest" else "a"),
    )
    kind = "party" if wrong == "no entry" else "calibration"

    def attempt() -> None:
        with write(home.engine) as conn:
            entry = log.append(
                conn, kind, {"v": 1, "space": OLD, "sha256": "a" * 64, "version": 1}, None, NOW
            )
            row = {"space": space, "sha256": digest * 64, "version": 1, "log_seq": entry.seq}
            conn.execute(space_calibration.insert().values(**row))

    with pytest.raises(ConstraintBroken):
        attempt()
