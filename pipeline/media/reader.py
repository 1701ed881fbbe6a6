"""The parent's side of decoding: a clip as an iterable of frames, in constant memory."""

import contextlib
import fcntl
import json
import os
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from pipeline import sandbox
from pipeline.errors import LimitExceeded, MediaUnreadable, SandboxFailed
from pipeline.media import protocol
from pipeline.media.types import AudioPacket, ClipInfo, Frame, MediaLimits
from pipeline.types import Json

PIPE_BYTES: Final = 1024 * 1024  # what Linux grants without privileges
DECODE_THREADS: Final = 2

Planes = Literal["yuv", "y"]


@contextlib.contextmanager
def open_clip(
    path: str | os.PathLike[str],
    *,
    limits: MediaLimits,
    planes: Planes = "yuv",
    audio: bool = False,
    threads: int = DECODE_THREADS,
) -> Iterator["ClipReader"]:
    """Open an untrusted video file; a child process decodes it while the reader is iterated.

    ``planes="y"``: luma alone. ``audio=True``: packets of sound come between the frames. ``threads``:
    decoder threads of the child. The child is gone when the block ends, however it ends.
    Raises (also while iterating): MediaUnreadable, MediaUnsupported, LimitExceeded, SandboxFailed.
    """
    request: Json = {
        "path": checked(path, limits),
        "limits": {key: value for key, value in asdict(limits).items() if key != "process"},
        "planes": planes,
        "audio": audio,
        "threads": threads,
    }
    with sandbox.spawn("decode", request, limits.process) as child:
        yield ClipReader(Pipe(child, limits.process), limits, planes)


