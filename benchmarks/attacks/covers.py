"""Attacks that put other pixels beside or over the clip: overlays, bars, a picture in a picture."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from benchmarks.attacks.footage import (
    Footage,
    Frame,
    Image,
    Situation,
    blank,
    even,
    from_rgb,
    luma,
    paste,
    planes,
    resized,
)

BACKDROP_GRID: Final = 9  # random colours to a side, smoothly joined
DRIFT: Final = 0.05  # of the width a second: a background that stands still would be taken off with the scene
LOGO: Final = "LIVE"


def overlay(footage: Footage, situation: Situation, *, area: float) -> Footage:
    """An opaque plate over ``area`` of the frame, of the frame's shape, in a random place that stays."""
    side = area**0.5
    width, height = even(footage.width * side), even(footage.height * side)
    random = situation.random()
    left = 2 * int(random.integers((footage.width - width) // 2 + 1))
    top = 2 * int(random.integers((footage.height - height) // 2 + 1))
    plate = blank(width, height, int(random.integers(40, 220)))
    for part in planes(plate)[1:]:
        part[:] = random.integers(90, 166)

    def covered(image: Image) -> Image:
        laid = image.copy()
        paste(laid, plate, left, top)
        return laid

    return footage.each(covered)


def logo(footage: Footage, _situation: Situation, *, height: float) -> Footage:
    """White letters in the upper left corner, ``height`` of the frame's short side high, half transparent."""
    tall = max(8, round(min(footage.width, footage.height) * height))
    letters = np.zeros((footage.height, footage.width), np.uint8)
    size = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, tall, 2)
    cv2.putText(letters, LOGO, (tall // 2, 2 * tall), cv2.FONT_HERSHEY_SIMPLEX, size, 255, max(2, tall // 8))
    opacity = letters.astype(np.float32) / 510

    def drawn(image: Image) -> Image:
        marked = image.copy()
        y = luma(marked)
        y[:] = np.rint(y + (235 - y.astype(np.float32)) * opacity)
        return marked

    return footage.each(drawn)


def letterbox(footage: Footage, _situation: Situation, *, bars: float) -> Footage:
    """Black bars at both ends of the short side, ``bars`` of it each: the frame grows."""
    upright = footage.height > footage.width
    bar = even(bars * min(footage.width, footage.height))
    width, height = footage.width + 2 * bar * upright, footage.height + 2 * bar * (not upright)
    left, top = (bar, 0) if upright else (0, bar)

    def boxed(image: Image) -> Image:
        canvas = blank(width, height)
        paste(canvas, image, left, top)
        return canvas

    return footage.each(boxed, (width, height))


def picture_in_picture(footage: Footage, situation: Situation, *, side: float) -> Footage:
    """The clip at ``side`` times its sides in a random place of another, slowly drifting picture."""
    play, width, height = footage.play, footage.width, footage.height
    small = (even(width * side), even(height * side))
    random = situation.random()
    left = 2 * int(random.integers((width - small[0]) // 2 + 1))
    top = 2 * int(random.integers((height - small[1]) // 2 + 1))
    backdrop = _backdrop(random, 2 * width, height)

    def shown() -> Iterator[Frame]:
        for time, image in play():
            shift = 2 * round(abs((time * DRIFT) % 2 - 1) * width / 2)
            canvas = from_rgb(np.ascontiguousarray(backdrop[:, shift : shift + width]))
            paste(canvas, resized(image, *small), left, top)
            yield Frame(time, canvas)

    return replace(footage, play=shown)


def _backdrop(random: np.random.Generator, width: int, height: int) -> Image:
    """Smooth colours with fine grain, ``uint8[height, width, 3]``."""
    grid = random.integers(20, 236, (BACKDROP_GRID, 2 * BACKDROP_GRID, 3)).astype(np.float32)
    smooth = np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    smooth += random.standard_normal((height, width, 1), dtype=np.float32) * np.float32(3)
    return np.clip(smooth, 0, 255).astype(np.uint8)
