"""Does a clip that bears a release's mark show what the release shows? Moment by moment, place by place.

The mark itself says how the clip lies on the release, in the picture and in time. So the clip is laid over
the stored moments there, and has to agree in each: a mark that was moved to other pictures, be they of the
same composition, or to another moment of the same scene, does not.

1. Where: the whole frame on the whole frame, or as the mark's geometry says, at any of its tiles. When: as
   the mark's clock says, at any of its periods, the likeliest by the fingerprint first, and a little sooner
   or later. All of these are aligned a little (`pipeline.verify.aligning`), the best of them exactly, by
   structure alone (`pipeline.verify.structure`).
2. Tone and colour may have changed for the whole clip in one way; what differs then, differs
   (`pipeline.verify.differing`).
3. Same: enough could be compared, every moment has the release's structure, and nowhere anything differs.
4. Other: the mark says that the picture was not turned or cut, and yet its moments have another structure.
   Everything else is undecided: a clip of which a part was covered or changed, too.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.moments import COVERED, Moment, Moments
from pipeline.verify.aligning import BY_MARK, COARSE, CUT, Placed, aligned
from pipeline.verify.aligning import FINE as ALIGNED
from pipeline.verify.differing import Look, differing, level
from pipeline.verify.laying import Field, Matrix, Sides, covered, lay, outside, places
from pipeline.verify.structure import Overlay, agreement, significance
from watermark.base import Geometry
from watermark.lattice import PERIOD_SECONDS

T = TypeVar("T")

NEAR: Final = 0.13  # seconds by which the mark's clock may be off for the whole clip
NEARER: Final = 0.09  # and a single moment besides: frames are dropped, doubled, reordered
HALF: Final = 0.55  # and where moments are far apart, this much of their distance
SECONDS: Final = 1 / 16  # by which the clock is set
NEAR_SPEED: Final = 0.03  # by which a mark's speed differs from 1 that may be 1
PERIODS: Final = 6  # trims by whole periods of the carrier that are tried, the likeliest first
RUN_ON: Final = 2  # of them, for which places are aligned
ALIGNED_MOST: Final = 16  # places that are aligned roughly
JUDGED_BY: Final = 3  # moments by which places are compared
TRIED_ON: Final = 2  # places that are aligned finely
RIVAL: Final = 0.6  # of how much the best one's agreement says: below, no second period or place is tried
HOPELESS: Final = 0.25  # agreement of a roughly aligned place below which it is not aligned finely
PLAIN: Final = 0.95  # structure at which no other place is tried
OUTSIDE: Final = 0.01  # short sides by which a whole frame may reach beyond the release's: it can only be cut
SETTLED: Final = 3  # times at most, together with the clock
LEAST_MOMENTS: Final = 2
LEAST_SHARE: Final = 0.5  # of the shorter clip's moments

# Calibrated in benchmarks/copying.py; docs/adr/0043 has the figures.
SAME_STRUCTURE: Final = 0.90
SAME_MOMENT: Final = 0.75
OTHER_STRUCTURE: Final = 0.50


class Content(StrEnum):
    """What a clip shows, compared with what the release shows."""

    SAME = "same"
    OTHER = "other"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentMatch:
    """The judgement and the numbers behind it; None where nothing could be compared.

    ``structure``: mean correlation over `moments` moments, ``least`` of the worst; ``differs``: how much the
    worst place differs in luma or colour, from 1 on it does.
    """

    content: Content
    structure: float | None = None
    least: float | None = None
    differs: float | None = None
    moments: int = 0

    @property
    def alike(self) -> bool:
        """Whether the structure is the release's, whatever differs besides."""
        return self.structure is not None and self.structure >= SAME_STRUCTURE


