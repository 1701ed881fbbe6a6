"""Pictures of nothing: one colour, gradients, noise. Whoever registered one would stop every such moment."""

from typing import Final

import cv2
import numpy as np

from classifiers.base import Picture

SIDE: Final = 128
GREYS: Final = 12
COLOURS: Final = ((200, 40, 40), (230, 130, 40), (240, 210, 60), (40, 160, 60), (40, 160, 170), (50, 90, 210))
TURNS: Final = 8
GRAINS: Final = (SIDE, SIDE // 2, SIDE // 4)


def blanks() -> list[Picture]:
    """Pictures of nothing, ``uint8[side, side, 3]``; every time the same."""
    greys = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in np.linspace(0, 255, GREYS)]
    plain = [np.broadcast_to(np.array(colour, np.uint8), (SIDE, SIDE, 3)).copy() for colour in COLOURS]
    axis, ramps = np.linspace(-0.5, 0.5, SIDE), []
    for angle in np.linspace(0, 2 * np.pi, TURNS, endpoint=False):
        share = np.clip(0.5 + axis[None] * np.cos(angle) + axis[:, None] * np.sin(angle), 0, 1)
        ramps.append(np.repeat((255 * share)[..., None], 3, axis=2).astype(np.uint8))
    rng = np.random.default_rng(1)
    noise = [_grown(rng.integers(0, 256, (grain, grain, 3), np.uint8)) for grain in GRAINS]
    return [*greys, *plain, *ramps, *noise]


def _grown(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
