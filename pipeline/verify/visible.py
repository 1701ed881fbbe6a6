"""The visible mark's line of evidence: what the hidden mark and the visible one say about each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.credentials.fingerprint import Alignment
from pipeline.media.types import ClipInfo
from pipeline.types import Evidence, EvidenceState, Json, JsonValue
from pipeline.verify.observe import Observation
from pipeline.verify.types import StripFrame
from watermark.base import Geometry
from watermark.errors import WatermarkError
from watermark.framing import Framing
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS
from watermark.look_alike import LookAlike
from watermark.removal import (
    WHOLE_PERIODS,
    Reason,
    Testimony,
    Verdict,
    by_credential,
    of_any,
    with_payload,
    without_payload,
)
from watermark.visible import VisibleLayout
from watermark.visible_draw import VisibleStyle
from watermark.visible_path import VARIANTS, Plate

TRIMMED_SECONDS: Final = 1.0  # by the fingerprint, which is coarse
PERIODS_TRIED: Final = 4  # so many trims by whole periods of the carrier are looked at, the likeliest
ABOUT_AS_GOOD: Final = 0.05  # distance by which the fingerprint of a still scene may miss the best alignment
GRID_SECONDS: Final = 0.5  # an alignment may be off by this, or by its grid's step
PATH_STEP: Final = 0.2  # seconds between points of the drawn path
PLACE_STEP: Final = 1.0  # seconds between the boxes that a report lists
MAX_TEXT: Final = 64
# A clip of at least this length, size and bits per pixel would have kept its hidden mark: of four real clips
# at 480p H.264 leaves 0.08 to 0.28 at crf 23, and 0.03 to 0.11 at crf 30, where the mark is still read.
KEPT_FROM_SECONDS: Final = 4.0
KEPT_FROM_LINES: Final = 360
KEPT_FROM_BITS: Final = 0.08
MAX_SIDE: Final = 1 << 16

NO_KEYS: Final = "Not looked for: there is no detection key here (--trust with a bundle brings one)."
UNSEARCHED: Final = "The hidden mark that belongs to it could not be looked for."
UNNAMED: Final = "The credential does not say how the visible mark was drawn."
WHY_NOT: Final = {
    Reason.SMALL: "The clip is too small or too short to say whether the moving mark is there.",
    Reason.MOVED: "The picture was cut, moved or trimmed, so the mark's place is not known well enough.",
    Reason.UNREAD: "The hidden mark could not be read, so where the visible one must be is not certain.",
    Reason.LOST: (
        "A label that moves like ours is in the picture, but no hidden mark was found: it was destroyed, or "
        "somebody copied the label."
    ),
    Reason.UNKNOWN: "Its path follows from a release's payload, and no release was found.",
}
STATES: Final = {
    Verdict.PRESENT: EvidenceState.FOUND,
    Verdict.REMOVED: EvidenceState.ABSENT,
    Verdict.FORGED: EvidenceState.ABSENT,
    Verdict.NONE: EvidenceState.ABSENT,
    Verdict.NOT_CHECKED: EvidenceState.NOT_CHECKED,
}

Box = tuple[float, float, float, float]
Path_ = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleFinding:
    """The line of evidence, what is flagged, and what the report draws."""

    evidence: Evidence
    removed: bool = False
    forged: bool = False
    strip: tuple[StripFrame, ...] = ()
    path: Path_ = ()


def not_checked(reason: str, observation: Observation | None) -> VisibleFinding:
    """The mark could not be looked for; `reason` is a sentence."""
    found: Json = {"verdict": str(Verdict.NOT_CHECKED)}
    evidence = Evidence(state=EvidenceState.NOT_CHECKED, summary=reason, found=found)
    return VisibleFinding(evidence=evidence, strip=_plain_strip(observation))


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

    `geometry`: how the clip lies relative to the release, where the hidden mark was read; None: `payload` is
    the credential's. The hidden mark knows a trim at the start modulo the carrier's period only;
    `alignments`, of the fingerprints, tell by how many periods it may be.
    """
    layout = layout_of_release(key, payload, mark)
    if layout is None:
        return not_checked(UNNAMED, observation)
    if geometry is None and alignments and abs(alignments[0].offset) > TRIMMED_SECONDS:
        return not_checked(WHY_NOT[Reason.MOVED], observation)
    if geometry is None:
        said = by_credential(observation.kept, layout)
    else:
        trims = whole_periods(alignments, mirrored=geometry.mirrored) if alignments else WHOLE_PERIODS
        said = with_payload(observation.kept, layout, key, payload, geometry, trims, observation.colours)
    return _told(said, layout, observation)


