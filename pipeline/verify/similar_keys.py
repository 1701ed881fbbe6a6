"""Keys by which a clip is found among many: 64 signs of a picture's lowest frequencies, window by window.

The signs are those of the fingerprint (`pipeline.credentials.fingerprint`): of the 64 lowest AC coefficients
of the cosine transform, here as integrals over any window of a small picture, so that cropped copies are
found by keys of parts of the release, and pictures inside of others by parts of the query. A moment becomes a
key only where it differs from the key before it: a still scene has one.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.fingerprint import BITS, FLAT_DEVIATION, LOW_FREQUENCIES, Fingerprint
from pipeline.credentials.moments import COVERED, Moments

Words = NDArray[np.uint64]
Times = NDArray[np.float32]
Pictures = NDArray[np.float32]

FREQUENCIES: Final = int(max(index.max() for index in LOW_FREQUENCIES)) + 1
KEY_STEP: Final = 6  # bits by which the next key of a clip differs from the one before
STRONGEST: Final = 44  # signs of a key of the query that are compared
MOST_KEYS: Final = 24  # of a clip
NEAR: Final = 2.0  # cells: how far around a covered cell what it shows is taken from


class Window(NamedTuple):
    """A part of a picture, in shares of its width and height."""

    x0: float
    y0: float
    x1: float
    y1: float


WHOLE: Final = Window(0.0, 0.0, 1.0, 1.0)


def _tiled(side: float, places: Sequence[float]) -> list[Window]:
    return [Window(x, y, x + side, y + side) for y in places for x in places]


# Signs forgive an edge that is off by a twentieth of the picture (7 bits of 64), not by a tenth (12).
CROPS: Final = (
    *_tiled(0.88, (0.0, 0.12)), Window(0.06, 0.06, 0.94, 0.94), *_tiled(0.76, (0.0, 0.12, 0.24)),
    *_tiled(0.64, (0.0, 0.12, 0.24, 0.36)),
)  # fmt: skip
# Without the part in which captions stand: compared with the same part of the query.
UNCAPTIONED: Final = (Window(0.0, 0.0, 1.0, 0.8), Window(0.0, 0.2, 1.0, 1.0))
WINDOWS: Final = (WHOLE, *CROPS, *UNCAPTIONED)


class Keys(NamedTuple):
    """Keys of a clip: signs ``uint64[keys, windows]`` and seconds from its start ``float32[keys]``."""

    words: Words
    times: Times


NONE: Final = Keys(np.empty((0, len(WINDOWS)), np.uint64), np.empty(0, np.float32))


def stored_keys(fingerprint: Fingerprint, moments: Moments | None) -> Keys:
    """Keys of a release in all `WINDOWS`; without moments each has the fingerprint's sign."""
    if moments is None or not moments.taken:
        words = np.array(fingerprint.hashes, np.uint64)
        times = np.array(fingerprint.indices, np.float32) * np.float32(fingerprint.step)
        return _distinct(np.repeat(words[:, None], len(WINDOWS), axis=1), times)
    pictures = np.stack([whole(moment.y) for moment in moments.taken])
    words, structured = signs(pictures, WINDOWS)
    words = np.where(structured, words, words[:, :1])  # a flat part says nothing: the whole speaks for it
    times = np.array([moment.time for moment in moments.taken], np.float32)
    kept = structured[:, 0]
    return _distinct(words[kept], times[kept])


def signs(pictures: Pictures, windows: Sequence[Window]) -> tuple[Words, NDArray[np.bool_]]:
    """Signs ``uint64[pictures, windows]`` of luma ``float32[pictures, h, w]``, and which have structure."""
    coefficients = _coefficients(pictures, windows)
    deviation = np.sqrt((coefficients**2).sum(axis=-1))
    return _packed(coefficients > 0), deviation >= FLAT_DEVIATION


def query_signs(pictures: Pictures, windows: Sequence[Window]) -> tuple[Words, Words]:
    """Signs ``uint64[pictures, windows]``, and a mask of the `STRONGEST` of each: faint ones say little."""
    coefficients = _coefficients(pictures, windows)
    strength = np.abs(coefficients)
    least = np.partition(strength, BITS - STRONGEST, axis=-1)[..., BITS - STRONGEST, None]
    return _packed(coefficients > 0), _packed(strength >= least)


def _coefficients(pictures: Pictures, windows: Sequence[Window]) -> Pictures:
    """The 64 lowest AC coefficients ``float32[pictures, windows, 64]``, in luma levels of deviation."""
    count, height, width = pictures.shape
    down = np.concatenate([_cosines(height, window.y0, window.y1) for window in windows])
    across = np.stack([_cosines(width, window.x0, window.x1).T for window in windows])
    rows = (down @ pictures).reshape(count, len(windows), FREQUENCIES, width)
    return np.ascontiguousarray((rows @ across)[..., LOW_FREQUENCIES[0], LOW_FREQUENCIES[1]])


def _packed(signs: NDArray[np.bool_]) -> Words:
    return np.packbits(signs, axis=-1).view(">u8")[..., 0].astype(np.uint64)


def whole(luma: NDArray[np.uint8]) -> Pictures:
    """A stored luma as ``float32[h, w]``, covered cells filled with what is around them."""
    values = luma.astype(np.float32)
    seen = (luma != COVERED).astype(np.float32)
    if seen.all():
        return values
    weight = cv2.GaussianBlur(seen, (0, 0), NEAR)
    around = cv2.GaussianBlur(values * seen, (0, 0), NEAR) / np.maximum(weight, 1e-3)
    middle = float(values[seen > 0].mean()) if seen.any() else 0.0
    filled = np.where(weight > 1e-3, around, middle)
    return np.asarray(np.where(seen > 0, values, filled), np.float32)


def distinct(words: Words, step: int = KEY_STEP) -> list[int]:
    """Which of the words ``uint64[n]`` differ from the chosen one before by more than `step` bits."""
    chosen: list[int] = []
    for index, word in enumerate(words):
        if not chosen or int(word ^ words[chosen[-1]]).bit_count() > step:
            chosen.append(index)
    return chosen


def _distinct(words: Words, times: Times) -> Keys:
    chosen = distinct(words[:, 0])
    if len(chosen) > MOST_KEYS:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, MOST_KEYS).round().astype(int)]
    return Keys(words[chosen], times[chosen])


@lru_cache(maxsize=256)
def _cosines(size: int, low: float, high: float) -> Pictures:
    """Integrals of the orthonormal cosines of [low, high] over each of `size` cells of [0, 1]."""
    edges = (np.clip(np.arange(size + 1) / size, low, high) - low) / (high - low)
    frequencies = np.arange(1, FREQUENCIES)[:, None]
    waves = math.sqrt(2) * np.diff(np.sin(np.pi * frequencies * edges), axis=1) / (np.pi * frequencies)
    return np.concatenate([np.diff(edges)[None], waves]).astype(np.float32)
