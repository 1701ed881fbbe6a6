"""Does a clip show what a release shows, where nothing but the pictures says so?

1. When, roughly: signs of all moments of the clip are compared with those of all moments of the release, in
   the part and window by which it was found; the speed and start along which they agree best count. A place
   that is a little wrong is as wrong at all times, so this comes first.
2. Where: the place that the keys suggest is improved at the moment that agrees best (`similar_places`). Then
   when and where are found again by what the pictures show, in turns, as long as they agree better. A picture
   that glides looks the same a little later and a little beside: other moments are tried to begin with, too.
3. *Structure* and *differences* as for a clip that bears the release's mark (`content`, `differing`).
4. *Motion*: what changes in the course of the clip has to change as it does in the release. A scene that goes
   on after the release's end, and another take of it, have the same pictures, but not the same motion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.credentials.fingerprint import MIRROR
from pipeline.credentials.moments import COVERED, Moment, Moments
from pipeline.verify.differing import Look, differing, level
from pipeline.verify.laying import Field, Matrix, covered, lay
from pipeline.verify.similar_keys import STRONGEST, Pictures, Window, Words, query_signs, signs, whole
from pipeline.verify.similar_places import improved, place_of
from pipeline.verify.similar_times import NEAR, Line, best_line
from pipeline.verify.structure import STRUCTURED, correlation, equalised

MOST: Final = 64  # moments of the clip that are compared to find the time
TRIED: Final = 3  # moments of the clip near one of the release
LEAST_MOMENTS: Final = 3
AT_ENDS: Final = 0.04  # seconds outside of the clip: there is nothing on one side that may be nearer
LEAST_SEEN: Final = 0.12  # of the release's picture
WELL_LAID: Final = 0.96
HOPELESS: Final = 0.5
TURNS: Final = 2
AROUND: Final = tuple(step / 4 for step in range(-8, 9))  # seconds from the likeliest moment
MOVING: Final = 4.0  # luma levels of deviation over the clip from which a cell counts as moving
LEAST_MOVING: Final = 0.004  # of the cells


class Shown:
    """A clip's moments, with signs of any part of them, each made once."""

    def __init__(self, moments: Moments) -> None:
        self.moments = moments
        spread = np.unique(np.linspace(0, len(moments.taken) - 1, MOST).round().astype(int))
        self.chosen = [moments.taken[index] for index in spread]
        self.times = np.array([one.time for one in self.chosen])
        self._pictures: Pictures = np.stack([one.y for one in self.chosen]).astype(np.float32)
        self._signs: dict[Window, tuple[Words, Words]] = {}

    def signs(self, part: Window) -> tuple[Words, Words]:
        """Signs ``uint64[moments]`` of a part of the picture, and masks of those that count."""
        if part not in self._signs:
            words, masks = query_signs(self._pictures, [part])
            self._signs[part] = words[:, 0], masks[:, 0]
        return self._signs[part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What the keys say: which part of the clip looks like which window of the release."""

    part: Window
    window: Window
    mirrored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """How a clip may lie on a release in time and in the picture, by the moment that agrees best.

    ``distance``: mean share of the clear signs that differ along the line.
    """

    start: Start
    line: Line
    place: Matrix
    structure: float
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How well a clip and a release agree, laid over each other along a `line` in time.

    ``structure``: mean correlation over the `moments` that have any, ``least`` of the worst. ``differs``: how
    much the worst place differs, from 1 on it does; None where it cannot be seen. ``motion``: correlation of
    what changes; None where next to nothing does. ``seen``: share of the release's picture; ``share``: of the
    shorter of the two in time that lies on the other.
    """

    line: Line
    structure: float
    least: float
    differs: float | None
    motion: float | None
    moments: int
    seen: float
    share: float


def glance(clip: Shown, release: Moments, start: Start) -> Glance:
    """Find the time, then the place (1, 2)."""
    words, masks = clip.signs(start.part)
    pictures = np.stack([whole(one.y) for one in release.taken])
    theirs = signs(pictures, [start.window])[0][:, 0] ^ np.uint64(MIRROR if start.mirrored else 0)
    differing_signs = np.bitwise_count((words[:, None] ^ theirs[None, :]) & masks[:, None])
    share = differing_signs.astype(np.float32) / np.float32(STRONGEST)
    times = np.array([one.time for one in release.taken])
    line = best_line(1 - share, clip.times, times)
    ours, of = line.pairs[min(range(len(line.pairs)), key=lambda i: float(share[line.pairs[i]]))]
    begun = place_of(clip.moments.sides, start.part, release.sides, start.window, mirrored=start.mirrored)
    shown, moment = clip.chosen[ours], release.taken[of]
    tried = [begun, improved(begun, clip.moments, shown, start.part, release, moment)]
    agreed = [_structure(_Laid(clip.moments, release, place), shown, moment) for place in tried]
    best = int(np.argmax(agreed))
    mean = float(np.mean([share[pair] for pair in line.pairs]))
    return Glance(start=start, line=line, place=tried[best], structure=agreed[best], distance=mean)


def prove(clip: Shown, release: Moments, seen: Glance) -> Proof | None:
    """Compare all moments (2, 3, 4). None where too little of the release is seen."""
    laid = _Laid(clip.moments, release, _better(clip, release, seen))
    if laid.share < LEAST_SEEN:
        return None
    line, value = laid.line(clip)
    for _ in range(TURNS):
        if value >= WELL_LAID:
            break
        ours, of = max(line.pairs, key=lambda pair: laid.agreement[pair])
        place = improved(
            laid.place, clip.moments, clip.chosen[ours], seen.start.part, release, release.taken[of]
        )
        tried = _Laid(clip.moments, release, place)
        again, better = tried.line(clip)
        if better <= value:
            break
        laid, line, value = tried, again, better
    pairs = laid.pairs(line)
    if not pairs:
        return None
    looks = [laid.look(*pair) for pair in pairs]
    structures = [look.structure for look in looks if look.structure is not None]
    if not structures:
        return None
    return Proof(
        line=line, structure=float(np.mean(structures)), least=min(structures), differs=differing(looks),
        motion=_motion(looks), moments=len(structures), seen=laid.share, share=_overlap(clip, release, line),
    )  # fmt: skip


def _better(clip: Shown, release: Moments, seen: Glance) -> Matrix:
    """The place of the glance, or one found at moments that are farther apart, where that agrees better."""
    if not HOPELESS <= seen.structure < WELL_LAID:
        return seen.place
    best = seen.structure, seen.place
    start, line = seen.start, seen.line
    begun = place_of(clip.moments.sides, start.part, release.sides, start.window, mirrored=start.mirrored)
    ours, of = line.pairs[len(line.pairs) // 2]
    moment = release.taken[of]
    near = {int(np.argmin(np.abs(clip.times - clip.times[ours] - after))) for after in AROUND}
    for shown in (clip.chosen[index] for index in sorted(near)):
        place = improved(begun, clip.moments, shown, start.part, release, moment)
        agreed = _structure(_Laid(clip.moments, release, place), shown, moment)
        best = max(best, (agreed, place), key=lambda one: one[0])
    return best[1]


def _overlap(clip: Shown, release: Moments, line: Line) -> float:
    """How much of the shorter one lies on the other in time; 1 where that shows one moment only."""
    first, last = (float(clip.times[at]) * line.speed + line.offset for at in (0, -1))
    theirs = release.taken[0].time, release.taken[-1].time
    shorter = min(last - first, theirs[1] - theirs[0])
    return (min(last, theirs[1]) - max(first, theirs[0])) / shorter if shorter > 0 else 1.0


class _Laid:
    """A clip over a release at one place."""

    def __init__(self, clip: Moments, release: Moments, place: Matrix) -> None:
        self._clip, self._release, self.place = clip, release, place
        self.agreement = np.zeros((0, 0), np.float32)
        rows, columns = release.taken[0].y.shape
        self._size = (columns, rows)
        self.seen = covered(place, clip.sides, release.sides, self._size)
        self.share = float(self.seen.mean())

    def line(self, clip: Shown) -> tuple[Line, float]:
        """The line in time along which structure agrees best, and how well it does along it."""
        seen = self.seen.astype(np.float32)
        ours = np.stack([_unit(equalised(self.luma(one), seen)) for one in clip.chosen])
        masks = [(self.seen & (one.y != COVERED)).astype(np.float32) for one in self._release.taken]
        levels = [level(one.y) for one in self._release.taken]
        theirs = np.stack([_unit(equalised(y, mask)) for y, mask in zip(levels, masks, strict=True)])
        self.agreement = ours @ theirs.T
        found = best_line(self.agreement, clip.times, np.array([one.time for one in self._release.taken]))
        return found, float(np.mean([self.agreement[pair] for pair in found.pairs]))

    def pairs(self, line: Line) -> list[tuple[Moment, Moment]]:
        """Each moment of the release with that of the clip that may be it, where there is one."""
        found = []
        times = np.array([one.time for one in self._clip.taken]) * line.speed + line.offset
        beyond = AT_ENDS if len(times) > 1 else NEAR
        for moment in self._release.taken:
            if not times[0] - beyond <= moment.time <= times[-1] + beyond:
                continue
            away = np.abs(times - moment.time)
            near = [self._clip.taken[i] for i in np.argsort(away, kind="stable")[:TRIED] if away[i] <= NEAR]
            if near:  # frames are dropped, doubled and late: of those that may be it the one that agrees best
                agreed = [_structure(self, shown, moment) for shown in near]
                found.append((near[int(np.argmax(agreed))], moment))
        return found

    def luma(self, moment: Moment) -> Field:
        """A moment of the clip on the release's grid."""
        return lay(moment.y, self.place, self._clip.sides, self._release.sides, self._size)

    def look(self, shown: Moment, moment: Moment) -> Look:
        """A moment of the clip over one of the release."""
        half = (self._size[0] // 2, self._size[1] // 2)
        uv = np.stack([lay(p, self.place, self._clip.sides, self._release.sides, half) for p in shown.uv])
        return Look(
            release=moment, y=self.luma(shown), uv=uv, seen=self.seen & (moment.y != COVERED),
            structure=_structure(self, shown, moment) if _is_structured(self, moment) else None,
        )  # fmt: skip


def _structure(laid: _Laid, shown: Moment, moment: Moment) -> float:
    """Correlation of structure; 0 where the release has none, -1 where next to nothing is seen."""
    if laid.share < LEAST_SEEN:
        return -1.0
    if not _is_structured(laid, moment):
        return 0.0
    mask = (laid.seen & (moment.y != COVERED)).astype(np.float32)
    return correlation(equalised(level(moment.y), mask), equalised(laid.luma(shown), mask))


def _is_structured(laid: _Laid, moment: Moment) -> bool:
    """Whether the release shows anything at that moment: fades begin and end with nothing."""
    mask = (laid.seen & (moment.y != COVERED)).astype(np.float32)
    theirs = equalised(level(moment.y), mask)
    return float(np.mean(theirs * theirs)) > STRUCTURED * float(mask.mean())


def _motion(looks: Sequence[Look]) -> float | None:
    """Correlation of each cell's change over the clip; None where next to nothing moves or is seen."""
    if len(looks) < LEAST_MOMENTS:
        return None
    seen = np.stack([look.seen for look in looks])
    count = np.maximum(seen.sum(axis=0), 1)
    changes = []
    for values in (np.stack([look.y for look in looks]), np.stack([level(look.release.y) for look in looks])):
        middle = (values * seen).sum(axis=0) / count
        changes.append((values - middle) * seen)
    ours, theirs = changes
    deviation = np.sqrt(np.maximum((ours**2).sum(axis=0), (theirs**2).sum(axis=0)) / count)
    moving = deviation >= MOVING
    if moving.mean() < LEAST_MOVING:
        return None
    return correlation(ours[:, moving], theirs[:, moving])


def _unit(values: Field) -> Field:
    norm = float(np.sqrt((values * values).sum()))
    return values.ravel() / np.float32(norm) if norm > 0 else values.ravel()
