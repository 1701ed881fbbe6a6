"""Material that the project draws itself: designs of the drawn world, in groups of twenty.

The seeds are apart from those of benchmarks and of the cohort of ordinary prompts. Thresholds from the drawn
world say nothing about production material.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from classifiers.base import Picture, Sight
from generator.embedded.world.design import Design, random_design, variant_of
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import Scene, random_scene
from generator.embedded.world.words import captions, describe
from pipeline.calibrating.material import Group, Registered
from pipeline.checks import Eyes, look_at_pictures

SEED: Final = 71_000
"""Groups have this seed and the next ones; benchmarks stay below it."""
DESIGNS: Final = 20
PICTURES: Final = 6
PICTURE_SIDE: Final = 256
CLIP_SIZE: Final = (480, 270)
SECONDS: Final = 3.0
MOMENTS: Final = 10
COHORT: Final = 320
EMPTY_EVERY: Final = 5  # one picture of the cohort in so many shows nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnShow:
    """A clip of a design in a scene."""

    design: Design
    scene: Scene

    def seen(self, eyes: Eyes) -> Sight:
        """As `material.Show` says: at regular moments."""
        width, height = CLIP_SIZE
        times = np.linspace(0, SECONDS, MOMENTS, endpoint=False).tolist()
        frames = [
            render_frame(self.design, self.scene, width=width, height=height, time=time).picture
            for time in times
        ]
        return look_at_pictures(frames, eyes).sight


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnMaterial:
    """So many groups of `DESIGNS` designs; ``ordinary``: prompts that mean nobody, which are not drawn."""

    count: int
    ordinary: Sequence[str] = ()

    @property
    def told(self) -> str:
        """What it is."""
        return (
            f"{self.count} groups of {DESIGNS} drawn designs, seeds from {SEED}; {len(self.ordinary)} "
            "ordinary prompts; the drawn world says nothing about production material"
        )

    def groups(self) -> Iterator[Group]:
        """Each drawn when it is asked for."""
        for number in range(self.count):
            yield _group(np.random.default_rng(SEED + number), np.random.default_rng(SEED - 1 - number))

    def cohort(self) -> Sequence[Picture]:
        """Pictures of designs that are in no group, and of empty scenes."""
        return drawn_cohort()


def drawn_cohort() -> list[Picture]:
    """`COHORT` pictures of nobody who is registered; every time the same."""
    rng = np.random.default_rng(SEED - 500)
    return [picture_of(random_design(rng) if number % EMPTY_EVERY else None, rng) for number in range(COHORT)]


def _group(rng: np.random.Generator, words: np.random.Generator) -> Group:
    designs = [random_design(rng) for _ in range(DESIGNS)]
    own, alike, strangers = [], [], []
    for design in designs:
        own.append(DrawnShow(design=design, scene=random_scene(rng)))
        alike.append(DrawnShow(design=variant_of(design, rng), scene=random_scene(rng)))
        strangers.append(DrawnShow(design=stranger_to(designs, rng), scene=random_scene(rng)))
    pictures = [[picture_of(design, rng) for _ in range(PICTURES)] for design in designs]
    described = [describe(design, words) for design in designs]
    told = [captions(design, random_scene(words), words) for design in designs]
    others = [captions(random_design(words), random_scene(words), words) for _ in designs]
    return Group(
        registered=[
            Registered(
                name=str(number), pictures=pictures[number], description=described[number],
                shows=[own[number]], alike=[alike[number]], prompts=told[number],
            )
            for number in range(DESIGNS)
        ],
        shows=strangers, prompts=[said for three in others for said in three],
    )  # fmt: skip


def stranger_to(known: Sequence[Design], rng: np.random.Generator) -> Design:
    """A design that is none of these."""
    while (design := random_design(rng)) in known:
        pass
    return design


def picture_of(design: Design | None, rng: np.random.Generator) -> Picture:
    """A still picture of a design, or of nobody, in a scene of its own."""
    time = float(rng.uniform(0, 3))
    return render_frame(design, random_scene(rng), width=PICTURE_SIDE, height=PICTURE_SIDE, time=time).picture
