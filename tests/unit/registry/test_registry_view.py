"""The view of what is in force: always the newest state, the same answers as a plain comparison."""

import contextlib
import itertools
import random
import sqlite3
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from registry import optouts, rules
from registry.db import read, write
from registry.errors import RegistryDamaged, RegistryError
from registry.segments import GROWTH, Shelf, blocks_of, changed
from registry.subject_types import (
    NameDraft,
    OptOutDraft,
    ReferenceDraft,
    SubjectRecord,
    VectorDraft,
    VectorRow,
)
from registry.subjects import records
from registry.subjectset import SubjectSet
from registry.vectors import VectorMatch, decoded
from registry.view import Snapshot, View

sys.path.insert(0, str(Path(__file__).parent))
from registry_builders import NOW, SIGNER, Home

CLIP, FACES, MANY = "clip-0a", "dlib-face-0b", 10_000
SIZES = {CLIP: 12, FACES: 8}
KINDS = {CLIP: ("picture", "description"), FACES: ("portrait",)}


def numbers(seed: int, space: str) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=SIZES[space])
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def draft(number: int, *, pictures: int = 2, portraits: int = 1) -> OptOutDraft:
    digests = [f"{number:032x}{index:032x}" for index in range(max(pictures, portraits))]
    references = [
        ReferenceDraft(sha256=digest, polarity=1 if index else -1, width=64, height=64)
        for index, digest in enumerate(digests)
    ]
    made = [("", CLIP, "description", 1, 1000 * number)]
    made += [
        (r.sha256, CLIP, "picture", r.polarity, 1000 * number + 1 + i)
        for i, r in enumerate(references[:pictures])
    ]
    made += [
        (r.sha256, FACES, "portrait", r.polarity, 1000 * number + 500 + i)
        for i, r in enumerate(references[:portraits])
    ]
    return OptOutDraft(
        kind="character", name=f"Figure {number}", owner="Studio",
        names=(NameDraft(text=f"Figure {number}"), NameDraft(text=f"Fig the {number}th")),
        references=tuple(references),
        vectors=tuple(
            VectorDraft(
                reference=reference, space=space, kind=kind, polarity=polarity,
                vector=numbers(seed, space).tobytes(), dimension=SIZES[space],
            )
            for reference, space, kind, polarity, seed in made
        ),
    )  # fmt: skip


def add(home: Home, number: int, **shape: int) -> str:
    return optouts.add(home.engine, draft(number, **shape), now=NOW, sign_checkpoint=SIGNER).subject


def withdraw(home: Home, subject: str) -> None:
    optouts.withdraw(home.engine, subject, why={}, now=NOW, sign_checkpoint=SIGNER)


def stored(home: Home) -> SubjectSet:
    with read(home.engine) as conn:
        return SubjectSet(records(conn))


def told(matches: list[list[VectorMatch]]) -> list[list[tuple[object, ...]]]:
    return [[(m.subject, m.reference, m.kind, m.polarity, round(m.score, 4)) for m in row] for row in matches]


def assert_same(snapshot: Snapshot, plain: SubjectSet, neighbours: int = 5) -> None:
    assert set(snapshot.names) == set(plain.names)
    assert set(snapshot.subjects) == set(plain.subjects)
    assert snapshot.spaces() == plain.spaces()
    for space, kinds in KINDS.items():
        asked = np.stack([numbers(seed, space) for seed in (1, 2001, 7)]).astype(np.float32)
        for some in (kinds, kinds[:1], kinds[-1:]):
            for many in (1, neighbours, MANY):
                ours, theirs = (of.search(space, some, asked, many) for of in (snapshot, plain))
                assert told(ours) == told(theirs)


def test_an_empty_registry(home: Home) -> None:
    snapshot = View(home.engine).current()
    assert (snapshot.seq, snapshot.names, snapshot.spaces()) == (0, (), frozenset())
    assert dict(snapshot.subjects) == {}
    assert snapshot.search(CLIP, ["picture"], np.ones((2, 12), np.float32), 3) == [[], []]
    assert snapshot is not None
    assert SubjectSet(()).search(CLIP, ["picture"], np.ones((1, 12), np.float32), 3) == [[]]
    assert SubjectSet(()).seq == 0


def test_what_is_added_is_found_at_once(home: Home) -> None:
    view = View(home.engine)
    before = view.current()
    receipt = optouts.add(home.engine, draft(3), now=NOW, sign_checkpoint=SIGNER)
    after = view.current()
    assert (before.seq, before.names) == (0, ())
    assert after.seq == receipt.seq
    assert {name.text for name in after.names} == {"Figure 3", "Fig the 3th"}
    assert after.subjects[receipt.subject].vectors == ()
    assert after.subjects[receipt.subject].owner == "Studio"
    [[best, *_]] = after.search(CLIP, ["picture"], numbers(3002, CLIP)[None].astype(np.float32), 3)
    assert (best.subject, best.kind, best.polarity, best.reference[-1]) == (
        receipt.subject,
        "picture",
        1,
        "1",
    )
    assert best.score == pytest.approx(1.0, abs=0.01)