def checked(path: str | os.PathLike[str], limits: MediaLimits) -> str:
    """The absolute path. The child checks again what it opens; this only answers sooner."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name contains a zero byte"
        raise MediaUnreadable(f"the file cannot be opened ({reason}); check the path") from None
    if not stat.S_ISREG(status.st_mode):
        raise MediaUnreadable("this is not a regular file; give the path of a video file")
    if status.st_size == 0:
        raise MediaUnreadable("the file is empty")
    if status.st_size > limits.max_bytes:
        raise LimitExceeded(f"the file has {status.st_size} bytes; at most {limits.max_bytes} are accepted")
    return str(Path(path).absolute())


class ClipReader:
    """Iterate once: `Frame`, and `AudioPacket` where sound was asked for, in the order of the file.

    ``info``: what the header says; after the last frame with exact count, duration and spacing.
    """

    def __init__(self, pipe: "Pipe", limits: MediaLimits, planes: Planes) -> None:
        self._pipe, self._limits, self._planes = pipe, limits, planes
        self._ended = False
        self._index = 0
        self._first_pts = 0
        tag, length = pipe.prefix()
        document = self._json(length)
        if tag == protocol.ERROR:
            raise reported(document)
        if tag != protocol.HEADER:
            raise SandboxFailed("the video reader did not begin with a header; the file may be hostile")
        self.info: ClipInfo = protocol.info_from_json(document)
        self._check_size()

    def _check_size(self) -> None:
        # Padding adds at most one column and one row to what the limit allows.
        if (self.info.width - 1) * (self.info.height - 1) > self._limits.max_pixels or (
            self.info.width % 2 or self.info.height % 2
        ):
            raise SandboxFailed("the video reader sent an impossible picture size; the file may be hostile")

    def __iter__(self) -> Iterator[Frame | AudioPacket]:
        """Yield frames and packets until the end. Raises: as `open_clip`."""
        while not self._ended:
            tag, length = self._pipe.prefix()
            if tag == protocol.FRAME:
                yield self._frame(length)
            elif tag == protocol.AUDIO:
                yield self._packet(length)
            elif tag == protocol.END:
                self._finish(self._json(length))
            elif tag == protocol.ERROR:
                raise reported(self._json(length))
            else:
                raise SandboxFailed("the video reader sent an unknown message; the file may be hostile")

    def frames(self) -> Iterator[Frame]:
        """Only the frames."""
        return (part for part in self if isinstance(part, Frame))

    def _frame(self, length: int) -> Frame:
        width, height, head = self.info.width, self.info.height, protocol.FRAME_TIMES.size
        luma = width * height
        if length != head + protocol.frame_bytes(width, height, self._planes):
            raise SandboxFailed("the video reader sent a picture of the wrong size; the file may be hostile")
        if self._index >= self._limits.max_frames:
            raise LimitExceeded(
                f"the video has more than {self._limits.max_frames} frames, the accepted number"
            )
        pts, duration = protocol.FRAME_TIMES.unpack(self._pipe.read(head))
        pixels = np.empty(length - head, np.uint8)
        self._pipe.read_into(pixels.data)
        if self._index == 0:
            self._first_pts = pts
        chroma = np.split(pixels[luma:].reshape(-1, width // 2), 2) if self._planes == "yuv" else (None, None)
        frame = Frame(
            index=self._index, pts=pts, duration=duration,
            time=float((pts - self._first_pts) * self.info.time_base),
            y=pixels[:luma].reshape(height, width), u=chroma[0], v=chroma[1],
        )  # fmt: skip
        self._index += 1
        return frame

    def _packet(self, length: int) -> AudioPacket:
        head = protocol.AUDIO_TIMES.size
        if not head <= length <= protocol.MAX_AUDIO_BYTES or self.info.audio is None:
            raise SandboxFailed("the video reader sent impossible sound; the file may be hostile")
        pts, dts, duration = protocol.AUDIO_TIMES.unpack(self._pipe.read(head))
        return AudioPacket(data=bytes(self._pipe.read(length - head)), pts=pts, dts=dts, duration=duration)

    def _finish(self, totals: Any) -> None:
        self._ended = True
        if not isinstance(totals, dict) or totals.get("frame_count") != self._index:
            raise SandboxFailed("the video reader lost pictures on the way; the file may be hostile")
        self.info = replace(
            self.info,
            frame_count=self._index,
            duration=float(totals["duration"]),
            variable=bool(totals["variable"]),
            notes=(*self.info.notes, *map(str, totals["notes"])),
        )

    def _json(self, length: int) -> Any:
        if length > protocol.MAX_JSON_BYTES:
            raise SandboxFailed("the video reader sent too long a message; the file may be hostile")
        try:
            return json.loads(bytes(self._pipe.read(length)))
        except ValueError:
            raise SandboxFailed("the video reader answered nonsense; the file may be hostile") from None


def reported(document: Any) -> Exception:
    """The error that a child's last message tells."""
    if not isinstance(document, dict):
        return SandboxFailed("the video reader answered nonsense; the file may be hostile")
    return sandbox.error_from(str(document.get("kind")), str(document.get("message")))


class Pipe:
    """Reads the child's output and counts the seconds spent waiting for it."""

    def __init__(self, child: subprocess.Popen[bytes], limits: sandbox.ProcessLimits) -> None:
        assert child.stdout is not None  # noqa: S101 - for the type checker
        self._child, self._limits = child, limits
        self._descriptor = child.stdout.fileno()
        self._left = limits.wall_seconds
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        os.set_blocking(self._descriptor, False)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # a small pipe is slower, not wrong
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def prefix(self) -> tuple[bytes, int]:
        """Tag and body length of the next message."""
        tag, length = protocol.PREFIX.unpack(self.read(protocol.PREFIX.size))
        return tag, length

    def read(self, count: int) -> bytearray:
        """Exactly `count` bytes; callers have checked `count`."""
        data = bytearray(count)
        self.read_into(memoryview(data))
        return data

    def read_into(self, view: memoryview) -> None:
        """Fill `view`. Raises: LimitExceeded when the child is too slow, SandboxFailed when it died."""
        while view:
            try:
                got = os.readv(self._descriptor, [view])
            except BlockingIOError:
                self._wait()
                continue
            if got == 0:
                raise self._death()
            view = view[got:]

    def _wait(self) -> None:
        before = time.monotonic()
        if self._left <= 0 or not self._poll.poll(max(1, int(self._left * 1000))):
            raise sandbox.too_slow(self._limits)
        self._left -= time.monotonic() - before

    def _death(self) -> Exception:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=1)
        return sandbox.died(self._child.returncode)
