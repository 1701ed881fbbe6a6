"""Time stamps of one clip: strictly rising, counted from where the clip starts, within the limits."""

from fractions import Fraction
from typing import Final

import av
from av.stream import Stream
from av.video.stream import VideoStream

from pipeline.errors import LimitExceeded, MediaUnreadable
from pipeline.media.types import MediaLimits
from pipeline.types import Json, JsonValue

AV_TIME_BASE: Final = 1_000_000
MAX_RATE: Final = 1000  # more frames per second than this is a wrong header, not a camera
# Codecs whose every packet is one picture; others have packets that only prepare later ones.
ONE_PICTURE_A_PACKET: Final = frozenset({"h264", "hevc", "av1", "mjpeg"})
MAX_BACKWARDS_SECONDS: Final = 1.0
FINE_TICKS: Final = 8  # where a frame lasts this many ticks, one tick more or less is only rounding


class Clock:
    """Gives each frame its time stamp and keeps the totals.

    Raises (also when made): LimitExceeded when the header or the frames pass a limit.
    """

    def __init__(
        self, stream: VideoStream, shift: Fraction, limits: MediaLimits, container_duration: int | None
    ) -> None:
        if not stream.time_base or stream.time_base <= 0:
            raise MediaUnreadable("the video has no time base; use an intact copy")
        self.time_base = stream.time_base
        self.rate = _rate(stream)
        self.count = 0
        self._stream, self._limits = stream, limits
        self._codec = stream.codec_context.codec.canonical_name
        self._container_duration = container_duration
        self._shift = round(shift / self.time_base)
        self._first = self._last = self._end = 0
        self._gaps: list[int] = []  # the smallest and the largest gap between frames
        self._repaired = 0
        self._early: list[int] | None = []  # time stamps of packets that came before the first picture
        self._expected = 0
        self._check_header()

    def _check_header(self) -> None:
        if self._stream.frames > self._limits.max_frames:
            raise LimitExceeded(
                f"the video has {self._stream.frames} frames; at most {self._limits.max_frames} are accepted"
            )
        if (self.duration_hint() or 0) > self._limits.max_seconds:
            raise LimitExceeded(
                f"the video is longer than {self._limits.max_seconds:g} s, the accepted length"
            )

    def duration_hint(self) -> float | None:
        """Seconds according to the header, None when it does not say."""
        if self._stream.duration and self._stream.duration > 0:
            return float(self._stream.duration * self.time_base)
        if self._container_duration and self._container_duration > 0:
            return self._container_duration / AV_TIME_BASE
        return None

    def variable_hint(self) -> bool | None:
        """Whether the header's two frame rates, average and smallest, differ."""
        average, base = self._stream.average_rate, self._stream.base_rate
        return None if not average or not base else average != base

    def expect(self, packet: "av.Packet[Stream]") -> None:
        """Count a packet that must become a picture; `totals` fails when one did not."""
        if packet.size == 0 or packet.is_discard:
            return
        pts = self._last if packet.pts is None else packet.pts - self._shift
        if self._early is not None:
            self._early.append(pts)
        elif pts >= self._first:
            self._expected += 1

    def stamp(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Time stamp and duration of the next frame in ticks of `time_base`.

        Raises: MediaUnreadable when time runs backwards, LimitExceeded.
        """
        pts = self._end if frame.pts is None else frame.pts - self._shift
        if self.count and pts <= self._last:
            if float((self._last - pts) * self.time_base) > MAX_BACKWARDS_SECONDS:
                raise MediaUnreadable(f"time runs backwards after picture {self.count}; use an intact copy")
            pts = self._last + 1
            self._repaired += 1
        elif frame.pts is None:
            self._repaired += 1
        duration = self._duration(frame.duration or 0)
        self._account(pts, duration)
        return pts, duration

    def _account(self, pts: int, duration: int) -> None:
        if self.count == 0:
            self._first = pts
            # Pictures before the first that can be shown lean on what was cut off; players drop them too.
            self._expected += sum(stamp >= pts for stamp in self._early or ())
            self._early = None
        else:
            gap = pts - self._last
            self._gaps = [min(gap, *self._gaps), max(gap, *self._gaps)] if self._gaps else [gap, gap]
        self._last, self._end = pts, pts + duration
        self.count += 1
        if self.count > self._limits.max_frames:
            raise LimitExceeded(
                f"the video has more than {self._limits.max_frames} frames, the accepted number"
            )
        if float((self._end - self._first) * self.time_base) > self._limits.max_seconds:
            raise LimitExceeded(
                f"the video is longer than {self._limits.max_seconds:g} s, the accepted length"
            )

    def _duration(self, stored: int) -> int:
        usual = self._gaps[0] if self._gaps else 1
        if self.rate:
            usual = max(1, round(1 / (self.rate * self.time_base)))
        return stored if stored > 0 and not _same(stored, usual) else usual

    def totals(self) -> Json:
        """Frames, seconds, whether unevenly spaced, and what was repaired.

        Raises: MediaUnreadable when fewer pictures came out than packets went in.
        """
        if self._codec in ONE_PICTURE_A_PACKET and self.count < self._expected:
            raise MediaUnreadable(
                f"{self._expected - self.count} of {self._expected} pictures are damaged; use an intact copy"
            )
        notes: list[JsonValue] = []
        if self._repaired:
            notes.append(f"{self._repaired} time stamps were missing or out of order and were moved forward")
        uneven = bool(self._gaps) and not _same(*self._gaps)
        return {
            "frame_count": self.count,
            "duration": float((self._end - self._first) * self.time_base),
            "variable": uneven,
            "notes": notes,
        }


def _same(ticks: int, others: int) -> bool:
    return abs(ticks - others) <= (1 if ticks >= FINE_TICKS else 0)


def _rate(stream: VideoStream) -> Fraction | None:
    rate = stream.average_rate or stream.guessed_rate
    return rate if rate and 0 < rate <= MAX_RATE else None
