"""One pass over the frames: hidden mark, fingerprint, moments, and copies for what is asked afterwards."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.credentials.fingerprint import QUERY, Fingerprint, Fingerprinter
from pipeline.credentials.moments import QUERY as QUERY_MOMENTS
from pipeline.credentials.moments import Moments, Taker
from pipeline.media.pictures import jpeg
from pipeline.media.reader import open_clip
from pipeline.media.types import ClipInfo, Frame, MediaLimits
from watermark.base import Detection, Luma, Picture, TimedLuma
from watermark.detector import HiddenMarkDetector
from watermark.local_carrier import Colour
from watermark.resample import shrink

# The visible mark's path follows from the hidden payload, so its frames are kept until that is known.
KEPT_SECONDS: Final = 12.0
KEPT_INTERVAL: Final = 0.075
KEPT_LINES: Final = 360
COLOUR_LINES: Final = 180
KEPT_PIXELS: Final = 1 << 20  # of one frame, however long and thin it is
STRIP_FRAMES: Final = 6
STRIP_SIDE: Final = 320
ASSUMED_SECONDS: Final = 10.0  # where the header does not say how long the clip is


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the frames say. `detection`: None without keys. `kept`: small luma of the first seconds,
    `colours`: small U and V of the same frames, none in a grey clip.
    """

    info: ClipInfo
    detection: Detection | None
    fingerprint: Fingerprint
    moments: Moments
    kept: tuple[TimedLuma, ...]
    strip: tuple[tuple[float, bytes], ...]
    colours: tuple[Colour, ...] = ()


def observe(
    path: Path,
    detector: HiddenMarkDetector | None,
    limits: MediaLimits,
    *,
    strip: bool,
    progress: Callable[[float, float], None],
) -> Observation:
    """Decode `path` once. `progress` gets seconds done and seconds in all (0 if unknown).

    Raises: what `open_clip` raises.
    """
    prints, taker = Fingerprinter(sampling=QUERY), Taker(sampling=QUERY_MOMENTS)
    with open_clip(path, limits=limits) as clip:
        kept, shown = Kept(), _Strip(clip.info.duration or ASSUMED_SECONDS, wanted=strip)

        def frames() -> Iterator[Picture]:
            for frame in clip.frames():
                prints.add(frame.time, frame.y)
                taker.add(frame.time, frame.y, frame.u, frame.v)
                picture = Picture(frame.time, frame.y, frame.u, frame.v)
                kept.take(picture)
                shown.take(frame)
                progress(frame.time, clip.info.duration or 0.0)
                yield picture

        if detector is None:
            for _ in frames():
                pass
        detection = detector.detect(frames()) if detector else None
        return Observation(
            info=clip.info, detection=detection, fingerprint=prints.finish(), moments=taker.finish(),
            kept=tuple(kept.frames), strip=tuple(shown.pictures), colours=kept.colours,
        )  # fmt: skip


class Kept:
    """Small copies of a clip's first seconds, in which the visible mark is looked for."""

    def __init__(self) -> None:
        self._next = 0.0
        self._colours: list[Colour] = []
        self.frames: list[TimedLuma] = []

    def take(self, picture: Picture) -> None:
        """Keep this frame, if one is due."""
        if not self._next <= picture.time <= KEPT_SECONDS:
            return
        self._next = picture.time + KEPT_INTERVAL
        self.frames.append(TimedLuma(picture.time, small(picture.y)))
        if picture.u is not None and picture.v is not None:
            self._colours.append((small(picture.u, COLOUR_LINES), small(picture.v, COLOUR_LINES)))

    @property
    def colours(self) -> tuple[Colour, ...]:
        """Those of the kept frames; none where some of them are grey."""
        return tuple(self._colours) if len(self._colours) == len(self.frames) else ()


class _Strip:
    """Keeps a few pictures of the whole clip."""

    def __init__(self, seconds: float, *, wanted: bool) -> None:
        count = STRIP_FRAMES if wanted else 0
        self._times = [(index + 0.5) / STRIP_FRAMES * seconds for index in range(count)]
        self.pictures: list[tuple[float, bytes]] = []

    def take(self, frame: Frame) -> None:
        if self._times and frame.time >= self._times[0]:
            self.pictures.append((frame.time, jpeg(frame, STRIP_SIDE)))
            self._times = [time for time in self._times if time > frame.time]


def small(luma: Luma, lines: int = KEPT_LINES) -> Luma:
    """A copy of at most so many lines: what is kept of a plane."""
    factor = min(lines / min(luma.shape), math.sqrt(KEPT_PIXELS / luma.size))
    if factor >= 1:
        return luma.copy()
    return shrink(luma, max(1, round(luma.shape[1] * factor)), max(1, round(luma.shape[0] * factor)))
