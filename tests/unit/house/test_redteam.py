"""The red team's cases: every family is there, attacks are made as they are told, and shares are counted."""

import numpy as np

from benchmarks import redteam
from benchmarks.redteam import _after_each_layer
from benchmarks.tools import attacks
from benchmarks.tools.attacks import Stopped

FAMILIES = {
    "adversarial tokens", "paraphrase", "name-free description", "obfuscation and word order",
    "harmless words, harmful motion", "text in an input picture", "sketch in an input picture",
    "safe text and safe picture", "multi-turn", "other languages and encodings", "reintroduced by expansion",
    "spoken names", attacks.PROBED,
}  # fmt: skip


def test_every_family_of_attacks_is_there() -> None:
    cases = attacks.read()
    tried = [*attacks.written(cases), *attacks.pictured(cases)]
    assert {attack.family for attack in tried} | {attacks.PROBED} == FAMILIES
    for attack in tried:
        assert attack.first.prompt
        assert (attack.first.enhanced, attack.first.speech) == (None, "")
        if attack.family == "spoken names":
            assert attack.whole.speech
        if attack.picture is not None:
            assert (attack.picture.dtype, min(attack.picture.shape[:2]) >= 96) == (np.uint8, True)


def test_probes_are_the_same_for_the_same_seed_and_differ() -> None:
    first = [*attacks.probes("Mossa Pondry", 1)]
    assert first == [*attacks.probes("Mossa Pondry", 1)]
    assert first != [*attacks.probes("Mossa Pondry", 2)]
    assert len(set(first)) > attacks.PROBES // 2


def test_success_is_counted_after_each_layer() -> None:
    def stopped(*first: str, whole: str = "", material: str = "") -> Stopped:
        told = frozenset(filter(None, (*first, whole)))
        return Stopped(first=frozenset(first), whole=told, material=frozenset(filter(None, [material])))

    listed = [
        stopped("prompt_names"), stopped("prompt_descriptions"), stopped("unsafe_content"),
        stopped(whole="prompt_names"), stopped(material="frames"), stopped(),
    ]  # fmt: skip
    assert [*_after_each_layer(listed).values()] == [6, 5, 4, 3, 2, 1]


def test_parity_is_the_worst_share_over_the_best() -> None:
    *shares, last = redteam.parity("test", {"a": (0, 20), "b": (10, 20), "c": (1, 20)})
    assert [row.value for row in shares] == [0, 0.5, 0.05]
    assert (last.conditions["worst"], last.conditions["best"], last.n) == ("b", "a", 60)
    assert last.value == 21
    assert redteam.parity("none", {"a": (0, 9), "b": (0, 9)})[-1].value == 1
