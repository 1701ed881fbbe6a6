"""What is to be read in the first two seconds: the moving label, and the standing one.

A label counts where it is seen for all of the time that the rules ask for (GB 45438: two seconds from the
start, letters of 5 % of the shorter side), or until the end of a clip that is shorter. Only labels of ours
are recognised: of any other clip this is not checked, never absent.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.compliance.layers import ABSENT, FAILED, FOUND, NOT_CHECKED
from pipeline.compliance.types import Facts, Finding, Opening
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.verify import types
from watermark.base import TimedLuma
from watermark.errors import GeometryError
from watermark.removal import Verdict
from watermark.resample import shrink
from watermark.visible import VisibleLayout
from watermark.visible_standing import LEAST_TEXT_HEIGHT, SEEN, TEXT_HEIGHT, seen

LEAST_SECONDS: Final = 2.0
LINES: Final = 480  # of the frames that are kept
EVERY: Final = 0.1  # seconds between frames that are looked at
LATE: Final = 0.35  # seconds by which the moving label may be recognised late
UNSEEN_SHARE: Final = 0.1  # of the looks that may miss between others that see it: a cut, a flash

ELSE: Final = "No label of ours was recognised; look at the first two seconds for another one."


def first_frames(path: Path, limits: MediaLimits) -> tuple[TimedLuma, ...]:
    """Luma of the first two seconds, ten times a second, at most `LINES` high. Raises: as `open_clip`."""
    kept: list[TimedLuma] = []
    with open_clip(path, limits=limits, planes="y") as clip:
        for frame in clip.frames():
            if frame.time >= LEAST_SECONDS:
                break
            if not kept or frame.time >= kept[-1].time + EVERY - 1e-6:
                factor = min(1.0, LINES / min(frame.y.shape))
                small = frame.y if factor == 1 else shrink(
                    frame.y, round(frame.y.shape[1] * factor), round(frame.y.shape[0] * factor)
                )  # fmt: skip
                kept.append(TimedLuma(frame.time, small.copy()))
    return tuple(kept)


def opening(
    frames: Sequence[TimedLuma], text: str, *, light: bool, layout: VisibleLayout | None, told: bool = True
) -> Opening:
    """What is seen in them. `text`: of the standing label to look for, empty for none; `layout`: of the
    moving one, None where it is not known. `told`: the clip's own credential names the text; else it is a
    guess, and not to find it says nothing.
    """
    height = layout.opening_text_height if layout else None
    last = frames[-1].time if frames else 0.0
    if not text or not frames:
        return Opening(seconds=last, text_height=height)
    try:
        looks = [seen(frame.luma, text, light=light) >= SEEN for frame in frames]
    except GeometryError:
        return Opening(seconds=last, text_height=height)
    there = looks[0] and looks[-1] and looks.count(False) <= UNSEEN_SHARE * len(looks)
    standing = there if there or told else None
    return Opening(standing=standing, text=text, seconds=last, text_height=height)


def visible_label(facts: Facts) -> Finding:
    """A label that is there from the start for two seconds, with letters large enough."""
    line = facts.report.evidence[types.VISIBLE_MARK]
    verdict = str(line.found.get("verdict", ""))
    told = facts.opening
    if told.standing:
        value = f"“{told.text}”, {TEXT_HEIGHT:.1%} of the shorter side, from the start for two seconds"
        return Finding(state=FOUND, where=("pixels, standing label",), value=value)
    if verdict in (Verdict.REMOVED, Verdict.FORGED):
        return Finding(state=FAILED, where=("pixels, moving label",), why=line.summary)
    if verdict != Verdict.PRESENT:
        if told.standing is False:
            return Finding(state=ABSENT, why=f"The standing label “{told.text}” is not there.")
        return Finding(state=NOT_CHECKED, why=line.summary if verdict == Verdict.NOT_CHECKED else ELSE)
    return _moving(line.found, told)


def _moving(found: dict[str, Any], told: Opening) -> Finding:
    """The moving label is in the clip: also at the start, and large enough?"""
    where = ("pixels, moving label",)
    spans = [tuple(span) for span in found.get("present", [])]
    if told.text_height is None:
        return Finding(state=NOT_CHECKED, where=where, why="How it was drawn is not known: no credential.")
    if told.text_height < LEAST_TEXT_HEIGHT:
        why = f"Its letters are {told.text_height:.1%} of the shorter side, less than 5 %."
        return Finding(state=FAILED, where=where, why=why)
    end = min(LEAST_SECONDS, told.seconds) - LATE
    if not any(start <= LATE and stop >= end for start, stop in spans):
        return Finding(state=FAILED, where=where, why="It was not recognised all through that time.")
    value = f"{told.text_height:.1%} of the shorter side, from the start for two seconds"
    return Finding(state=FOUND, where=where, value=value)
