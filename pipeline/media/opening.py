"""Open an untrusted file in the child so that nothing but this one file can ever be read.

1. A regular file, opened by us; FFmpeg gets the open file, never a name, so no name can be a protocol.
2. The container is recognised by its first bytes, and its demuxer is named: no play list, no
   concatenation script, no image sequence is ever tried.
3. Nested opens (external references) meet a callback that refuses, and an empty list of protocols.
4. Only known codecs are set up, with a limit on pixels, also while FFmpeg probes.
"""

import os
import stat
from collections.abc import Mapping
from io import FileIO
from typing import Any, Final, NoReturn

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.errors import LimitExceeded, MediaUnreadable, MediaUnsupported
from pipeline.media import truncation

VIDEO_CODECS: Final = frozenset(
    {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "gif", "prores"}
)
VIDEO_DECODERS: Final = VIDEO_CODECS | {"libdav1d"}
AUDIO_DECODERS: Final = frozenset(
    {
        "aac", "mp3", "mp3float", "mp2", "mp2float", "ac3", "eac3", "opus", "flac", "alac", "vorbis",
        "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be",
        "pcm_f32le", "pcm_f32be", "pcm_alaw", "pcm_mulaw",
    }
)  # fmt: skip
ISO_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
EBML: Final = b"\x1a\x45\xdf\xa3"
READ_BYTES: Final = 256 * 1024
EDGE_PIXELS: Final = 1 << 18
PROBE_PIXELS: Final = 1 << 26  # a larger claim makes FFmpeg forget the size, and we could not say it


def open_regular(path: str, max_bytes: int) -> FileIO:
    """The file at `path`, if it is a regular one of at most `max_bytes`.

    Raises: MediaUnreadable, LimitExceeded.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise MediaUnreadable(unopenable(error)) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise MediaUnreadable("this is not a regular file; give the path of a video file")
    if status.st_size > max_bytes:
        os.close(descriptor)
        raise LimitExceeded(f"the file has {status.st_size} bytes; at most {max_bytes} are accepted")
    return FileIO(descriptor, "rb")  # raw: FFmpeg has its own buffer


def unopenable(error: OSError | ValueError) -> str:
    """One sentence about a path that cannot be opened."""
    reason = error.strerror if isinstance(error, OSError) else "the name contains a zero byte"
    return f"the file cannot be opened ({reason}); check the path and its permissions"


def sniff(file: FileIO) -> str:
    """FFmpeg's name of the demuxer for MP4/MOV, WebM/MKV or GIF. Raises: MediaUnreadable."""
    start = file.read(16)
    file.seek(0)
    if not start:
        raise MediaUnreadable("the file is empty")
    if start[4:8] in ISO_BOXES:
        return "mov"
    if start.startswith(EBML):
        return "matroska"
    if start[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    raise MediaUnreadable("this is not a video file that can be read; give MP4, MOV, WebM, MKV or GIF")


def open_container(file: FileIO, max_pixels: int) -> InputContainer:
    """The demuxer on an open file. Raises: MediaUnreadable, av.FFmpegError."""
    kind = sniff(file)
    truncation.check(file, kind)
    options = {
        "protocol_whitelist": "none",
        "codec_whitelist": ",".join(sorted(VIDEO_DECODERS | AUDIO_DECODERS)),
        "max_pixels": str(max(PROBE_PIXELS, decoder_pixels(max_pixels))),
    }
    container = av.open(
        file, "r", format=kind, options=options,
        metadata_errors="replace", buffer_size=READ_BYTES, io_open=_refuse,
    )  # fmt: skip
    assert isinstance(container, InputContainer)  # noqa: S101 - for the type checker
    return container


def decoder_pixels(max_pixels: int) -> int:
    """The decoder's own limit: pictures are stored with edges and rounded up to whole blocks."""
    return max_pixels + max_pixels // 4 + EDGE_PIXELS


def _refuse(url: str, flags: int, options: Mapping[str, Any]) -> NoReturn:
    raise MediaUnreadable("the video refers to another file or address; only whole files are read")


def pick_video(container: InputContainer, max_pixels: int) -> VideoStream:
    """The first track of moving pictures. Raises: MediaUnsupported, MediaUnreadable, LimitExceeded."""
    tracks = [track for track in container.streams.video if not track.disposition & Disposition.attached_pic]
    if not tracks:
        raise MediaUnsupported("the file has no video track")
    context = tracks[0].codec_context
    if context is None or context.codec.canonical_name not in VIDEO_CODECS:
        name = context.codec.canonical_name if context else "an unknown codec"
        raise MediaUnsupported(f"the video is coded as {name}, which is not supported; convert it to H.264")
    if context.width < 1 or context.height < 1:
        raise MediaUnreadable("the picture size in the file is missing or far too large; use an intact copy")
    if context.width * context.height > max_pixels:
        raise LimitExceeded(
            f"the pictures have {context.width}x{context.height} pixels; "
            f"at most {max_pixels} in all are accepted"
        )
    return tracks[0]


def pick_audio(container: InputContainer) -> AudioStream | None:
    """The first audio track, if any. Raises: MediaUnsupported when its codec is not known."""
    if not container.streams.audio:
        return None
    track = container.streams.audio[0]
    if track.codec_context is None or track.codec_context.name not in AUDIO_DECODERS:
        raise MediaUnsupported("the sound is coded in a way that is not supported; convert it to AAC")
    return track
