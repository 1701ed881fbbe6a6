"""Visible mark, then hidden mark, then H.264: one streaming pass in constant memory."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pipeline.errors import MediaUnsupported
from pipeline.media.ahead import ahead
from pipeline.media.pictures import jpeg
from pipeline.media.reader import open_clip
from pipeline.media.types import AudioPacket, ClipInfo, Frame, MediaLimits
from pipeline.media.writer import ClipWriter
from pipeline.release import strength
from watermark.base import Picture, TimedLuma
from watermark.carrier import MIN_SHORT_SIDE, HiddenMark, Strength
from watermark.errors import GeometryError
from watermark.keys import DetectionKey
from watermark.quality import psnr, squared_error
from watermark.visible import VisibleLayout, VisibleMark, choose_variant, reduced
from watermark.visible_draw import VisibleStyle

FULL_RANGE: Final = 2  # FFmpeg's number
SURVEYED_PER_SECOND: Final = 3
THUMBNAIL_AT: Final = 1.0  # seconds
THUMBNAIL_SIDE: Final = 320  # pixels, longer side
EXCERPT_BYTES: Final = 512 << 20  # a clip may well claim thousands of frames in a second
LATE_FRAMES: Final = 3  # after the excerpt's end, where frames lie so far apart that it never holds two
QUALITY_EVERY: Final = 10  # frames: the PSNR is measured on every tenth
END_TOLERANCE: Final = 0.5  # seconds by which the label at the end may come too early

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRequest:
    """What is drawn into a clip and how it is encoded."""

    payload: int
    key: DetectionKey
    variant: int
    strength: Strength
    label: str
    handle: str
    style: VisibleStyle
    crf: float
    preset: str
    metadata: dict[str, str]
    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What an excerpt says: strength of the hidden mark, path of the visible one, any sound."""

    strength: Strength
    variant: int
    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A marked, encoded clip. `psnr`: luma PSNR of the hidden mark alone in dB, before the encoder."""

    info: ClipInfo
    psnr: float
    thumbnail: bytes = field(repr=False)


def style_of(inputs: Mapping[str, Any]) -> VisibleStyle:
    """How the job wants its visible mark to look (`pipeline.settings.Settings.mark_style`)."""
    return VisibleStyle.chosen(**inputs.get("style", {}))


def layout_of(
    key: DetectionKey, payload: int, inputs: Mapping[str, Any], surveyed: Mapping[str, Any],
    marked: Mapping[str, Any],
) -> VisibleLayout:  # fmt: skip
    """Where the visible mark of a marked clip is, from what a job's steps recorded."""
    return VisibleLayout(
        key.visible, payload, surveyed["variant"], marked["width"], marked["height"], inputs["label"],
        inputs["service"], style_of(inputs),
    )  # fmt: skip


