"""A portrait moved, made small, blurred, relit, covered and coded into short clips."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 360
FRAMES, FRAME_RATE = 16, 8
GROUND: Final = (96, 104, 112)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceTrial:
    """``side``: pixels of the face in the clip; ``change``: what is done to each frame; ``crf``: of H.264."""

    name: str
    side: int = 110
    change: Callable[[Picture, float], Picture] = lambda frame, _share: frame
    crf: int = 23


def _blurred(sigma: float) -> Callable[[Picture, float], Picture]:
    return lambda frame, _share: np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), dtype=np.uint8)


def _lit(gain: tuple[float, float, float], lift: float = 0.0) -> Callable[[Picture, float], Picture]:
    return lambda frame, _share: np.clip(frame * np.array(gain) + lift, 0, 255).astype(np.uint8)


def _side_lit(frame: Picture, share: float) -> Picture:
    """A light that wanders from one side to the other."""
    across = np.linspace(0, 1, frame.shape[1])[None, :, None]
    return np.clip(frame * (0.25 + 1.1 * np.abs(across - share)), 0, 255).astype(np.uint8)


def _turned(degrees: float) -> Callable[[Picture, float], Picture]:
    def turn(frame: Picture, share: float) -> Picture:
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees * (2 * share - 1), 1.0)
        return np.asarray(cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT)), dtype=np.uint8)

    return turn


def _noisy(frame: Picture, share: float) -> Picture:
    grain = np.random.default_rng(int(share * 1000)).normal(0, 18, frame.shape)
    return np.clip(frame * 0.3 + grain, 0, 255).astype(np.uint8)


TRIALS: Final = (
    FaceTrial(name="panned"),
    FaceTrial(name="large", side=220),
    FaceTrial(name="60 pixels", side=60),
    FaceTrial(name="40 pixels", side=40),
    FaceTrial(name="30 pixels", side=30),
    FaceTrial(name="blurred, sigma 2", change=_blurred(2.0)),
    FaceTrial(name="blurred, sigma 4", change=_blurred(4.0)),
    FaceTrial(name="dark, a third of the light", change=_lit((0.33, 0.33, 0.33))),
    FaceTrial(name="warm and bright", change=_lit((1.25, 1.0, 0.75), 25.0)),
    FaceTrial(name="lit from a wandering side", change=_side_lit),
    FaceTrial(name="low light with noise", change=_noisy),
    FaceTrial(name="tilted up to 20 degrees", change=_turned(20.0)),
    FaceTrial(name="coded at crf 38", crf=38),
)
COVERS: Final = {"lower half covered": (0.55, 1.0), "eyes covered": (0.15, 0.42)}
"""Share of the face's height that a grey bar hides."""


def frames_of(picture: Picture, box: tuple[int, int, int, int], trial: FaceTrial) -> Iterator[Picture]:
    """A clip in which the face at `box` (left, top, right, bottom) moves across, RGB ``uint8[h, w, 3]``."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    head = picture[
        max(0, top - height * 3 // 4) : bottom + height // 2, max(0, left - width // 2) : right + width // 2
    ]
    scale = min(trial.side / width, HEIGHT * 0.98 / head.shape[0])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(head, None, fx=scale, fy=scale, interpolation=how)
    high, wide = small.shape[:2]
    for index in range(FRAMES):
        share = index / (FRAMES - 1)
        frame = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
        at = round(share * (WIDTH - wide))
        down = (HEIGHT - high) // 2
        frame[down : down + high, at : at + wide] = small
        yield trial.change(frame, share)


def covered(picture: Picture, box: tuple[int, int, int, int], part: tuple[float, float]) -> Picture:
    """The picture with a bar over a part of the face."""
    left, top, right, bottom = box
    hidden = picture.copy()
    first, last = (round(top + share * (bottom - top)) for share in part)
    hidden[first:last, left - 10 : right + 10] = GROUND
    return hidden
