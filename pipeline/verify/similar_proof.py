"""Does a clip show what a release shows, where nothing but the pictures says so?

1. Where: the place that the keys suggest, improved (`similar_places`). When: each moment of the clip is
   compared with each of the release; the speed and start at which they agree best in all count.
2. *Structure* and *differences* as for a clip that bears the release's mark (`content`, `differing`).
3. *Motion*: what changes in the course of the clip has to change as it does in the release. A scene that goes
   on after the release's end, and another take of it, have the same pictures, but not the same motion.
4. Same: structure, motion, and nowhere a difference. Everything else is undecided, as is a clip that hardly
   moves: one picture proves no clip.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.moments import COVERED, Moment, Moments
from pipeline.verify.content import STRUCTURED, correlation, equalised
from pipeline.verify.differing import Look, differing, level
from pipeline.verify.laying import Field, Matrix, covered, lay
from pipeline.verify.similar_keys import Window
from pipeline.verify.similar_places import improved, place_of

SPEEDS: Final = tuple(round(1.025**step, 4) for step in range(-12, 13))  # 0.74 to 1.34
GRID: Final = 1 / 16  # seconds
NEAR: Final = 0.13  # seconds by which a moment may be off
TRIED: Final = 5  # moments of the clip near one of the release
MOST_LAID: Final = 64  # moments of the clip that are laid over the release to find the time
LEAST_MOMENTS: Final = 3
LEAST_SEEN: Final = 0.12  # of the release's picture
WELL_LAID: Final = 0.97
FAVOUR: Final = 0.002  # for the speed as it was, per step away from it
MOVING: Final = 4.0  # luma levels of deviation over the clip from which a cell counts as moving
LEAST_MOVING: Final = 0.004  # of the cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What the keys say: which part of the clip looks like which window of the release, and pairs of moments
    (seconds of the clip, of the release), the likeliest first.
    """

    part: Window
    window: Window
    mirrored: bool
    pairs: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How a clip lies on a release, and how well they agree there.

    ``offset``: seconds of the release at the clip's start; ``speed``: seconds of it for one of the clip.
    ``structure``: mean correlation over `moments` moments, ``least`` of the worst. ``differs``: how much the
    worst place differs, from 1 on it does; None where it cannot be seen. ``motion``: correlation of what
    changes; None where next to nothing does. ``seen``: share of the release's picture.
    """

    offset: float
    speed: float
    structure: float
    least: float
    differs: float | None
    motion: float | None
    moments: int
    seen: float


def glance(clip: Moments, release: Moments, start: Start) -> tuple[float, Matrix]:
    """The place improved on the likeliest pair of moments, and the correlation of structure there."""
    shown, moment = (_at(m.taken, t) for m, t in zip((clip, release), start.pairs[0], strict=True))
    begun = place_of(clip.sides, start.part, release.sides, start.window, mirrored=start.mirrored)
    tried = [improved(begun, clip, shown, start.part, release, moment), begun]
    laid = [(_structure(_Laid(clip, release, place), shown, moment), place) for place in tried]
    return max(laid, key=lambda one: one[0])


def prove(clip: Moments, release: Moments, start: Start, place: Matrix) -> Proof | None:
    """Compare all moments, at a place of `glance`. None where too little of the release is seen."""
    laid = _Laid(clip, release, place)
    if laid.share < LEAST_SEEN:
        return None
    speed, offset = laid.time()
    pairs = laid.pairs(speed, offset)
    if not pairs:
        return None
    structures = [_structure(laid, *pair) for pair in pairs]
    if np.mean(structures) < WELL_LAID:  # moments at the same time lie better on each other than those before
        best = pairs[int(np.argmax(structures))]
        finer = _Laid(clip, release, improved(place, clip, best[0], start.part, release, best[1]))
        again = [_structure(finer, *pair) for pair in pairs]
        if np.mean(again) > np.mean(structures):
            laid, structures = finer, again
    looks = [laid.look(*pair) for pair in pairs]
    return Proof(
        offset=offset, speed=speed, structure=float(np.mean(structures)), least=float(min(structures)),
        differs=differing(looks), motion=_motion(looks), moments=len(looks), seen=laid.share,
    )  # fmt: skip


class _Laid:
    """A clip over a release at one place."""

    def __init__(self, clip: Moments, release: Moments, place: Matrix) -> None:
        self._clip, self._release, self._place = clip, release, place
        rows, columns = release.taken[0].y.shape
        self._size = (columns, rows)
        self.seen = covered(place, clip.sides, release.sides, self._size)
        self.share = float(self.seen.mean())

    def time(self) -> tuple[float, float]:
        """Speed and offset at which the moments agree best."""
        count = len(self._clip.taken)
        chosen = [
            self._clip.taken[i] for i in np.unique(np.linspace(0, count - 1, MOST_LAID).round().astype(int))
        ]
        ours = np.stack([_unit(equalised(self.luma(one), self._mask())) for one in chosen])
        theirs = np.stack([_unit(equalised(level(one.y), self._mask(one))) for one in self._release.taken])
        times = np.array([one.time for one in chosen]), np.array([one.time for one in self._release.taken])
        return _line(ours @ theirs.T, *times)

    def pairs(self, speed: float, offset: float) -> list[tuple[Moment, Moment]]:
        """Each moment of the release with that of the clip that may be it, where there is one."""
        found = []
        times = np.array([one.time for one in self._clip.taken]) * speed + offset
        for moment in self._release.taken:
            away = np.abs(times - moment.time)
            near = [self._clip.taken[i] for i in np.argsort(away, kind="stable")[:TRIED] if away[i] <= NEAR]
            if near:  # frames are dropped, doubled and late: of those that may be it the one that agrees best
                agreed = [_structure(self, shown, moment) for shown in near]
                found.append((near[int(np.argmax(agreed))], moment))
        return found

    def luma(self, moment: Moment) -> Field:
        """A moment of the clip on the release's grid."""
        return lay(moment.y, self._place, self._clip.sides, self._release.sides, self._size)

    def look(self, shown: Moment, moment: Moment) -> Look:
        """A moment of the clip over one of the release."""
        half = (self._size[0] // 2, self._size[1] // 2)
        uv = np.stack([lay(p, self._place, self._clip.sides, self._release.sides, half) for p in shown.uv])
        return Look(
            release=moment, y=self.luma(shown), uv=uv, seen=self.seen & (moment.y != COVERED),
            structure=_structure(self, shown, moment),
        )  # fmt: skip

    def _mask(self, moment: Moment | None = None) -> Field:
        seen = self.seen if moment is None else self.seen & (moment.y != COVERED)
        return seen.astype(np.float32)


def _structure(laid: _Laid, shown: Moment, moment: Moment) -> float:
    """Correlation of structure; 0 where the release has none, -1 where next to nothing is seen."""
    if laid.share < LEAST_SEEN:
        return -1.0
    mask = (laid.seen & (moment.y != COVERED)).astype(np.float32)
    theirs = equalised(level(moment.y), mask)
    if float(np.mean(theirs * theirs)) <= STRUCTURED * float(mask.mean()):
        return 0.0
    return correlation(theirs, equalised(laid.luma(shown), mask))


def _line(
    agreement: NDArray[np.float32], ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[float, float]:
    """Speed and offset of the line through ``agreement[ours, theirs]`` with the highest mean."""
    best = (-math.inf, 1.0, 0.0)
    for speed in sorted(SPEEDS, key=lambda one: abs(math.log(one))):
        shown = ours * speed
        offsets = GRID * np.arange(-math.ceil(shown[-1] / GRID), math.ceil(theirs[-1] / GRID) + 1)
        wanted = theirs[None, :] - offsets[:, None]
        at = np.searchsorted(shown, wanted).clip(1, max(1, len(shown) - 1)) if len(shown) > 1 else wanted * 0
        at = at.astype(int)
        if len(shown) > 1:
            at -= np.abs(shown[at - 1] - wanted) <= np.abs(shown[at] - wanted)
        inside = np.abs(shown[at] - wanted) <= NEAR
        values = np.where(inside, agreement[at, np.arange(len(theirs))[None, :]], 0.0)
        counts = inside.sum(axis=1)
        needed = max(1, min(LEAST_MOMENTS, int(counts.max())), math.ceil(0.5 * counts.max()))
        means = np.where(counts >= needed, values.sum(axis=1) / np.maximum(counts, 1), -math.inf)
        means -= FAVOUR * abs(math.log(speed) / math.log(1.025)) + 1e-6 * np.abs(offsets)
        at_best = int(np.argmax(means))
        if means[at_best] > best[0]:
            best = (float(means[at_best]), speed, float(offsets[at_best]))
    return best[1], best[2]


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
    flat = values.ravel()
    norm = float(np.sqrt((flat * flat).sum()))
    return flat / np.float32(norm) if norm > 0 else flat


def _at(taken: Sequence[Moment], time: float) -> Moment:
    return min(taken, key=lambda moment: abs(moment.time - time))
