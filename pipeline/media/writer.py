"""Write a clip as H.264 in MP4, one frame at a time, with exact time stamps and the sound beside it."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream

from pipeline.errors import MediaUnsupported, StorageFailed
from pipeline.media.carried import CARRIED
from pipeline.media.types import AudioInfo, AudioPacket, ClipInfo, Frame, Plane

# "use_metadata_tags" keeps keys that MP4 has no name for, such as AIGC.
MOVFLAGS: Final = "+faststart+use_metadata_tags"
MAX_TIMESCALE: Final = 1_000_000
SUBSTITUTE_TIME_BASE: Final = Fraction(1, 90_000)
DEFAULT_RATE: Final = Fraction(25)


class ClipWriter:
    """A context manager that writes `path`; on any error the partial file is removed.

    ``info``: what `ClipReader.info` says, or one made for generated frames; its size, time base, colour
    tags, sample aspect ratio and audio are kept. ``crf``: x264's quality, 0 (lossless) to 51. ``metadata``:
    any keys; they are written as MP4 metadata. ``threads``: encoder threads, 0 = as many as x264 likes.
    Raises: StorageFailed when the file cannot be written, MediaUnsupported when x264 refuses the size.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        info: ClipInfo,
        *,
        crf: float,
        preset: str = "medium",
        metadata: dict[str, str] | None = None,
        threads: int = 0,
    ) -> None:
        self._path = Path(path).absolute()  # begins with a slash: never taken for a protocol
        self._info = info
        self._tick = info.time_base if info.time_base.denominator <= MAX_TIMESCALE else SUBSTITUTE_TIME_BASE
        self._empty = True
        try:
            self._path.open("wb").close()
        except OSError as error:
            raise _unwritable(error) from None
        with self._failures():  # from here on the file is ours to remove
            self._container: OutputContainer = av.open(
                str(self._path), "w", format="mp4", container_options={"movflags": MOVFLAGS}
            )
            self._container.metadata.update(metadata or {})
            self._video = self._add_video(crf, preset, threads)
            self._audio = self._add_audio(info.audio) if info.audio else None
            self._container.start_encoding()

    def _add_video(self, crf: float, preset: str, threads: int) -> VideoStream:
        info, colour = self._info, self._info.colour
        options = {"crf": f"{crf:g}", "preset": preset, "profile": "high"}
        if info.variable is not False:
            options["bf"] = "0"  # reordered and unevenly spaced, the last frame's duration would be lost
        stream = self._container.add_stream("libx264", info.frame_rate or DEFAULT_RATE, options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = info.width, info.height, "yuv420p"
        context.time_base = self._tick
        context.sample_aspect_ratio = info.sample_aspect
        context.color_range, context.color_primaries = colour.range, colour.primaries
        context.color_trc, context.colorspace = colour.transfer, colour.matrix
        context.flags |= Flags.frame_duration
        context.thread_count = threads
        stream.time_base = self._tick
        return stream

    def _add_audio(self, audio: AudioInfo) -> AudioStream:
        # The muxer wants codec parameters, and only an open encoder gives them; nothing is encoded.
        stream = self._container.add_stream(CARRIED[audio.codec], audio.sample_rate)
        assert isinstance(stream, AudioStream)  # noqa: S101 - for the type checker
        stream.codec_context.layout = audio.layout
        stream.codec_context.open()
        stream.codec_context.extradata = audio.extradata
        stream.time_base = audio.time_base
        return stream

    def write(self, part: Frame | AudioPacket) -> None:
        """Add the next frame or packet. Raises: StorageFailed; ValueError for a frame of another size."""
        with self._failures():
            if isinstance(part, AudioPacket):
                self._write_sound(part)
            else:
                self._write_frame(part)

    def _write_frame(self, frame: Frame) -> None:
        self._container.mux(self._video.encode(self._picture(frame)))
        self._empty = False

    def _picture(self, frame: Frame) -> av.VideoFrame:
        info, colour = self._info, self._info.colour
        picture = av.VideoFrame(info.width, info.height, "yuv420p")
        half = (info.height // 2, info.width // 2)
        neutral = np.broadcast_to(np.uint8(128), half)
        planes = (frame.y, neutral if frame.u is None else frame.u, neutral if frame.v is None else frame.v)
        for target, source, shape in zip(
            picture.planes, planes, ((info.height, info.width), half, half), strict=True
        ):
            if source.shape != shape or source.dtype != np.uint8:
                raise ValueError(f"a plane of the frame is {source.dtype}{source.shape}, not uint8{shape}")
            _fill(target, source)
        picture.pts, picture.time_base = self._ticks(frame.pts), self._tick
        picture.duration = self._ticks(frame.pts + frame.duration) - picture.pts
        picture.color_range, picture.color_primaries = colour.range, colour.primaries
        picture.color_trc, picture.colorspace = colour.transfer, colour.matrix
        return picture

    def _ticks(self, pts: int) -> int:
        return pts if self._tick == self._info.time_base else round(pts * self._info.time_base / self._tick)

    def _write_sound(self, sound: AudioPacket) -> None:
        if self._audio is None or self._info.audio is None:
            raise ValueError("sound was given, but the clip's description has none")
        packet = av.Packet(sound.data)
        packet.pts, packet.dts, packet.duration = sound.pts, sound.dts, sound.duration
        packet.time_base, packet.stream = self._info.audio.time_base, self._audio
        packet.is_keyframe = True
        self._container.mux_one(packet)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file, or remove it when the block failed. Raises: StorageFailed."""
        if kind is not None:
            self._abandon()
            return
        with self._failures():
            if self._empty:
                raise MediaUnsupported("a video needs at least one picture; none was given")
            self._container.mux(self._video.encode(None))
            self._container.close()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Remove the partial file on any error, and say what a person can do."""
        try:
            yield
        except OSError as error:  # also FFmpeg's errors with a system's number
            self._abandon()
            raise _unwritable(error) from None
        except av.FFmpegError as error:
            self._abandon()
            raise MediaUnsupported(
                f"the encoder refuses this video ({error.strerror}); use another size or frame rate"
            ) from None
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        with contextlib.suppress(OSError, av.FFmpegError, AttributeError):
            self._container.close()
        self._path.unlink(missing_ok=True)


def _unwritable(error: OSError) -> StorageFailed:
    return StorageFailed(
        f"the video cannot be written ({error.strerror or error}); free some space or check the folder"
    )


def _fill(target: "av.video.plane.VideoPlane", source: Plane) -> None:
    height, width = source.shape
    np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)[:height, :width] = source
