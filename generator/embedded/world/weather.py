"""Rain and falling snow: drops that the seed places, each at its own speed, over the whole picture."""

from typing import Final

import cv2
import numpy as np

from generator.embedded.world.canvas import SHIFT, Colour, Picture, blend

# Drops in a square picture; their length or radius, and how far they fall in a second, in heights.
RAIN, RAIN_LONG, RAIN_FALL = 90, 0.05, 1.6
FLAKES, FLAKE_WIDE, FLAKE_FALL = 80, 0.009, 0.22
SLANT: Final = 0.18  # sideways for each share down
SWAY: Final = 0.02
RAIN_COLOUR: Final[Colour] = (196.0, 214.0, 236.0)
SNOW_COLOUR: Final[Colour] = (250.0, 251.0, 255.0)
OPAQUE: Final = {"rain": 0.6, "snowfall": 0.9}


def draw_weather(pixels: Picture, weather: str, seed: int, time: float) -> None:
    """Draw over a picture ``uint8[h, w, 3]``, in place; nothing when it is clear.

    Raises: KeyError for an unknown weather.
    """
    if weather == "clear":
        return
    drops = {"rain": _rain, "snowfall": _snow}[weather]
    amount = np.zeros(pixels.shape[:2], np.uint8)
    drops(amount, np.random.default_rng([seed, 404]), time)
    colour = RAIN_COLOUR if weather == "rain" else SNOW_COLOUR
    blend(pixels, (amount * OPAQUE[weather]).astype(np.uint8), colour)


def _rain(amount: Picture, rng: np.random.Generator, time: float) -> None:
    height, width = amount.shape
    count = round(RAIN * width / height)
    across, down, pace = rng.random(count), rng.random(count), rng.uniform(0.8, 1.2, count)
    y = (down + RAIN_FALL * pace * time) % 1.1 - 0.05
    x = (across + SLANT * y) % 1.0
    thick = max(1, round(0.004 * height))
    for left, top in zip(x * width, y * height, strict=True):
        ends = ((left, top), (left + SLANT * RAIN_LONG * height, top + RAIN_LONG * height))
        first, last = ((_fixed(one), _fixed(other)) for one, other in ends)
        cv2.line(amount, first, last, 255, thick, cv2.LINE_AA, SHIFT)


def _snow(amount: Picture, rng: np.random.Generator, time: float) -> None:
    height, width = amount.shape
    count = round(FLAKES * width / height)
    across, down, pace = rng.random(count), rng.random(count), rng.uniform(0.7, 1.3, count)
    wide = rng.uniform(0.6, 1.4, count) * FLAKE_WIDE * height
    y = (down + FLAKE_FALL * pace * time) % 1.04 - 0.02
    x = across + SWAY * np.sin(2 * np.pi * (0.4 * pace * time + across))
    for left, top, radius in zip(x * width, y * height, wide, strict=True):
        cv2.circle(amount, (_fixed(left), _fixed(top)), _fixed(radius), 255, -1, cv2.LINE_AA, SHIFT)


def _fixed(value: float) -> int:
    return round(float(value) * (1 << SHIFT))
