"""Is the visible mark where it has to be? A matched filter that follows the recomputed path.

1. Per frame and plate, the plate's place is resampled to one canonical size, high-passed and correlated with
   the known text over small shifts.
2. The maps of correlation are averaged over time: the plate moves against the scene, so the scene averages
   out and the text stays. The best value near the centre of the mean map is the score; the nearby shifts are
   the controls.
3. A plate is *found* if its score reaches ``FOUND`` and beats its controls, over the whole clip or in
   ``PRESENT_SHARE`` of its seconds; *absent* if enough frames were seen and the score stayed in the noise
   (``ABSENT``) or is no better than at the controls, single seconds aside; otherwise *undecidable*.
4. The mark is found if both plates are, or one of them for ``LONE_SECONDS`` and ``LONE_SHARE`` of the clip;
   absent if both are; otherwise undecidable. The shares are there because another payload's path crosses a
   plate of a marked clip now and then.
5. Where it is not known at which time of the marked clip this one starts, ``follow`` tries several starts:
   the mark is found if it is from one of them, and absent only if it is absent from all of them. A tenth of a
   second too early or too late moves a plate by up to three canonical pixels, so a trim of a quarter of a
   second would otherwise pass for a removal.

Thresholds were set on six real clips in windows of 2 s: plates that are there score 0.54 … 0.93 down to half
size at H.264 crf 33; unmarked clips (99 % below 0.1) and painted-over plates stay below 0.25. From a start
that is off, the edges of a painted-over plate score up to 0.4, without a lead. A mark that is there passes
for absent only where its text is blurred beyond reading: 9 of 390 clips at crf 33 … 51 with blur up to 1.4 %
of the picture's height, all of these at crf 51 with 1.1 % or more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import cv2
import numpy as np

from watermark.base import Luma, TimedLuma
from watermark.errors import GeometryError
from watermark.framing import WHOLE, Framing, Matrix
from watermark.visible import DEFAULT_HANDLE, DEFAULT_LABEL, Pose, VisibleLayout
from watermark.visible_draw import Levels, Patch, VisibleStyle, place, render
from watermark.visible_path import VARIANTS, Plate

FOUND = 0.45
ABSENT = 0.16
FAINT = 0.30
FAINT_LEAD = 0.02  # over the best control: a faint score with less is that of any edge
CONTROL_LEAD = 0.04  # the centre has to beat the best control by this
MIN_FRAMES = 4  # for any statement on a second or a clip
MIN_SECONDS = 0.4  # of clip, for "absent"
BIN_SECONDS = 1.0
PRESENT_SHARE = 0.10  # of the observed time
CROSSING_SHARE = 0.02  # of the observed time: so much presence may be a crossing
LONE_SECONDS = 1.5  # of presence that one plate alone needs, and
LONE_SHARE = 0.25  # of the observed time
FRAME_INTERVAL = 0.075  # seconds: more frames a second add cost, not evidence
MIN_OBSERVED_HEIGHT = 7.0  # pixels of a plate in the clip that is looked at: below, text is gone
MIN_INSIDE = 0.9  # of a plate that has to lie in the clip for a frame to say anything about it

CANONICAL_HEIGHT = 20  # pixels of a plate after resampling
REACH = 9  # canonical pixels of shift on each side
CENTRE = 1  # shifts up to this count as "at its place" (rounded sizes)
CONTROL_FROM = 4  # shifts from this on are controls
HIGH_PASS_SIGMA = 3.0  # canonical pixels
NOISE_FLOOR = 1.5  # luma: content flatter than this counts as noise of this size
_MID_GREY = 110.0
_GRID = np.stack([side.ravel() for side in np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.5, 0.5, 5))])

State = Literal["found", "absent", "undecidable"]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateEvidence:
    """What was seen of one plate. ``score``: mean correlation, about 0 without and 0.6 … 0.9 with the plate.

    ``present``, ``missing``: seconds of the clip in which it was at its place, or was not; times in neither
    are unclear.
    """

    state: State
    score: float
    present: tuple[Span, ...]
    missing: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleEvidence:
    """Whether the visible mark is where key, payload and variant put it. ``score``: the better plate's.

    ``framing``: where and when the clip was taken to lie on the marked one.
    """

    state: State
    score: float
    label: PlateEvidence
    handle: PlateEvidence
    variant: int
    frames: int
    framing: Framing

    @property
    def start(self) -> float:
        """The marked clip's second at the clip's beginning."""
        return self.framing.start


class VisibleDetector:
    """Follows the path of one mark through a clip; constant memory but for one number a second.

    ``layout``: made with the *marked* clip's size, texts and style. ``framing``: how the clip that is looked
    at lies on the marked one; it may have any size.
    """

    def __init__(self, layout: VisibleLayout, framing: Framing = WHOLE) -> None:
        self._layout, self._framing = layout, framing
        self._trackers = [_Tracker(plate_filter(layout, plate)) for plate in Plate]
        self._last: float | None = None
        self._frames = 0

    def observe(self, time: float, luma: Luma) -> None:
        """Take a frame, uint8[h, w], at ``time`` seconds. Raises GeometryError for unusable input."""
        if luma.ndim != 2 or luma.dtype != np.uint8:
            raise GeometryError("The visible mark is looked for in luma planes of 8 bits: convert the frame.")
        poses = self._layout.poses(self._framing.marked_time(time))
        if self._last is not None and 0 <= time - self._last < FRAME_INTERVAL:
            return
        self._last = time
        placed = self._framing.pixels((self._layout.width, self._layout.height), luma.shape[::-1])
        wide, high = np.hypot(*placed[:, :2])
        if (
            min(min(pose.height * high, pose.height * pose.ratio * wide) for pose in poses)
            < MIN_OBSERVED_HEIGHT
        ):
            return
        self._frames += 1
        for tracker, pose in zip(self._trackers, poses, strict=True):
            if self._framing.whole or _inside(pose, placed, luma.shape) >= MIN_INSIDE:
                tracker.add(time, luma, pose, placed)

    def result(self) -> VisibleEvidence:
        """The evidence so far; more frames may follow."""
        label, handle = (tracker.evidence() for tracker in self._trackers)
        return VisibleEvidence(
            state=_mark_state(label, handle, max(tracker.observed for tracker in self._trackers)),
            score=max(label.score, handle.score),
            label=label,
            handle=handle,
            variant=self._layout.path.variant,
            frames=self._frames,
            framing=self._framing,
        )


def _mark_state(label: PlateEvidence, handle: PlateEvidence, observed: float) -> State:
    plates = (label, handle)
    if all(plate.state == "absent" for plate in plates):
        return "absent"
    both = all(plate.state == "found" for plate in plates)
    lone = max(_seconds(plate.present) for plate in plates)
    return "found" if both or lone >= max(LONE_SECONDS, LONE_SHARE * observed) else "undecidable"


def _seconds(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)


def follow(layout: VisibleLayout, frames: Sequence[TimedLuma], places: Sequence[Framing]) -> VisibleEvidence:
    """The evidence where the clip lies on the marked one in one of these ways, the likeliest first.

    Raises GeometryError for none at all, or for unusable frames.
    """
    if not places:
        raise GeometryError("No place was given at which to follow the visible mark: give at least one.")
    seen: list[VisibleEvidence] = []
    for framing in places:
        detector = VisibleDetector(layout, framing)
        for frame in frames:
            detector.observe(frame.time, frame.luma)
        seen.append(detector.result())
        if seen[-1].state == "found":
            return seen[-1]
    unsure = [evidence for evidence in seen if evidence.state == "undecidable"]
    return max(unsure, key=lambda evidence: evidence.score) if unsure else seen[0]


class VisibleSearch:
    """The same where the variant is not known: follows all 16 paths and reports the best."""

    def __init__(
        self,
        key: bytes,
        payload: int,
        width: int,
        height: int,
        label: str = DEFAULT_LABEL,
        handle: str = DEFAULT_HANDLE,
        style: VisibleStyle | None = None,
    ) -> None:
        self._detectors = [
            VisibleDetector(VisibleLayout(key, payload, variant, width, height, label, handle, style))
            for variant in range(VARIANTS)
        ]

    def observe(self, time: float, luma: Luma) -> None:
        """Take a frame, uint8[h, w], at ``time`` seconds."""
        for detector in self._detectors:
            detector.observe(time, luma)

    def result(self) -> VisibleEvidence:
        """The evidence along the path on which most was seen."""
        return max((detector.result() for detector in self._detectors), key=lambda evidence: evidence.score)


class _Bin(NamedTuple):
    start: float
    end: float
    state: State


class _Tracker:
    """Mean correlation maps of one plate, over the clip and over the current second."""

    def __init__(self, matched: "PlateFilter") -> None:
        self._filter = matched
        self._total, self._total_frames = _empty_map(), 0
        self._current, self._current_frames = _empty_map(), 0
        self._start = self._end = 0.0
        self._first, self._last = float("inf"), float("-inf")
        self._bins: list[_Bin] = []

    def add(self, time: float, luma: Luma, pose: Pose, placed: Matrix) -> None:
        if self._current_frames and not 0 <= time - self._start < BIN_SECONDS:
            self._bins.append(self._current_bin())
            self._current, self._current_frames = _empty_map(), 0
        if not self._current_frames:
            self._start = time
        self._end = time
        self._first, self._last = min(self._first, time), max(self._last, time)
        correlation = self._filter.correlate(luma, pose, placed)
        self._current += correlation
        self._total += correlation
        self._current_frames += 1
        self._total_frames += 1

    @property
    def observed(self) -> float:
        """Seconds between the first and the last frame."""
        return max(0.0, self._last - self._first)

    def evidence(self) -> PlateEvidence:
        bins = [*self._bins, self._current_bin()] if self._current_frames else self._bins
        score, lead = _score(self._total, self._total_frames)
        present, missing = _spans(bins, "found"), _spans(bins, "absent")
        share = _seconds(present) / self.observed if self.observed > 0 else 0.0
        whole = _judge(score, lead, self._total_frames)
        state: State = "undecidable"
        if whole == "found" or share >= PRESENT_SHARE:
            state = "found"
        elif whole == "absent" and self.observed >= MIN_SECONDS and share <= CROSSING_SHARE:
            state = "absent"
        return PlateEvidence(state=state, score=round(score, 4), present=present, missing=missing)

    def _current_bin(self) -> _Bin:
        score, lead = _score(self._current, self._current_frames)
        return _Bin(self._start, self._end, _judge(score, lead, self._current_frames))


def _empty_map() -> Patch:
    return np.zeros((2 * REACH + 1, 2 * REACH + 1), np.float32)


def _score(total: Patch, frames: int) -> tuple[float, float]:
    """The best value near the centre of the mean map, and its lead over the best control."""
    if not frames:
        return 0.0, 0.0
    mean = total / frames
    inner, near = (
        slice(REACH - CENTRE, REACH + CENTRE + 1),
        slice(REACH - CONTROL_FROM + 1, REACH + CONTROL_FROM),
    )
    score = float(mean[inner, inner].max())
    mean[near, near] = -1
    return score, score - float(mean.max())


def _judge(score: float, lead: float, frames: int) -> State:
    if frames < MIN_FRAMES:
        return "undecidable"
    if score >= FOUND and lead >= CONTROL_LEAD:
        return "found"
    unled = score < FOUND and lead < (FAINT_LEAD if score <= FAINT else 0)
    return "absent" if score <= ABSENT or unled else "undecidable"


def _spans(bins: Sequence[_Bin], state: State) -> tuple[Span, ...]:
    """Stretches of neighbouring seconds in this state."""
    spans: list[Span] = []
    previous: State = "undecidable"
    for start, end, seen in bins:
        if seen == state:
            joined = previous == state and spans and start >= spans[-1][1]
            spans.append((spans.pop()[0], end) if joined else (start, end))
        previous = seen
    return tuple(spans)


class PlateFilter:
    """The template of one plate, ``height`` pixels high, and its correlation with pictures of that scale.

    ``trim``: pixels that the template leaves out on each side: without the box's outline only writing fits.
    """

    def __init__(
        self, text: str, ratio: float, style: VisibleStyle, *, glyph: bool, height: int, trim: int
    ) -> None:
        width = round(height * ratio)
        levels = Levels.of_range(full_range=False, light=style.light)
        ink = render(text, glyph=glyph, height=height, style=style, levels=levels).layers(0.0)
        box = (-REACH, -REACH, width + REACH, height + REACH)
        placed = place(ink, centre=(width / 2, height / 2), height=height, box=box, ratio=width / height)
        drawn = np.asarray(placed[..., 1] + _MID_GREY * (1 - placed[..., 0]), np.float32)
        self._sigma = HIGH_PASS_SIGMA * height / CANONICAL_HEIGHT
        self._shape = (height, width)
        cut = slice(REACH + trim, -REACH - trim)
        template = self._high_pass(drawn)[cut, cut]
        template = template - template.mean()
        self.template = np.asarray(template / np.linalg.norm(template), np.float32)

    def correlate(self, luma: Luma, pose: Pose, placed: Matrix) -> Patch:
        """Normalised correlation over shifts around ``pose``: ``float32[2 * REACH + 1, 2 * REACH + 1]``, and
        twice the trim more.

        ``placed``: 2×3, from pixels of the marked frame to pixels of this one.
        """
        return self.over(_resample(luma, pose, placed, self._shape))

    def over(self, picture: Patch) -> Patch:
        """Normalised correlation at every place of a picture that is larger than the template."""
        seen = self._high_pass(picture)
        raw = cv2.matchTemplate(seen, self.template, cv2.TM_CCORR)
        count = self.template.size
        energy = cv2.boxFilter(seen * seen, -1, self.template.shape[::-1], anchor=(0, 0), normalize=False)
        energy = energy[: raw.shape[0], : raw.shape[1]]
        return np.asarray(raw / np.sqrt(energy + count * NOISE_FLOOR**2), np.float32)

    def _high_pass(self, image: Patch) -> Patch:
        return np.asarray(image - cv2.GaussianBlur(image, (0, 0), self._sigma), np.float32)


_made = lru_cache(maxsize=32)(PlateFilter)  # rendering text takes longer than looking at a frame


def plate_filter(
    layout: VisibleLayout, plate: Plate, height: int = CANONICAL_HEIGHT, trim: int = 0
) -> PlateFilter:
    """The filter of one of the layout's plates; the same one for the same look."""
    text, ratio = layout.texts[plate], layout.ratios[plate]
    return _made(text, ratio, layout.style, glyph=plate is Plate.LABEL, height=height, trim=trim)


