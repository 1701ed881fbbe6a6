"""A portrait moved, made small, blurred, relit, covered, turned, drawn and coded into short clips."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tools.face_styles import STYLES

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 360
FRAMES, FRAME_RATE = 5, 4
GROUND: Final = (96, 104, 112)
ROOM_ABOVE, ROOM_BELOW, ROOM_ASIDE = 0.75, 0.5, 0.5
"""How much of the picture around a face is shown with it, in heights and widths of the face."""
DRAWN, TURNED = "drawn", "turned aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceTrial:
    """``side``: pixels of the face in the clip; ``before``: what is done to the head, once, and to where the
    face is in it; ``change``: to each frame, which is told its share of the clip; ``crf``: of H.264.
    """

    name: str
    group: str
    side: int = 110
    before: Callable[[Picture], Picture] = lambda head: head
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


def _tilted(degrees: float, swing: float) -> Callable[[Picture, float], Picture]:
    """The camera leans: `degrees`, and `swing` more from the one end of the clip to the other."""

    def turn(frame: Picture, share: float) -> Picture:
        angle = degrees + swing * (2 * share - 1)
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, 0.8 if degrees else 1.0)
        ground = cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), borderValue=GROUND)
        return np.asarray(ground, dtype=np.uint8)

    return turn


def _noisy(gain: float, grain: float) -> Callable[[Picture, float], Picture]:
    def dark(frame: Picture, share: float) -> Picture:
        noise = np.random.default_rng(int(share * 1000)).normal(0, grain, frame.shape)
        return np.clip(frame * gain + noise, 0, 255).astype(np.uint8)

    return dark


def _covered(first: float, last: float) -> Callable[[Picture], Picture]:
    """A grey bar over a part of the face, in shares of its height."""

    def cover(head: Picture) -> Picture:
        high = head.shape[0]
        face = high / (1 + ROOM_ABOVE + ROOM_BELOW)
        hidden, top = head.copy(), ROOM_ABOVE * face
        hidden[round(top + first * face) : round(top + last * face)] = GROUND
        return hidden

    return cover


def _aside(degrees: float) -> Callable[[Picture], Picture]:
    """The head turned about its upright axis: the photograph lies on an ellipsoid as wide as it is deep."""

    def turn(head: Picture) -> Picture:
        high, wide = head.shape[:2]
        radius = 0.75 * wide / (1 + 2 * ROOM_ASIDE)
        across = (np.arange(wide) - wide / 2) / radius
        angle = np.arcsin(np.clip(across, -1, 1)) - np.radians(degrees)
        source = np.where(np.abs(angle) < np.pi / 2, np.sin(angle) * radius + wide / 2, -1)
        source = np.where(np.abs(across) < 1, source, -1)
        columns = np.tile(source.astype(np.float32), (high, 1))
        rows = np.tile(np.arange(high, dtype=np.float32)[:, None], (1, wide))
        shown = cv2.remap(head, columns, rows, cv2.INTER_LINEAR, borderValue=GROUND)
        return np.asarray(shown, dtype=np.uint8)

    return turn


TRIALS: Final = (
    FaceTrial(name="panned", group="plain"),
    FaceTrial(name="large", group="plain", side=220),
    FaceTrial(name="coded at crf 38", group="plain", crf=38),
    FaceTrial(name="60 pixels", group="small", side=60),
    FaceTrial(name="40 pixels", group="small", side=40),
    FaceTrial(name="30 pixels", group="small", side=30),
    FaceTrial(name="24 pixels", group="small", side=24),
    FaceTrial(name="blurred, sigma 2", group="blurred", change=_blurred(2.0)),
    FaceTrial(name="blurred, sigma 4", group="blurred", change=_blurred(4.0)),
    FaceTrial(name="warm and bright", group="relit", change=_lit((1.25, 1.0, 0.75), 25.0)),
    FaceTrial(name="lit from a wandering side", group="relit", change=_side_lit),
    FaceTrial(name="a third of the light", group="low light", change=_lit((0.33, 0.33, 0.33))),
    FaceTrial(name="a third of the light, grain 18", group="low light", change=_noisy(0.3, 18)),
    FaceTrial(name="a twelfth of the light, grain 3", group="low light", change=_noisy(0.08, 3)),
    FaceTrial(name="tilted up to 20 degrees", group="tilted", change=_tilted(0, 20)),
    FaceTrial(name="tilted 40 to 50 degrees", group="tilted", change=_tilted(45, 5)),
    FaceTrial(name="lying", group="tilted", change=_tilted(-90, 5)),
    FaceTrial(name="aside by 30 degrees", group=TURNED, before=_aside(30)),
    FaceTrial(name="aside by 45 degrees", group=TURNED, before=_aside(45)),
    FaceTrial(name="aside by 60 degrees", group=TURNED, before=_aside(60)),
    FaceTrial(name="lower half covered", group="covered", before=_covered(0.55, 1.0)),
    FaceTrial(name="eyes covered", group="covered", before=_covered(0.15, 0.42)),
    *(FaceTrial(name=name, group=DRAWN, before=draw) for name, draw in STYLES.items()),
)


def frames_of(picture: Picture, box: tuple[int, int, int, int], trial: FaceTrial) -> Iterator[Picture]:
    """A clip in which the face at `box` (left, top, right, bottom) moves across, RGB ``uint8[h, w, 3]``."""
    head = trial.before(_head(picture, box, trial.side))
    high, wide = head.shape[:2]
    down = (HEIGHT - high) // 2
    for index in range(FRAMES):
        share = index / (FRAMES - 1)
        frame = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
        # Covered and turned heads lie on the ground's colour; those that lean stay in view.
        at = (
            round((0.25 + 0.5 * share) * (WIDTH - wide))
            if trial.group == "tilted"
            else round(share * (WIDTH - wide))
        )
        frame[down : down + high, at : at + wide] = head
        yield trial.change(frame, share)


def _head(picture: Picture, box: tuple[int, int, int, int], side: int) -> Picture:
    """The face, `side` pixels wide, and some room around it; beyond the picture's edge, its mirror."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    above, below, aside = (round(room * size) for room, size in (
        (ROOM_ABOVE, height), (ROOM_BELOW, height), (ROOM_ASIDE, width)))  # fmt: skip
    edge = max(above, below, aside)
    # Mirrored: OpenCV's stylization makes a picture with a plain edge black now and then.
    wider = cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_REFLECT_101)
    head = wider[top + edge - above : bottom + edge + below, left + edge - aside : right + edge + aside]
    scale = min(side / width, HEIGHT * 0.98 / head.shape[0])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(head, None, fx=scale, fy=scale, interpolation=how), dtype=np.uint8)
