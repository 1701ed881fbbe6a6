"""What looks back by the clock, and what had no time: nothing is left out, nothing comes back unseen."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from past_builders import CALIBRATIONS, PICTURED, name, open_cases, opt_out, prompt, states, told

from benchmarks.tools import fence_world as world
from benchmarks.tools.past_home import PastHome, opened
from classifiers.base import Kind, Sight
from pipeline import examine, policy, recheck, reinstate
from pipeline.clock import rfc3339
from registry import changes, log, names, optouts, releases, rules, scans, sights, spaces
from registry.db import read
from registry.errors import StillForbidden
from registry.subject_types import NameDraft, OptOutDraft, VectorDraft
from registry.subjects import records

FACED = world.KINDS.index("face")
TOMORROW = rfc3339(datetime.now(UTC) + timedelta(days=1))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PastHome]:
    with opened(tmp_path / "home", CALIBRATIONS) as made:
        yield made


def test_a_portfolios_rule_that_begins_by_the_clock_reaches_all_that_it_covers(
    tmp_path: Path, monkeypatch: Any
) -> None:
    begins = datetime.now(UTC) + timedelta(days=30)
    with opened(tmp_path / "home", CALIBRATIONS) as home:
        name(home, "Vexmoor Quandle", mode="allow")
        whole = OptOutDraft(
            kind="portfolio", name="Everything", owner="Studio", mode="allow",
            names=(NameDraft(text="Studio Brindlewick"),),
        )  # fmt: skip
        portfolio = optouts.add(home.app.engine, whole, **told(home)).subject
        rules.set_rule(home.app.engine, portfolio, "block", valid_from=rfc3339(begins), **told(home))
        made, other = prompt(home, "Vexmoor Quandle sings"), prompt(home, "somebody sings")
        assert home.app.retroscan().recalled == ()
    monkeypatch.setattr("pipeline.app.clock", lambda: rfc3339(begins + timedelta(seconds=1)))
    with opened(tmp_path / "home", CALIBRATIONS) as home:
        assert [one.release for one in home.app.retroscan().recalled] == [made.id]
        assert states(home, made, other) == ["withdrawn", "released"]


def test_the_clock_reaches_also_what_left_after_the_first_of_many_changes(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(scans, "ROUND", 2)
    ends = datetime.now(UTC) + timedelta(days=30)
    with opened(tmp_path / "home", CALIBRATIONS) as home:
        subject = name(home, "Vexmoor Quandle")
        rules.grant_licence(home.app.engine, subject, "b", valid_until=rfc3339(ends), **told(home))
        home.app.retroscan()
        for n in range(5):
            name(home, f"Hollowmere{n} Tix{n}quo")
        made = prompt(home, "Vexmoor Quandle sings", account="b")
    monkeypatch.setattr("pipeline.app.clock", lambda: rfc3339(ends + timedelta(seconds=1)))
    with opened(tmp_path / "home", CALIBRATIONS) as home:
        assert [one.release for one in home.app.retroscan().recalled] == [made.id]
        assert home.app.retroscan().subjects == 0


def test_what_ran_out_of_time_and_was_found_all_the_same_is_compared_again(
    tmp_path: Path, monkeypatch: Any
) -> None:
    asked = recheck.examine

    def hurried(checks: Any, *rest: Any) -> Any:
        """The names get no time, the others all that they need."""
        others = [check for check in checks if check != policy.NAMES]
        with monkeypatch.context() as soon:
            soon.setattr(examine, "DEADLINE_SECONDS", 0.0)
            late = asked([policy.NAMES], *rest)
        return (*asked(others, *rest), *late)

    with opened(tmp_path / "home", CALIBRATIONS, {"retroscan_review": "case"}) as home:
        seen = world.sight(PICTURED, np.random.default_rng(PICTURED)).seen
        made = home.publish(Sight(texts=("Hollowmere Tix sings",), seen=seen))
        opt_out(home, PICTURED)
        [subject] = [one.id for one in optouts.list_subjects(home.app.engine)]
        optouts.extend(home.app.engine, subject, names=[NameDraft(text="Hollowmere Tix")], **told(home))
        with monkeypatch.context() as soon:
            soon.setattr(recheck, "examine", hurried)
            [recalled] = home.app.retroscan().recalled
            assert (recalled.outcome, home.state(made.id)) == ("case", "released")
        other = prompt(home, "Vexmoor Quandle")
        name(home, "Vexmoor Quandle")
        home.app.retroscan()
        assert states(home, made, other) == ["withdrawn", "withdrawn"]
        with read(home.app.engine) as conn:
            assert scans.counts(conn, subject).matched == 1


def test_what_ran_out_of_time_does_not_come_back_by_itself(home: PastHome, monkeypatch: Any) -> None:
    made = prompt(home, "Hollowmere Tix sings")
    first = name(home, "Hollowmere Tix")
    home.app.retroscan()
    theirs = OptOutDraft(
        kind="character", name="Tix", owner="Another", names=(NameDraft(text="Hollowmere Tix"),)
    )
    second = optouts.add(home.app.engine, theirs, **told(home)).subject
    assert home.app.retroscan().recalled == ()  # it is away already
    optouts.withdraw(home.app.engine, first, why={}, **told(home))
    with monkeypatch.context() as hurried:
        hurried.setattr(examine, "DEADLINE_SECONDS", 0.0)
        assert home.app.settle() == []
        assert home.state(made.id) == "withdrawn"
        [case] = open_cases(home)
        with pytest.raises(StillForbidden, match="did not complete"):
            home.app.reviews.release(case.id, "Ada", "")
    with pytest.raises(StillForbidden, match="Hollowmere Tix"):
        home.app.reviews.release(case.id, "Ada", "")
    optouts.withdraw(home.app.engine, second, why={}, **told(home))
    assert home.app.reviews.release(case.id, "Ada", "").about == "released"


def test_what_a_check_failed_at_does_not_come_back_by_itself(home: PastHome, monkeypatch: Any) -> None:
    made = prompt(home, "Hollowmere Tix sings")
    first = name(home, "Hollowmere Tix")
    home.app.retroscan()
    theirs = OptOutDraft(
        kind="character", name="Tix", owner="Another", names=(NameDraft(text="Hollowmere Tix"),)
    )
    optouts.add(home.app.engine, theirs, **told(home))
    home.app.retroscan()
    optouts.withdraw(home.app.engine, first, why={}, **told(home))

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as failing:
        failing.setattr("classifiers.names.hits_in", broken)
        assert home.app.settle() == []
        assert home.state(made.id) == "withdrawn"
        [case] = open_cases(home)
        assert [one["code"] for one in case.reasons] == ["check_unfinished"]
        with pytest.raises(StillForbidden, match="did not complete: failed"):
            home.app.reviews.release(case.id, "Ada", "")
    with pytest.raises(StillForbidden, match="Hollowmere Tix"):
        home.app.reviews.release(case.id, "Ada", "")


def test_what_no_model_compares_any_more_comes_back_by_a_person_alone(home: PastHome) -> None:
    seen = world.sight(PICTURED, np.random.default_rng(PICTURED)).seen
    old = tuple(replace(one, space="clip-of-old") if one.kind is Kind.FRAME else one for one in seen)
    made = home.publish(Sight(texts=("Hollowmere Tix sings",), seen=old))
    subject = name(home, "Hollowmere Tix")
    opt_out(home, PICTURED)
    home.app.retroscan()
    optouts.withdraw(home.app.engine, subject, why={}, **told(home))
    assert home.app.settle() == []
    [case] = open_cases(home)
    assert home.app.reviews.release(case.id, "Ada", "").about == "released"
    assert home.state(made.id) == "released"


def ids(home: PastHome) -> set[str]:
    return {one.id for one in optouts.list_subjects(home.app.engine)}


def elsewhere(home: PastHome, subject: str, old: str, space: str) -> None:
    """What is registered of a subject is embedded again with another model, and the old one is retired."""
    with read(home.app.engine) as conn:
        [record] = records(conn, [subject])
    vectors = [
        VectorDraft(
            reference=row.reference,
            space=space,
            kind=row.kind,
            polarity=row.polarity,
            vector=row.vector,
            dimension=row.dimension,
        )
        for row in record.vectors
    ]
    optouts.extend(home.app.engine, subject, vectors=vectors, **told(home))
    spaces.retire(home.app.engine, old, into=space, **told(home))


def away(home: PastHome, target: int) -> tuple[str, str]:
    """A release that is away for a name alone, and the subject so named; it shows who opted out since."""
    seen = world.sight(target, np.random.default_rng(target)).seen
    made = home.publish(Sight(texts=("Hollowmere Tix sings",), seen=seen))
    named = name(home, "Hollowmere Tix")
    home.app.retroscan()
    opt_out(home, target)
    assert home.app.retroscan().recalled == ()  # it is away already
    return made.id, named


def test_what_the_new_model_alone_knows_does_not_come_back_by_itself(home: PastHome) -> None:
    made, named = away(home, PICTURED)
    [shown] = ids(home) - {named}
    elsewhere(home, shown, world.SPACE, "clip-new")
    optouts.withdraw(home.app.engine, named, why={}, **told(home))
    assert home.app.settle() == []
    [case] = open_cases(home)
    assert [(one["code"], one["check"]) for one in case.reasons] == [("not_comparable", policy.FRAMES)]
    assert (case.about, home.state(made)) == (shown, "withdrawn")
    assert home.app.reviews.release(case.id, "Ada", "").about == "released"


def test_a_change_that_cannot_be_compared_keeps_back_what_comes_by_itself(home: PastHome) -> None:
    made, _ = away(home, PICTURED)
    judge, before = reinstate.Returning(home.app._bench), ids(home)
    opt_out(home, FACED)
    [faced] = ids(home) - before
    elsewhere(home, faced, world.FACES, "dlib-face-new")
    released = releases.get(home.app.engine, made)
    assert released is not None
    with read(home.app.engine) as conn:
        fresh = changes.load(conn, judge.seq, log.registry_seq(conn))
    answer = judge(released, fresh, {}, by_itself=True)
    assert [(one.code, one.check) for one in answer.reasons] == [("not_comparable", policy.LIKENESS)]
    assert judge(released, fresh, {}, by_itself=False).reasons == ()
    sights.forget_sights(home.app.engine, "face", before=TOMORROW)
    assert judge(released, fresh, {}, by_itself=True).reasons == ()  # nothing is left to compare


def test_what_is_forgotten_keeps_nothing_back(home: PastHome) -> None:
    made, named = away(home, FACED)
    [faced] = ids(home) - {named}
    elsewhere(home, faced, world.FACES, "dlib-face-new")
    sights.forget_sights(home.app.engine, "face", before=TOMORROW)
    optouts.withdraw(home.app.engine, named, why={}, **told(home))
    assert home.app.settle() == [made]


def test_who_is_left_out_costs_no_new_index_of_all_names(home: PastHome, monkeypatch: Any) -> None:
    monkeypatch.setattr(names, "AT_ONCE", 2)
    ids = [name(home, f"Hollowmere{n} Tix{n}quo") for n in range(4)]
    snapshot = home.app._bench.view.current()
    left = reinstate._Without(snapshot, {ids[1]})
    assert {one.subject for one in left.names} == {*ids} - {ids[1]}
    assert [part.layer for part in left.names.parts] == [part.layer for part in snapshot.names.parts]
