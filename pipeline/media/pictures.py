"""Between frames and ordinary pictures: thumbnails out, generated pictures in."""

from typing import Final

import cv2
import numpy as np

from pipeline.media.types import Colour, Frame, Plane

BT601_LIMITED: Final = Colour(range=1, primaries=6, transfer=6, matrix=6)


def jpeg(frame: Frame, longest: int) -> bytes:
    """The frame as a JPEG whose longer side has `longest` pixels at most (BT.601 colours: a thumbnail)."""
    assert frame.u is not None and frame.v is not None  # noqa: S101, PT018 - colour frames only
    height, width = frame.y.shape
    planes = np.concatenate([plane.ravel() for plane in (frame.y, frame.u, frame.v)])
    bgr = cv2.cvtColor(planes.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)
    factor = min(1.0, longest / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def frame_from_rgb(rgb: Plane, index: int, time: float) -> Frame:
    """A frame of a generated clip from RGB ``uint8[h, w, 3]`` (even sides), numbered by `index`.

    The conversion is BT.601, limited range: tag the clip with `BT601_LIMITED`.
    """
    height, width = rgb.shape[:2]
    planes = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    return Frame(index=index, pts=index, time=time, duration=1, y=planes[:height], u=chroma[0], v=chroma[1])
