"""Frames as RGB pictures for those who look at them: made smaller first, colours by the clip's own tags."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.media.types import Colour, Frame, Plane

FULL_RANGE: Final = 2
BT601: Final = (0.299, 0.114)
BT709: Final = (0.2126, 0.0722)
BT2020: Final = (0.2627, 0.0593)
# Red's and blue's share of luma by the number of the matrix (ISO/IEC 23091-2).
_SHARES: Final = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 7: BT709, 9: BT2020, 10: BT2020}
HD_HEIGHT: Final = 720
"""From this height on, untagged video is BT.709, as players take it."""


def reduced(frame: Frame, longest: int) -> Frame:
    """The frame with planes of its own, whose longer side has `longest` pixels at most; even sides."""
    height, width = frame.y.shape
    factor = min(1.0, longest / max(height, width))
    wide, high = (max(1, round(side * factor / 2)) for side in (width, height))
    return Frame(
        index=frame.index, pts=frame.pts, time=frame.time, duration=frame.duration,
        y=_resized(frame.y, 2 * wide, 2 * high),
        u=None if frame.u is None else _resized(frame.u, wide, high),
        v=None if frame.v is None else _resized(frame.v, wide, high),
    )  # fmt: skip


def rgb(frame: Frame, colour: Colour, source_height: int | None = None) -> Plane:
    """RGB ``uint8[h, w, 3]`` of a frame with colour planes, to the nearest level or the next one.

    ``source_height``: before it was reduced.
    """
    assert frame.u is not None and frame.v is not None  # noqa: S101, PT018 - colour frames only
    height, width = frame.y.shape
    planes = (frame.y, _wide(frame.u, width, height), _wide(frame.v, width, height))
    matrix = _matrix(colour, source_height or height)
    return np.asarray(cv2.transform(cv2.merge(planes), matrix), dtype=np.uint8)


def planes(picture: Plane, colour: Colour) -> tuple[Plane, Plane, Plane]:
    """Luma ``uint8[h, w]`` and both colour planes ``uint8[h/2, w/2]`` of an RGB picture with even sides, as a
    clip of that colour has them: the way back from `rgb`.
    """
    height, width = picture.shape[:2]
    forth = _matrix(colour, height).astype(np.float64)
    back = np.linalg.inv(forth[:, :3])
    both = cv2.transform(picture, np.column_stack([back, -back @ forth[:, 3]]).astype(np.float32))
    luma, blue, red = cv2.split(both)
    return (
        np.asarray(luma, np.uint8),
        _resized(np.asarray(blue, np.uint8), width // 2, height // 2),
        _resized(np.asarray(red, np.uint8), width // 2, height // 2),
    )


def _matrix(colour: Colour, height: int) -> NDArray[np.float32]:
    """From luma, blue's and red's difference and 1 to red, green and blue: ``float32[3, 4]``."""
    red, blue = _shares(colour, height)
    green, full = 1 - red - blue, colour.range == FULL_RANGE
    light, shade = (1.0, 255 / 256) if full else (255 / 219, 255 / 224)
    of_red, of_blue = 2 * (1 - red) * shade, 2 * (1 - blue) * shade
    rows = np.array(
        [
            [light, 0, of_red],
            [light, -of_blue * blue / green, -of_red * red / green],
            [light, of_blue, 0],
        ]
    )
    offsets = -rows @ [0 if full else 16, 128, 128]
    return np.column_stack([rows, offsets]).astype(np.float32)


def _shares(colour: Colour, height: int) -> tuple[float, float]:
    return _SHARES.get(colour.matrix, BT709 if height >= HD_HEIGHT else BT601)


def _resized(plane: Plane, width: int, height: int) -> Plane:
    if plane.shape == (height, width):
        return plane
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _wide(plane: Plane, width: int, height: int) -> Plane:
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
