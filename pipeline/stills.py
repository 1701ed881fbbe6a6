"""A few frames of an untrusted clip for a person to look at: clear, or blurred until only shapes are told."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from pipeline.media.pictures import jpeg
from pipeline.media.reader import open_clip
from pipeline.media.types import Frame, MediaLimits, Plane
from pipeline.pictures.reader import load_picture, read_all
from pipeline.pictures.types import GIVEN

LONGEST: Final = 640  # pixels of a clear still
BLURRED: Final = 20  # and of a blurred one, which a page shows larger
REGULAR: Final = 6  # stills at regular times
MOST: Final = 14  # of one clip
SLACK: Final = 0.02  # seconds: times are told rounded
SECONDS: Final = 15.0  # after which what there is must do


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A frame as a JPEG: as it is, or grey and blurred; ``time`` in seconds."""

    time: float
    picture: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stills:
    """``duration``: of the clip in seconds, as far as its header or its last still says."""

    duration: float
    width: int
    height: int
    stills: tuple[Still, ...]


def stills_of(
    path: str | PathLike[str], times: Sequence[float], limits: MediaLimits, *, clear: bool
) -> Stills:
    """Stills at these times, the first of them where they are many, and at regular ones.

    Raises: as `pipeline.media.reader.open_clip`.
    """
    with open_clip(path, limits=limits) as reader:
        info = reader.info
        length = info.duration or 0.0
        regular = [length * (number + 0.5) / REGULAR for number in range(REGULAR if length else 1)]
        asked = list(dict.fromkeys(max(0.0, one) for one in times))[: MOST - len(regular)]
        wanted = sorted({*asked, *regular})
        made: list[Still] = []
        until = time.monotonic() + SECONDS
        for frame in reader.frames():
            due = [one for one in wanted if one <= frame.time + SLACK]
            if due:
                wanted = wanted[len(due) :]
                made.append(Still(time=frame.time, picture=_jpeg(frame, clear=clear)))
            if not wanted or time.monotonic() > until:
                break
    return Stills(
        duration=max([length, *(still.time for still in made)]), width=info.width, height=info.height,
        stills=tuple(made),
    )  # fmt: skip


def still_of(path: Path, *, clear: bool) -> Still:
    """An untrusted picture, as small or as blurred as a frame would be. Raises: as `read_all`."""
    [read] = read_all([load_picture(path, GIVEN)], GIVEN)
    luma = cv2.cvtColor(read.rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return Still(time=0.0, picture=_small(read.rgb) if clear else _blurred(luma))


def _small(rgb: Plane) -> bytes:
    return _written(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), LONGEST, 80)


def _jpeg(frame: Frame, *, clear: bool) -> bytes:
    return jpeg(frame, LONGEST) if clear else _blurred(frame.y)


def _blurred(luma: Plane) -> bytes:
    return _written(luma, BLURRED, 90)


def _written(picture: Any, longest: int, quality: int) -> bytes:
    height, width = picture.shape[:2]
    factor = min(1.0, longest / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
