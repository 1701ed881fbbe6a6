"""What a generated clip begins with: a picture as its first frame, or a clip that it goes on with.

1. Both come from strangers and are decoded by another process under limits, in the same way as by the checks
   that looked at them before (`pipeline.material`): the generator is shown what was judged.
2. Of a clip the generator is shown the end, at the clip's own size and average rate.
3. What comes of it is the old clip, then the new part: old frames keep their moments, their colours and,
   where it stays, their sound; new ones follow at the old rate and in the old colours.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.base import Clip
from pipeline.errors import LimitExceeded
from pipeline.media.reader import open_clip
from pipeline.media.rgb import planes, rgb
from pipeline.media.types import ClipInfo, Frame, MediaLimits
from pipeline.media.writer import ClipWriter
from pipeline.pictures.reader import load_picture, read_all
from pipeline.pictures.types import GIVEN

SIDE: Final = 512  # pixels, where nobody asked for a size
SHORTEST, LONGEST = 256, 1024  # pixels of a side that follows from a picture; a banner is cut
MULTIPLE: Final = 16
CRF: Final = 4.0  # of the clip between; the release is encoded once more
PRESET: Final = "veryfast"
SHOWN_SECONDS: Final = 8.0  # of a clip that is gone on with
SHOWN_BYTES: Final = 256 << 20  # of its frames as they are decoded
MAX_DENOMINATOR: Final = 1001
EARLY: Final = 1e-6  # seconds by which two moments may differ and are one

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The last frames of a clip, RGB ``uint8[n, h, w, 3]``, ``rate`` per second."""

    frames: Frames
    rate: Fraction


def picture(path: Path) -> Frames:
    """The picture as it was looked at: upright RGB ``uint8[h, w, 3]``. Raises: as `read_all`."""
    [found] = read_all([replace(load_picture(path, GIVEN), name="the picture")], GIVEN)
    return found.rgb


def size_of(shown: Frames) -> tuple[int, int]:
    """Width and height of a clip that begins with a picture: its proportions, as many pixels as others."""
    height, width = shown.shape[:2]
    share = SIDE / math.sqrt(width * height)
    wide, high = (
        min(max(round(side * share / MULTIPLE) * MULTIPLE, SHORTEST), LONGEST) for side in (width, height)
    )
    return wide, high


def ending(path: Path, seconds: float, limits: MediaLimits) -> Ending:
    """The end of a clip that is to become so many seconds longer.

    Raises: LimitExceeded where it would become too long, and what `open_clip` raises.
    """
    kept: deque[Frame] = deque()
    with open_clip(path, limits=limits) as clip:
        most = max(1, SHOWN_BYTES // (clip.info.width * clip.info.height * 3 // 2))
        for frame in clip.frames():
            kept.append(frame)
            while len(kept) > most or frame.time - kept[0].time > SHOWN_SECONDS:
                kept.popleft()
    info = clip.info  # exact, now that every frame was read
    rate = _rate(info)
    _demand_room(info, seconds, rate, limits)
    shown = {frame.index: rgb(frame, info.colour) for frame in kept}
    return Ending(frames=np.stack([shown[frame.index] for frame in _even(kept, rate)]), rate=rate)


def join(old: Path, new: Clip, target: Path, limits: MediaLimits, *, sound: bool) -> None:
    """Write the clip `old` and then the frames of `new` to `target`; `sound`: that of the old one stays.

    Raises: StorageFailed, MediaUnsupported, and what `open_clip` raises.
    """
    with open_clip(old, limits=limits, audio=sound) as clip:
        info = replace(clip.info, variable=None)  # the new frames may lie otherwise than the old ones
        with ClipWriter(target, info, crf=CRF, preset=PRESET) as writer:
            for part in clip:
                writer.write(part)
                if isinstance(part, Frame):
                    last = part
            for frame in _following(last, new, info):
                writer.write(frame)


def _following(last: Frame, new: Clip, info: ClipInfo) -> Iterator[Frame]:
    """The new frames, after the last old one has been shown for as long as its file says."""
    step = 1 / (new.frame_rate * info.time_base)  # in ticks of the old clip
    start = last.pts + (last.duration or round(step))
    for number, shown in enumerate(new.frames):
        at, after = (start + round(count * step) for count in (number, number + 1))
        y, u, v = planes(shown, info.colour)
        yield Frame(
            index=last.index + 1 + number, pts=at, duration=max(1, after - at), y=y, u=u, v=v,
            time=last.time + float((at - last.pts) * info.time_base),
        )  # fmt: skip


def _rate(info: ClipInfo) -> Fraction:
    """Frames per second on average."""
    if info.frame_rate:
        return info.frame_rate
    count, duration = info.frame_count or 1, info.duration or 1.0
    return Fraction(count / duration).limit_denominator(MAX_DENOMINATOR)


def _demand_room(info: ClipInfo, seconds: float, rate: Fraction, limits: MediaLimits) -> None:
    length, count = (info.duration or 0.0) + seconds, (info.frame_count or 0) + math.ceil(seconds * rate)
    if length > limits.max_seconds or count > limits.max_frames:
        raise LimitExceeded(
            f"with {seconds:g} s more the clip would have {length:.1f} s and {count} frames; at most "
            f"{limits.max_seconds:g} s and {limits.max_frames} frames are accepted: ask for less"
        )


def _even(kept: Sequence[Frame], rate: Fraction) -> list[Frame]:
    """The frames that are shown at even moments up to the last one, whatever lies between them."""
    found, place = list[Frame](), len(kept) - 1
    for number in range(int((kept[-1].time - kept[0].time) * rate + EARLY) + 1):
        moment = kept[-1].time - number / rate
        while place > 0 and kept[place].time > moment + EARLY:
            place -= 1
        found.append(kept[place])
    return found[::-1]
