"""Look-alikes at the gate: a judge of the settings is asked, and what it says is kept with the decision."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "classifiers"))
import tiny_chat

from classifiers.alike import Entry, questions
from classifiers.errors import ModelUnusable
from classifiers.judge_source import judge_digest
from pipeline import policy as policies
from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.eyes import DiscernerSettings, Eyes
from pipeline.gate import Gate, document, open_gate
from pipeline.opinions import standing, weighed
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.settings import load
from pipeline.types import Decision, Verdict
from registry.view import View

NAME, EXCLUDED = "Orla Quillmarsh", "herons in a river"
DESCRIPTION = (
    "A tall heron in a patched tailcoat with nine brass wings, a lantern for a hat and one glass eye, who"
    " plays a cracked bassoon on rooftops at night."
)
MEANT = "A heron in a tailcoat plays the bassoon"
SIMILAR = "a heron with brass wings on a hill at night"
UNCLEAR = "a heron in a tailcoat beside a bassoon"
BELOW, BELOW_UNCLEAR = (
    "a tall heron with a lantern on a rooftop",
    "a heron in a patched tailcoat beside a bassoon",
)


def lessons() -> list[tuple[str, str]]:
    entry = Entry(subject="", kind="character", name=NAME, description=DESCRIPTION, exclusions=(EXCLUDED,))
    told = {MEANT: ("yes", "no"), SIMILAR: ("no", "yes"), BELOW: ("no", "yes")}
    told |= {UNCLEAR: ("yes", "yes"), BELOW_UNCLEAR: ("no", "no")}
    return [
        pair for text, answers in told.items() for pair in zip(questions([text], entry), answers, strict=True)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged") / "home"
    with open_app(load(folder)) as app:
        desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
        order = OptOutOrder(
            name=NAME, description=DESCRIPTION, exclusions=(EXCLUDED,), owner="Quillmarsh & Daughters"
        )
        desk.register(order)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chat.save(tmp_path_factory.mktemp("judge"), lessons())


@pytest.fixture(scope="module")
def alone(home: Path) -> Iterator[Gate]:
    with open_gate(load(home)) as gate:
        yield gate


@pytest.fixture(scope="module")
def gate(home: Path, model: Path) -> Iterator[Gate]:
    told = {"description_judge": str(model), "description_judge_sha256": judge_digest(model)}
    with open_gate(load(home).model_copy(update=told)) as opened:
        yield opened


def decided(gate: Gate, text: str, *history: str) -> Decision:
    policy = policies.preset("opt-out").only([policies.NAMES, policies.DESCRIPTIONS])
    return gate.judge(text, history, policy=policy).decision


def test_who_is_merely_similar_is_let_go_and_it_is_written_down(alone: Gate, gate: Gate, model: Path) -> None:
    assert decided(alone, SIMILAR).verdict is Verdict.REVIEW
    decision = decided(gate, SIMILAR)
    assert decision.verdict is Verdict.ALLOW
    [said] = decision.opinions
    assert (said.answer, said.model, said.sha256) == ("similar", model.name, judge_digest(model))
    assert policies.from_json(policies.to_json(decision)) == decision
    assert "opinions" not in policies.to_json(decided(alone, SIMILAR))


def test_who_is_meant_is_blocked_for_the_right_owner(alone: Gate, gate: Gate) -> None:
    assert decided(alone, MEANT).verdict is Verdict.REVIEW
    decision = decided(gate, MEANT)
    [reason] = decision.reasons
    assert decision.verdict is Verdict.BLOCK
    assert reason.evidence["owner"] == "Quillmarsh & Daughters"
    assert "takes it for the same" in reason.detail
    policy = policies.preset("opt-out").only([policies.DESCRIPTIONS])
    [told] = document(gate.judge(MEANT, policy=policy))["reasons"]  # type: ignore[misc]
    assert told["judge"]["answer"] == "same"  # type: ignore[index,call-overload]


def test_no_clear_answer_leaves_it_for_a_person(alone: Gate, gate: Gate) -> None:
    for text, before in ((UNCLEAR, Verdict.REVIEW), (BELOW_UNCLEAR, Verdict.ALLOW)):
        assert decided(alone, text).verdict is before
        decision = decided(gate, text)
        assert decision.verdict is Verdict.REVIEW
        assert [one.answer for one in decision.opinions] == ["unknown"]
        assert "no clear answer" in decision.reasons[0].detail


def test_under_the_threshold_a_judge_is_asked_too(alone: Gate, gate: Gate) -> None:
    assert decided(alone, BELOW).verdict is Verdict.ALLOW
    decision = decided(gate, BELOW)
    assert decision.verdict is Verdict.ALLOW
    assert [one.answer for one in decision.opinions] == ["similar"]
    assert not decided(gate, "a red car drives along a road").opinions  # nobody is near


def test_a_prompt_with_other_turns_is_another_question(gate: Gate) -> None:
    alone = decided(gate, SIMILAR).opinions
    after = decided(gate, SIMILAR, "now fly").opinions
    assert {one.subject for one in alone} == {one.subject for one in after}
    assert alone[0].question != after[0].question != ""


def test_an_opinion_counts_as_long_as_the_same_would_be_asked(home: Path, alone: Gate, gate: Gate) -> None:
    view: View = gate._view  # type: ignore[assignment]
    snapshot = view.current()
    policy = policies.preset("opt-out").only([policies.DESCRIPTIONS])
    said = decided(gate, SIMILAR).opinions
    reports = alone.judge(SIMILAR, policy=policy).reports
    assert standing(said, [SIMILAR], snapshot.subjects) == said
    assert not standing(said, [SIMILAR, "and a bassoon"], snapshot.subjects)
    changed = {
        one.id: replace(one, exclusions=(*one.exclusions, "lanterns")) for one in snapshot.subjects.values()
    }
    assert not standing(said, [SIMILAR], changed)
    assert not standing(said, [SIMILAR], {})
    assert any(report.findings for report in reports)
    assert not any(report.findings for report in weighed(reports, said))
    assert weighed(reports, ()) == reports


def test_a_model_that_is_none_stops_the_start(tmp_path: Path) -> None:
    settings = DiscernerSettings(model=str(tmp_path / "nowhere"))
    with pytest.raises(ModelUnusable):
        _ = Eyes("embedded", None, tmp_path, discerner=settings).discerner
