"""Finishes: other ways to paint what was drawn, for pictures that train and test; captions do not name them.

A finish changes surfaces, edges and light and leaves colours and shapes to be recognised. What is drawn
without one stays as it was, pixel for pixel.
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.canvas import Picture
from generator.embedded.world.render import Rendered

# Blocks of the pixel finish to the height of a picture, and the steps of each colour channel.
PIXEL_ROWS, PIXEL_LEVELS = 56, 8
# How far paint runs, in shares of the height, and how much its colours are drawn together.
BRUSH: Final = 0.022
# Light from above to shade below, on the character alone.
LIGHT, SHADE = 1.18, 0.72
# A cut-out's rim and the shadow it throws, in shares of the height.
RIM, THROW = 0.012, 0.03


def finished(frame: Rendered, finish: str) -> Picture:
    """The picture ``uint8[h, w, 3]`` of a frame in a finish. Raises: KeyError for one that there is not."""
    return _FINISHES[finish](frame)


def _pixel(frame: Rendered) -> Picture:
    """Coarse blocks of few colours, as in old games."""
    height, width = frame.cover.shape
    rows = min(height, PIXEL_ROWS)
    small = cv2.resize(
        frame.picture, (max(1, round(width * rows / height)), rows), interpolation=cv2.INTER_AREA
    )
    step = 256 // PIXEL_LEVELS
    few = (small // step) * step + step // 2
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _paint(frame: Rendered) -> Picture:
    """Colours run together within edges, and a canvas shows through."""
    size = max(3, round(BRUSH * frame.cover.shape[0])) | 1
    run = cv2.medianBlur(np.ascontiguousarray(frame.picture), size)
    rows, columns = np.indices(frame.cover.shape, dtype=np.float32)
    weave = 5 * (np.sin(1.9 * rows) + np.sin(1.9 * columns + 0.7 * np.sin(0.31 * rows)))
    return np.asarray(np.clip(run + weave[..., None], 0, 255), dtype=np.uint8)


def _shaded(frame: Rendered) -> Picture:
    """Soft light from above models the character; the background blurs."""
    height = frame.cover.shape[0]
    near = _share(frame.cover)
    behind = cv2.GaussianBlur(frame.picture, (0, 0), 0.012 * height)
    rows = np.flatnonzero((frame.cover > 127).any(axis=1))
    top, low = (rows[0], rows[-1] + 1) if rows.size else (0, height)
    fall = np.clip((np.arange(height) - top) / max(1, low - top), 0, 1)
    light = (LIGHT + (SHADE - LIGHT) * fall)[:, None, None]
    return np.asarray(np.clip(frame.picture * light * near + behind * (1 - near), 0, 255), dtype=np.uint8)


def _paper(frame: Rendered) -> Picture:
    """The character is cut from paper, with a white rim, and throws a shadow."""
    height = frame.cover.shape[0]
    rim, throw = max(1, round(RIM * height)), max(1, round(THROW * height))
    wide = cv2.dilate(frame.cover, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))
    cast = cv2.GaussianBlur(np.roll(wide, (throw, throw), axis=(0, 1)), (0, 0), 0.5 * throw + 0.5)
    behind = frame.picture * (1 - 0.5 * _share(np.asarray(cast)))
    with_rim = behind * (1 - _share(np.asarray(wide))) + 250.0 * _share(np.asarray(wide))
    near = _share(frame.cover)
    return np.asarray(frame.picture * near + with_rim * (1 - near), dtype=np.uint8)


def _share(mask: Picture) -> NDArray[np.float32]:
    return np.asarray(mask[..., None] / np.float32(255), dtype=np.float32)


_FINISHES: Final[dict[str, Callable[[Rendered], Picture]]] = {
    "pixel": _pixel,
    "paint": _paint,
    "shaded": _shaded,
    "paper": _paper,
}
FINISHES: Final = tuple(_FINISHES)
