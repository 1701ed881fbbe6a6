"""A blanket opt-out that comes between a clip's check and its publishing stops the clip; so does its rule."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.orders import CreateOrder
from pipeline.settings import load
from registry import delegations, optouts, parties, rules
from registry.party_types import Filing
from registry.subject_types import NameDraft, OptOutDraft

PROMPT = "Hollowmere Tix sings"


def opt_out(
    app: App, name: str, kind: str = "character", mode: str = "block", owner: str = "Studio", **how: Any
) -> str:
    draft = OptOutDraft(kind=kind, name=name, owner=owner, names=(NameDraft(text=name),), mode=mode)
    return optouts.add(app.engine, draft, now=clock(), sign_checkpoint=app.signer, **how).subject


def ordered(seed: int = 1, **how: Any) -> CreateOrder:
    return CreateOrder(
        prompt=PROMPT, policy="opt-out", generator="scene", seconds=1, seed=seed, width=256, height=256, **how
    )


def create(app: App, between: Any) -> Any:
    done: list[str] = []

    def observe(step: str, event: str, _seconds: float) -> None:
        if (step, event) == ("publish", "begin"):
            done.append(step)
            between(app)

    outcome = app.create(ordered(), observe)
    assert done == ["publish"]
    return outcome


def blanket(app: App) -> None:
    """Of the same owner."""
    opt_out(app, "All of Quandle Vexmoor", "portfolio")


@pytest.mark.parametrize("whole", [None, "allow"])  # new, or there and stricter now
def test_it_stops_what_it_covers(tmp_path: Path, whole: str | None) -> None:
    with open_app(load(tmp_path / "home")) as app:
        opt_out(app, "Hollowmere Tix", mode="allow")
        if whole is not None:
            opt_out(app, "All of Quandle Vexmoor", "portfolio", whole)
        outcome = create(app, blanket)
        assert outcome.release is None
        assert [reason["code"] for reason in outcome.held] == ["permission_ended"]


def test_it_stops_nothing_of_anybody_else(tmp_path: Path) -> None:
    with open_app(load(tmp_path / "home")) as app:
        opt_out(app, "Hollowmere Tix", mode="allow", owner="Another")
        release = create(app, blanket).release
        assert release is not None
        opt_out(app, "All of Brimwick Ostler", "portfolio", owner="Another")
        [recalled] = app.retroscan().recalled  # and what is out already is looked through for all it covers
        assert recalled.release == release.id


def test_it_stops_what_a_person_had_cleared(tmp_path: Path) -> None:
    """No clearing lifts what an owner forbids; who is in it was only to be looked at when a person was."""
    with open_app(load(tmp_path / "home")) as app:
        opt_out(app, "Hollowmere Tix", mode="ask")
        other = opt_out(app, "Zorblax", mode="allow", owner="Another")
        rules.set_rule(app.engine, other, "review", **acting(app))  # so that a person looks, and no holder
        order = replace(ordered(), prompt="Hollowmere Tix and Zorblax sing")
        held = app.create(order, lambda *_: None)
        assert reasons(held) == ["name_match", "name_match"]

        def observe(step: str, event: str, _seconds: float) -> None:
            if (step, event) == ("publish", "begin"):
                blanket(app)

        let_go(app)
        [again] = app.resume(observe)
        assert again.outcome is not None
        assert (again.outcome.release, reasons(again.outcome)) == (None, ["permission_ended"])
        let_go(app)
        [last] = app.resume(lambda *_: None)
        assert last.outcome is not None
        assert (str(last.outcome.job.state), reasons(last.outcome)[0]) == ("refused", "name_match")


def let_go(app: App) -> None:
    """A person lifts the one hold that waits."""
    [case] = app.reviews.waiting()
    app.reviews.release(str(case["id"]), "Ada", "")


def ruled(whole: str, effect: str = "block", **how: Any) -> Callable[[App], Any]:
    """A rule of a portfolio that comes meanwhile."""
    return lambda app: rules.set_rule(app.engine, whole, effect, **how, **acting(app))


def acting(app: App) -> dict[str, Any]:
    return {"now": clock(), "sign_checkpoint": app.signer}


def reasons(outcome: Any) -> list[str]:
    return [reason["code"] for reason in outcome.held]


def test_a_rule_of_the_whole_stops_what_it_covers_and_a_licence_lets_it_out(tmp_path: Path) -> None:
    with open_app(load(tmp_path / "home")) as app:
        whole = opt_out(app, "All of Quandle Vexmoor", "portfolio", "allow")
        opt_out(app, "Hollowmere Tix", mode="allow")
        outcome = create(app, ruled(whole))
        assert (outcome.release, reasons(outcome)) == (None, ["permission_ended"])
        rules.grant_licence(app.engine, whole, "local", **acting(app))
        released = app.create(ordered(seed=2), lambda *_: None).release
        assert released is not None
        other = app.create(ordered(seed=3, account="another"), lambda *_: None)
        assert (other.release, str(other.job.state)) == (None, "refused")


def test_a_rule_for_others_stops_nothing(tmp_path: Path) -> None:
    with open_app(load(tmp_path / "home")) as app:
        whole = opt_out(app, "All of Quandle Vexmoor", "portfolio", "allow")
        opt_out(app, "Hollowmere Tix", mode="allow")
        assert create(app, ruled(whole, account="another")).release is not None


def test_what_a_delegate_registers_meanwhile_inherits_the_rules(tmp_path: Path) -> None:
    with open_app(load(tmp_path / "home")) as app:
        studio = parties.add(app.engine, "Studio", "company", level="trusted", **acting(app))
        agency = parties.add(app.engine, "Agency", "agency", **acting(app))
        delegations.grant(app.engine, studio.id, agency.id, acts=("register",), **acting(app))
        whole = opt_out(app, "All of Quandle Vexmoor", "portfolio", "allow")
        rules.set_rule(app.engine, whole, "block", **acting(app))
        stated = {"authority": "yes", "good_faith": "yes"}
        filing = Filing(by=agency.id, statements=stated)

        def registered(app: App) -> None:
            opt_out(app, "Hollowmere Tix", mode="allow", filing=filing)

        outcome = create(app, registered)
        assert (outcome.release, reasons(outcome)) == (None, ["name_match"])
        again = app.create(ordered(seed=2), lambda *_: None)
        assert (again.release, str(again.job.state)) == (None, "refused")
