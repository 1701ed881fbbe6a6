"""A quick trial encode in memory, of our own pixels: what is left of a picture after H.264."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
GREY = 128


def through_h264(frames: Iterable[Luma], *, crf: float, preset: str = "veryfast") -> Iterator[Luma]:
    """Luma planes ``uint8[h, w]`` (even sides, one size) encoded by x264 and decoded again, in order."""
    encoder: av.VideoCodecContext | None = None
    decoder = av.VideoCodecContext.create("h264", "r")
    for count, luma in enumerate(frames):
        if encoder is None:
            encoder = _encoder(luma, crf, preset)
        picture = av.VideoFrame.from_ndarray(_yuv(luma), format="yuv420p")
        picture.pts, picture.time_base = count, Fraction(1, 25)
        yield from _decoded(decoder, encoder.encode(picture))
    if encoder is not None:
        yield from _decoded(decoder, encoder.encode(None))
        yield from (_luma(picture) for picture in decoder.decode(None))


def _encoder(luma: Luma, crf: float, preset: str) -> av.VideoCodecContext:
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.height, encoder.width = luma.shape
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    # Without it, x264's macroblock tree on AVX-512 does not give the same bits twice.
    encoder.options = {"crf": str(crf), "preset": preset, "x264-params": "cpu-independent=1"}
    return encoder


def _decoded(decoder: av.VideoCodecContext, packets: Iterable["av.Packet[Any]"]) -> Iterator[Luma]:
    for packet in packets:
        yield from (_luma(picture) for picture in decoder.decode(packet))


def _yuv(luma: Luma) -> Luma:
    height, width = luma.shape
    picture = np.full((height * 3 // 2, width), GREY, dtype=np.uint8)
    picture[:height] = luma
    return picture


def _luma(picture: av.VideoFrame) -> Luma:
    plane = picture.planes[0]
    pixels = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return pixels[: picture.height, : picture.width].copy()
