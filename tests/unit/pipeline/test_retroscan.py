"""A scan of what is out: every kind of wish, killed and gone on with, cases, and what comes back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from past_builders import (
    CALIBRATIONS,
    PICTURED,
    TARGETS,
    name,
    open_cases,
    opt_out,
    picture,
    prompt,
    states,
    told,
)

from benchmarks.tools import fence_world as world
from benchmarks.tools.past_home import PastHome, opened
from classifiers.base import Kind, Seen, Sight
from pipeline import examine, lookback, retroscan
from pipeline.clock import clock, rfc3339
from pipeline.recheck import compare
from registry import changes, cursors, log, optouts, past, recalls, rules, scans, sights
from registry.db import read, write
from registry.errors import ConstraintBroken, StillForbidden
from registry.subject_types import NameDraft
from registry.subjects import records
from registry.types import Release


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PastHome]:
    with opened(tmp_path / "home", CALIBRATIONS) as made:
        yield made


def test_every_kind_of_wish_reaches_back(home: PastHome) -> None:
    engine, signer = home.app.engine, home.app.signer
    ids = world.prepare(engine, TARGETS, clock(), signer)
    made = {
        target: home.publish(
            world.sight(target, np.random.default_rng(target)), account=world.account(target),
            key=ids.keys.get(target, ""),
        )
        for target in range(TARGETS)
    }  # fmt: skip
    harmless = [prompt(home, f"a boat {n}") for n in range(5)]
    assert home.app.retroscan().recalled == ()
    for target in range(TARGETS):
        world.opt_out(engine, target, ids, clock(), signer)
    report = home.app.retroscan()
    assert {one.release for one in report.recalled} == {one.id for one in made.values()}
    assert states(home, *harmless) == ["released"] * 5
    by_kind = {world.kind_of(target): home.state(one.id) for target, one in made.items()}
    assert by_kind.pop("key") == "released"  # a case, and served meanwhile
    assert set(by_kind.values()) == {"withdrawn"}
    kinds = {case.kind for case in open_cases(home)}
    assert kinds == {"retro_match", "key_revoked"}
    assert home.app.retroscan().compared == 0


def test_a_licence_that_ends_by_the_clock_reaches_back(tmp_path: Path, monkeypatch: Any) -> None:
    with opened(tmp_path / "home", CALIBRATIONS) as home:
        subject = name(home, "Vexmoor Quandle")
        ends = datetime.now(UTC) + timedelta(days=30)
        rules.grant_licence(home.app.engine, subject, "b", valid_until=rfc3339(ends), **told(home))
        made = prompt(home, "Vexmoor Quandle sings", account="b")
        other = prompt(home, "somebody sings", account="b")
        assert home.app.retroscan().recalled == ()
    monkeypatch.setattr("pipeline.app.clock", lambda: rfc3339(ends + timedelta(seconds=1)))
    with opened(tmp_path / "home", CALIBRATIONS) as home:
        [recalled] = home.app.retroscan().recalled
        assert (recalled.release, recalled.outcome) == (made.id, "withdrawn")
        assert states(home, made, other) == ["withdrawn", "released"]
        assert home.app.retroscan().subjects == 0


def test_a_scan_that_was_killed_goes_on_where_it_was(home: PastHome, monkeypatch: Any) -> None:
    monkeypatch.setattr(retroscan, "PAGE", 4)
    monkeypatch.setattr(retroscan, "HITS", 3)
    made = [prompt(home, f"Hollowmere Tix number {n}") for n in range(10)]
    spared = prompt(home, "nobody")
    subject = name(home, "Hollowmere Tix")

    class Killed(BaseException):
        pass

    def kill(count: int) -> None:
        if count >= 4:
            raise Killed

    with pytest.raises(Killed):
        home.app.retroscan(kill)
    gone = states(home, *made).count("withdrawn")
    assert 0 < gone < 10
    late = prompt(home, "Hollowmere Tix again")  # by a registry that knew: not for this scan
    second = name(home, "Vexmoor Quandle")
    report = home.app.retroscan()
    assert len(report.recalled) == 10 - gone
    assert states(home, *made) == ["withdrawn"] * 10
    assert states(home, spared, late) == ["released", "released"]
    with read(home.app.engine) as conn:
        found = scans.latest(conn)
        assert [scan.state for scan, _ in found] == ["done", "done"]
        assert [outcomes["withdrawn"] for _, outcomes in found] == [0, 10]
        assert scans.get(conn, found[1][0].id).compared == 11
        counts = scans.counts(conn, subject)
        assert (counts.matched, counts.withdrawn, counts.in_review) == (10, 10, 0)
        assert scans.counts(conn, second).matched == 0
        reached = [(s.after_seq, s.upto_seq) for s, _ in reversed(found)]
        assert reached[0][1] == reached[1][0]


def test_two_at_once_do_not_clash(home: PastHome) -> None:
    made = prompt(home, "Hollowmere Tix")
    name(home, "Hollowmere Tix")
    begun = retroscan._next(home.app._bench)
    assert begun is not None
    with read(home.app.engine) as conn:
        assert scans.unfinished(conn) == begun
    one, two = (
        retroscan._Scanning(home.app._bench, begun, retroscan._Told(lambda _: None)) for _ in range(2)
    )
    one.run()
    with pytest.raises(scans.Moved):
        two.run()
    with read(home.app.engine) as conn:
        assert scans.counts(conn, next(iter(scans.subjects_of(conn, begun)))).matched == 1
        assert len(recalls.standing(conn, made.id)) == 1


def test_only_what_ran_out_of_time_is_compared_again(home: PastHome, monkeypatch: Any) -> None:
    made = prompt(home, "Hollowmere Tix")
    others = [prompt(home, f"boat {n}") for n in range(3)]
    name(home, "Hollowmere Tix")
    with monkeypatch.context() as hurried:
        hurried.setattr(examine, "DEADLINE_SECONDS", 0.0)
        hasty = home.app.retroscan()
        assert (hasty.compared, hasty.unclear, hasty.upto) == (4, 1, hasty.after)
        assert home.app.retroscan().compared == 1
    name(home, "Vexmoor Quandle")
    report = home.app.retroscan()
    assert (report.compared, [one.release for one in report.recalled]) == (1 + 4 - 1, [made.id])
    assert states(home, *others) == ["released"] * 3


def test_many_changes_are_several_scans(home: PastHome, monkeypatch: Any) -> None:
    monkeypatch.setattr(scans, "ROUND", 2)
    made = [prompt(home, f"Hollowmere{n} Tix{n}quo") for n in range(5)]
    for n in range(5):
        name(home, f"Hollowmere{n} Tix{n}quo")
    report = home.app.retroscan()
    assert {one.release for one in report.recalled} == {one.id for one in made}
    with read(home.app.engine) as conn:
        assert len(scans.latest(conn)) >= 3


def test_a_case_decides(home: PastHome) -> None:
    made = picture(home, PICTURED)
    opt_out(home, PICTURED)
    [recalled] = home.app.retroscan().recalled
    assert (recalled.outcome, home.state(made.id)) == ("held", "withdrawn")
    [case] = open_cases(home)
    assert (case.kind, case.reasons[0]["code"]) == ("retro_match", "picture_match")
    with pytest.raises(StillForbidden, match=case.id):
        home.app.reinstate(made.id, "")
    done = home.app.reviews.release(case.id, "Ada", "another fox")
    assert (done.state, done.about) == ("closed", "released")
    assert home.app.retroscan().recalled == ()


def test_cases_may_leave_clips_out(tmp_path: Path) -> None:
    with opened(tmp_path / "home", CALIBRATIONS, {"retroscan_review": "case"}) as home:
        made = picture(home, PICTURED)
        opt_out(home, PICTURED)
        [recalled] = home.app.retroscan().recalled
        assert (recalled.outcome, home.state(made.id)) == ("case", "released")
        [case] = open_cases(home)
        home.app.reviews.block(case.id, "Ada", "")
        assert home.state(made.id) == "withdrawn"


def test_what_comes_back_is_compared_with_what_came_meanwhile(home: PastHome) -> None:
    made = prompt(home, "Hollowmere Tix sings")
    home.app.withdraw(made.id, "a mistake")
    subject = name(home, "Hollowmere Tix")
    assert home.app.retroscan().recalled == ()  # it is not out
    with pytest.raises(StillForbidden, match="Hollowmere Tix"):
        home.app.reinstate(made.id, "")
    optouts.withdraw(home.app.engine, subject, why={}, **told(home))
    assert home.app.reinstate(made.id, "").state == "released"


def test_a_dismissed_likeness_is_found_again_when_its_owner_adds_to_it(home: PastHome) -> None:
    target = world.KINDS.index("picture added")
    ids = world.prepare(home.app.engine, target + 1, clock(), home.app.signer)
    made = home.publish(world.sight(target, np.random.default_rng(1)))
    world.opt_out(home.app.engine, target, ids, clock(), home.app.signer)
    home.app.retroscan()
    [case] = open_cases(home)
    optouts.extend(
        home.app.engine, ids.subjects[target], names=[NameDraft(text="Another Name")], **told(home)
    )
    with pytest.raises(StillForbidden):
        home.app.reviews.release(case.id, "Ada", "")
    home.app.retroscan()
    assert home.state(made.id) == "withdrawn"


def test_children_of_what_is_found_become_cases(home: PastHome) -> None:
    root = prompt(home, "Hollowmere Tix sings")
    child = prompt(home, "now at night", parents=[root.id])
    name(home, "Hollowmere Tix")
    report = home.app.retroscan()
    assert [one.release for one in report.recalled] == [root.id]
    [case] = open_cases(home)
    assert (case.kind, case.release_id, case.about) == ("derivative", child.id, root.id)
    assert states(home, root, child) == ["withdrawn", "withdrawn"]


def test_codes_and_vectors_find_the_same(home: PastHome, monkeypatch: Any) -> None:
    monkeypatch.setattr(past, "SEGMENT_VECTORS", 60)
    others = [world.HARMLESS] * 15
    made = [
        home.publish(world.sight(target, np.random.default_rng(n)))
        for n, target in enumerate([*others, PICTURED, *others, PICTURED])
    ]
    opt_out(home, PICTURED)
    report = home.app.retroscan()
    assert {one.release for one in report.recalled} == {made[15].id, made[31].id}
    assert list(home.home.past.glob("past-frame-*.npz"))
    assert not list(home.home.past.glob("past-face-*"))
    assert report.compared == 32


def test_prompts_without_a_reading_are_read(home: PastHome) -> None:
    made = prompt(home, "H0llowmere-Tix sings", reading=False)
    across = prompt(home, "mere Tix", "show me Hollow")
    name(home, "Hollowmere Tix")
    assert {one.release for one in home.app.retroscan().recalled} == {made.id, across.id}


def test_an_older_home_goes_on_at_its_cursor(home: PastHome) -> None:
    made = prompt(home, "Hollowmere Tix")
    name(home, "Hollowmere Tix")
    with write(home.app.engine) as conn:
        cursors.advance(conn, scans.CURSOR, log.head(conn))
    assert home.app.retroscan().recalled == ()
    assert home.state(made.id) == "released"


def test_the_database_keeps_scans_in_order(home: PastHome) -> None:
    name(home, "Hollowmere Tix")
    begun = retroscan._next(home.app._bench)
    assert begun is not None
    for statement in (
        "UPDATE retro_scan SET after_seq = 7",
        "UPDATE retro_scan SET compared = -1",
        "DELETE FROM retro_scan",
        "INSERT INTO retro_scan SELECT '" + "x" * 36 + "', upto_seq, upto_seq, until, until, 'open', '', 0, "
        "0, begun_at, NULL FROM retro_scan",
    ):
        with pytest.raises(ConstraintBroken), write(home.app.engine) as conn:
            conn.exec_driver_sql(statement)


def test_frames_alone_do_not_hide_what_cannot_be_compared(home: PastHome) -> None:
    seen = world.sight(world.HARMLESS, np.random.default_rng(3))
    without = tuple(part for part in seen.seen if part.kind is not Kind.FACE)
    home.publish(Sight(texts=seen.texts, seen=without))
    home.publish(Sight(texts=seen.texts, seen=(*without, Seen(
        kind=Kind.FACE, space=world.FACES, vectors=np.zeros((0, 128), np.float32)))))  # fmt: skip
    opt_out(home, world.KINDS.index("face"))
    report = home.app.retroscan()
    assert (report.compared, report.unclear, report.recalled) == (2, 1, ())


def judged_one_by_one(home: PastHome, made: list[Release], ids: set[str]) -> set[str]:
    """The releases in which the checks find any of these subjects, each release compared by itself."""
    bench, found = home.app._bench, set()
    with read(home.app.engine) as conn:
        wanted = lookback.Wanted(records(conn, ids), bench.eyes.calibrations, bench.sealer)
        rows = sights.of(conn, [one.id for one in made])
    for one in made:
        question = lookback.question_of(bench, one, rows.get(one.id, ()))
        if question is None:
            continue
        told = compare(
            question, wanted.subjects, wanted.of, bench.eyes.calibrations, now=clock(), matcher=wanted.matcher
        )
        if any(not retroscan.left_out(reason) for reason in told.reasons):
            found.add(one.id)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_scan_finds_what_comparing_every_release_finds(home: PastHome, monkeypatch: Any, seed: int) -> None:
    monkeypatch.setattr(past, "SEGMENT_VECTORS", 120)
    monkeypatch.setattr(past, "SMALL_VECTORS", 36)
    monkeypatch.setattr(retroscan, "PAGE", 7)
    engine, random = home.app.engine, np.random.default_rng(seed)
    ids = world.prepare(engine, TARGETS, clock(), home.app.signer)
    with read(engine) as conn:
        before = scans.covered(conn)[0]
    targets = random.integers(-12, TARGETS, 40)
    made = [
        home.publish(
            world.sight(max(world.HARMLESS, int(target)), np.random.default_rng(n)),
            account=world.account(int(target)), reading=bool(random.integers(2)),
            policy=str(random.choice(["opt-out", "permission-first", "marks-only"])),
        )
        for n, target in enumerate(targets)
    ]  # fmt: skip
    home.app.retroscan()
    for target in range(TARGETS):
        world.opt_out(engine, target, ids, clock(), home.app.signer)
    with read(engine) as conn:
        entries = changes.load(conn, before, log.head(conn))
        concerned = changes.concerned(conn, entries)
    known = judged_one_by_one(home, made, concerned)
    report = home.app.retroscan()
    with_keys = {one.release for one in report.recalled if one.reasons[0]["code"] == "key_revoked"}
    assert {one.release for one in report.recalled} - with_keys == known - with_keys
    assert len(known) > 5
    assert report.compared == len(made)


def test_a_damaged_sight_counts_as_not_compared(home: PastHome, monkeypatch: Any) -> None:
    """Faces that cannot be unsealed: the releases are counted once, for each subject with a face."""
    made = [prompt(home, f"a boat {n}") for n in range(3)]
    home.publish(Sight(texts=("a boat",), seen=()))
    home.app.retroscan()
    opt_out(home, world.KINDS.index("face"))
    broken = home.app._bench.sealer
    kept = type(broken).sight
    spoilt = {row.vectors for rows in _rows(home, made[:2]).values() for row in rows if row.sealed}

    def read_sight(sealer: Any, texts: Any, rows: Any) -> Sight:
        if any(row.vectors in spoilt for row in rows):
            raise ValueError("damaged")
        return kept(sealer, texts, rows)

    monkeypatch.setattr(type(broken), "sight", read_sight)
    report = home.app.retroscan()
    assert (report.compared, report.unclear, report.recalled) == (4, 3, ())


def _rows(home: PastHome, made: list[Release]) -> Any:
    with read(home.app.engine) as conn:
        return sights.of(conn, [one.id for one in made])
