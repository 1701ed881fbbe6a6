"""Drawn characters that fill a small part of the frame, anywhere across it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from benchmarks.common import Conditions, Row, rate
from benchmarks.tools import drawn_checks
from benchmarks.tools.drawn_trials import (
    CLIP_SIZE,
    REGISTERED,
    UNREGISTERED,
    DrawnClip,
    Trial,
    draw_trial,
)  # fmt: skip
from benchmarks.tools.part_eyes import PartEyes
from classifiers.thresholds import Calibration
from generator.embedded.world.design import Design
from generator.embedded.world.render import box_of, render_frame
from generator.embedded.world.scene import Scene

SHARES: Final = (0.1, 0.05)
"""Of the frame's area that the box around the character takes up: the goal's, and half of it."""
BESIDE: Final = 5
"""Of what is no goal, one round in so many."""
PLACES: Final = (0.15, 0.85)
STEPS: Final = 6
FIRST_SEED: Final = 2_000


def rows(
    rounds: int, designs: int, eyes: Any, calibration: Calibration, told: Conditions,
    say: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    """Registered characters found, and strangers flagged, by the share of the frame that they fill."""
    made = []
    for share in SHARES:
        found: list[drawn_checks.Checked] = []
        some = rounds if share == SHARES[0] else max(1, rounds // BESIDE)
        for number in range(some):
            say(f"{share:.0%} of the frame, round {number + 1} of {some}")
            trial = smaller(draw_trial(FIRST_SEED + number, designs=designs), share, FIRST_SEED + number)
            references = drawn_checks.references_of(trial, eyes.clip)
            found += drawn_checks.checked(trial, references, PartEyes(clip=eyes.clip), calibration, say)
        own = [one for one in found if one.drawn.kind == REGISTERED]
        strangers = [one for one in found if one.drawn.kind == UNREGISTERED]
        conditions = {**told, "share of the frame": share, "material": "rendered"}
        made += [
            rate("small character: found", sum(one.right for one in own), len(own), conditions),
            rate(
                "small character: unregistered flagged", sum(one.held for one in strangers), len(strangers),
                conditions,
            ),
        ]  # fmt: skip
    return made


def smaller(trial: Trial, share: float, seed: int) -> Trial:
    """The trial's clips of registered designs and strangers, each with a character that fills this share."""
    rng = np.random.default_rng(seed)
    clips = [
        replace(clip, scene=_fitted(clip, share, rng))
        for clip in trial.clips
        if clip.kind in (REGISTERED, UNREGISTERED)
    ]
    return replace(trial, clips=tuple(clips))


def _fitted(clip: DrawnClip, share: float, rng: np.random.Generator) -> Scene:
    """The scene with the size at which the box around the character has this share at the beginning."""
    scene = replace(clip.scene, place=float(rng.uniform(*PLACES)))
    assert clip.design is not None
    low, high = 0.05, 0.9
    for _ in range(STEPS):
        size = (low + high) / 2
        low, high = (size, high) if _share(clip.design, replace(scene, size=size)) < share else (low, size)
    return replace(scene, size=(low + high) / 2)


def _share(design: Design, scene: Scene) -> float:
    width, height = CLIP_SIZE
    middle = replace(scene, place=0.5)  # whole, also where it is cut by the edge
    box = box_of(render_frame(design, middle, width=width, height=height, time=0.0).cover)
    return 0.0 if box is None else (box[2] - box[0]) * (box[3] - box[1]) / (width * height)
