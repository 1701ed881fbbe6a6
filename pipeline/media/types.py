"""What the media room hands around: limits, what is known of a clip, frames, audio packets."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.sandbox import ProcessLimits

Plane = NDArray[np.uint8]

GIB: Final = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """What a clip may cost: bytes of the file, pixels of a frame, frames, seconds of playing time.

    ``process`` limits the child that decodes; its wall-clock seconds count only the time in which we
    waited for the child, so a slow consumer of the frames does not use them up.
    """

    max_bytes: int = 8 * GIB
    max_pixels: int = 8192 * 4320
    max_frames: int = 216_000
    max_seconds: float = 7200.0
    process: ProcessLimits = field(
        default_factory=lambda: ProcessLimits(memory_mib=4096, cpu_seconds=7200, wall_seconds=3600.0)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """Colour tags as numbers of ISO/IEC 23091-2 (2 = unspecified).

    ``range`` is FFmpeg's number: 0 unspecified, 1 limited (16-235), 2 full (0-255).
    """

    range: int = 0
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2


BT709_LIMITED: Final = Colour(range=1, primaries=1, transfer=1, matrix=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """The audio track as it is delivered: ``codec`` is one that MP4 carries.

    ``copyable``: the packets are those of the source; otherwise they were decoded and made AAC anew.
    ``source_codec``: FFmpeg's name of the codec in the file. ``extradata``: the codec's set-up bytes.
    """

    codec: str
    source_codec: str
    sample_rate: int
    channels: int
    layout: str
    copyable: bool
    time_base: Fraction
    extradata: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInfo:
    """What is known of a clip before its last frame was read.

    ``width``/``height``: pixels of the frames that are delivered: rotated as shown, padded to even.
    ``source_width``/``source_height``: pixels as stored. ``rotation``: degrees clockwise that were applied
    to the stored picture after ``mirrored`` (left and right swapped). ``frame_rate``: average, per second.
    ``variable``: whether frames are unevenly spaced, None when unknown. ``duration``: seconds.
    ``frame_count``: a hint from the header; exact once every frame was read. ``notes``: sentences about
    what was changed on the way in. ``audio``: only known when sound was asked for. ``container``:
    FFmpeg's demuxer, mov (also MP4), matroska (also WebM) or gif; ``codec``: h264, vp9, gif and so on.
    """

    width: int
    height: int
    time_base: Fraction
    source_width: int = 0
    source_height: int = 0
    frame_rate: Fraction | None = None
    variable: bool | None = None
    duration: float | None = None
    frame_count: int | None = None
    rotation: int = 0
    mirrored: bool = False
    sample_aspect: Fraction = Fraction(1)
    colour: Colour = BT709_LIMITED
    audio: AudioInfo | None = None
    container: str = ""
    codec: str = ""
    padded: bool = False
    size_bytes: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture in display orientation, 8-bit 4:2:0.

    ``y`` uint8[h, w]; ``u``, ``v`` uint8[h/2, w/2], None where only luma was asked for. ``pts`` and
    ``duration`` count ``ClipInfo.time_base``; ``time`` is seconds since the first frame.
    """

    index: int
    pts: int
    time: float
    duration: int
    y: Plane
    u: Plane | None = None
    v: Plane | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPacket:
    """One compressed packet of ``ClipInfo.audio.codec``; times count ``ClipInfo.audio.time_base``."""

    data: bytes
    pts: int
    dts: int
    duration: int
