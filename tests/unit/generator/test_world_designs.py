"""Characters, look-alikes and what is said of them."""

from itertools import pairwise

import numpy as np
import pytest

from generator.embedded.world.design import ATTRIBUTES, COLOURS, NAMED_DESIGNS, NONE, differing, variant_of
from generator.embedded.world.design import random_design as drawn
from generator.embedded.world.scene import random_scene
from generator.embedded.world.words import captions, describe, vocabulary


def test_designs_follow_the_seed_and_can_be_compared() -> None:
    one, other = drawn(np.random.default_rng(5)), drawn(np.random.default_rng(5))
    assert one == other
    assert hash(one) == hash(other)
    assert one != drawn(np.random.default_rng(6))


def test_designs_are_many_and_unlike() -> None:
    rng = np.random.default_rng(0)
    designs = [drawn(rng) for _ in range(3000)]
    assert len(set(designs)) > 2990
    apart = [len(differing(one, other)) for one, other in pairwise(designs)]
    assert np.mean(apart) > 5
    assert np.quantile(apart, 0.01) >= 4


def test_every_value_can_be_drawn() -> None:
    rng = np.random.default_rng(1)
    designs = [drawn(rng) for _ in range(2000)]
    assert {design.colour for design in designs} == set(COLOURS)
    assert all((design.hat == NONE) == (design.hat_colour == NONE) for design in designs)
    assert all((design.accessory == NONE) == (design.accessory_colour == NONE) for design in designs)
    assert all(design.colour not in (design.second, design.hat_colour) for design in designs)


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_look_alikes_differ_in_so_many_attributes(changes: int) -> None:
    rng = np.random.default_rng(2)
    changed = set()
    for _ in range(400):
        design = drawn(rng)
        found = differing(design, variant_of(design, rng, changes))
        assert 1 <= len(found) <= changes
        assert len(found) == 1 or changes > 1
        changed.update(found)
    assert changed == set(ATTRIBUTES)


def test_named_designs_are_sound_and_apart() -> None:
    designs = list(NAMED_DESIGNS.values())
    assert len(set(designs)) == len(designs) == 8
    for index, one in enumerate(designs):
        assert all(len(differing(one, other)) >= 4 for other in designs[:index])


def test_descriptions_name_every_attribute() -> None:
    fox = NAMED_DESIGNS["Tovik Brandle"]
    said = describe(fox)
    assert said == "a round orange fox with teal stripes, big eyes, a tall blue hat and a red scarf"
    rng = np.random.default_rng(3)
    for design in (drawn(rng) for _ in range(200)):
        said = describe(design)
        worn = [design.hat_colour, design.accessory_colour]
        for word in (design.species, design.build, design.colour, design.second, *worn):
            assert word == NONE or word in said
        if design.hat != NONE:
            assert design.hat.split()[-1] in said


def test_paraphrases_differ_and_stay_within_the_vocabulary() -> None:
    rng = np.random.default_rng(4)
    fox = NAMED_DESIGNS["Tovik Brandle"]
    assert len({describe(fox, rng) for _ in range(30)}) > 20
    known = set(vocabulary())
    for _ in range(300):
        for text in captions(drawn(rng), random_scene(rng), rng):
            words = text.replace(",", " ").replace("-", " ").split()
            assert set(words) <= known | {"-"}


def test_captions_of_nobody() -> None:
    rng = np.random.default_rng(5)
    texts = captions(None, random_scene(rng), rng)
    assert len(texts) == 3
    assert not any(" with " in text for text in texts)