UNKNOWN: Final = ContentMatch(content=Content.UNDECIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A moment of the release and the clip's moments that may be it, the likeliest first."""

    release: Moment
    clip: tuple[Moment, ...]


class _Clock(NamedTuple):
    """Seconds to add to `speed` times the clip's time: a start as the mark says, and how far that is off."""

    start: float
    off: float = 0.0

    @property
    def now(self) -> float:
        return self.start + self.off


def compare(
    clip: Moments, release: Moments, geometry: Geometry, offsets: Sequence[float] = ()
) -> ContentMatch:
    """Lay the clip over the release as its mark says, and judge.

    `clip`: densely sampled, `release`: as stored. `offsets`: seconds to add to the clip's time, by the
    fingerprint, the likeliest first; they tell which periods of the carrier are tried.
    """
    if not clip.taken or not release.taken:
        return UNKNOWN
    begun = [(laid, laid.starts(offsets)) for laid in _at_speeds(clip, release, geometry)]
    few = all(len(starts) <= PERIODS for _, starts in begun)
    likely = _rivals(laid.clock(start) for laid, starts in begun for start in starts[:PERIODS])[:RUN_ON]
    clocks = [(laid, clock) for laid, one in likely for clock in dict.fromkeys((one, _Clock(one.start)))]
    found = [
        (*laid.fine_place(place, clock), laid)
        for laid, clock in clocks
        for place in _likely(laid.rough_places(clock))
    ]
    if not found:
        return UNKNOWN
    _, place, clock, laid = max(found, key=lambda one: one[0])
    return _judged(laid.looks(place, clock), sure=geometry.untouched and few)


def _at_speeds(clip: Moments, release: Moments, geometry: Geometry) -> "list[_Laid]":
    """The clip over the release at the mark's speed, and where that is next to the right one, at that: a mark
    hardly tells a fiftieth, and over a clip it adds up.
    """
    found = [_Laid(clip, release, geometry)]
    if 0 < abs(geometry.speed - 1) <= NEAR_SPEED:
        middle = (clip.taken[0].time + clip.taken[-1].time) / 2
        offset = (geometry.time_offset + (geometry.speed - 1) * middle) % PERIOD_SECONDS
        found.append(_Laid(clip, release, replace(geometry, speed=1.0, time_offset=offset)))
    return found


def _rivals(found: Iterable[tuple[float, T]]) -> list[T]:
    """The best first, and those whose agreement says about as much."""
    ranked = sorted(found, key=lambda one: -one[0])
    return [one for worth, one in ranked if worth >= ranked[0][0] - (1 - RIVAL) * abs(ranked[0][0])]


def _likely(rough: Sequence[tuple[float, Placed]]) -> list[Placed]:
    """The few whose agreement says most, none twice: two places may have been aligned into one."""
    found: list[Placed] = []
    for place in _rivals(rough):
        if len(found) < TRIED_ON and not any(place.near(other) for other in found):
            found.append(place)
    return found


def _telling(pairs: Sequence[_Pair]) -> list[_Pair]:
    """The few by which places are compared: spread over the clip, the richest in structure of their part."""
    if not pairs:
        return []
    parts = np.array_split(np.arange(len(pairs)), min(JUDGED_BY, len(pairs)))
    return [pairs[max(part, key=lambda i: float(pairs[i].release.y.std()))] for part in parts]


class _Laid:
    """A clip over a release."""

    def __init__(self, clip: Moments, release: Moments, geometry: Geometry) -> None:
        self._clip, self._release, self._speed = clip, release, geometry.speed
        rows, columns = release.taken[0].y.shape
        self._size = (columns, rows)
        self._times = np.array([moment.time for moment in clip.taken])
        apart = float(np.median(np.diff(self._times))) if len(self._times) > 1 else 0.0
        self._near = max(NEARER, HALF * apart)  # of a long clip, or one of few frames, moments lie far apart
        whole, *by_mark = places(clip.sides, release.sides, geometry)
        self._untouched, self._offset = geometry.untouched, geometry.time_offset
        self._whole = Placed(begun=whole, side=release.sides, bounds=CUT)
        self._places = [
            self._whole, *(Placed(begun=place, side=release.sides, bounds=BY_MARK) for place in by_mark)
        ]  # fmt: skip

    @property
    def _sides(self) -> tuple[Sides, Sides]:
        return self._clip.sides, self._release.sides

    def starts(self, offsets: Sequence[float]) -> list[float]:
        """Seconds to add to `speed` times the clip's time: the mark's at each period, the likeliest first."""
        base = (self._offset + PERIOD_SECONDS / 2) % PERIOD_SECONDS - PERIOD_SECONDS / 2
        last, shown = self._release.taken[-1].time, float(self._times[-1]) * self._speed
        first, final = math.ceil((-shown - base) / PERIOD_SECONDS), math.floor((last - base) / PERIOD_SECONDS)
        likely = [round((offset - base) / PERIOD_SECONDS) for offset in offsets]
        counts = dict.fromkeys([*likely, *sorted(range(first, final + 1), key=abs)])
        starts = [base + count * PERIOD_SECONDS for count in counts if first <= count <= final]
        return [start for start in starts if self._enough(start)]

    def _enough(self, start: float) -> bool:
        """Whether enough moments of the shorter clip can be compared."""
        times = [moment.time for moment in self._release.taken]
        step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else math.inf
        shown = 1 + float(self._times[-1] - self._times[0]) * self._speed / step if step else 1.0
        return len(self._paired(start)) >= max(LEAST_MOMENTS, LEAST_SHARE * min(shown, len(times)))

    def clock(self, start: float) -> tuple[float, "tuple[_Laid, _Clock]"]:
        """How much the agreement says at the best place as the mark says it, and how the clock is set there.

        Nothing is aligned yet: a place that is aligned on frames beside the right ones is bent to fit them.
        """
        clock = _Clock(start)
        best = max(self._places, key=partial(self._worth, _telling(self._paired(clock.now))))
        clock = self._set(clock, best)
        return self._worth(_telling(self._paired(clock.now)), best), (self, clock)

    def rough_places(self, clock: _Clock) -> list[tuple[float, Placed]]:
        """The likeliest places, roughly aligned, with how much the agreement says there. Only the whole frame
        on the whole frame where that is plainly right, as for most clips.
        """
        pairs = _telling(self._paired(clock.now))
        overlaid, worth = partial(self._overlaid, pairs), partial(self._worth, pairs)
        if agreement(overlaid(self._places[0].matrix)) >= PLAIN:
            begun = self._places[:1]
        else:
            begun = sorted(self._places, key=worth, reverse=True)[:ALIGNED_MOST]
        seen = [placed for placed in begun if agreement(overlaid(placed.matrix)) > -1]
        found = [aligned(placed, overlaid, COARSE) for placed in seen]
        return [(worth(placed), placed) for placed in found]

    def fine_place(self, placed: Placed, clock: _Clock) -> tuple[float, Matrix, _Clock]:
        """The best place and clock near these, and how much the agreement there says first. By turns, since a
        place that is not yet right may hide which frames are.
        """
        hopeless = agreement(self._overlaid(_telling(self._paired(clock.now)), placed.matrix)) < HOPELESS
        for _ in range(0 if hopeless else SETTLED):
            pairs = self._agreeing(_telling(self._paired(clock.now)), placed.matrix)
            placed = aligned(placed, partial(self._overlaid, pairs), ALIGNED)
            before, clock = clock, self._set(clock, placed)
            if clock == before:
                break
        whole = self._untouched or placed.begun is self._whole.begun
        if whole and outside(placed.matrix, *self._sides) > OUTSIDE:
            placed, clock = self._whole, self._set(clock, self._whole)
        pairs = self._agreeing(self._paired(clock.now), placed.matrix)
        return self._worth(pairs, placed), placed.matrix, clock

    def _paired(self, start: float) -> list[_Pair]:
        pairs = []
        for moment in self._release.taken:
            away = np.abs(self._times - (moment.time - start) / self._speed)
            near = [int(i) for i in np.argsort(away, kind="stable")[:5] if away[i] <= self._near]
            if near:
                pairs.append(_Pair(release=moment, clip=tuple(self._clip.taken[i] for i in near)))
        return pairs

    def _worth(self, pairs: Sequence[_Pair], placed: Placed) -> float:
        return significance(self._overlaid(pairs, placed.matrix))

    def _agreeing(self, pairs: Sequence[_Pair], place: Matrix) -> list[_Pair]:
        """The pairs with those of the clip's moments first that agree best at `place`."""
        shown = self._shown(place)

        def structure(pair: _Pair, moment: Moment) -> float:
            found = self._overlay(pair.release, moment, place, shown).structure
            return -1.0 if found is None else found

        return [
            replace(pair, clip=tuple(sorted(pair.clip, key=lambda moment: -structure(pair, moment))))
            for pair in pairs
        ]

    def _set(self, clock: _Clock, placed: Placed) -> _Clock:
        """The clock set so that moments, taken by it alone, agree best."""
        tried = {}
        for count in range(-int(NEAR / SECONDS), int(NEAR / SECONDS) + 1):
            one = _Clock(clock.start, count * SECONDS)
            if pairs := _telling(self._paired(one.now)):
                tried[one] = agreement(self._overlaid(pairs, placed.matrix)) - abs(count) * 1e-6
        return max(tried, key=lambda one: tried[one], default=clock)

    def looks(self, place: Matrix, clock: _Clock) -> list[Look]:
        """All moments laid over; of those that may be the release's moment the one that agrees best."""
        shown, pairs = self._shown(place), self._paired(clock.now)
        return [self._look(pair.release, pair.clip[0], place, shown) for pair in self._agreeing(pairs, place)]

    def _overlaid(self, pairs: Sequence[_Pair], place: Matrix) -> list[Overlay]:
        shown = self._shown(place)
        return [self._overlay(pair.release, pair.clip[0], place, shown) for pair in pairs]

    def _overlay(self, release: Moment, moment: Moment, place: Matrix, shown: NDArray[np.bool_]) -> Overlay:
        seen = (shown & (release.y != COVERED)).astype(np.float32)
        return Overlay.of(level(release.y), self._luma(moment, place), seen)

    def _shown(self, place: Matrix) -> NDArray[np.bool_]:
        return covered(place, *self._sides, self._size)

    def _luma(self, moment: Moment, place: Matrix) -> Field:
        return lay(moment.y, place, *self._sides, self._size)

    def _look(self, release: Moment, moment: Moment, place: Matrix, shown: NDArray[np.bool_]) -> Look:
        half = (self._size[0] // 2, self._size[1] // 2)
        uv = np.stack([lay(plane, place, *self._sides, half) for plane in moment.uv])
        return Look(
            release=release, y=self._luma(moment, place), uv=uv, seen=shown & (release.y != COVERED),
            structure=self._overlay(release, moment, place, shown).structure,
        )  # fmt: skip


def _judged(looks: Sequence[Look], *, sure: bool) -> ContentMatch:
    known = [look.structure for look in looks if look.structure is not None]
    if len(known) < LEAST_MOMENTS:
        return UNKNOWN
    structure, least, worst = sum(known) / len(known), min(known), differing(looks)
    content = Content.UNDECIDED
    if structure < OTHER_STRUCTURE and float(np.median(known)) < OTHER_STRUCTURE and sure:
        content = Content.OTHER
    elif structure >= SAME_STRUCTURE and least >= SAME_MOMENT and worst is not None and worst < 1:
        content = Content.SAME
    return ContentMatch(
        content=content, structure=structure, least=least, differs=worst, moments=len(looks)
    )  # fmt: skip