def look_without_release(
    observation: Observation, geometry: Geometry, key: DetectionKey, payload: int, texts: tuple[str, str]
) -> VisibleFinding:
    """The hidden mark was read, and nobody could be asked how the visible one was drawn.

    All variants of the path are tried, with our own `texts` (label, handle) at the clip's own size.
    """
    size = (observation.info.width, observation.info.height)
    layouts = [
        layout
        for variant in range(VARIANTS)
        if (layout := _made(key, payload, variant, size, texts)) is not None
    ]
    said = of_any(observation.kept, layouts, geometry)
    variant = said.evidence.variant if said.evidence else 0
    chosen = next((layout for layout in layouts if layout.path.variant == variant), None)
    return _told(said, chosen if said.verdict is Verdict.PRESENT else None, observation)


def look_without_payload(
    observation: Observation, key: DetectionKey, texts: tuple[str, str], *, hidden: bool
) -> VisibleFinding:
    """No payload was read. `hidden`: but a mark of our key is there; `texts`: our label and handle."""
    size = (observation.info.width, observation.info.height)
    layout = _made(key, 0, 0, size, texts)
    if layout is None:
        return not_checked(WHY_NOT[Reason.SMALL], observation)
    said = without_payload(observation.kept, layout, hidden=hidden, kept=would_keep(observation.info))
    return _told(said, None, observation)


def would_keep(info: ClipInfo) -> bool:
    """Whether a clip of this size, length and bitrate would have kept its hidden mark.

    False where that is not known. A clip that was once smaller or worse is not recognised as such.
    """
    seconds, rate = info.duration or 0.0, float(info.frame_rate or 0)
    if seconds < KEPT_FROM_SECONDS or min(info.width, info.height) < KEPT_FROM_LINES or rate <= 0:
        return False
    bits = 8 * (info.size_bytes or 0) / seconds
    return bits / (info.width * info.height * rate) >= KEPT_FROM_BITS


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
    return tuple(trims)[:PERIODS_TRIED]


def _periods_near(offset: float, tolerance: float) -> tuple[float, ...]:
    first = math.ceil((offset - tolerance) / PERIOD_SECONDS)
    last = math.floor((offset + tolerance) / PERIOD_SECONDS)
    return tuple(count * PERIOD_SECONDS for count in range(first, last + 1) if count)


def layout_of_release(key: DetectionKey, payload: int, mark: Any) -> VisibleLayout | None:
    """The layout that our credential describes, or None; its values come out of a file, if a signed one."""
    try:
        variant, width, height = (int(mark[name]) for name in ("variant", "width", "height"))
        label, handle = (str(mark[name])[:MAX_TEXT] for name in ("label", "handle"))
        style = VisibleStyle.chosen(**dict(mark.get("style") or {}))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, WatermarkError):
        return None
    return _made(key, payload, variant, (width, height), (label, handle), style)


def _made(
    key: DetectionKey,
    payload: int,
    variant: int,
    size: tuple[int, int],
    texts: tuple[str, str],
    style: VisibleStyle | None = None,
) -> VisibleLayout | None:
    """The layout; None where no mark can have been drawn so."""
    if max(size) > MAX_SIDE:
        return None
    try:
        return VisibleLayout(key.visible, payload, variant, *size, *texts, style or VisibleStyle())
    except WatermarkError:
        return None


def _told(said: Testimony, layout: VisibleLayout | None, observation: Observation) -> VisibleFinding:
    """The testimony as a line of evidence; `layout`: whose path was followed, where one was."""
    framing = said.framing
    found: Json = {"verdict": str(said.verdict)}
    strip, path = _plain_strip(observation), Path_()
    if layout is not None and framing is not None:
        found |= _measured(said) | {"places": _places(said, layout, framing, observation)}
        strip, path = _strip(layout, framing, observation), _path(layout, framing, observation)
    elif said.look_alike is not None:
        found |= {"places": _seen_places(said.look_alike)}
    evidence = Evidence(state=STATES[said.verdict], summary=_summary(said, observation), found=found)
    return VisibleFinding(
        evidence=evidence, removed=said.verdict is Verdict.REMOVED, forged=said.verdict is Verdict.FORGED,
        strip=strip, path=path,
    )  # fmt: skip


def _summary(said: Testimony, observation: Observation) -> str:
    kept = observation.kept
    until = f"the first {kept[-1].time:.0f} s" if kept and kept[-1].time >= 1 else "the clip"
    if said.verdict is Verdict.PRESENT:
        return f"The moving mark is at its place in {until}."
    if said.verdict is Verdict.REMOVED:
        return _removal(said, until)
    if said.verdict is Verdict.FORGED and said.framing is not None:
        return (
            f"A label like ours is in {until}, but not where the hidden mark says that it must be: somebody "
            "else drew it."
        )
    if said.verdict is Verdict.FORGED:
        return (
            f"A label like ours is in {until}, but not the hidden mark that belongs to it: somebody else "
            "drew it."
        )
    if said.verdict is Verdict.NONE:
        return f"No label like ours was seen in {until}, and there is no hidden mark."
    return WHY_NOT[said.reason or Reason.UNKNOWN]


