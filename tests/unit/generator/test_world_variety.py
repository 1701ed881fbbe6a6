"""Weather, two characters, spinning, and captions that leave nothing out."""

from dataclasses import replace

import numpy as np
import pytest

from generator.embedded.world.design import COLOURS, NAMED_DESIGNS, NONE, random_design
from generator.embedded.world.recaption import recaption
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import (
    BACKGROUNDS,
    CAMERAS,
    EVERY_ACTION,
    INDOORS,
    STYLES,
    TIMES,
    WEATHERS,
    Companion,
    Scene,
    varied_scene,
)

FOX, OWL = NAMED_DESIGNS["Tovik Brandle"], NAMED_DESIGNS["Quillamoor"]
SCENE = Scene(action="standing", background="forest", seed=4)


def shown(scene: Scene, time: float = 0.0, height: int = 96) -> np.ndarray:
    return render_frame(FOX, scene, width=height * 4 // 3, height=height, time=time).picture.astype(int)


@pytest.mark.parametrize("weather", ["rain", "snowfall"])
def test_weather_falls(weather: str) -> None:
    scene = replace(SCENE, weather=weather)
    first, later = shown(scene), shown(scene, 0.2)
    fallen = np.abs(first - shown(SCENE)).max(axis=2) > 20
    assert 0.002 < fallen.mean() < 0.2
    moved = np.abs(later - shown(SCENE, 0.2)).max(axis=2) > 20
    assert (fallen & ~moved).sum() > fallen.sum() / 2
    assert np.array_equal(first, shown(scene))


@pytest.mark.parametrize("height", [48, 480])
def test_weather_looks_the_same_at_any_size(height: int) -> None:
    rain = replace(SCENE, weather="rain")
    fallen = np.abs(shown(rain, height=height) - shown(SCENE, height=height)).mean()
    assert 0.3 < fallen < 6


def test_unknown_weather_is_refused() -> None:
    with pytest.raises(KeyError):
        shown(replace(SCENE, weather="hail"))


def test_two_characters() -> None:
    other = Companion(design=OWL, action="waving", size=0.5, place=0.25)
    alone, both = (render_frame(FOX, scene, width=160, height=120, time=0.0) for scene in (
        replace(SCENE, place=0.7), replace(SCENE, place=0.7, companion=other),
    ))  # fmt: skip
    left = np.s_[:, :70]
    assert not alone.cover[left].any()
    assert (both.cover[left] > 127).mean() > 0.05
    assert np.array_equal(alone.picture[:, 110:], both.picture[:, 110:])
    purple = np.abs(both.picture[left].astype(int) - COLOURS["purple"]).max(axis=2) < 12
    assert purple.mean() > 0.01


def test_a_spinning_character_shows_its_back_without_a_face() -> None:
    scene = replace(SCENE, action="spinning", seed=628)  # begins with its face to us
    front = render_frame(OWL, scene, width=128, height=128, time=0.0)
    side = render_frame(OWL, scene, width=128, height=128, time=0.25)
    back = render_frame(OWL, scene, width=128, height=128, time=0.5)
    wide = [int((frame.cover > 127).any(axis=0).sum()) for frame in (front, side, back)]
    assert wide[1] < 0.6 * wide[0]
    assert abs(wide[2] - wide[0]) < 0.1 * wide[0]
    beak = [np.abs(frame.picture.astype(int) - (242, 160, 40)).max(axis=2) < 40 for frame in (front, back)]
    assert beak[0].sum() > beak[1].sum()


def test_varied_scenes_have_everything() -> None:
    rng = np.random.default_rng(1)
    scenes = [varied_scene(rng) for _ in range(500)]
    assert {scene.action for scene in scenes} == set(EVERY_ACTION)
    assert {scene.weather for scene in scenes} == set(WEATHERS)
    assert {scene.camera for scene in scenes} == set(CAMERAS)
    assert 0.25 < np.mean([scene.companion is not None for scene in scenes]) < 0.42
    assert all(scene.weather == "clear" for scene in scenes if scene.background in INDOORS)


def test_a_recaption_says_all_that_was_drawn() -> None:
    rng = np.random.default_rng(2)
    seen = set()
    for _ in range(300):
        design, scene = random_design(rng), varied_scene(rng)
        text = recaption(design, scene)
        for word in (design.species, design.colour, design.second, design.build):
            assert word in text
        assert design.hat == NONE or design.hat_colour in text
        if scene.companion is not None:
            assert scene.companion.design.species in text
        assert " a a" not in text
        assert " a o" not in text
        seen.add(text)
    assert len(seen) == 300


@pytest.mark.parametrize(
    ("name", "values"),
    [("action", EVERY_ACTION), ("background", BACKGROUNDS), ("time", TIMES), ("style", STYLES),
     ("camera", CAMERAS), ("weather", WEATHERS), ("place", (0.2, 0.5, 0.8)), ("size", (0.5, 0.62, 0.75))],
)  # fmt: skip
def test_each_value_is_said_differently(name: str, values: tuple[str, ...]) -> None:
    texts = {recaption(FOX, replace(SCENE, **{name: value})) for value in values}
    assert len(texts) == len(values)
