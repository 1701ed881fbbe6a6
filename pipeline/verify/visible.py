"""The visible mark's line of evidence: is it where the hidden payload says it must be?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.credentials.fingerprint import Alignment
from pipeline.types import Evidence, EvidenceState, Json
from pipeline.verify.observe import Observation
from pipeline.verify.types import StripFrame
from watermark.base import Geometry, TimedLuma
from watermark.errors import WatermarkError
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS
from watermark.visible import VisibleLayout
from watermark.visible_detect import VisibleEvidence, follow
from watermark.visible_draw import VisibleStyle

ALIGNED_SECONDS: Final = 0.2  # a start this close to the release's start counts as the same
TRIMMED_SECONDS: Final = 1.0  # by the fingerprint, which is coarse
# The carrier tells the start to about a quarter of a second, the plates need it to a twentieth.
NEAR_STARTS: Final = (0.0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3)  # seconds, around what the carrier says
WHOLE_PERIODS: Final = 4  # so many trims by whole periods of the carrier are looked at, the likeliest
ABOUT_AS_GOOD: Final = 0.05  # distance by which the fingerprint of a still scene may miss the best alignment
GRID_SECONDS: Final = 0.5  # an alignment may be off by this, or by its grid's step
PATH_STEP: Final = 0.2  # seconds between points of the drawn path
MAX_TEXT: Final = 64
MAX_SIDE: Final = 1 << 16

MOVED: Final = "The picture was cut, moved or trimmed, so the mark's place is not known well enough."

Path_ = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleFinding:
    """The line of evidence, whether removal is flagged, and what the report draws."""

    evidence: Evidence
    removed: bool = False
    strip: tuple[StripFrame, ...] = ()
    path: Path_ = ()


def not_checked(reason: str, observation: Observation | None) -> VisibleFinding:
    """The mark could not be looked for; `reason` is a sentence."""
    plain = tuple(StripFrame(time=time, jpeg=jpeg) for time, jpeg in observation.strip) if observation else ()
    return VisibleFinding(evidence=Evidence(state=EvidenceState.NOT_CHECKED, summary=reason), strip=plain)


def look(
    observation: Observation,
    geometry: Geometry | None,
    key: DetectionKey,
    payload: int,
    mark: Any,
    *,
    alignments: Sequence[Alignment],
) -> VisibleFinding:
    """Follow the path of `payload`. `mark`: the ``visible_mark`` object of our own signed assertion.

    `geometry`: how the clip lies relative to the release; None: as released. It knows a trim at the start
    modulo the carrier's period only; `alignments`, of the fingerprints, tell by how many periods it may be.

    1. Found at the release's start, as exactly as the carrier knows it: found.
    2. Found after a trim by whole periods that the fingerprint allows: not checked, the clip was trimmed.
    3. Absent from all of these places: absent, and the removal is flagged.
    4. Otherwise it cannot be told: not checked.
    """
    layout = _layout(key, payload, mark)
    if layout is None:
        return not_checked("The credential does not say how the visible mark was drawn.", observation)
    if geometry is None and alignments and abs(alignments[0].offset) > TRIMMED_SECONDS:
        return not_checked(MOVED, observation)
    if geometry is not None and not _aligned(geometry):
        return not_checked(MOVED, observation)
    mirrored = geometry is not None and geometry.mirrored
    frames = _upright(observation.kept, mirrored=mirrored)
    start = _signed(geometry.time_offset) if geometry else 0.0
    seen = follow(layout, frames, _around((start,)))
    if seen.state != "found" and geometry is not None:
        trims = whole_periods(alignments, mirrored=mirrored)
        later = follow(layout, frames, _around(start + trim for trim in trims)) if trims else seen
        if later.state == "found":
            return not_checked(MOVED, observation)
        seen = later if later.state == "undecidable" else seen
    return VisibleFinding(
        evidence=_evidence(seen, observation.kept),
        removed=seen.state == "absent",
        strip=_strip(layout, observation, start=seen.start, mirrored=mirrored),
        path=_path(layout, observation, start=seen.start, mirrored=mirrored),
    )


def whole_periods(alignments: Sequence[Alignment], *, mirrored: bool) -> tuple[float, ...]:
    """The likeliest trims by one or more whole periods of the carrier, in seconds, the likeliest first.

    Where the fingerprint says clearly that nothing was trimmed there are none. `alignments`: the best first.
    """
    if not alignments:
        return ()
    tolerance = max(GRID_SECONDS, alignments[0].step)
    trims: dict[float, None] = {}
    for alignment in alignments:
        if alignment.distance > alignments[0].distance + ABOUT_AS_GOOD:
            break
        if alignment.mirrored is mirrored:
            trims.update(dict.fromkeys(_periods_near(alignment.offset, tolerance)))
    return tuple(trims)[:WHOLE_PERIODS]


def _periods_near(offset: float, tolerance: float) -> tuple[float, ...]:
    first = math.ceil((offset - tolerance) / PERIOD_SECONDS)
    last = math.floor((offset + tolerance) / PERIOD_SECONDS)
    return tuple(count * PERIOD_SECONDS for count in range(first, last + 1) if count)


def _around(starts: Iterable[float]) -> tuple[float, ...]:
    return tuple(start + near for start in starts for near in NEAR_STARTS)


def _upright(kept: Sequence[TimedLuma], *, mirrored: bool) -> tuple[TimedLuma, ...]:
    if not mirrored:
        return tuple(kept)
    return tuple(frame._replace(luma=np.ascontiguousarray(frame.luma[:, ::-1])) for frame in kept)


def _layout(key: DetectionKey, payload: int, mark: Any) -> VisibleLayout | None:
    """The layout that our credential describes, or None; its values come out of a file, if a signed one."""
    try:
        variant, width, height = (int(mark[name]) for name in ("variant", "width", "height"))
        label, handle = (str(mark[name])[:MAX_TEXT] for name in ("label", "handle"))
        if max(width, height) > MAX_SIDE:
            return None
        style = VisibleStyle.chosen(**dict(mark.get("style") or {}))
        return VisibleLayout(key.visible, payload, variant, width, height, label, handle, style)
    except (KeyError, TypeError, ValueError, OverflowError, WatermarkError):
        return None


def _aligned(geometry: Geometry) -> bool:
    started = abs(_signed(geometry.time_offset))
    shifted = max(min(abs(part), 0.5 - abs(part)) for part in geometry.shift)
    as_large = abs(geometry.scale - 1) < 0.01
    return as_large and geometry.upright and shifted < 0.01 and started < ALIGNED_SECONDS


def _signed(offset: float) -> float:
    """An offset modulo the carrier's period as the one nearest to 0."""
    return (offset + PERIOD_SECONDS / 2) % PERIOD_SECONDS - PERIOD_SECONDS / 2


