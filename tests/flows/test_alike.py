"""A prompt that a judge takes for a look-alike becomes a release; what it said stays with the release."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "classifiers"))
import tiny_chat

from classifiers.alike import Entry, questions
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.orders import CreateOrder
from pipeline.settings import load

NAME = "Perrin Sallowfax"
DESCRIPTION = (
    "A tall heron in a patched tailcoat with nine brass wings, a lantern for a hat and one glass eye, who"
    " plays a cracked bassoon on rooftops at night."
)
SIMILAR = "a heron with brass wings on a hill at night"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    entry = Entry(subject="", kind="character", name=NAME, description=DESCRIPTION)
    first, second = questions([SIMILAR], entry)
    model = tiny_chat.save(tmp_path_factory.mktemp("judge"), [(first, "no"), (second, "yes")])
    settings = load(tmp_path_factory.mktemp("alike") / "home")
    with open_app(settings.model_copy(update={"description_judge": str(model)})) as opened:
        desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
        desk.register(OptOutOrder(name=NAME, kind="character", description=DESCRIPTION, owner="Studio"))
        yield opened


def test_an_opinion_of_the_gate_holds_for_the_job_and_its_release(app: App) -> None:
    order = CreateOrder(
        prompt=SIMILAR, policy="opt-out", generator="scene", seconds=2, seed=1, width=480, height=272
    )
    made = app.create(order, lambda _step, _event, _value: None)
    assert made.release is not None, made.held
    [said] = made.release.facts["opinions"]
    assert said["answer"] == "similar"
    assert made.decision is not None
    assert made.decision["opinions"] == [said]
    assert not app.retroscan().recalled