def test_faces_are_compared_by_distance(home: Home) -> None:
    add(home, 3)
    asked = np.zeros((1, 8), np.float32)
    asked[0] = numbers(3500, FACES)
    asked[0] *= 3
    for references in (View(home.engine).current(), stored(home)):
        [[match]] = references.search(FACES, ["portrait"], asked, 9)
        assert match.score == pytest.approx(-2.0, abs=0.01)


def test_nothing_new_is_the_same_snapshot(home: Home) -> None:
    view = View(home.engine)
    add(home, 1)
    first = view.current()
    assert view.current() is first
    home.release()  # a release changes no verdict
    assert view.current() is first


def test_withdrawn_subjects_are_gone_and_old_snapshots_stay(home: Home) -> None:
    view = View(home.engine)
    subject, other = add(home, 1), add(home, 2)
    before = view.current()
    withdraw(home, subject)
    after = view.current()
    assert set(after.subjects) == {other}
    assert {name.subject for name in after.names} == {other}
    asked = numbers(1001, CLIP)[None].astype(np.float32)
    assert {m.subject for m in after.search(CLIP, ["picture", "description"], asked, MANY)[0]} == {other}
    assert before.search(CLIP, ["picture"], asked, 1)[0][0].subject == subject
    withdraw(home, other)
    assert view.current().spaces() == frozenset()


def test_a_rule_leaves_the_names_as_they_are(home: Home) -> None:
    view = View(home.engine)
    subject = add(home, 1)
    before = view.current()
    rules.grant_licence(home.engine, subject, "friend", now=NOW, sign_checkpoint=SIGNER)
    after = view.current()
    assert after.names is before.names
    assert after.seq > before.seq
    assert len(after.subjects[subject].rules) == 1
    assert_same(after, stored(home))


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_a_plain_comparison_says(home: Home, seed: int) -> None:
    """After any order of additions, extensions and withdrawals, read one by one or many at once."""
    chance, view, living, number = random.Random(seed), View(home.engine), [], 0
    for _ in range(25):
        action = chance.choice(["add", "add", "extend", "withdraw"])
        if action == "add" or not living:
            number += 1
            living.append((add(home, number, pictures=chance.randint(1, 6), portraits=1), number))
        elif action == "withdraw":
            withdraw(home, living.pop(chance.randrange(len(living)))[0])
        else:
            more = draft(400 + number + len(living), pictures=1)
            optouts.extend(
                home.engine, chance.choice(living)[0], names=more.names, references=more.references,
                vectors=more.vectors, now=NOW, sign_checkpoint=SIGNER,
            )  # fmt: skip
        if chance.random() < 0.5:
            assert view.current().seq == View(home.engine).current().seq
    assert_same(view.current(), stored(home))
    assert_same(View(home.engine).current(), stored(home))


def test_readers_and_writers_at_once(home: Home) -> None:
    """Every reader finds all that was acknowledged before it asked, while new subjects arrive."""
    view, known, done, broken = View(home.engine), [add(home, 1)], threading.Event(), []

    def reader() -> None:
        asked = numbers(1001, CLIP)[None].astype(np.float32)
        while not done.is_set():
            before = list(known)
            snapshot = view.current()
            found = {match.subject for match in snapshot.search(CLIP, ["picture"], asked, MANY)[0]}
            if not set(before) <= found or not set(before) <= set(snapshot.subjects):
                broken.append(before)

    readers = [threading.Thread(target=reader) for _ in range(4)]
    for thread in readers:
        thread.start()
    for number in range(2, 20):
        known.append(add(home, number, pictures=number % 4 + 1))
    done.set()
    for thread in readers:
        thread.join()
    assert broken == []


def copy(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def test_a_restored_backup_is_read_anew(sqlite_home: Home, tmp_path: Path) -> None:
    """Also where it has as many entries as before."""
    view, backup = View(sqlite_home.engine), tmp_path / "backup.db"
    first = add(sqlite_home, 1)
    copy(sqlite_home.path, backup)
    second = add(sqlite_home, 2)
    assert set(view.current().subjects) == {first, second}
    copy(backup, sqlite_home.path)
    assert set(view.current().subjects) == {first}
    second = add(sqlite_home, 2)
    assert set(view.current().subjects) == {first, second}
    copy(backup, sqlite_home.path)
    third = add(sqlite_home, 3)
    assert set(view.current().subjects) == {first, third}
    assert_same(view.current(), stored(sqlite_home))


def test_a_database_that_cannot_be_read_raises(sqlite_home: Home) -> None:
    """The last state that was read is not good enough."""
    view = View(sqlite_home.engine)
    add(sqlite_home, 1)
    view.current()
    for side in ("", "-wal", "-shm"):
        sqlite_home.path.with_name(sqlite_home.path.name + side).unlink(missing_ok=True)
    sqlite_home.path.write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError):
        view.current()