def _evidence(seen: VisibleEvidence, kept: tuple[TimedLuma, ...]) -> Evidence:
    until = f"the first {kept[-1].time:.0f} s" if kept and kept[-1].time >= 1 else "the clip"
    spans: Json = {
        "score": round(seen.score, 3), "variant": seen.variant,
        "present": [[round(a, 2), round(b, 2)] for a, b in seen.label.present],
        "missing": [[round(a, 2), round(b, 2)] for a, b in seen.label.missing],
    }  # fmt: skip
    if seen.state == "found":
        summary = f"The moving mark is at its place in {until}."
        return Evidence(state=EvidenceState.FOUND, summary=summary, found=spans)
    if seen.state == "absent":
        summary = f"The moving mark is not where it must be in {until}: it was removed or covered."
        return Evidence(state=EvidenceState.ABSENT, summary=summary, found=spans)
    summary = "The clip is too small or too short to say whether the moving mark is there."
    return Evidence(state=EvidenceState.NOT_CHECKED, summary=summary, found=spans)


def _strip(
    layout: VisibleLayout, observation: Observation, *, start: float, mirrored: bool
) -> tuple[StripFrame, ...]:
    def boxes(time: float) -> tuple[tuple[float, float, float, float], ...]:
        return tuple(_share(box, layout, mirrored=mirrored) for box in layout.boxes(time + start))

    return tuple(StripFrame(time=time, jpeg=jpeg, boxes=boxes(time)) for time, jpeg in observation.strip)


def _share(
    box: tuple[int, int, int, int], layout: VisibleLayout, *, mirrored: bool
) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (
        box[0] / layout.width,
        box[1] / layout.height,
        box[2] / layout.width,
        box[3] / layout.height,
    )
    return (1 - x1, y0, 1 - x0, y1) if mirrored else (x0, y0, x1, y1)


def _path(layout: VisibleLayout, observation: Observation, *, start: float, mirrored: bool) -> Path_:
    if not observation.strip:
        return ()
    end = observation.kept[-1].time if observation.kept else 0.0
    times = np.arange(0.0, end + PATH_STEP, PATH_STEP)
    plates: list[list[tuple[float, float]]] = [[], []]
    for time in times:
        for plate, pose in zip(plates, layout.poses(float(time) + start), strict=True):
            x = pose.centre[0] / layout.width
            plate.append((1 - x if mirrored else x, pose.centre[1] / layout.height))
    return tuple(tuple(plate) for plate in plates)
