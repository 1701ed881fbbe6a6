"""So many registered descriptions alike that not all can be compared: the prompt is held, and it is said."""

from collections.abc import Iterator

import pytest

from classifiers import fused, similarity
from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.gate import Gate, document, open_gate
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.policy import DESCRIPTIONS, preset
from pipeline.settings import load

LIST = "violet heron, nine brass wings, glass eye, plays the bassoon, patched tailcoat"
SENTENCE = "A violet heron with nine brass wings and a glass eye plays the bassoon in a patched tailcoat."


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A registry of herons that hardly differ."""
    settings = load(tmp_path_factory.mktemp("alike") / "home")
    with open_app(settings) as opened:
        desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
        for name, hat in (("Wobblekin", "hat"), ("Quellandro", "cap"), ("Brindlewick", "bonnet")):
            desk.register(
                OptOutOrder(name=name, owner="an estate", description=f"{SENTENCE} It has a {hat}.")
            )
    with open_gate(settings) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        (LIST, {(fused, "MOST_SUBJECTS"): 1}),
        (LIST, {(fused, "MOST_CELLS"): 1}),
        (SENTENCE, {(fused, "MOST_CELLS"): 1}),
        (SENTENCE, {(fused, "NEIGHBOURS"): 1, (similarity, "MOST"): 1}),
        (LIST, {(fused, "NEIGHBOURS"): 1, (similarity, "MOST"): 1}),
    ],
)
def test_who_is_one_of_too_many_is_held(
    gate: Gate, text: str, limits: dict[tuple[object, str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = preset("opt-out").only([DESCRIPTIONS])
    assert document(gate.judge(text, policy=policy))["checks"][DESCRIPTIONS] == "completed"  # type: ignore[call-overload,index]
    for (module, name), value in limits.items():
        monkeypatch.setattr(module, name, value)
    told = document(gate.judge(text, policy=policy))
    assert told["verdict"] == "review"
    [reason] = told["reasons"]  # type: ignore[misc]
    assert (reason["code"], reason["layer"]) == ("check_unfinished", DESCRIPTIONS)  # type: ignore[call-overload,index]
    assert "say it in other words" in str(reason["detail"])  # type: ignore[call-overload,index]
