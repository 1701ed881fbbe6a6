"""How strong the hidden mark must be for this clip: tried out on an excerpt before it is encoded.

The excerpt is marked at half size, sent through H.264 at crf 28 and read back; what is left of the
mark grows with its amplitude and with the square root of the clip's length, which gives the strength that
keeps the whole clip readable after exactly that. Busy or short clips get more, quiet long ones less, within
the quality floor and ceiling.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.media.trial import Planes, through_h264
from watermark.base import Picture
from watermark.carrier import MIN_SHORT_SIDE, HiddenMark, Strength
from watermark.keys import DetectionKey
from watermark.resample import shrink
from watermark.survey import agreement

GREY: Final = 128
STRONGEST: Final = Strength(psnr=50.5)
WEAKEST: Final = Strength(psnr=54.0)
TRIAL: Final = Strength(psnr=51.5)
TRIAL_SECONDS: Final = 2.5
TRIAL_CRF: Final = 28.0
LATEST_START: Final = 4.0  # seconds: titles and fades at the start say little about a clip
# z after half size and crf 28, about what crf 40 leaves at full size (docs/adr/0040); about 11 suffice.
WANTED_AGREEMENT: Final = 16.0
LONGEST_COUNTED: Final = 5.0  # seconds: a longer clip is meant to be readable in pieces of this length


def half_size(picture: Picture) -> Picture:
    """A picture of 4:2:0 at half size with even sides, but no smaller than can be marked."""
    height, width = picture.y.shape
    factor = max(0.5, MIN_SHORT_SIDE / min(height, width))
    across, down = (max(2, round(side * factor / 2) * 2) for side in (width, height))
    y = shrink(picture.y, across, down)
    if picture.u is None or picture.v is None:
        return picture._replace(y=y)
    u, v = (shrink(plane, across // 2, down // 2) for plane in (picture.u, picture.v))
    return Picture(picture.time, y, u, v)


def excerpt_end(duration: float | None) -> float:
    """Where the excerpt of a clip of `duration` seconds ends: in its middle, but not late in a long one."""
    start = max(0.0, ((duration or 0.0) - TRIAL_SECONDS) / 2)
    return min(start, LATEST_START) + TRIAL_SECONDS


def choose(excerpt: Sequence[Picture], duration: float | None, key: DetectionKey, payload: int) -> Strength:
    """The strength for a clip of which `excerpt` are frames at half size; `duration` in seconds."""
    height, width = excerpt[0].y.shape
    mark = HiddenMark(key, payload, width, height, TRIAL)
    marked = (_planes(mark.embed(picture)) for picture in excerpt)
    decoded = zip(excerpt, through_h264(marked, crf=TRIAL_CRF), strict=True)
    left = agreement((Picture(picture.time, *planes) for picture, planes in decoded), key, payload)
    seconds = max(excerpt[-1].time - excerpt[0].time, 0.1)
    counted = min(max(duration or seconds, seconds), LONGEST_COUNTED)
    expected = left * math.sqrt(counted / seconds)
    if expected <= 0:
        return STRONGEST
    psnr = TRIAL.psnr + 20 * math.log10(expected / WANTED_AGREEMENT)
    return Strength(psnr=min(max(psnr, STRONGEST.psnr), WEAKEST.psnr))


def _planes(picture: Picture) -> Planes:
    u, v = (np.full_like(picture.y[::2, ::2], GREY) if p is None else p for p in (picture.u, picture.v))
    return picture.y, u, v
