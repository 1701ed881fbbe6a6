"""What is done to clips before they are searched for: what platforms do, and people who pass clips on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import cv2
import numpy as np

from benchmarks.attacks import covers, geometry, timing
from benchmarks.attacks.codecs import codec
from benchmarks.attacks.footage import Footage, Frame, Image, Situation, Step, blank, even, paste, planes

BORDER: Final = 200  # luma
CAPTION: Final = "The last train left at nine"


class Attack(NamedTuple):
    """Steps with their parameters, each chain ending in a codec."""

    name: str
    steps: tuple[tuple[Step, dict[str, float]], ...]
    crf: int = 28

    def apply(self, footage: Footage, seed: int) -> Footage:
        """The attacked footage; work is done while it is played."""
        for number, (step, parameters) in enumerate(self.steps):
            footage = step(footage, Situation(seed=seed, step=number), **parameters)
        return codec(footage, Situation(seed=seed), name="h264", crf=self.crf)


def border(footage: Footage, _situation: Situation, *, share: float) -> Footage:
    """A plain border of ``share`` of each side all around: the frame grows."""
    left, top = even(footage.width * share), even(footage.height * share)
    size = (footage.width + 2 * left, footage.height + 2 * top)

    def framed(image: Image) -> Image:
        canvas = blank(*size, BORDER)
        paste(canvas, image, left, top)
        return canvas

    return footage.each(framed, size)


def caption(footage: Footage, _situation: Situation, *, share: float) -> Footage:
    """A dark strip with white words over the lowest ``share`` of the picture."""
    top = even(footage.height * (1 - share))

    def written(image: Image) -> Image:
        laid = image.copy()
        y, u, v = planes(laid)
        y[top:] //= 3
        for colour in (u, v):
            colour[top // 2 :] = 128
        at, size = (
            (footage.width // 12, top + round(footage.height * share * 0.7)),
            footage.height * share / 60,
        )
        cv2.putText(y, CAPTION, at, cv2.FONT_HERSHEY_SIMPLEX, size, 235, 2)
        return laid

    return footage.each(written)


def excerpt(footage: Footage, situation: Situation, *, seconds: float) -> Footage:
    """``seconds`` from anywhere in the clip."""
    play = footage.play
    start = float(situation.random().uniform(0, max(0.0, footage.seconds - seconds)))

    def cut() -> Iterator[Frame]:
        first: float | None = None
        for time, image in play():
            if time < start - 1e-6:
                continue
            first = time if first is None else first
            if time - first >= seconds - 1e-6:
                return
            yield Frame(time - first, image)

    return replace(footage, play=cut, seconds=min(seconds, footage.seconds))


def crop(footage: Footage, situation: Situation, *, cut: float) -> Footage:
    """``cut`` of both sides taken off, anywhere."""
    return geometry.crop(footage, situation, side=1 - cut)


ATTACKS: Final = (
    Attack("H.264 crf 35", (), 35),
    Attack("two thirds of the size (240p of 360), crf 30", ((geometry.resize, {"side": 2 / 3}),), 30),
    *(Attack(f"{round(100 * cut)} % of the sides cut off", ((crop, {"cut": cut}),))
      for cut in (0.05, 0.1, 0.2, 0.3, 0.4)),
    Attack("2 s of it", ((excerpt, {"seconds": 2.0}),)),
    *(Attack(f"speed {factor:g}", ((timing.speed, {"factor": factor}),)) for factor in (0.8, 1.25)),
    Attack("mirrored", ((geometry.flip, {}),)),
    Attack("picture in a picture, 50 %", ((covers.picture_in_picture, {"side": 0.5}),)),
    Attack("letter box, 17 %", ((covers.letterbox, {"bars": 0.17}),)),
    Attack("border, 8 %", ((border, {"share": 0.08}),)),
    Attack("caption, 15 %", ((caption, {"share": 0.15}),)),
    Attack("cut by 20 % and mirrored", ((crop, {"cut": 0.2}), (geometry.flip, {}))),
)  # fmt: skip


def planes_of(footage: Footage) -> Iterator[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
    """Its frames as a query takes them."""
    for time, image in footage.play():
        yield time, *planes(image)
