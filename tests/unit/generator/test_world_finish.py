"""Finishes change how a drawn picture is painted, and neither its colours nor where the character is."""

from dataclasses import replace

import numpy as np
import pytest

from generator.embedded.world.design import NAMED_DESIGNS
from generator.embedded.world.finish import FINISHES, finished
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import Scene

HERO = NAMED_DESIGNS["Tovik Brandle"]
SCENE = Scene(action="standing", background="sea")


@pytest.mark.parametrize("finish", FINISHES)
def test_a_finish(finish: str) -> None:
    frame = render_frame(HERO, SCENE, width=160, height=96, time=0.0)
    before = frame.picture.copy()
    made = finished(frame, finish)
    assert (made.shape, made.dtype) == (frame.picture.shape, np.uint8)
    assert np.array_equal(frame.picture, before)
    assert np.array_equal(made, finished(frame, finish))
    assert not np.array_equal(made, frame.picture)
    inside = frame.cover > 200
    apart = made[inside].mean(axis=0) - frame.picture[inside].astype(float).mean(axis=0)
    assert np.abs(apart).max() < 25


@pytest.mark.parametrize("finish", FINISHES)
def test_a_finish_of_nobody(finish: str) -> None:
    frame = render_frame(None, replace(SCENE, background="city"), width=97, height=61, time=0.0)
    assert finished(frame, finish).shape == (61, 97, 3)


def test_no_such_finish() -> None:
    with pytest.raises(KeyError):
        finished(render_frame(HERO, SCENE, width=96, height=96, time=0.0), "oil")