def _inside(pose: Pose, placed: Matrix, shape: tuple[int, ...]) -> float:
    """Share of the plate that lies in a frame of this shape, on a grid of points."""
    size = np.array([[pose.height * pose.ratio], [pose.height]])
    points = placed[:, :2] @ (np.array(pose.centre)[:, None] + _GRID * size) + placed[:, 2:]
    limits = np.array([[shape[1]], [shape[0]]])
    return float(np.mean(np.all((points >= 0) & (points <= limits), axis=0)))


def _resample(luma: Luma, pose: Pose, placed: Matrix, shape: tuple[int, ...]) -> Patch:
    """The plate's surroundings at canonical size: ``shape`` and ``REACH`` more on each side."""
    height, width = shape[0] + 2 * REACH, shape[1] + 2 * REACH
    steps = np.array([pose.height * pose.ratio / shape[1], pose.height / shape[0]])
    linear = placed[:, :2] * steps  # pixels of the frame per canonical pixel
    centre = placed[:, :2] @ np.array(pose.centre) + placed[:, 2]
    coarse = max(1, int(np.hypot(*linear).min()))
    half = np.abs(linear) @ np.array([width / 2, height / 2]) + 2 * coarse
    x0, y0 = (max(0, int(c - h)) for c, h in zip(centre, half, strict=True))
    crop = luma[y0 : max(0, int(centre[1] + half[1]) + 1), x0 : max(0, int(centre[0] + half[0]) + 1)]
    crop = crop[: crop.shape[0] // coarse * coarse, : crop.shape[1] // coarse * coarse]
    small = cv2.resize(crop, (crop.shape[1] // coarse, crop.shape[0] // coarse), interpolation=cv2.INTER_AREA)
    origin = (centre - (x0, y0) + linear @ np.array([0.5 - width / 2, 0.5 - height / 2])) / coarse - 0.5
    matrix = np.column_stack([linear / coarse, origin])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        small.astype(np.float32), matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.float32)
