"""What the two marks say about each other: is the visible mark there, was it taken away, or is it not ours?

1. *present*: a plate is where key, payload and time put it (`watermark.visible_detect`), or a label is found
   that keeps to the path a little beside it.
2. *removed*: the hidden mark was read, so the path is known, and along it the plates are missing. Where the
   clip shows the whole frame from the start on, the path is certain, and a clear absence is enough; where
   it was cut, turned or sped, or one plate is still there, there has to be a hole in the hidden mark besides
   (`watermark.local_carrier`). One plate, or some seconds, are enough: then it is removed in part.
3. *forged label*: a label like ours is in the picture, and no hidden mark, or one that asks for another path.
   Compression can destroy the hidden mark of a clip of ours: a label that moves like ours is called forged
   only in a clip that would have kept it.
4. *none*: neither mark.
5. *not checked*: whatever else. What cannot be followed, is too small or too short is never said to be
   present, nor removed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import cv2
import numpy as np

from watermark.base import Geometry, TimedLuma
from watermark.framing import WHOLE, Framing, Matrix, Size, framings, upright
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS
from watermark.local_carrier import UNTOLD, Colour, Hole, PathHoles, together
from watermark.look_alike import LookAlike, goes_along, legible, look_for, moves_like_ours
from watermark.visible import VisibleLayout
from watermark.visible_detect import (
    ABSENT,
    FAINT,
    MIN_FRAMES,
    MIN_SECONDS,
    PlateEvidence,
    Span,
    VisibleEvidence,
    follow,
)
from watermark.visible_path import Plate

HOLE = 2.0  # log odds that say: something was taken away here
# The carrier tells the start to about a quarter of a second, the plates need it to a twentieth.
NEAR_STARTS = (0.0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3)  # seconds, around what the carrier says
CLOSE_STARTS = tuple(step / 20 for step in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6))
ALIGNED_SECONDS = 0.2  # a start this close to the release's start counts as the same
WHOLE_PERIODS = tuple(
    count * PERIOD_SECONDS for count in (1, 2, 3, 4)
)  # seconds; tried where nothing is told
FAR_PERIODS = 225  # of a label that is somewhere else in the picture: so many periods may have been cut off
ENOUGH_FRAMES = 24  # at a start that is merely likely, half of them are looked at, but no fewer
PART_SECONDS = 1.0  # of a plate that has to be missing for "removed in part"


class Verdict(StrEnum):
    """What the marks say of the visible one."""

    PRESENT = "present"
    REMOVED = "removed"
    FORGED = "forged label"
    NONE = "none"
    NOT_CHECKED = "not checked"


class Reason(StrEnum):
    """Why there is no answer."""

    SMALL = "small"  # or too short
    MOVED = "moved"  # the path cannot be followed
    UNREAD = "unread"  # the hidden mark could not be read
    LOST = "lost"  # a label that moves like ours, and no hidden mark: it was destroyed, or somebody copied us
    UNKNOWN = "unknown"  # nothing says which path and size the visible mark was drawn with


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateTestimony:
    """One plate. ``removed``: seconds of the clip in which it was taken away; ``hole``: in the hidden mark,
    where the plate is missing.
    """

    evidence: PlateEvidence
    removed: tuple[Span, ...] = ()
    hole: Hole = UNTOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """The verdict and what it rests on.

    ``framing``: where the path was followed; None without a path. ``evidence``: along it. ``plates``: label
    and handle. ``hole``: both plates' together. ``reason``: only where nothing was decided.
    """

    verdict: Verdict
    reason: Reason | None = None
    framing: Framing | None = None
    evidence: VisibleEvidence | None = None
    plates: tuple[PlateTestimony, ...] = ()
    hole: Hole = UNTOLD
    look_alike: LookAlike | None = field(default=None, repr=False)

    @property
    def partly(self) -> bool:
        """Whether something of the visible mark is still there."""
        return self.verdict is Verdict.REMOVED and any(plate.evidence.present for plate in self.plates)

    @property
    def removed(self) -> tuple[Span, ...]:
        """Seconds of the clip in which a plate was taken away."""
        return _joined(span for plate in self.plates for span in plate.removed)


def without_payload(
    frames: Sequence[TimedLuma], texts: VisibleLayout, *, hidden: bool, kept: bool = False
) -> Testimony:
    """Where no payload was read, so that no path is known.

    `texts`: any layout with our texts and the clip's size. `hidden`: a mark of ours is there all the same.
    `kept`: a clip of this size, length and quality would have kept its hidden mark.
    """
    if hidden:
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.UNREAD)
    if not _enough(frames) or not legible(frames[0].luma, texts):
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.SMALL)
    found = look_for(frames, texts)
    if found is None:
        return Testimony(verdict=Verdict.NONE)
    if not kept and moves_like_ours(found, (texts.width, texts.height)):
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.LOST, look_alike=found)
    return Testimony(verdict=Verdict.FORGED, look_alike=found)


def by_credential(frames: Sequence[TimedLuma], layout: VisibleLayout) -> Testimony:
    """Where the release is known by its credential only: the hidden mark was not read.

    The clip is taken to lie as released. Pictures without the hidden mark may be any, so what is not found
    was not removed.
    """
    if not _enough(frames):
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.SMALL)
    return _present_or(follow(layout, frames, near([WHOLE])), Reason.UNREAD)


def of_any(frames: Sequence[TimedLuma], layouts: Iterable[VisibleLayout], geometry: Geometry) -> Testimony:
    """Where the payload was read, but nothing says which of these layouts the marked clip had: the variants
    of a size. What is found along one of the paths is present; nothing else can be said.
    """
    seen: list[VisibleEvidence] = []
    if not _enough(frames):
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.SMALL)
    for layout in layouts:
        places = framings(geometry, (layout.width, layout.height), frames[0].luma.shape[::-1])
        if places:
            seen.append(follow(layout, frames, near(places)))
            if seen[-1].state == "found":
                break
    best = max(seen, key=lambda evidence: (evidence.state == "found", evidence.score), default=None)
    if best is None:
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.MOVED)
    return _present_or(best, Reason.UNKNOWN)


def _present_or(seen: VisibleEvidence, reason: Reason) -> Testimony:
    if seen.state != "found":
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=reason)
    plates = tuple(PlateTestimony(evidence=evidence) for evidence in (seen.label, seen.handle))
    return Testimony(verdict=Verdict.PRESENT, framing=seen.framing, evidence=seen, plates=plates)


def with_payload(
    frames: Sequence[TimedLuma],
    layout: VisibleLayout,
    key: DetectionKey,
    payload: int,
    geometry: Geometry,
    trims: Sequence[float] = WHOLE_PERIODS,
    colours: Sequence[Colour] = (),
) -> Testimony:
    """Where the hidden mark was read.

    `frames`: of the first seconds, of one size. `layout`: of the marked clip. `geometry`: as the hidden mark
    was read with. `trims`: seconds, in whole periods of the carrier, that may have been cut off the start
    besides, the likeliest first. `colours`: U and V of each frame; none where the clip is grey.
    """
    if not _enough(frames):
        return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.SMALL)
    holes = PathHoles(frames, layout, key, payload, colours)
    return _Case(frames, layout, holes, geometry, trims).testimony()


def _enough(frames: Sequence[TimedLuma]) -> bool:
    return len(frames) >= MIN_FRAMES and frames[-1].time - frames[0].time >= MIN_SECONDS


class _Case:
    """One clip whose hidden mark was read."""

    def __init__(
        self,
        frames: Sequence[TimedLuma],
        layout: VisibleLayout,
        holes: PathHoles,
        geometry: Geometry,
        trims: Sequence[float],
    ) -> None:
        self._frames, self._layout = frames, layout
        self._marked = (layout.width, layout.height)
        self._size = frames[0].luma.shape[::-1]
        self._places = framings(geometry, self._marked, self._size)
        self._trims = tuple(trims)
        self._exact = geometry.upright and any(
            place.whole and abs(place.start) < ALIGNED_SECONDS for place in self._places[:1]
        )
        self._some = frames[::2] if len(frames) > 2 * ENOUGH_FRAMES else frames
        self._whole = ((frames[0].time, frames[-1].time),)
        self._holes = holes

    def testimony(self) -> Testimony:
        """Where the path leads, then what is there."""
        if not self._places:
            return Testimony(verdict=Verdict.NOT_CHECKED, reason=Reason.MOVED)
        seen = follow(self._layout, self._frames, near(self._places))
        if seen.state != "found":
            later = follow(self._layout, self._some, near(self._starts()))
            seen = seen if later.state == "absent" else self._at(later.framing)
        return self._there(seen) if seen.state == "found" else self._missing(seen)

    def _starts(self) -> list[Framing]:
        """All places at all starts that are likely, those with nothing cut off first."""
        return [place.begun(place.start + trim) for trim in (0.0, *self._trims) for place in self._places]

    def _at(self, place: Framing) -> VisibleEvidence:
        return follow(self._layout, self._frames, near([place]))

    def _there(self, seen: VisibleEvidence) -> Testimony:
        """A plate is in its place, so the path is certain: is anything of the mark missing all the same?"""
        plates = self._partly(seen)
        found: LookAlike | None = None
        if any(plate.removed for plate in plates):
            # One plate may be found a little too early or too late, where the other is not.
            seen = self._best_about(seen.framing)
            plates = self._partly(seen)
        if plates[Plate.LABEL].removed:
            found, along = self._label_anywhere(seen.framing, plates[Plate.LABEL].removed)
            if along is not None:
                plates = (replace(plates[Plate.LABEL], removed=()), plates[Plate.HANDLE])
        gone = any(plate.removed for plate in plates)
        return Testimony(
            verdict=Verdict.REMOVED if gone else Verdict.PRESENT, framing=seen.framing, evidence=seen,
            plates=plates, hole=together(plate.hole for plate in plates), look_alike=found,
        )  # fmt: skip

    def _best_about(self, place: Framing) -> VisibleEvidence:
        """The evidence at the start, close to this one, at which both plates together are seen best."""
        starts = [place.begun(place.start + by) for by in CLOSE_STARTS]
        seen = [follow(self._layout, self._frames, [start]) for start in starts]
        return max(seen, key=lambda evidence: evidence.label.score + evidence.handle.score)

    def _partly(self, seen: VisibleEvidence) -> tuple[PlateTestimony, ...]:
        return tuple(self._of_plate(seen, plate) for plate in Plate)

    def _of_plate(self, seen: VisibleEvidence, plate: Plate) -> PlateTestimony:
        evidence = (seen.label, seen.handle)[plate]
        if _seconds(evidence.missing) < PART_SECONDS:
            return PlateTestimony(evidence=evidence)
        hole = self._holes.at(seen.framing, plate, evidence.missing)
        # A little perspective leaves one plate at its place and moves the other: without a sign of a hole, a
        # plate that is not found is not gone.
        clearly = seen.framing.whole and evidence.state == "absent" and evidence.score <= ABSENT
        gone = evidence.missing if hole.evidence >= (0.5 * HOLE if clearly else HOLE) else ()
        return PlateTestimony(evidence=evidence, hole=hole, removed=gone)

    def _missing(self, seen: VisibleEvidence) -> Testimony:
        """No plate is where one has to be."""
        found, along = self._label_anywhere(seen.framing, self._whole)
        if found is not None and along is not None:
            closer = self._at(along)
            return self._there(closer) if closer.state == "found" else _beside(closer, along, found)
        if not self._exact:
            return self._moved(seen, found)
        plates = self._emptied(seen)
        said = Testimony(
            verdict=Verdict.NOT_CHECKED, reason=Reason.SMALL, framing=seen.framing, evidence=seen,
            plates=plates, hole=together(plate.hole for plate in plates), look_alike=found,
        )  # fmt: skip
        if found is not None and said.hole.evidence < HOLE:
            return replace(said, verdict=Verdict.FORGED, reason=None)
        if said.hole.left is None:  # the hidden mark does not lie where it was said to: in perspective, say
            return replace(said, reason=Reason.MOVED)
        if seen.state == "absent" or (said.hole.evidence >= HOLE and seen.frames >= MIN_FRAMES):
            return replace(said, verdict=Verdict.REMOVED, reason=None)
        return said

    def _label_anywhere(
        self, usual: Framing, spans: Sequence[Span]
    ) -> tuple[LookAlike | None, Framing | None]:
        """A label like ours at any place of the picture, and the framing whose path it keeps to."""
        change, size = upright(usual, self._marked, self._size)
        inside = [one for one in self._frames if any(start <= one.time <= end for start, end in spans)]
        found = look_for(turned(inside, change, size), self._layout) if inside else None
        if found is None:
            return None, None
        for turn in range(FAR_PERIODS):
            for place in (usual, *self._places):
                far = place.begun(place.start + turn * PERIOD_SECONDS)
                if not goes_along(found, self._layout, far.after(change)):
                    continue
                # Of so many starts one will do by chance: a far one has to be right to the pixel.
                if turn <= len(WHOLE_PERIODS) or self._at(far).state == "found":
                    return found, far
        return found, None

    def _moved(self, seen: VisibleEvidence, found: LookAlike | None) -> Testimony:
        """The path is one of several: only a hole tells which, and that something was there."""
        nothing = Testimony(
            verdict=Verdict.NOT_CHECKED, reason=Reason.MOVED, framing=seen.framing, evidence=seen,
            look_alike=found,
        )  # fmt: skip
        starts = self._starts()
        if found is not None or seen.frames < MIN_FRAMES:
            return nothing
        best, most = None, HOLE + math.log(len(starts))
        for place in starts:
            evidence = together(self._holes.at(place, plate, self._whole) for plate in Plate).evidence
            best, most = (place, evidence) if evidence >= most else (best, most)
        if best is None:
            return nothing
        there = self._at(best)
        if there.score >= FAINT:
            return nothing
        plates = self._emptied(there)
        return replace(
            nothing, verdict=Verdict.REMOVED, reason=None, framing=best, evidence=there, plates=plates,
            hole=together(plate.hole for plate in plates),
        )  # fmt: skip

    def _emptied(self, seen: VisibleEvidence) -> tuple[PlateTestimony, ...]:
        """Both plates as missing for as long as the clip was looked at; not one that lies outside of it."""
        made = []
        for plate, evidence in zip(Plate, (seen.label, seen.handle), strict=True):
            hole = self._holes.at(seen.framing, plate, self._whole)
            there = seen.framing.whole or hole.evidence >= HOLE
            gone = evidence.missing or (self._whole if there else ())
            made.append(PlateTestimony(evidence=evidence, hole=hole, removed=gone))
        return tuple(made)


def near(places: Iterable[Framing]) -> list[Framing]:
    """Each place at its start and a little earlier and later, the likeliest first."""
    return [place.begun(place.start + by) for place in places for by in NEAR_STARTS]


def turned(frames: Sequence[TimedLuma], change: Matrix, size: Size) -> Sequence[TimedLuma]:
    """Frames upright and unmirrored, so that writing can be read; `change`, `size` of `framing.upright`."""
    shape = frames[0].luma.shape[::-1]
    if np.allclose(change, np.eye(2, 3)):
        return frames
    matrix = change * np.array(size)[:, None]
    matrix[:, :2] /= np.array(shape)
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # pixels lie at their centres
    return [
        frame._replace(luma=np.asarray(cv2.warpAffine(frame.luma, matrix, size), np.uint8))
        for frame in frames
    ]


def _beside(seen: VisibleEvidence, framing: Framing, found: LookAlike) -> Testimony:
    """A label that keeps to its path, at a small distance: where it is was not known well enough."""
    label = PlateEvidence(state="found", score=found.score, present=(found.span,), missing=())
    plates = (PlateTestimony(evidence=label), PlateTestimony(evidence=seen.handle))
    return Testimony(
        verdict=Verdict.PRESENT, framing=framing, evidence=seen, plates=plates, look_alike=found
    )  # fmt: skip


def _seconds(spans: Iterable[Span]) -> float:
    return sum(end - start for start, end in spans)


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in order, those that touch as one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