def _removal(said: Testimony, until: str) -> str:
    """What is missing, where, and what says that it was taken away."""
    holes = " The hidden mark has a hole there." if said.hole.evidence > 0 else ""
    if not said.partly:
        return f"The moving mark is not where it must be in {until}: it was removed or covered.{holes}"
    gone = [plate.name.lower() for plate, told in zip(Plate, said.plates, strict=True) if told.removed]
    when = " and ".join(f"{start:.1f} to {end:.1f} s" for start, end in said.removed[:3])
    what = f"{' and '.join(gone)}, {when}"
    return f"Part of the moving mark is missing ({what}): it was removed or covered.{holes}"


def _measured(said: Testimony) -> Json:
    """Figures along the path that was followed."""
    seen = said.evidence
    if seen is None:
        return {}
    return {
        "score": round(seen.score, 3), "variant": seen.variant,
        "present": [_rounded(span) for plate in said.plates[:1] for span in plate.evidence.present],
        "missing": [_rounded(span) for plate in said.plates[:1] for span in plate.evidence.missing],
        "removed": [_rounded(span) for span in said.removed],
        "hole": round(said.hole.evidence, 1),
        "left": None if said.hole.left is None else round(said.hole.left, 2),
        "plates": {
            plate.name.lower(): {
                "state": str(told.evidence.state), "score": round(told.evidence.score, 3),
                "present": [_rounded(span) for span in told.evidence.present],
                "missing": [_rounded(span) for span in told.evidence.missing],
                "removed": [_rounded(span) for span in told.removed],
            }
            for plate, told in zip(Plate, said.plates, strict=False)
        },
    }  # fmt: skip


def _rounded(values: Sequence[float], places: int = 2) -> list[JsonValue]:
    return [round(value, places) for value in values]


def _places(
    said: Testimony, layout: VisibleLayout, framing: Framing, observation: Observation
) -> list[JsonValue]:
    """Where plates were taken away (or else must be), once a second: boxes in shares of the frame."""
    end = observation.kept[-1].time if observation.kept else 0.0
    spans = said.removed or ((0.0, end),)
    times = [
        start + index * PLACE_STEP
        for start, stop in spans
        for index in range(int((stop - start) / PLACE_STEP) + 1)
    ]
    marked = (layout.width, layout.height)
    return [
        {
            "time": round(time, 2),
            **{
                plate.name.lower(): _rounded(_cut(framing.box(marked, box)), 4)
                for plate, box in zip(Plate, layout.boxes(framing.marked_time(time)), strict=True)
            },
        }
        for time in times
    ]  # fmt: skip


def _seen_places(found: LookAlike) -> list[JsonValue]:
    return [{"time": round(hit.time, 2), "label": _rounded(_cut(hit.box), 4)} for hit in found.hits]


def _cut(box: Sequence[float]) -> list[float]:
    return [min(max(edge, 0.0), 1.0) for edge in box]


def _plain_strip(observation: Observation | None) -> tuple[StripFrame, ...]:
    strip = observation.strip if observation else ()
    return tuple(StripFrame(time=time, jpeg=jpeg) for time, jpeg in strip)


def _strip(layout: VisibleLayout, framing: Framing, observation: Observation) -> tuple[StripFrame, ...]:
    marked = (layout.width, layout.height)

    def boxes(time: float) -> tuple[Box, ...]:
        placed = (framing.box(marked, box) for box in layout.boxes(framing.marked_time(time)))
        return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in placed if x1 > 0 and y1 > 0 and x0 < 1 and y0 < 1)

    return tuple(StripFrame(time=time, jpeg=jpeg, boxes=boxes(time)) for time, jpeg in observation.strip)


def _path(layout: VisibleLayout, framing: Framing, observation: Observation) -> Path_:
    if not observation.strip:
        return ()
    end = observation.kept[-1].time if observation.kept else 0.0
    marked = (layout.width, layout.height)
    plates: list[list[tuple[float, float]]] = [[], []]
    for time in np.arange(0.0, end + PATH_STEP, PATH_STEP).tolist():
        for plate, pose in zip(plates, layout.poses(framing.marked_time(time)), strict=True):
            plate.append(framing.point(marked, *pose.centre))
    return tuple(tuple(plate) for plate in plates)
