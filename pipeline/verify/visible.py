"""The visible mark's line of evidence: is it where the hidden payload says it must be?"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.types import Evidence, EvidenceState, Json
from pipeline.verify.observe import Observation
from pipeline.verify.types import StripFrame
from watermark.base import Geometry, TimedLuma
from watermark.errors import WatermarkError
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS
from watermark.visible import VisibleLayout
from watermark.visible_detect import VisibleDetector, VisibleEvidence

ALIGNED_SECONDS: Final = 0.2  # a start this close to the release's start counts as the same
TRIMMED_SECONDS: Final = 1.0  # by the fingerprint, which is coarse
PATH_STEP: Final = 0.2  # seconds between points of the drawn path
MAX_TEXT: Final = 64
MAX_SIDE: Final = 1 << 16

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
    offset: float,
) -> VisibleFinding:
    """Follow the path of `payload`. `mark`: the ``visible_mark`` object of our own signed assertion.

    `geometry`: how the clip lies relative to the release; None: as released. `offset`: seconds by which the
    clip was trimmed at its start, by the fingerprint (`geometry` knows it only modulo the carrier's period).
    """
    layout = _layout(key, payload, mark)
    if layout is None:
        return not_checked("The credential does not say how the visible mark was drawn.", observation)
    if abs(offset) > TRIMMED_SECONDS or (geometry is not None and not _aligned(geometry)):
        return not_checked(
            "The picture was cut, moved or trimmed, so the mark's place is not known well enough.",
            observation,
        )
    detector = VisibleDetector(layout)
    mirrored = geometry is not None and geometry.mirrored
    for frame in observation.kept:
        luma = np.ascontiguousarray(frame.luma[:, ::-1]) if mirrored else frame.luma
        detector.observe(frame.time, luma)
    seen = detector.result()
    return VisibleFinding(
        evidence=_evidence(seen, observation.kept),
        removed=seen.state == "absent",
        strip=_strip(layout, observation, mirrored=mirrored),
        path=_path(layout, observation, mirrored=mirrored),
    )


def _layout(key: DetectionKey, payload: int, mark: Any) -> VisibleLayout | None:
    """The layout that our credential describes, or None; its values come out of a file, if a signed one."""
    try:
        variant, width, height = (int(mark[name]) for name in ("variant", "width", "height"))
        label, handle = (str(mark[name])[:MAX_TEXT] for name in ("label", "handle"))
        if max(width, height) > MAX_SIDE:
            return None
        return VisibleLayout(key.visible, payload, variant, width, height, label, handle)
    except (KeyError, TypeError, ValueError, OverflowError, WatermarkError):
        return None


def _aligned(geometry: Geometry) -> bool:
    offset = min(geometry.time_offset, PERIOD_SECONDS - geometry.time_offset)
    shifted = max(min(abs(part), 0.5 - abs(part)) for part in geometry.shift)
    return abs(geometry.scale - 1) < 0.01 and shifted < 0.01 and offset < ALIGNED_SECONDS


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


def _strip(layout: VisibleLayout, observation: Observation, *, mirrored: bool) -> tuple[StripFrame, ...]:
    def boxes(time: float) -> tuple[tuple[float, float, float, float], ...]:
        return tuple(_share(box, layout, mirrored=mirrored) for box in layout.boxes(time))

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


def _path(layout: VisibleLayout, observation: Observation, *, mirrored: bool) -> Path_:
    if not observation.strip:
        return ()
    end = observation.kept[-1].time if observation.kept else 0.0
    times = np.arange(0.0, end + PATH_STEP, PATH_STEP)
    plates: list[list[tuple[float, float]]] = [[], []]
    for time in times:
        for plate, pose in zip(plates, layout.poses(float(time)), strict=True):
            x = pose.centre[0] / layout.width
            plate.append((1 - x if mirrored else x, pose.centre[1] / layout.height))
    return tuple(tuple(plate) for plate in plates)
