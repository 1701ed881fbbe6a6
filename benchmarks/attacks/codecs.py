"""Video codecs: footage encoded and decoded again in this process, through PyAV's FFmpeg libraries.

The rules:
1. One thread and no machine-dependent choices, so the same frames give the same bits.
2. Frames go in evenly spaced, as most files hold them; their times are put back in order afterwards.
3. Presets are each encoder's default (x264, x265: medium), but where that takes minutes for a clip: SVT-AV1
   preset 8, libvpx cpu-used 4. No preset changes what a crf aims at.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final, Literal

import av
import numpy as np

from benchmarks.attacks.footage import Footage, Frame, Image, Situation

os.environ.setdefault("SVT_LOG", "1")  # otherwise SVT-AV1 tells its settings on stderr at every clip
SVT_AV1_LEAST: Final = 64  # pixels of a side
MOST_RATE: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """An encoder of FFmpeg, its decoder, its pixel format and its options besides crf."""

    encoder: str
    decoder: str
    options: dict[str, str]
    pixels: str = "yuv420p"


# Without cpu-independent, x264's macroblock tree on AVX-512 does not give the same bits twice.
_X264: Final = {"x264-params": "cpu-independent=1"}
_X265: Final = {"x265-params": "log-level=none:pools=none:frame-threads=1"}
CODECS: Final = {
    "h264": Codec(encoder="libx264", decoder="h264", options=_X264),
    "h264rgb": Codec(encoder="libx264rgb", decoder="h264", options=_X264, pixels="rgb24"),
    "h265": Codec(encoder="libx265", decoder="hevc", options=_X265),
    "av1": Codec(
        encoder="libsvtav1", decoder="libdav1d", options={"preset": "8", "svtav1-params": "lp=1"}
    ),
    "vp9": Codec(encoder="libvpx-vp9", decoder="vp9", options={"cpu-used": "4", "row-mt": "0", "b": "0"}),
}  # fmt: skip


def codec(footage: Footage, _situation: Situation, *, name: str, crf: int = -1, preset: str = "") -> Footage:
    """One generation of a codec. ``crf`` −1: the encoder's default quality."""

    def coded() -> Iterator[Frame]:
        return through(footage.play(), CODECS[name], rate=footage.rate, crf=crf, preset=preset)

    return replace(footage, play=coded)


def through(
    frames: Iterable[Frame], chosen: Codec, *, rate: float, crf: float = -1, preset: str = "",
    told: Callable[[int], None] | None = None,
) -> Iterator[Frame]:  # fmt: skip
    """The frames (one size) encoded and decoded. ``told`` gets the bytes of each packet.

    Raises: av.FFmpegError when the encoder refuses the size.
    """
    decoder = _context(chosen.decoder, "r")
    decoder.thread_count = 1
    encoder: av.VideoCodecContext | None = None
    times: deque[float] = deque()
    for count, (time, image) in enumerate(frames):
        encoder = encoder or _encoder(chosen, image, rate, crf, preset)
        times.append(time)
        picture = av.VideoFrame.from_ndarray(image, format="yuv420p")
        picture.pts, picture.time_base = count, encoder.time_base
        if chosen.pixels != "yuv420p":
            picture = picture.reformat(format=chosen.pixels)
        packets = encoder.encode(picture)
        _ordinary_priority()
        yield from _decoded(decoder, packets, times, told)
    if encoder is not None:
        yield from _decoded(decoder, encoder.encode(None), times, told)
        yield from (Frame(times.popleft(), _image(picture)) for picture in decoder.decode(None))


def _ordinary_priority() -> None:
    """Gives back what SVT-AV1 takes: run by root, it makes its caller's thread one of real time, for good,
    and everything else on the machine waits.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _context(name: str, mode: Literal["r", "w"]) -> av.VideoCodecContext:
    context = av.CodecContext.create(name, mode)
    assert isinstance(context, av.VideoCodecContext)
    return context


def _encoder(chosen: Codec, image: Image, rate: float, crf: float, preset: str) -> av.VideoCodecContext:
    encoder = _context(chosen.encoder, "w")
    encoder.width, encoder.height = image.shape[1], image.shape[0] * 2 // 3
    spaced = Fraction(min(rate, MOST_RATE)).limit_denominator(1001)
    encoder.pix_fmt, encoder.time_base, encoder.framerate = chosen.pixels, 1 / spaced, spaced
    encoder.thread_count = 1
    quality = {"crf": f"{crf:g}"} if crf >= 0 else {}
    encoder.options = chosen.options | quality | ({"preset": preset} if preset else {})
    return encoder


def _decoded(
    decoder: av.VideoCodecContext, packets: Iterable["av.Packet[Any]"], times: deque[float],
    told: Callable[[int], None] | None,
) -> Iterator[Frame]:  # fmt: skip
    for packet in packets:
        if told:
            told(packet.size)
        for picture in decoder.decode(packet):
            yield Frame(times.popleft(), _image(picture))


def _image(picture: av.VideoFrame) -> Image:
    if picture.format.name not in ("yuv420p", "yuvj420p"):
        picture = picture.reformat(format="yuv420p")
    return np.ascontiguousarray(picture.to_ndarray())
