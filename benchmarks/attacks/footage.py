"""What attacks work on: a stream of frames that can be played again, one frame in memory at a time.

The rules of every attack:
1. It takes footage and gives footage; frames are made while somebody plays it, never kept beyond a fixed
   number, so memory does not grow with length.
2. It draws chance only from `Situation.random`, so the same seed gives the same frames, also when played
   twice. A second playing is how attacks that first look at the whole clip stay small.
3. Times go along. A frame's time is when it is shown, in seconds from the first frame's.
4. Frames are 8-bit 4:2:0 of BT.601 and limited range with even sides: what codecs take, and what luma marks
   live in. Attacks that are defined on RGB go there and back.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.uint8]
Box = tuple[int, int, int, int]

BLACK: Final = 16
NEUTRAL: Final = 128


class Frame(NamedTuple):
    """One frame: time in seconds, and I420 ``uint8[h * 3 / 2, w]``: Y, then U, then V, one after another."""

    time: float
    image: Image

    @property
    def luma(self) -> Plane:
        """A view of the luma ``uint8[h, w]``."""
        return luma(self.image)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """A clip: size in pixels (even), frames per second, length in seconds, and how to play it from its start.

    ``boxes``: where the clip's visible marks lie at a time, (x0, y0, x1, y1) in pixels; None where it has
    none. Only the first step of an attack is told.
    """

    width: int
    height: int
    rate: float
    seconds: float
    play: Callable[[], Iterator[Frame]] = field(repr=False)
    boxes: Callable[[float], tuple[Box, ...]] | None = field(default=None, repr=False)

    def each(self, change: Callable[[Image], Image], size: tuple[int, int] | None = None) -> "Footage":
        """The footage with every image changed; `size` (width, height) where that changes too."""
        play = self.play

        def changed() -> Iterator[Frame]:
            return (Frame(time, change(image)) for time, image in play())

        if size is None:
            return replace(self, play=changed)
        return replace(self, play=changed, width=size[0], height=size[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an attacker has besides the clip. ``remark(footage, n)``: the footage with the mark of the n-th
    foreign key drawn over it, by the scheme that is attacked.
    """

    seed: int
    step: int = 0
    remark: Callable[[Footage, int], Footage] | None = field(default=None, repr=False)

    def random(self) -> np.random.Generator:
        """The chance of this step; the same at every call."""
        return np.random.default_rng([self.seed, self.step])


Step = Callable[..., Footage]  # (footage, situation, **parameters)
Parameters = Mapping[str, float | int | str | bool]


class CannotAttack(Exception):
    """The attack does not apply to this clip; the text says why."""


def luma(image: Image) -> Plane:
    """A view of the luma plane ``uint8[h, w]``."""
    return image[: image.shape[0] * 2 // 3]


def planes(image: Image) -> tuple[Plane, Plane, Plane]:
    """Views of Y ``uint8[h, w]``, U and V ``uint8[h/2, w/2]``."""
    height, width = image.shape[0] * 2 // 3, image.shape[1]
    flat, quarter = image.reshape(-1), height * width // 4
    half = (height // 2, width // 2)
    u = flat[4 * quarter : 5 * quarter].reshape(half)
    v = flat[5 * quarter :].reshape(half)
    return image[:height], u, v


def joined(y: Plane, u: Plane, v: Plane) -> Image:
    """One image of three planes."""
    flat = np.concatenate([y.reshape(-1), u.reshape(-1), v.reshape(-1)])
    return flat.reshape(y.shape[0] * 3 // 2, y.shape[1])


def with_luma(image: Image, y: Plane) -> Image:
    """A copy of the image with another luma."""
    changed = image.copy()
    changed[: y.shape[0]] = y
    return changed


def blank(width: int, height: int, grey: int = BLACK) -> Image:
    """An image of one grey."""
    image = np.full((height * 3 // 2, width), NEUTRAL, dtype=np.uint8)
    image[:height] = grey
    return image


def paste(canvas: Image, image: Image, left: int, top: int) -> None:
    """Lay `image` on `canvas` in place; `left` and `top` are even."""
    for index, (under, over) in enumerate(zip(planes(canvas), planes(image), strict=True)):
        x, y = (left, top) if index == 0 else (left // 2, top // 2)
        under[y : y + over.shape[0], x : x + over.shape[1]] = over


def resized(image: Image, width: int, height: int) -> Image:
    """The image at another even size: area mean for smaller, cubic for larger."""
    if (width, height) == (image.shape[1], image.shape[0] * 2 // 3):
        return image
    y, u, v = planes(image)
    mode = cv2.INTER_AREA if width * height <= y.size else cv2.INTER_CUBIC
    parts = (cv2.resize(y, (width, height), interpolation=mode),
             *(cv2.resize(c, (width // 2, height // 2), interpolation=mode) for c in (u, v)))  # fmt: skip
    return joined(*(np.asarray(part, dtype=np.uint8) for part in parts))


def to_rgb(image: Image) -> Image:
    """``uint8[h, w, 3]``."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_YUV2RGB_I420), dtype=np.uint8)


def from_rgb(picture: Image) -> Image:
    """An image of ``uint8[h, w, 3]``."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)


def even(length: float) -> int:
    """The even whole number next to `length`, at least 2."""
    return max(2, 2 * round(length / 2))
