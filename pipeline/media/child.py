"""The decoding child: one request in, a stream of messages out (`pipeline.media.protocol`).

1. Open the file and judge its header against the limits, before any picture is decoded.
2. Decode the first picture; only then is it known how the clip is turned and coloured. Send the header.
3. Send every picture and packet of sound in the order in which they come out; check each one.
4. Send totals, or the first error. Nothing that follows an error is sent.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final, Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from pipeline.errors import CountermarkError, LimitExceeded, MediaUnreadable
from pipeline.media import opening, pixels, protocol, sound
from pipeline.media.timing import Clock
from pipeline.media.types import ClipInfo, MediaLimits
from pipeline.types import Json

MICROSECOND: Final = Fraction(1, 1_000_000)
MAX_WAITING: Final = 10_000  # packets of sound before the first picture
KEEPS_OFFSETS: Final = "mov"  # the one container whose edit lists say when a late start is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the parent asks for; see `pipeline.media.reader.open_clip`."""

    path: str
    limits: MediaLimits
    planes: Literal["yuv", "y"]
    audio: bool
    threads: int


def decode(document: dict[str, Any]) -> None:
    """The task "decode": stream one clip to standard output; never raises for what a file can cause."""
    out = sys.stdout.fileno()
    try:
        _stream(_request(document), out)
    except CountermarkError as error:
        send_error(out, type(error).__name__, str(error))
    except MemoryError:
        send_error(out, "LimitExceeded", "the video needs more memory than is allowed; use a smaller one")
    except (av.FFmpegError, ValueError, OverflowError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, av.FFmpegError) else type(error).__name__
        send_error(out, "MediaUnreadable", f"the video is damaged ({reason}); use an intact copy")


def _request(document: dict[str, Any]) -> Request:
    limits = MediaLimits(**document["limits"])
    return Request(**(document | {"limits": limits}))


def _stream(request: Request, out: int) -> None:
    with opening.open_regular(request.path, request.limits.max_bytes) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        with opening.open_container(file, request.limits.max_pixels) as container:
            _Decoder(container, request, size).run(out)


