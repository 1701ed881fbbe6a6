"""Small still pictures of a clip, for thumbnails and strips."""

import cv2
import numpy as np

from pipeline.media.types import Frame


def jpeg(frame: Frame, longest: int) -> bytes:
    """The frame as a JPEG whose longer side has `longest` pixels at most (BT.601 colours: a thumbnail)."""
    assert frame.u is not None and frame.v is not None  # noqa: S101, PT018 - colour frames only
    height, width = frame.y.shape
    chroma = [plane.reshape(-1, width) for plane in (frame.u, frame.v)]
    if height % 4:  # I420 as one array needs whole rows of chroma
        height -= height % 4
        chroma = [plane[: height // 2].reshape(-1, width) for plane in (frame.u, frame.v)]
    bgr = cv2.cvtColor(np.vstack([frame.y[:height], *chroma]), cv2.COLOR_YUV2BGR_I420)
    factor = min(1.0, longest / max(height, width))
    small = cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
