"""What a scan reads of releases: by the stretch it is what reading each of them would say."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_builders import NOW, SIGNER, Home, raw
from sqlalchemy import select

from registry import db, looks, releases
from registry.db import read, write
from registry.errors import ConstraintBroken
from registry.looks import Blind, Stretch
from registry.tables import release
from registry.tables_looks import release_look
from registry.types import Release, SightRow

ALL = Stretch(seq=1 << 40, upto=1 << 40)
ROW = SightRow(
    kind="frame", space="clip", dimension=2, count=1, vectors=bytes(4), times=b"", boxes=b"", sealed=False
)
READING = {"v": "1", "letters": "aredkite", "runs": "redkite"}
KINDS = (("frame", "clip"), ("frame", "other"), ("face", "faces"))
BLINDS = (
    Blind(policies=("strict", "plain"), asked=False, pairs=KINDS[:1]),
    Blind(policies=("strict",), asked=True, pairs=KINDS[1:]),
    Blind(policies=("plain",), asked=False, pairs=()),
)


def filled(home: Home) -> list[tuple[Release, str, bool, set[tuple[str, str]]]]:
    """Releases under all policies, with and without prompts, of which each set of kinds was seen."""
    made = []
    for policy in ("strict", "plain", "none"):
        for prompt in (None, "a kite"):
            for chosen in range(8):
                seen = {pair for place, pair in enumerate(KINDS) if chosen >> place & 1}
                one = home.release(
                    f"{policy} {prompt} {chosen}", facts={"policy": policy, "prompt": prompt, "key": "k"},
                    sight=tuple(replace(ROW, kind=kind, space=space) for kind, space in sorted(seen)),
                )  # fmt: skip
                made.append((one, policy, prompt is not None, seen))
    return made


@pytest.fixture(scope="module")
def full(new_root: Any) -> Any:
    with Home(new_root("looks")) as home:
        made = filled(home)
        releases.withdraw(home.engine, made[5][0].id, why={}, now=NOW, sign_checkpoint=SIGNER)
        yield home, [one for one in made if one[0].id != made[5][0].id]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(BLINDS), max_size=3, unique=True), st.integers(0, 50), st.integers(1, 50))
def test_counting_is_looking_at_each(full: Any, blind: list[Blind], first: int, size: int) -> None:
    home, made = full
    newest = sorted(made, key=lambda one: one[0].id, reverse=True)
    before = newest[first - 1][0].id if 0 < first <= len(newest) else ""
    here = newest[first if before else 0 :][:size]
    with read(home.engine) as conn:
        stretch = looks.following(conn, before, ALL.seq, ALL.upto, size)
        if stretch is None:
            assert not here
            return
        tally = looks.tally(conn, stretch, blind)
        assert [one.id for one in looks.whole(conn, stretch)] == [one[0].id for one in here]
    told = [
        [policy in b.policies and (asked or not b.asked) and not seen & {*b.pairs} for b in blind]
        for _, policy, asked, seen in here
    ]
    assert tally.releases == len(here)
    assert list(tally.blind) == [sum(row[place] for row in told) for place in range(len(blind))]
    assert tally.any == sum(map(any, told))


def test_stretches_follow_each_other_and_leave_nothing_out(full: Any) -> None:
    home, made = full
    found, before = [], ""
    with read(home.engine) as conn:
        while (stretch := looks.following(conn, before, ALL.seq, ALL.upto, 7)) is not None:
            found += [one.id for one in looks.whole(conn, stretch)]
            before = stretch.last
        seen = [row for batch in looks.seen(conn, ALL, "frame", "clip", 0) for row in batch]
    assert found == sorted((one[0].id for one in made), reverse=True)
    assert {one for one, _ in seen} == {one[0].id for one in made if KINDS[0] in one[3]}


def test_a_reading_is_kept_in_the_look_alone(home: Home) -> None:
    made = home.release(facts={"prompt": "a red kite", "policy": "p", "key": "k", "reading": READING})
    assert made.facts == {"prompt": "a red kite", "policy": "p", "key": "k"}
    with read(home.engine) as conn:
        [[told]] = looks.readings(conn, ALL, ["p"])
        assert told == (made.id, "1", "aredkite", "redkite")
        assert looks.keyed(conn, ALL, ["k"]) == {made.id: "k"}
        assert not list(looks.readings(conn, ALL, ["q"]))


def test_a_reading_that_no_database_keeps_is_none(home: Home) -> None:
    home.release(facts={"prompt": "x", "policy": "p", "reading": READING | {"letters": "a\0b"}})
    with read(home.engine) as conn:
        [[told]] = looks.readings(conn, ALL, ["p"])
        assert (told.version, told.letters) == ("?", "")


def test_no_release_without_its_look(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = looks.store
    for wrong in ({}, {"policy": "other"}, {"policy": "p", "key": "k"}, {"policy": "p", "prompt": "x"}):
        monkeypatch.setattr(looks, "store", lambda conn, made, _facts, told=wrong: kept(conn, made, told))
        with pytest.raises(ConstraintBroken):
            home.release(facts={"policy": "p"})
    monkeypatch.setattr(looks, "store", lambda *_: None)
    with pytest.raises(ConstraintBroken):
        home.release(facts={"policy": "p"})
    monkeypatch.undo()
    assert home.release(facts={"policy": "p"}).facts == {"policy": "p"}
    for statement in ("DELETE FROM release_look", "UPDATE release_look SET policy = 'q'"):
        with pytest.raises(ConstraintBroken), write(home.engine) as conn:
            raw(conn, statement)


LATER = ("worker TEXT", "queued INTEGER NOT NULL DEFAULT 0", "account TEXT NOT NULL DEFAULT ''")


@contextmanager
def later_columns(home: Home) -> Iterator[None]:
    """What jobs have in the code of now and not in an old database, for as long as jobs are made in it."""
    with write(home.engine) as conn:
        for column in LATER:
            raw(conn, f"ALTER TABLE job ADD COLUMN {column}")
        raw(conn, "ALTER TABLE job RENAME COLUMN current_step TO last_step")
    yield
    with write(home.engine) as conn:
        raw(conn, "ALTER TABLE job RENAME COLUMN last_step TO current_step")
        for column in LATER:
            raw(conn, f"ALTER TABLE job DROP COLUMN {column.partition(' ')[0]}")


def test_older_releases_get_theirs_from_their_facts(
    empty_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [
        {"prompt": "a red kite", "policy": "p", "key": "k", "reading": READING},
        {"prompt": None, "policy": "p", "key": None, "reading": None},
        {"prompt": "x", "reading": {"v": "1"}},
        {"prompt": "x", "policy": "p", "reading": READING | {"runs": "\0"}},
    ]
    monkeypatch.setattr(db, "HEAD", "r0011")
    with monkeypatch.context() as then, Home(empty_root) as home:
        then.setattr(looks, "store", lambda *_: None)
        then.setattr(looks, "READING", "")
        with later_columns(home):
            made = [home.release(str(place), facts=told) for place, told in enumerate(facts)]
    monkeypatch.undo()
    with Home(empty_root) as home, read(home.engine) as conn:
        rows = {row.release_id: row[1:] for row in conn.execute(select(release_look))}
        assert conn.execute(select(release.c.facts).where(release.c.id == made[0].id)).scalar() == facts[0]
    assert [rows[one.id] for one in made] == [
        ("p", 1, "k", "1", "aredkite", "redkite"),
        ("p", 0, "", "", "", ""),
        ("", 1, "", "", "", ""),
        ("p", 1, "", "", "", ""),
    ]
