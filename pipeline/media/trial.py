"""A quick trial encode in memory, of our own pixels: what is left of a picture after H.264."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]


def through_h264(frames: Iterable[Planes], *, crf: float, preset: str = "veryfast") -> Iterator[Planes]:
    """Pictures of 4:2:0 (Y ``uint8[h, w]``, even sides, one size; U, V) after x264, in order."""
    encoder: av.VideoCodecContext | None = None
    decoder = av.VideoCodecContext.create("h264", "r")
    for count, planes in enumerate(frames):
        if encoder is None:
            encoder = _encoder(planes[0], crf, preset)
        picture = av.VideoFrame.from_ndarray(_joined(planes), format="yuv420p")
        picture.pts, picture.time_base = count, Fraction(1, 25)
        yield from _decoded(decoder, encoder.encode(picture))
    if encoder is not None:
        yield from _decoded(decoder, encoder.encode(None))
        yield from (_planes(picture) for picture in decoder.decode(None))


def _encoder(luma: Plane, crf: float, preset: str) -> av.VideoCodecContext:
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.height, encoder.width = luma.shape
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    # Without it, x264's macroblock tree on AVX-512 does not give the same bits twice.
    encoder.options = {"crf": str(crf), "preset": preset, "x264-params": "cpu-independent=1"}
    return encoder


def _decoded(decoder: av.VideoCodecContext, packets: Iterable["av.Packet[Any]"]) -> Iterator[Planes]:
    for packet in packets:
        yield from (_planes(picture) for picture in decoder.decode(packet))


def _joined(planes: Planes) -> Plane:
    """I420 ``uint8[h * 3 / 2, w]``."""
    width = planes[0].shape[1]
    return np.concatenate([plane.reshape(-1) for plane in planes]).reshape(-1, width)


def _planes(picture: av.VideoFrame) -> Planes:
    y, u, v = (_pixels(plane) for plane in picture.planes)
    return y, u, v


def _pixels(plane: VideoPlane) -> Plane:
    pixels = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return pixels[: plane.height, : plane.width].copy()