def survey(
    source: Path,
    limits: MediaLimits,
    key: DetectionKey,
    payload: int,
    inputs: Mapping[str, Any],
) -> Survey:
    """Choose strength and path from an excerpt of `source`, taken before 7 s and from its middle if shorter.

    `inputs`: of the job.

    Raises: MediaUnsupported when the clip is too small to mark; what `open_clip` raises.
    """
    excerpt: deque[Picture] = deque()
    sampled: list[TimedLuma] = []
    late = 0
    with open_clip(source, limits=limits, audio=True) as clip:
        _check_size(clip.info)
        _check_length(clip.info.duration, style_of(inputs))
        duration, size = clip.info.duration, (clip.info.width, clip.info.height)
        end = strength.excerpt_end(duration)
        for frame in clip.frames():
            late += frame.time > end
            if late and (len(excerpt) > 1 or late > LATE_FRAMES):
                break
            half = strength.half_size(Picture(frame.time, frame.y, frame.u, frame.v))
            excerpt.append(half)
            most = max(2, EXCERPT_BYTES // (2 * half.y.nbytes))
            while frame.time - excerpt[0].time > strength.TRIAL_SECONDS or len(excerpt) > most:
                excerpt.popleft()
            if len(sampled) < frame.time * SURVEYED_PER_SECOND + 1:
                sampled.append(TimedLuma(frame.time, reduced(frame.y)))
    try:
        return Survey(
            strength=strength.choose(excerpt, duration, key, payload),
            variant=choose_variant(
                sampled, key.visible, payload, inputs["label"], inputs["service"], style_of(inputs), size
            ),
            sound=clip.info.audio is not None,
        )
    except GeometryError as error:
        raise MediaUnsupported(str(error)) from None


def _check_size(info: ClipInfo) -> None:
    if min(info.width, info.height) < MIN_SHORT_SIDE:
        raise MediaUnsupported(
            f"a clip of {info.width}×{info.height} is too small to mark; "
            f"make its shorter side at least {MIN_SHORT_SIDE} pixels"
        )


def _check_length(duration: float | None, style: VisibleStyle) -> None:
    if style.standing_end and not duration:
        raise MediaUnsupported(
            "the clip does not say how long it is, so no label can be put at its end; save it as MP4 again"
        )


def mark_clip(
    source: Path, target: Path, request: MarkRequest, limits: MediaLimits, progress: Progress
) -> Marked:
    """Mark `source` into `target` (H.264 MP4). `progress` gets the seconds of clip done.

    Raises: MediaUnsupported, what `open_clip` and `ClipWriter` raise.
    """
    with open_clip(source, limits=limits, audio=request.sound) as clip:
        info = clip.info if request.sound else replace(clip.info, audio=None)
        brush = _Brush(info, request)
        encoding = ClipWriter(target, info, crf=request.crf, preset=request.preset, metadata=request.metadata)
        with encoding as writer, ahead(brush.paint(clip)) as parts:
            for part in parts:
                writer.write(part)
                if isinstance(part, Frame):
                    progress(part.time)
        _check_end(info.duration, clip.info.duration, request.style)
        return Marked(info=clip.info, psnr=brush.psnr, thumbnail=brush.thumbnail)


def _check_end(told: float | None, found: float | None, style: VisibleStyle) -> None:
    """Whether the clip ended where its header had said that it would: there is the label at its end."""
    if style.standing_end and (told is None or found is None or abs(told - found) > END_TOLERANCE):
        raise MediaUnsupported(
            "the clip is not as long as it says, so the label is not at its end; save it as MP4 again"
        )


class _Brush:
    """Both marks of one clip, the thumbnail, and how far the hidden mark moved the pixels."""

    def __init__(self, info: ClipInfo, request: MarkRequest) -> None:
        full = info.colour.range == FULL_RANGE
        try:
            self._visible = VisibleMark(
                request.key.visible, request.payload, request.variant, info.width, info.height,
                request.label, request.handle, request.style, full_range=full, duration=info.duration,
            )  # fmt: skip
            self._hidden = HiddenMark(request.key, request.payload, info.width, info.height, request.strength)
        except GeometryError as error:
            raise MediaUnsupported(str(error)) from None
        self._errors: list[float] = []
        self.thumbnail = b""

    @property
    def psnr(self) -> float:
        """Luma PSNR in dB of the hidden mark over the sampled frames."""
        return psnr(sum(self._errors) / len(self._errors)) if self._errors else math.inf

    def paint(self, parts: Iterable[Frame | AudioPacket]) -> Iterator[Frame | AudioPacket]:
        """The same parts, frames marked."""
        return (self.mark(part) if isinstance(part, Frame) else part for part in parts)

    def mark(self, frame: Frame) -> Frame:
        """The frame with both marks; its planes are changed in place."""
        assert frame.u is not None and frame.v is not None  # noqa: S101, PT018 - asked for all planes
        self._visible.draw(frame.y, frame.u, frame.v, frame.time)
        _, y, u, v = self._hidden.embed(Picture(frame.time, frame.y, frame.u, frame.v))
        if frame.index % QUALITY_EVERY == 0:
            self._errors.append(squared_error(frame.y, y))
        marked = replace(frame, y=y, u=u, v=v)
        if not self.thumbnail or (frame.time <= THUMBNAIL_AT and frame.index % QUALITY_EVERY == 0):
            self.thumbnail = jpeg(marked, THUMBNAIL_SIDE)
        return marked
