"""How strong the hidden mark must be for this clip: tried out on an excerpt before it is encoded.

1. Colour carries most. The excerpt is marked at half size, sent through H.264 at crf 28 and read back; what
   is left of the mark grows with its amplitude and with the square root of the clip's length, which gives the
   strength that keeps the whole clip readable after exactly that, within a floor and a ceiling.
2. Luma is for clips whose colour was taken away. It costs what viewers and codecs notice, most of all in
   quiet clips, where it also survives best: these get less of it. A larger picture carries more of it in
   the same time, and shows it more: it gets less, too.
3. A clip without colour gets in luma what 1 would give it in colour.
"""

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from pipeline.media.trial import Planes, through_h264
from watermark.base import Picture
from watermark.carrier import MIN_SHORT_SIDE, HiddenMark, Strength, deviations
from watermark.keys import DetectionKey
from watermark.resample import shrink
from watermark.survey import agreement

NEUTRAL: Final = 128
STRONGEST: Final = Strength(psnr=51.5, louder=6.0)  # where the chosen one turned out too weak


class Range(NamedTuple):
    """PSNR in dB that is chosen between: for the hardest clips and for the easiest; z that is wanted."""

    strongest: float
    weakest: float
    wanted: float


# z after half size and crf 28, about what crf 40 leaves at full size (docs/adr/0040); about 11 suffice. In
# colour there is some to spare, for H.265.
COLOUR: Final = Range(strongest=46.0, weakest=50.0, wanted=22.0)
GREY: Final = Range(strongest=50.5, weakest=54.0, wanted=16.0)
BUSY, QUIET = 54.5, 57.5  # PSNR of luma where there is colour
QUIETEST = 58.5  # of any size: rounding to whole grey levels eats what is fainter
UNCHANGED_TO = 480  # lines: luma of larger pictures grows fainter by half of the dB that they grow by
BUSY_FROM, QUIET_TO = 8.0, 2.0  # grey levels: median local deviation of such clips
TRIAL: Final = Strength(psnr=54.5, louder=8.0)
TRIAL_GREY: Final = Strength(psnr=51.5)
TRIAL_SECONDS: Final = 2.5
TRIAL_CRF: Final = 28.0
HALF: Final = 0.5  # of a clip's sides, unless it is too small for that
LATEST_START: Final = 4.0  # seconds: titles and fades at the start say little about a clip
LOOKED_AT: Final = 5  # frames, at least
LONGEST_COUNTED: Final = 5.0  # seconds: a longer clip is meant to be readable in pieces of this length


def half_size(picture: Picture) -> Picture:
    """A picture of 4:2:0 at half size with even sides, but no smaller than can be marked."""
    height, width = picture.y.shape
    factor = max(HALF, MIN_SHORT_SIDE / min(height, width))
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
    coloured = excerpt[0].u is not None
    trial, limits = (TRIAL, COLOUR) if coloured else (TRIAL_GREY, GREY)
    seconds = max(excerpt[-1].time - excerpt[0].time, 0.1)
    counted = min(max(duration or seconds, seconds), LONGEST_COUNTED)
    expected = _left(excerpt, trial, key, payload) * math.sqrt(counted / seconds)
    tried = trial.chroma if coloured else trial.psnr
    wanted = tried + 20 * math.log10(max(expected, 0.1) / limits.wanted)
    chosen = min(max(wanted, limits.strongest), limits.weakest)
    if not coloured:
        return Strength(psnr=chosen)
    luma = _luma(excerpt)
    return Strength(psnr=luma, louder=luma - chosen)


def _left(excerpt: Sequence[Picture], trial: Strength, key: DetectionKey, payload: int) -> float:
    """How much a codec leaves of the mark, as a correlation z."""
    height, width = excerpt[0].y.shape
    mark = HiddenMark(key, payload, width, height, trial)
    marked = (_planes(mark.embed(picture)) for picture in excerpt)
    decoded = zip(excerpt, through_h264(marked, crf=TRIAL_CRF), strict=True)
    return agreement((Picture(picture.time, *planes) for picture, planes in decoded), key, payload)


def _luma(excerpt: Sequence[Picture]) -> float:
    """PSNR of luma in dB, by how busy some of the excerpt's frames are, and how large the clip's."""
    lines = min(excerpt[0].y.shape) / HALF
    looked = islice(excerpt, 0, None, max(1, len(excerpt) // LOOKED_AT))
    spread = float(np.mean([np.median(deviations(picture.y)) for picture in looked]))
    chosen = float(np.interp(spread, (QUIET_TO, BUSY_FROM), (QUIET, BUSY)))
    return min(QUIETEST, chosen + 10 * math.log10(max(1.0, lines / UNCHANGED_TO)))


def _planes(picture: Picture) -> Planes:
    u, v = (np.full_like(picture.y[::2, ::2], NEUTRAL) if p is None else p for p in (picture.u, picture.v))
    return picture.y, u, v
