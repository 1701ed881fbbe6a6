"""Is a label like ours anywhere in the picture? Looked for at every place and size, whatever its path.

1. A few frames spread over the clip are probed at every size. Where nothing in any of them comes near, there
   is none.
2. Otherwise more frames are looked at; a label is there if it is found in `SHARE` of them, at one size or at
   sizes that change slowly. One frame proves nothing: other writing comes near now and then.

Who draws our label over a clip of somebody else leaves it without its hidden mark, or on another path than
the hidden mark says (`watermark.removal`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from watermark.base import Luma, TimedLuma
from watermark.framing import Framing
from watermark.visible import Pose, VisibleLayout
from watermark.visible_detect import CANONICAL_HEIGHT, plate_filter
from watermark.visible_draw import Patch
from watermark.visible_path import MEAN_SPEED, PACE_SWINGS, Plate

HIT = 0.60  # correlation of a frame's best place and size: a label
PROBE = 0.50  # of a probed frame: worth looking further
SHARE = 0.30  # of the frames looked at
LEAST_HITS = 3
PROBES = 5
LOOKS = 16
TEMPLATE_HEIGHT = 10  # pixels
HEIGHTS = (0.042, 0.15)  # of plates, in short sides: from below the label's to beyond its first seconds'
STEP = 1.09  # from size to size
CANDIDATES = 6  # places of a frame that are looked at closely
CLOSE_SIZES = (0.94, 0.98, 1.02, 1.06)
TRIM = 4  # of 20 pixels: what a close look leaves out on each side
STRAIGHT = np.eye(2, 3)
MIN_HEIGHT = 8.5  # pixels of a plate in the frame
PACE_SECONDS = 0.5
ALONG = 0.012  # short sides: how much a label's distance from its path may vary that goes along with it
BESIDE = 0.08  # short sides: and how far it may be off on average

Box = tuple[float, float, float, float]


class Hit(NamedTuple):
    """The label in one frame: its time, correlation, and box (x0, y0, x1, y1) in shares of the frame."""

    time: float
    score: float
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike:
    """A label like ours: where it was, and the median of its correlations. ``looked``: frames looked at."""

    score: float
    hits: tuple[Hit, ...]
    looked: int

    @property
    def span(self) -> tuple[float, float]:
        """First and last second in which it was seen."""
        return self.hits[0].time, self.hits[-1].time


def legible(luma: Luma, layout: VisibleLayout) -> bool:
    """Whether a label of the usual size could be seen in a frame so small."""
    return bool(layout.style.label_height * min(luma.shape) >= MIN_HEIGHT)


def look_for(frames: Sequence[TimedLuma], layout: VisibleLayout) -> LookAlike | None:
    """Look for the layout's label at any place and size; its path plays no part.

    `frames`: of the first seconds, each at least some hundred lines.
    """
    search = _Search(layout)
    probes = [search.best(frame) for frame in _spread(frames, PROBES)]
    if not any(hit.score >= PROBE for hit in probes):
        return None
    seen = [search.best(frame) for frame in _spread(frames, LOOKS)]
    hits = tuple(hit for hit in seen if hit.score >= HIT)
    if len(hits) < max(LEAST_HITS, SHARE * len(seen)):
        return None
    return LookAlike(score=float(np.median([hit.score for hit in hits])), hits=hits, looked=len(seen))


def goes_along(found: LookAlike, layout: VisibleLayout, framing: Framing) -> bool:
    """Whether the label keeps to the path, at most a small way beside it: a place not known well enough."""
    marked = (layout.width, layout.height)
    back = cv2.invertAffineTransform(framing.pixels(marked, (1, 1)))
    apart = []
    for hit in found.hits:
        pose = layout.poses(framing.marked_time(hit.time))[Plate.LABEL]
        middle = np.array([(hit.box[0] + hit.box[2]) / 2, (hit.box[1] + hit.box[3]) / 2])
        apart.append(back[:, :2] @ middle + back[:, 2] - pose.centre)
    distance = np.array(apart) / min(marked)
    usual = np.median(distance, axis=0)
    varying = float(np.median(np.hypot(*(distance - usual).T)))
    return bool(np.hypot(*usual) <= BESIDE) and varying <= ALONG


def moves_like_ours(found: LookAlike, size: tuple[int, int]) -> bool:
    """Whether the label never rests and has our pace; `size`: width and height of the clip, of any unit.

    Steps are between looks half a second apart, in which a place misjudged by a pixel makes little; where the
    path bends they cut corners: half of the slowest pace counts.
    """
    unit = np.array(size, np.float64) / min(size)
    places = np.array([[(hit.box[0] + hit.box[2]) / 2, (hit.box[1] + hit.box[3]) / 2] for hit in found.hits])
    times = np.array([hit.time for hit in found.hits])
    after = np.searchsorted(times, times + PACE_SECONDS - 1e-6)
    first = np.flatnonzero(after < len(times))
    if not len(first):
        return True  # too short a sight to accuse anybody
    last = after[first]
    pace = np.hypot(*((places[last] - places[first]) * unit).T) / (times[last] - times[first])
    slowest, fastest = (MEAN_SPEED * (1 + side * sum(swing[0] for swing in PACE_SWINGS)) for side in (-1, 1))
    return bool(slowest / 2 <= np.median(pace) <= 2 * fastest)


def _spread(frames: Sequence[TimedLuma], count: int) -> list[TimedLuma]:
    if len(frames) <= count:
        return list(frames)
    return [frames[round(index * (len(frames) - 1) / (count - 1))] for index in range(count)]


class _Search:
    """The label's template over frames of falling size, and a closer look at the best places."""

    def __init__(self, layout: VisibleLayout) -> None:
        self._rough = plate_filter(layout, Plate.LABEL, TEMPLATE_HEIGHT)
        self._close = plate_filter(layout, Plate.LABEL, trim=TRIM)
        self._ratio = layout.ratios[Plate.LABEL]

    def best(self, frame: TimedLuma) -> Hit:
        """The place and size in one frame that look most like the label, closely looked at."""
        found: list[tuple[float, Pose]] = []
        height = max(HEIGHTS[0] * min(frame.luma.shape), MIN_HEIGHT)
        while height <= HEIGHTS[1] * min(frame.luma.shape):
            found += self._at(frame.luma, height)
            height *= STEP
        found.sort(key=lambda one: -one[0])
        closely = [self._closely(frame, pose) for _, pose in found[:CANDIDATES]]
        return max(closely, key=lambda hit: hit.score, default=Hit(frame.time, 0.0, (0.0,) * 4))

    def _at(self, luma: Luma, height: float) -> list[tuple[float, Pose]]:
        """The two best places of one size."""
        picture = _resized(luma, TEMPLATE_HEIGHT / height)
        high, wide = self._rough.template.shape
        if picture.shape[0] < high or picture.shape[1] < wide:
            return []
        scores, found = self._rough.over(picture), []
        for _ in range(2):
            _, score, _, (x, y) = cv2.minMaxLoc(scores)
            centre = ((x + wide / 2) / picture.shape[1], (y + high / 2) / picture.shape[0])
            centre = (centre[0] * luma.shape[1], centre[1] * luma.shape[0])
            found.append((float(score), Pose(Plate.LABEL, centre, height, self._ratio, 1.0, 0.0)))
            scores[max(0, y - high // 2) : y + high // 2 + 1, max(0, x - wide // 4) : x + wide // 4 + 1] = -1
        return found

    def _closely(self, frame: TimedLuma, pose: Pose) -> Hit:
        """The best correlation of the writing alone at sizes about this one."""
        best, size, centre = 0.0, pose.height, pose.centre
        for factor in CLOSE_SIZES:
            scores = self._close.correlate(frame.luma, pose._replace(height=pose.height * factor), STRAIGHT)
            _, score, _, (column, row) = cv2.minMaxLoc(scores)
            if score > best:
                best, size = float(score), pose.height * factor
                step = size / CANONICAL_HEIGHT  # pixels of the frame; the map's middle is the pose's place
                centre = (
                    pose.centre[0] + (column - (scores.shape[1] - 1) / 2) * step,
                    pose.centre[1] + (row - (scores.shape[0] - 1) / 2) * step,
                )
        half = (size * pose.ratio / 2, size / 2)
        rows, columns = frame.luma.shape
        (x, y), (w, h) = centre, half
        return Hit(frame.time, best, ((x - w) / columns, (y - h) / rows, (x + w) / columns, (y + h) / rows))


def _resized(luma: Luma, factor: float) -> Patch:
    size = (max(1, round(luma.shape[1] * factor)), max(1, round(luma.shape[0] * factor)))
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(luma, size, interpolation=mode), np.float32)
