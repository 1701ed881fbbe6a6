"""How the decoding child and its parent speak: tagged messages on one pipe.

A message is a tag (one byte), the length of its body (u32, little endian) and the body:

- ``H``: JSON, what `ClipInfo` says; always first
- ``F``: pts, duration (i64 each), then the planes y, u, v without gaps (or y alone)
- ``A``: pts, dts, duration (i64 each), then the packet's bytes
- ``S``: sound as it is heard: samples of one channel, i16, `HEARD_RATE` a second
- ``E``: JSON, totals; always last
- ``X``: JSON, the class and the sentence of an error; always last

The child may have been taken over by the file it reads, so the parent believes nothing: lengths are
checked before memory is taken, and numbers before they are used.
"""

import struct
from fractions import Fraction
from typing import Any, Final

from pipeline.errors import SandboxFailed
from pipeline.media.types import AudioInfo, ClipInfo, Colour
from pipeline.types import Json

HEADER: Final = b"H"
FRAME: Final = b"F"
AUDIO: Final = b"A"
HEARD: Final = b"S"
END: Final = b"E"
ERROR: Final = b"X"

PREFIX: Final = struct.Struct("<cI")
FRAME_TIMES: Final = struct.Struct("<qq")
AUDIO_TIMES: Final = struct.Struct("<qqq")

HEARD_RATE: Final = 16_000  # samples a second, what speech models are trained on
HEARD_BYTES: Final = 2  # of a sample

MAX_JSON_BYTES: Final = 1024 * 1024
MAX_AUDIO_BYTES: Final = 16 * 1024 * 1024
MAX_TICKS: Final = 1 << 62
MAX_RATE: Final = 1 << 31
MAX_TAG: Final = 255


def frame_bytes(width: int, height: int, planes: str) -> int:
    """Bytes of the planes of one frame: luma, and both chroma planes unless ``planes`` is "y"."""
    return width * height if planes == "y" else width * height * 3 // 2


def info_to_json(info: ClipInfo) -> Json:
    """`info` as JSON; the inverse of `info_from_json`."""
    document: Json = {
        name: getattr(info, name)
        for name in (
            "width", "height", "source_width", "source_height", "variable", "duration", "frame_count",
            "rotation", "mirrored", "container", "codec", "padded", "size_bytes",
        )
    }  # fmt: skip
    colour = info.colour
    document["colour"] = [colour.range, colour.primaries, colour.transfer, colour.matrix]
    document["time_base"] = _pair(info.time_base)
    document["frame_rate"] = _pair(info.frame_rate) if info.frame_rate else None
    document["sample_aspect"] = _pair(info.sample_aspect)
    document["notes"] = list(info.notes)
    document["audio"] = _audio_to_json(info.audio) if info.audio else None
    return document


def _audio_to_json(audio: AudioInfo) -> Json:
    return {
        "codec": audio.codec, "source_codec": audio.source_codec, "sample_rate": audio.sample_rate,
        "channels": audio.channels, "layout": audio.layout, "copyable": audio.copyable,
        "time_base": _pair(audio.time_base),
        "extradata": None if audio.extradata is None else audio.extradata.hex(),
    }  # fmt: skip


def info_from_json(document: Any) -> ClipInfo:
    """The `ClipInfo` in a header message. Raises: SandboxFailed when any value is not what it must be."""
    try:
        return _info(document)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise SandboxFailed(f"the video reader sent a header that makes no sense ({error})") from None


def _info(document: Any) -> ClipInfo:
    colour = [_whole(tag, 0, MAX_TAG) for tag in document["colour"]]
    duration, frames, rate = document["duration"], document["frame_count"], document["frame_rate"]
    return ClipInfo(
        width=_whole(document["width"], 2), height=_whole(document["height"], 2),
        source_width=_whole(document["source_width"], 1), source_height=_whole(document["source_height"], 1),
        time_base=_fraction(document["time_base"]), frame_rate=None if rate is None else _fraction(rate),
        variable=None if document["variable"] is None else bool(document["variable"]),
        duration=None if duration is None else float(duration),
        frame_count=None if frames is None else _whole(frames, 0),
        rotation=_whole(document["rotation"], 0, 270), mirrored=bool(document["mirrored"]),
        sample_aspect=_fraction(document["sample_aspect"]),
        colour=Colour(range=colour[0], primaries=colour[1], transfer=colour[2], matrix=colour[3]),
        audio=None if document["audio"] is None else _audio(document["audio"]),
        container=str(document["container"]), codec=str(document["codec"]), padded=bool(document["padded"]),
        size_bytes=_whole(document["size_bytes"], 0), notes=tuple(str(note) for note in document["notes"]),
    )  # fmt: skip


def _audio(document: Any) -> AudioInfo:
    extradata = document["extradata"]
    return AudioInfo(
        codec=str(document["codec"]), source_codec=str(document["source_codec"]),
        sample_rate=_whole(document["sample_rate"], 1, MAX_RATE),
        channels=_whole(document["channels"], 1, MAX_TAG), layout=str(document["layout"]),
        copyable=bool(document["copyable"]), time_base=_fraction(document["time_base"]),
        extradata=None if extradata is None else bytes.fromhex(extradata),
    )  # fmt: skip


def _pair(value: Fraction) -> list[Any]:
    return [value.numerator, value.denominator]


def _fraction(pair: Any) -> Fraction:
    numerator, denominator = pair
    return Fraction(_whole(numerator, 1, MAX_RATE), _whole(denominator, 1, MAX_RATE))


def _whole(value: Any, low: int, high: int = MAX_TICKS) -> int:
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
    return value