class _Decoder:
    """One pass over one clip."""

    def __init__(self, container: InputContainer, request: Request, size_bytes: int) -> None:
        self._container, self._request, self._size_bytes = container, request, size_bytes
        self._video = opening.pick_video(container, request.limits.max_pixels)
        track = opening.pick_audio(container) if request.audio else None
        shift = _start(container)
        self._sound = sound.sound_of(track, shift) if track is not None else None
        self._clock = Clock(self._video, shift, request.limits, container.duration)
        self._shaper: pixels.Shaper | None = None
        self._prepare(track)

    def _prepare(self, track: AudioStream | None) -> None:
        context = self._video.codec_context
        context.thread_count = self._request.threads
        context.thread_type = "AUTO"
        context.options = {"max_pixels": str(opening.decoder_pixels(self._request.limits.max_pixels))}
        self._streams = [self._video] if track is None else [self._video, track]
        for stream in self._container.streams:
            if stream not in self._streams:
                stream.discard = Discard.all

    def run(self, out: int) -> None:
        """Send the header, all frames and packets, and the totals."""
        waiting: list[bytes] = []  # sound that comes before the first picture
        for packet in self._container.demux(self._streams):
            if isinstance(packet.stream, AudioStream):
                for message in self._sounds(packet):
                    waiting.append(message) if self._shaper is None else write(out, message)
                    if len(waiting) > MAX_WAITING:
                        raise MediaUnreadable("the video has sound but no picture; use an intact copy")
                continue
            for frame in self._frames(packet):
                if self._shaper is None:
                    self._begin(frame, out)
                    for message in waiting:
                        write(out, message)
                    waiting.clear()
                self._send_frame(frame, out)
        if self._shaper is None:
            raise MediaUnreadable("no picture of the video can be read; use an intact copy")
        send_json(out, protocol.END, self._clock.totals())

    def _frames(self, packet: "av.Packet[Stream]") -> list[av.VideoFrame]:
        if packet.is_corrupt:
            raise MediaUnreadable(
                f"the video is damaged after picture {self._clock.count}; use an intact copy"
            )
        self._clock.expect(packet)
        try:
            return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
        except MemoryError:
            raise
        except av.FFmpegError as error:
            raise MediaUnreadable(
                f"the video is damaged after picture {self._clock.count} ({error.strerror}); "
                "use an intact copy"
            ) from None

    def _begin(self, first: av.VideoFrame, out: int) -> None:
        pixels.check_sound(first)
        if first.width * first.height > self._request.limits.max_pixels:
            raise LimitExceeded(
                f"the pictures have {first.width}x{first.height} pixels; "
                f"at most {self._request.limits.max_pixels} in all are accepted"
            )
        self._shaper = pixels.Shaper(first, self._request.planes)
        send_json(out, protocol.HEADER, protocol.info_to_json(self._info(first, self._shaper)))

    def _info(self, first: av.VideoFrame, shaper: pixels.Shaper) -> ClipInfo:
        info = ClipInfo(
            width=shaper.width, height=shaper.height, source_width=first.width, source_height=first.height,
            time_base=self._clock.time_base, frame_rate=self._clock.rate,
            variable=self._clock.variable_hint(), duration=self._clock.duration_hint(),
            frame_count=self._video.frames or None,
            rotation=shaper.turn.rotation, mirrored=shaper.turn.mirrored,
            sample_aspect=_sample_aspect(self._video, transposed=shaper.turn.transposed),
            colour=pixels.colour_of(first), container=self._container.format.name,
            codec=self._video.codec_context.codec.canonical_name, padded=shaper.padded,
            size_bytes=self._size_bytes, audio=self._sound.info if self._sound else None,
        )  # fmt: skip
        return replace(info, notes=tuple(_notes(info, first, self._container)))

    def _send_frame(self, frame: av.VideoFrame, out: int) -> None:
        assert self._shaper is not None  # noqa: S101 - `run` made it
        pts, duration = self._clock.stamp(frame)
        body = self._shaper.shape(frame, pts, duration)
        write(out, protocol.PREFIX.pack(protocol.FRAME, len(body)))
        write(out, body)

    def _sounds(self, packet: "av.Packet[Stream]") -> Iterator[bytes]:
        assert self._sound is not None  # noqa: S101 - only then is the track read
        for part in self._sound.packets(packet):
            times = protocol.AUDIO_TIMES.pack(part.pts, part.dts, part.duration)
            yield protocol.PREFIX.pack(protocol.AUDIO, len(times) + len(part.data)) + times + part.data


def _start(container: InputContainer) -> Fraction:
    """Seconds to take off every time stamp, so that a cut from a longer stream starts at zero."""
    if KEEPS_OFFSETS in container.format.name or not container.start_time:
        return Fraction(0)
    return max(Fraction(0), container.start_time * MICROSECOND)


def _sample_aspect(stream: VideoStream, *, transposed: bool) -> Fraction:
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    if aspect <= 0:
        return Fraction(1)
    return 1 / aspect if transposed else aspect


def _notes(info: ClipInfo, first: av.VideoFrame, container: InputContainer) -> Iterator[str]:
    if info.padded:
        yield "the picture was widened to even width and height by repeating its last column or row"
    if first.interlaced_frame:
        yield "the video is interlaced; it is treated as whole pictures"
    if len(container.streams.video) > 1:
        yield "the file has more than one video track; only the first is used"
    if container.streams.subtitles:
        yield "subtitles in the file are not carried over"
    if len(container.streams.audio) > 1:
        yield "the file has more than one audio track; only the first is used"


def send_json(out: int, tag: bytes, document: Json) -> None:
    """Send a message that is JSON."""
    body = json.dumps(document).encode()
    write(out, protocol.PREFIX.pack(tag, len(body)) + body)


def send_error(out: int, kind: str, message: str) -> None:
    """Send the last message, an error: its class and a sentence."""
    send_json(out, protocol.ERROR, {"kind": kind, "message": message})


def write(out: int, data: bytes | memoryview) -> None:
    """Write all of `data`."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(out, rest) :]
