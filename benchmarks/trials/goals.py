"""The goals of watermark.md section 7: share of clips whose payload is read exactly, by attack and size.

A goal is *met* by the lower end of the 95 % Wilson interval, and *missed* when the share itself is under it;
between, it is *not shown*. A goal of 100 % counts as met when no trial failed and the lower end is at least
`ALL_FROM` (that takes 381 trials).
"""

from collections.abc import Mapping
from typing import Final

from benchmarks.attacks.catalog import FOLLOWED
from benchmarks.common import wilson

ALL_FROM: Final = 0.99
MET: Final = "met"
MISSED: Final = "missed"
NOT_SHOWN: Final = "not shown"
LARGE: Final = "1080p"
MIDDLE: Final = "480p"
SMALL: Final = "256p"

By = Mapping[str, float]

_PLAIN: Final = (
    "none h264_23 h264_28 brightness_0.5 brightness_1.5 contrast_0.5 contrast_1.5 saturation_0.5 "
    "saturation_1.5 hue_0.25 grayscale gamma_0.7 gamma_1.4 noise_6 sharpen_1 jpeg_40 blur_9"
)
_TABLE: Final[tuple[tuple[str, By], ...]] = (
    (_PLAIN, {LARGE: 1.0, MIDDLE: 1.0, SMALL: 0.95}),
    ("h264_30", {LARGE: 1.0, MIDDLE: 1.0}),
    ("h264_35", {LARGE: 1.0, MIDDLE: 0.99, SMALL: 0.7}),
    ("h264_40", {LARGE: 0.99, MIDDLE: 0.9}),
    ("h264_50", {LARGE: 0.8, MIDDLE: 0.4}),
    ("h265_40", {LARGE: 0.98, MIDDLE: 0.95, SMALL: 0.6}),
    ("av1_50", {LARGE: 1.0, MIDDLE: 0.98, SMALL: 0.8}),
    ("vp9_40", {LARGE: 1.0, MIDDLE: 0.98, SMALL: 0.8}),
    ("resize_0.25 resize_0.33 resize_0.55 resize_0.71 resize_2.0", {LARGE: 0.99, MIDDLE: 0.97}),
    ("long_192_crf_30", {LARGE: 0.99, MIDDLE: 0.97}),
    ("crop_0.71", {LARGE: 0.99, MIDDLE: 0.97, SMALL: 0.9}),
    ("crop_0.55", {LARGE: 0.97, MIDDLE: 0.9, SMALL: 0.6}),
    ("crop_0.4", {LARGE: 0.8, MIDDLE: 0.6}),
    ("rotate_2 rotate_3 rotate_5 rotate_10", {LARGE: 0.98, MIDDLE: 0.95, SMALL: 0.9}),
    ("rotate_90 turn_90 flip", {LARGE: 1.0, MIDDLE: 0.95, SMALL: 0.9}),
    ("perspective_0.05 perspective_0.1", {LARGE: 0.97, MIDDLE: 0.9}),
    ("perspective_0.5", {LARGE: 0.7, MIDDLE: 0.5}),
    ("fps_24 speed_0.9 speed_1.1 drop_50 thin_50 reorder", {LARGE: 0.99, MIDDLE: 0.97, SMALL: 0.9}),
    ("first_2s last_2s", {LARGE: 0.95, MIDDLE: 0.85}),
    ("combined_23", {LARGE: 0.99, MIDDLE: 0.97}),
    ("combined_30", {LARGE: 0.98, MIDDLE: 0.95}),
    ("combined_40", {LARGE: 0.9, MIDDLE: 0.7}),
    ("combined_50", {LARGE: 0.3}),
    ("generations_3", {LARGE: 0.99, MIDDLE: 0.95}),
    ("inpaint_telea inpaint_median inpaint_held inpaint_delogo inpaint_label", {LARGE: 1.0, MIDDLE: 1.0}),
    ("screen_recording", {LARGE: 0.8}),
    ("regeneration_proxy", {LARGE: 0.95}),
)  # fmt: skip
PAYLOAD: Final = {name: by for names, by in _TABLE for name in names.split()}
PRESENCE: Final[Mapping[str, By]] = {"h264_50": {LARGE: 0.98}}
REMOVAL: Final = 0.99  # of inpainted clips whose removal is noticed
FALSE_REMOVAL: Final = 0.001  # of untouched clips that are said to be inpainted
VMAF_LOSS: Final = (0.5, 1.0)  # mean, worst
BITRATE: Final = 0.03
PSNR_FLOOR: Final = 42.0


def goal(attack: str, size: str, table: Mapping[str, By] = PAYLOAD) -> float | None:
    """The goal of an attack at a size; rows that are followed by H.264 26 have that of the plain row."""
    return table.get(attack.removesuffix(FOLLOWED), {}).get(size)


def reached(wanted: float, successes: int, trials: int) -> str:
    """MET, MISSED or NOT_SHOWN."""
    low, _ = wilson(successes, trials)
    if successes / trials < wanted:
        return MISSED
    return MET if low >= min(wanted, ALL_FROM) else NOT_SHOWN


def stayed_under(limit: float, events: int, trials: int) -> str:
    """The same for a rate that must not exceed `limit`: MET by the upper end of the interval."""
    _, high = wilson(events, trials)
    if events / trials > limit:
        return MISSED
    return MET if high <= limit else NOT_SHOWN
