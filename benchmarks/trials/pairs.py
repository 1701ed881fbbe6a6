"""Clips for the copying benchmark: victims, and hosts that are like them.

A shot is drawn or cut once into a file of 480 lines, so that a run that was stopped finds it again.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.attacks.footage import Footage, Frame, from_rgb, planes
from benchmarks.trials.material import Size, Source, laid_down, window
from generator.base import GenerationRequest
from generator.embedded.world.design import random_design, variant_of
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import BACKGROUNDS, random_scene
from generator.scene import SceneGenerator
from pipeline.media.pictures import BT601_LIMITED
from pipeline.media.types import ClipInfo
from pipeline.media.types import Frame as MediaFrame
from pipeline.media.writer import ClipWriter

LINES: Final = 480
WIDTH: Final = 854
SECONDS: Final = 4.5  # a little more than the carrier's period: every state is shown
RATE: Final = 12.0
SHOT: Final = Size(name="copying", lines=LINES, seconds=SECONDS)
SEED: Final = 43
KEPT_CRF: Final = 6.0
TICKS: Final = 90_000
LATER: Final = (0.25, 0.5, 1.0)  # seconds by which a cut of the same scene begins later

REAL: Final = "real"
RENDERED: Final = "rendered"
OTHER: Final = "other"
SIMILAR: Final = "similar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A clip by name. ``family``: shots of one family are similar; ``change``: how this one differs from its
    family's first, empty for that. ``make(scratch)``: its frames, laid down in the file `scratch`.
    """

    name: str
    family: str
    material: str
    change: str
    make: Callable[[Path], Footage]


def shots(sources: Iterable[Source], rendered: int) -> list[Shot]:
    """All shots: cuts of each source, drawn worlds, drawn landscapes. The first of a family is a victim."""
    made = [shot for source in sources for shot in _cuts(source)]
    for number in range(rendered):
        made += _world(number)
    return made + _landscapes(max(1, rendered // 4) if rendered else 0)


def _cuts(source: Source) -> Iterator[Shot]:
    for later in (0.0, *LATER):
        change = f"begins {later:g} s later" if later else ""

        def make(scratch: Path, later: float = later) -> Footage:
            return window(source, SHOT, later, scratch)

        yield Shot(
            name=f"{source.path.stem}+{later:g}",
            family=source.path.stem,
            material=REAL,
            change=change,
            make=make,
        )


def _world(number: int) -> list[Shot]:
    random = np.random.default_rng([SEED, number])
    design, scene = random_design(random), random_scene(random)
    elsewhere = BACKGROUNDS[(BACKGROUNDS.index(scene.background) + 1) % len(BACKGROUNDS)]
    changed = {
        "": (design, scene, 0.0),
        "another seed": (design, replace(scene, seed=scene.seed + 1), 0.0),
        "moved by a twentieth": (design, replace(scene, place=scene.place + 0.05), 0.0),
        "another character": (random_design(random), scene, 0.0),
        "another background": (design, replace(scene, background=elsewhere), 0.0),
        "begins 0.5 s later": (design, scene, 0.5),
        "one attribute": (variant_of(design, random), scene, 0.0),
        "one other attribute": (variant_of(design, random), scene, 0.0),
    }
    family = f"world {number + 1}"

    def shot(change: str) -> Shot:
        who, where, start = changed[change]

        def pictures() -> Iterator[np.ndarray]:
            for index in range(round(SECONDS * RATE)):
                yield render_frame(who, where, width=WIDTH, height=LINES, time=start + index / RATE).picture

        return Shot(
            name=f"{family} {change}".strip(), family=family, material=RENDERED, change=change,
            make=lambda scratch: _drawn(pictures(), scratch),
        )  # fmt: skip

    return [shot(change) for change in changed]


def _landscapes(count: int) -> list[Shot]:
    """Families of landscapes of the demo's generator: each seed has two others and a later cut."""
    made = []
    for number in range(count):
        for change, seed, later in (
            ("", number, 0.0), ("another seed", number + 100, 0.0), ("a third seed", number + 200, 0.0),
            ("begins 0.5 s later", number, 0.5),
        ):  # fmt: skip

            def make(scratch: Path, seed: int = seed, later: float = later) -> Footage:
                request = GenerationRequest(
                    prompt="", width=WIDTH, height=LINES, seconds=SECONDS + later,
                    frame_rate=Fraction(round(RATE)), seed=seed,
                )  # fmt: skip
                frames = SceneGenerator().generate(request).frames
                return _drawn((p for i, p in enumerate(frames) if i >= later * RATE), scratch)

            family = f"landscape {number + 1}"
            made.append(
                Shot(
                    name=f"{family} {change}".strip(),
                    family=family,
                    material=RENDERED,
                    change=change,
                    make=make,
                )
            )
    return made


def _drawn(pictures: Iterable[np.ndarray], scratch: Path) -> Footage:

    return laid_down((Frame(index / RATE, from_rgb(p)) for index, p in enumerate(pictures)), scratch, RATE)


def filed(footage: Footage, path: Path, crf: float) -> Path:
    """The footage as an MP4 file, renamed into place when it is whole."""
    tick, rate = Fraction(1, TICKS), Fraction(footage.rate).limit_denominator(1001)
    info = ClipInfo(
        width=footage.width, height=footage.height, time_base=tick, frame_rate=rate, variable=False,
        colour=BT601_LIMITED,
    )  # fmt: skip
    partial = path.with_suffix(f".{os.getpid()}.partial.mp4")
    length = round(TICKS / footage.rate)
    with ClipWriter(partial, info, crf=crf, preset="veryfast", threads=1) as writer:
        for index, (time, image) in enumerate(footage.play()):
            y, u, v = (np.ascontiguousarray(plane) for plane in planes(image))
            pts = round(time * TICKS)
            writer.write(MediaFrame(index=index, pts=pts, time=time, duration=length, y=y, u=u, v=v))
    partial.replace(path)
    return path