def test_a_damaged_vector_raises_until_it_is_repaired(home: Home) -> None:
    view = View(home.engine)
    subject = add(home, 1)
    with read(home.engine) as conn:
        [record] = records(conn, [subject])
    row = record.vectors[0]
    for vector in (b"", row.vector[:-2], b"\xff\x7f" * row.dimension):
        with pytest.raises(RegistryDamaged):
            decoded([damaged(row, vector)], row.dimension)
    assert view.current().seq == record.seq


def damaged(row: VectorRow, vector: bytes) -> VectorRow:
    return VectorRow(
        subject=row.subject, reference=row.reference, space=row.space, kind=row.kind, polarity=row.polarity,
        vector=vector, dimension=row.dimension,
    )  # fmt: skip


@pytest.mark.parametrize(
    "vectors", [np.ones((1, 11)), np.ones(12), np.full((1, 12), np.nan), np.full((1, 12), np.inf)]
)
def test_queries_that_cannot_be_compared_are_refused(home: Home, vectors: np.ndarray) -> None:
    add(home, 1)
    for references in (View(home.engine).current(), stored(home)):
        with pytest.raises(ValueError, match=r"vectors|not made of numbers"):
            references.search(CLIP, ["picture"], vectors.astype(np.float32), 3)
        assert references.search(CLIP, ["picture"], np.ones((0, 12), np.float32), 3) == []
        assert references.search(CLIP, ["picture"], np.ones((1, 12), np.float32), 0) == [[]]
        assert references.search(CLIP, ["portrait"], np.ones((1, 12), np.float32), 3) == [[]]
        assert references.search("other", ["picture"], np.ones((1, 12), np.float32), 3) == [[]]


def test_segments_shrink_and_grow_by_halves() -> None:
    """Few segments however often something is added, and none is more dead than alive."""
    rng, shelf, living = np.random.default_rng(1), (), set()
    for number in range(200):
        subject = f"s{number}"
        rows = [
            VectorRow(
                subject=subject, reference="", space=CLIP, kind="picture", polarity=1,
                vector=rng.normal(size=12).astype("<f2").tobytes(), dimension=12,
            )
            for _ in range(rng.integers(1, 9))
        ]  # fmt: skip
        gone = {sorted(living)[0]} if number % 3 == 2 else set()
        shelf = changed(shelf, "picture", sorted(gone), blocks_of(rows))
        living = (living - gone) | {subject}
        check(shelf, living)
    assert changed(shelf, "picture", sorted(living), ()) == ()


def check(shelf: Shelf, living: set[str]) -> None:
    sizes = [segment.living for segment in shelf]
    assert all(large >= GROWTH * small for large, small in itertools.pairwise(sizes))
    assert all(2 * segment.living >= len(segment.labels) for segment in shelf)
    found = shelf_search(shelf)
    assert {match.subject for match in found} == living
    assert len(found) == sum(sizes)


def shelf_search(shelf: Shelf) -> list[VectorMatch]:
    query = np.ones((1, 12), np.float32)
    return [match for segment in shelf for match in segment.search(query, MANY)[0]]


def test_a_set_of_subjects_leaves_out_the_withdrawn(home: Home) -> None:
    subject, other = add(home, 1), add(home, 2)
    withdraw(home, subject)
    with read(home.engine) as conn:
        given: list[SubjectRecord] = list(records(conn))
    plain = SubjectSet(given)
    assert set(plain.subjects) == {other}
    assert plain.seq == max(record.seq for record in given)
    with write(home.engine) as conn:  # nothing was left open
        assert conn is not None


def test_who_cannot_be_found_in_a_space(home: Home) -> None:
    view = View(home.engine)
    assert view.current().strangers({"picture"}, {CLIP}) == frozenset()
    first, second = (add(home, number) for number in (1, 2))
    both = {first, second}
    assert view.current().strangers({"picture"}, {CLIP}) == frozenset()
    assert view.current().strangers({"picture"}, {"another"}) == both
    assert view.current().strangers({"picture"}, {"another", CLIP}) == frozenset()
    assert view.current().strangers({"attribute"}, {"another"}) <= both
    withdraw(home, first)
    assert view.current().strangers({"picture"}, {"another"}) == {second}
