"""How strong the hidden mark must be for this clip: tried out on an excerpt before it is encoded.

The excerpt is marked at half size, sent through H.264 at crf 28 and read back; what is left of the
mark grows with its amplitude and with the square root of the clip's length, which gives the strength that
keeps the whole clip readable after exactly that. Busy or short clips get more, quiet long ones less, within
the quality floor and ceiling.
"""

import math
from collections.abc import Sequence
from typing import Final

from pipeline.media.trial import through_h264
from watermark.base import Luma, TimedLuma
from watermark.carrier import MIN_SHORT_SIDE, HiddenMark, Strength
from watermark.keys import DetectionKey
from watermark.resample import shrink
from watermark.survey import agreement

STRONGEST: Final = Strength(psnr=42.0)
WEAKEST: Final = Strength(psnr=50.0)
TRIAL: Final = Strength(psnr=45.0)
TRIAL_SECONDS: Final = 2.5
TRIAL_CRF: Final = 28.0
LATEST_START: Final = 4.0  # seconds: titles and fades at the start say little about a clip
WANTED_AGREEMENT: Final = 22.0  # z after half size and crf 28; about 16 suffice to read the payload
LONGEST_COUNTED: Final = 10.0  # seconds: a longer clip is meant to be readable in pieces of this length


def half_size(luma: Luma) -> Luma:
    """The plane at half size with even sides, but no smaller than can be marked."""
    height, width = luma.shape
    factor = max(0.5, MIN_SHORT_SIDE / min(height, width))
    size = (max(2, round(width * factor / 2) * 2), max(2, round(height * factor / 2) * 2))
    return shrink(luma, *size)


def excerpt_end(duration: float | None) -> float:
    """Where the excerpt of a clip of `duration` seconds ends: in its middle, but not late in a long one."""
    start = max(0.0, ((duration or 0.0) - TRIAL_SECONDS) / 2)
    return min(start, LATEST_START) + TRIAL_SECONDS


def choose(excerpt: Sequence[TimedLuma], duration: float | None, key: DetectionKey, payload: int) -> Strength:
    """The strength for a clip of which `excerpt` are frames at half size; `duration` in seconds."""
    height, width = excerpt[0].luma.shape
    mark = HiddenMark(key, payload, width, height, TRIAL)
    marked = (mark.embed(frame.luma, frame.time) for frame in excerpt)
    times = (frame.time for frame in excerpt)
    left = agreement(map(TimedLuma, times, through_h264(marked, crf=TRIAL_CRF)), key, payload)
    seconds = max(excerpt[-1].time - excerpt[0].time, 0.1)
    counted = min(max(duration or seconds, seconds), LONGEST_COUNTED)
    expected = left * math.sqrt(counted / seconds)
    if expected <= 0:
        return STRONGEST
    psnr = TRIAL.psnr + 20 * math.log10(expected / WANTED_AGREEMENT)
    return Strength(psnr=min(max(psnr, STRONGEST.psnr), WEAKEST.psnr))
