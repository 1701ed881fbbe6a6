"""Clips for the fingerprint's benchmark: families of clips that are like each other and yet others.

Drawn at 180 lines: releases keep 48. A family begins with a clip that may be released; each of the others
differs from it in one way that a search by content must not take for the same. Extensions go on where the
first clip ends, so nothing that they show was in it, but for scenes that hardly move.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.footage import Footage, Frame, from_rgb
from benchmarks.trials.material import Size, Source, laid_down, played, window
from generator.base import GenerationRequest
from generator.embedded.world.design import Design, random_design, variant_of
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import BACKGROUNDS, TIMES, Scene, random_scene
from generator.scene import SceneGenerator

LINES: Final = 180
WIDTH: Final = 320
SECONDS: Final = 4.0
RATE: Final = 8.0
SEED: Final = 63
SHOT: Final = Size(name="likeness", lines=LINES, seconds=SECONDS)
WORDS: Final = (
    "THE", "NIGHT", "RIVER", "LAST", "SUMMER", "EPISODE", "ONE", "TWO", "SEVEN", "HOUSE", "GOLDEN", "LOST",
    "CITY", "SONG", "WINTER", "ROAD", "HOME", "FIRST", "LIGHT", "PART",
)  # fmt: skip

WORLD: Final = "world"
HEAD: Final = "talking head"
LANDSCAPE: Final = "landscape"
TITLE: Final = "title"
REAL: Final = "real"
EXTENSION: Final = "extension"

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip by name. ``change``: how it differs from its family's first, empty for that one."""

    family: str
    kind: str
    change: str
    make: Callable[[Path], Footage]

    @property
    def name(self) -> str:
        """The family, and the change."""
        return f"{self.family}, {self.change}" if self.change else self.family

    def footage(self, folder: Path) -> Footage:
        """The clip, drawn or cut into the folder where it is not there yet."""
        stem = hashlib.sha256(self.name.encode()).hexdigest()[:16]
        raw, told = folder / f"{stem}.raw", folder / f"{stem}.json"
        if not told.exists():
            partial = folder / f"{stem}.{os.getpid()}.partial"
            made = self.make(partial)
            times = [frame.time for frame in made.play()]
            partial.replace(raw)
            about = {"width": made.width, "height": made.height, "rate": made.rate, "times": times}
            told.write_text(json.dumps(about))
        about = json.loads(told.read_text())
        times, shape = about["times"], (about["height"] * 3 // 2, about["width"])
        return Footage(
            width=about["width"], height=about["height"], rate=about["rate"],
            seconds=times[-1] + 1 / about["rate"], play=lambda: played(raw, times, shape),
        )  # fmt: skip


def clips(worlds: int, sources: tuple[Source, ...] = ()) -> list[Clip]:
    """All clips: `worlds` families of drawn worlds, a fourth as many of talking heads, landscapes and titles,
    and of each source that is long enough three parts that do not overlap.
    """
    made = [clip for number in range(worlds) for clip in _world(number)]
    made += [clip for number in range(worlds // 4) for clip in _head(number)]
    made += [clip for number in range(worlds // 4) for clip in _landscape(number)]
    made += [clip for number in range(worlds // 4) for clip in _titles(number)]
    return made + [clip for source in sources for clip in _parts(source)]


def _world(number: int) -> list[Clip]:
    random = np.random.default_rng([SEED, 1, number])
    design, scene = random_design(random), random_scene(random)
    elsewhere = BACKGROUNDS[(BACKGROUNDS.index(scene.background) + 1) % len(BACKGROUNDS)]
    again = replace(random_scene(random), action=scene.action, background=scene.background)
    return _drawn(f"world {number}", WORLD, {
        "": (design, scene, 0.0),
        "same prompt, another seed": (design, again, 0.0),
        "another seed, same place": (design, replace(scene, seed=scene.seed + 1), 0.0),
        "moved by a twentieth": (design, replace(scene, place=scene.place + 0.05), 0.0),
        "another character": (random_design(random), scene, 0.0),
        "another background": (design, replace(scene, background=elsewhere), 0.0),
        "one attribute": (variant_of(design, random), scene, 0.0),
        EXTENSION: (design, scene, SECONDS),
    })  # fmt: skip


def _head(number: int) -> list[Clip]:
    """Hardly moving figures before a room that stands still."""
    random = np.random.default_rng([SEED, 2, number])
    design = random_design(random)
    scene = replace(random_scene(random), action="standing", background="room", camera="still", size=0.78)
    other = TIMES[(TIMES.index(scene.time) + 1) % len(TIMES)]
    return _drawn(f"head {number}", HEAD, {
        "": (design, scene, 0.0),
        "another person": (random_design(random), scene, 0.0),
        "another seed, same place": (design, replace(scene, seed=scene.seed + 1), 0.0),
        "another time of day": (design, replace(scene, time=other), 0.0),
        "one attribute": (variant_of(design, random), scene, 0.0),
        EXTENSION: (design, scene, SECONDS),
    })  # fmt: skip


def _drawn(family: str, kind: str, changed: dict[str, tuple[Design, Scene, float]]) -> list[Clip]:
    def clip(change: str) -> Clip:
        design, scene, start = changed[change]

        def pictures() -> Iterator[Picture]:
            for index in range(round(SECONDS * RATE)):
                time = start + index / RATE
                yield render_frame(design, scene, width=WIDTH, height=LINES, time=time).picture

        return Clip(family=family, kind=kind, change=change, make=lambda path: _laid(pictures(), path))

    return [clip(change) for change in changed]


def _landscape(number: int) -> list[Clip]:
    """Landscapes of the demo's generator: all of one composition."""

    def clip(change: str, seed: int, start: float) -> Clip:
        request = GenerationRequest(
            prompt="", width=WIDTH, height=LINES, seconds=SECONDS + start,
            frame_rate=Fraction(round(RATE)), seed=seed,
        )  # fmt: skip

        def pictures() -> Iterator[Picture]:
            frames = SceneGenerator().generate(request).frames
            return (picture for index, picture in enumerate(frames) if index >= start * RATE)

        return Clip(
            family=f"landscape {number}", kind=LANDSCAPE, change=change,
            make=lambda path: _laid(pictures(), path),
        )  # fmt: skip

    later = clip(EXTENSION, number, SECONDS)
    return [clip("", number, 0.0), clip("another seed", number + 1000, 0.0), later]


def _titles(number: int) -> list[Clip]:
    """Three titles of one design: other words on the same ground, which stand still."""
    random = np.random.default_rng([SEED, 3, number])
    ground, ink = (int(level) for level in random.choice([(16, 235), (30, 210), (225, 40), (90, 240)]))

    def clip(change: str) -> Clip:
        lines = [" ".join(random.choice(WORDS, 2)), " ".join(random.choice(WORDS, 2))]
        picture = _title(lines, ground, ink)
        still = [picture] * round(SECONDS * RATE)
        return Clip(
            family=f"title {number}", kind=TITLE, change=change, make=lambda path: _laid(iter(still), path)
        )

    return [clip(change) for change in ("", "other words", "other words again")]


def _title(lines: list[str], ground: int, ink: int) -> Picture:
    picture = np.full((LINES, WIDTH, 3), ground, np.uint8)
    for row, line in enumerate(lines):
        (wide, _), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_DUPLEX, 0.9, 2)
        at = ((WIDTH - wide) // 2, LINES // 2 - 10 + 40 * row)
        cv2.putText(picture, line, at, cv2.FONT_HERSHEY_DUPLEX, 0.9, (ink,) * 3, 2)
    return picture


def _parts(source: Source) -> list[Clip]:
    """Parts of a real clip, one after another: each is an extension of the first."""
    count = min(3, int(source.seconds // SECONDS)) or 1

    def clip(index: int) -> Clip:
        return Clip(
            family=f"real {source.path.stem}", kind=REAL, change=f"{EXTENSION} {index}" if index else "",
            make=lambda path: window(source, SHOT, index * SECONDS, path),
        )  # fmt: skip

    return [clip(index) for index in range(count)]


def _laid(pictures: Iterator[Picture], path: Path) -> Footage:
    return laid_down((Frame(index / RATE, from_rgb(p)) for index, p in enumerate(pictures)), path, RATE)
