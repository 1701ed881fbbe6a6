"""Designs, pictures of them and clips, drawn from a seed: what checks are calibrated and measured on.

The figures they give are about the drawn world, not about production material.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.design import Design, random_design, variant_of
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import Scene, random_scene
from pipeline.calibrating.drawn import CLIP_SIZE, PICTURES, SECONDS, picture_of, stranger_to

__all__ = [
    "BRIEF", "CLIP_SIZE", "EMPTY", "FRAME_RATE", "LOOK_ALIKE", "PICTURES", "REGISTERED", "SECONDS",
    "UNREGISTERED",
    "DrawnClip", "Trial", "draw_trial", "picture_of", "write_clip",
]  # fmt: skip

Picture = NDArray[np.uint8]

FRAME_RATE: Final = 12.0

REGISTERED: Final = "registered"
BRIEF: Final = "registered, shown for half a second"
BRIEF_SPAN: Final = (1.3, 1.8)
UNREGISTERED: Final = "unregistered"
LOOK_ALIKE: Final = "one attribute changed"
EMPTY: Final = "empty scene"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnClip:
    """A clip to be drawn: ``kind``, the number of the registered design that it shows or resembles, or -1.

    ``span``: seconds between which the character is there.
    """

    kind: str
    owner: int
    design: Design | None
    scene: Scene
    span: tuple[float, float] = (0.0, SECONDS)

    def frames(self) -> Iterator[Picture]:
        """All frames, RGB ``uint8[h, w, 3]``, `FRAME_RATE` a second."""
        return (self._frame(number / FRAME_RATE) for number in range(round(SECONDS * FRAME_RATE)))

    def moments(self, count: int) -> Iterator[tuple[float, Picture]]:
        """Some moments of it: seconds and frame."""
        for time in np.linspace(0, SECONDS, count, endpoint=False).tolist():
            yield time, self._frame(time)

    def _frame(self, time: float) -> Picture:
        width, height = CLIP_SIZE
        there = self.span[0] <= time < self.span[1]
        design = self.design if there else None
        return render_frame(design, self.scene, width=width, height=height, time=time).picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Registered designs with their pictures, and clips of them and of others."""

    designs: tuple[Design, ...]
    pictures: tuple[tuple[Picture, ...], ...]
    clips: tuple[DrawnClip, ...]


def draw_trial(seed: int, *, designs: int, clips_each: int = 1, empty: int = 0, brief: int = 0) -> Trial:
    """A trial of so many designs; per design `clips_each` clips of it, of a look-alike and of a stranger.

    ``brief``: clips in which one of the first designs is seen for half a second of an empty scene.
    """
    rng = np.random.default_rng(seed)
    known = tuple(random_design(rng) for _ in range(designs))
    clips = []
    for owner, design in enumerate(known * clips_each):
        number = owner % designs
        clips += [
            DrawnClip(kind=REGISTERED, owner=number, design=design, scene=random_scene(rng)),
            DrawnClip(kind=LOOK_ALIKE, owner=number, design=variant_of(design, rng), scene=random_scene(rng)),
            DrawnClip(kind=UNREGISTERED, owner=-1, design=stranger_to(known, rng), scene=random_scene(rng)),
        ]
    clips += [DrawnClip(kind=EMPTY, owner=-1, design=None, scene=random_scene(rng)) for _ in range(empty)]
    others = np.random.default_rng(seed + 500_000)  # so that the pictures stay those of the other trials
    clips += [
        DrawnClip(kind=BRIEF, owner=number, design=known[number], scene=random_scene(others), span=BRIEF_SPAN)
        for number in range(brief)
    ]
    pictures = tuple(tuple(picture_of(design, rng) for _ in range(PICTURES)) for design in known)
    return Trial(designs=known, pictures=pictures, clips=tuple(clips))


def write_clip(frames: Iterable[Picture], target: Path, rate: float, crf: int) -> None:
    """Code RGB frames ``uint8[h, w, 3]`` with even sides as H.264."""
    with av.open(str(target), "w") as made:
        track = made.add_stream("libx264", Fraction(rate).limit_denominator(1000), {"crf": str(crf)})
        track.pix_fmt = "yuv420p"
        for number, picture in enumerate(frames):
            if number == 0:
                track.height, track.width = picture.shape[:2]
            made.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        made.mux(track.encode(None))
