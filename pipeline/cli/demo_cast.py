"""Who appears in the demo: drawn characters with invented names, and a portrait that is nobody's property.

The portrait is NASA's of Eileen Collins, in the public domain, as scikit-image ships it; the demo uses it as
the likeness of a person who does not wish to be generated.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.design import NAMED_DESIGNS, Design
from generator.embedded.world.render import render_clip, render_frame
from generator.embedded.world.scene import ACTIONS, BACKGROUNDS, STYLES, Scene
from generator.embedded.world.words import describe
from pipeline.errors import NotInstalled
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter

WIDTH, HEIGHT, RATE = 640, 384, Fraction(12)
SECONDS: Final = 3.0
PICTURES: Final = 8
PICTURE_SIDE: Final = 384
PERSON: Final = "Eileen Collins"

Picture = NDArray[np.uint8]


def design(name: str) -> Design:
    """A character of the demo by its invented name."""
    return NAMED_DESIGNS[name]


def description(name: str) -> str:
    """What a character looks like, in words without its name."""
    return describe(design(name))


def pictures(name: str, folder: Path) -> list[Path]:
    """Reference pictures as an owner has them: several poses, places and styles."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = []
    for index in range(PICTURES):
        scene = Scene(
            action=ACTIONS[index % len(ACTIONS)], background=BACKGROUNDS[index % len(BACKGROUNDS)],
            style=STYLES[index % len(STYLES)], size=0.72, mirrored=bool(index % 2), seed=index,
        )  # fmt: skip
        drawn = render_frame(design(name), scene, width=PICTURE_SIDE, height=PICTURE_SIDE, time=0.4 * index)
        targets.append(_png(drawn.picture, folder / f"{index}.png"))
    return targets


def character_clip(name: str, target: Path) -> Path:
    """The character in a scene that is in none of its pictures."""
    scene = Scene(
        action="dancing",
        background="forest",
        time="day",
        style="flat",
        camera="pan left",
        size=0.7,
        seed=4711,
    )
    frames = render_clip(
        design(name), scene, width=WIDTH, height=HEIGHT, frames=int(SECONDS * RATE), frame_rate=float(RATE)
    )
    return _clip(frames, target)


def portrait(folder: Path) -> Path:
    """The portrait as a file. Raises: NotInstalled."""
    folder.mkdir(parents=True, exist_ok=True)
    return _png(_portrait(), folder / "portrait.png")


def portrait_clip(target: Path) -> Path:
    """The portrait moved, scaled, relit and a little blurred into a clip."""
    return _clip(_moved(_portrait()), target)


def _moved(picture: Picture) -> Iterator[Picture]:
    height, width = picture.shape[:2]
    for index in range(int(SECONDS * RATE)):
        turn = index / (SECONDS * float(RATE))
        scale = 0.9 + 0.25 * turn
        angle, light = 6 * np.sin(2 * np.pi * turn), 0.75 + 0.4 * turn
        matrix = cv2.getRotationMatrix2D((width * 0.45, height * 0.35), angle, scale)
        matrix[:, 2] += (WIDTH / 2 - width * 0.45 + 60 * (turn - 0.5), HEIGHT * 0.42 - height * 0.35)
        moved = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        lit = cv2.GaussianBlur(moved, (0, 0), 0.8).astype(np.float32) * light
        yield np.clip(lit, 0, 255).astype(np.uint8)


def _portrait() -> Picture:
    try:
        from skimage.data import astronaut
    except ModuleNotFoundError:
        raise NotInstalled(
            "the demo's portrait is in scikit-image; install it with: pip install 'countermark[demo]'"
        ) from None
    return np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def _png(picture: Picture, target: Path) -> Path:
    cv2.imwrite(str(target), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return target


def _clip(frames: Iterator[Picture], target: Path) -> Path:
    info = ClipInfo(
        width=WIDTH, height=HEIGHT, time_base=1 / RATE, frame_rate=RATE, variable=False, colour=BT601_LIMITED
    )
    with ClipWriter(target, info, crf=16, preset="veryfast") as writer:
        for index, picture in enumerate(frames):
            writer.write(frame_from_rgb(picture, index, index / float(RATE)))
    return target
