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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.moments import COVERED, Moment, Moments
from pipeline.verify.aligning import COARSE, Placed, aligned
from pipeline.verify.aligning import FINE as ALIGNED
from pipeline.verify.differing import Look, differing, level
from pipeline.verify.laying import Field, Matrix, Sides, covered, lay, places
from pipeline.verify.structure import Overlay, agreement, significance
from watermark.base import Geometry
from watermark.lattice import PERIOD_SECONDS

NEAR: Final = 0.26  # seconds by which the mark's clock may be off for the whole clip
NEARER: Final = 0.13  # and a single moment besides: frames are dropped, doubled, reordered
PERIODS: Final = 6  # trims by whole periods of the carrier that are tried, the likeliest first
JUDGED_BY: Final = 3  # moments by which places are compared
TRIED_ON: Final = 3  # places that are aligned finely
PLAIN: Final = 0.95  # structure at which no other place is tried
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


def compare(
    clip: Moments, release: Moments, geometry: Geometry, offsets: Sequence[float] = ()
) -> ContentMatch:
    """Lay the clip over the release as its mark says, and judge.

    `clip`: densely sampled, `release`: as stored. `offsets`: seconds to add to the clip's time, by the
    fingerprint, the likeliest first; they tell which periods of the carrier are tried.
    """
    if not clip.taken or not release.taken:
        return UNKNOWN
    laid = _Laid(clip, release)
    speed, possible = geometry.speed, _starts(clip, release, geometry, offsets)
    paired = {start: _paired(clip, release, speed, start) for start in possible}
    starts = [start for start, pairs in paired.items() if _enough(pairs, clip, release, speed)]
    rough = [
        (value, place, start) for start in starts[:PERIODS]
        for value, place in laid.rough_places(_telling(paired[start]), geometry)
    ]  # fmt: skip
    found = [laid.fine_place(place, speed, start) for place, start in _likely(rough)]
    if not found:
        return UNKNOWN
    _, place, start = max(found, key=lambda one: one[0])
    looks = laid.looks(place, _paired(clip, release, speed, start))
    return _judged(looks, sure=geometry.untouched and len(starts) <= PERIODS)


def _likely(rough: Sequence[tuple[float, Placed, float]]) -> list[tuple[Placed, float]]:
    """The few whose agreement says most, none twice: two places may have been aligned into one."""
    found: list[tuple[Placed, float]] = []
    for _, place, start in sorted(rough, key=lambda one: -one[0]):
        if len(found) < TRIED_ON and not any(start == at and place.near(other) for other, at in found):
            found.append((place, start))
    return found


def _starts(clip: Moments, release: Moments, geometry: Geometry, offsets: Sequence[float]) -> list[float]:
    """Seconds to add to `speed` times the clip's time: the mark's, at each period, the likeliest first."""
    base = (geometry.time_offset + PERIOD_SECONDS / 2) % PERIOD_SECONDS - PERIOD_SECONDS / 2
    last, shown = release.taken[-1].time, clip.taken[-1].time * geometry.speed
    first, final = math.ceil((-shown - base) / PERIOD_SECONDS), math.floor((last - base) / PERIOD_SECONDS)
    likely = [round((offset - base) / PERIOD_SECONDS) for offset in offsets]
    counts = dict.fromkeys([*likely, *sorted(range(first, final + 1), key=abs)])
    return [base + count * PERIOD_SECONDS for count in counts if first <= count <= final]


def _paired(clip: Moments, release: Moments, speed: float, start: float) -> list[_Pair]:
    times = np.array([moment.time for moment in clip.taken])
    pairs = []
    for moment in release.taken:
        away = np.abs(times - (moment.time - start) / speed)
        near = [int(i) for i in np.argsort(away, kind="stable")[:5] if away[i] <= NEARER]
        if near:
            pairs.append(_Pair(release=moment, clip=tuple(clip.taken[i] for i in near)))
    return pairs


def _enough(pairs: Sequence[_Pair], clip: Moments, release: Moments, speed: float) -> bool:
    times = [moment.time for moment in release.taken]
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else math.inf
    shown = 1 + (clip.taken[-1].time - clip.taken[0].time) * speed / step if step else 1.0
    return len(pairs) >= max(LEAST_MOMENTS, LEAST_SHARE * min(shown, len(times)))


def _telling(pairs: Sequence[_Pair]) -> list[_Pair]:
    """The few by which places are compared: spread over the clip, the richest in structure of their part."""
    parts = np.array_split(np.arange(len(pairs)), min(JUDGED_BY, len(pairs)))
    return [pairs[max(part, key=lambda i: float(pairs[i].release.y.std()))] for part in parts]


class _Laid:
    """A clip over a release."""

    def __init__(self, clip: Moments, release: Moments) -> None:
        self._clip, self._release = clip, release
        rows, columns = release.taken[0].y.shape
        self._size = (columns, rows)

    @property
    def _sides(self) -> tuple[Sides, Sides]:
        return self._clip.sides, self._release.sides

    def rough_places(self, pairs: Sequence[_Pair], geometry: Geometry) -> list[tuple[float, Placed]]:
        """All places, roughly aligned, with how much the agreement of the few `pairs` says there. Only the
        whole frame on the whole frame where that is plainly right, as for most clips.
        """
        overlaid = partial(self._overlaid, pairs)
        begun = [Placed(begun=place, side=self._sides[1]) for place in places(*self._sides, geometry)]
        if agreement(overlaid(begun[0].matrix)) >= PLAIN:
            begun = begun[:1]
        seen = [placed for placed in begun if agreement(overlaid(placed.matrix)) > -1]
        found = [aligned(placed, overlaid, COARSE) for placed in seen]
        return [(significance(overlaid(placed.matrix)), placed) for placed in found]

    def fine_place(self, placed: Placed, speed: float, start: float) -> tuple[float, Matrix, float]:
        """The best place and start of the clock near these, and how much the agreement there says first.

        The clock is set before: a place that is aligned on frames beside the right ones is bent to fit them.
        And again, since a place that is not yet right may hide which frames are.
        """
        value, near = -math.inf, self.best_near(placed.matrix, speed, start)
        for _ in range(SETTLED):
            pairs = _telling(_paired(self._clip, self._release, speed, start + near))
            overlaid = partial(self._overlaid, self._agreeing(pairs, placed.matrix))
            placed = aligned(placed, overlaid, ALIGNED)
            value, before = significance(overlaid(placed.matrix)), near
            near = self.best_near(placed.matrix, speed, start)
            if near == before:
                break
        return value, placed.matrix, start + near

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

    def best_near(self, place: Matrix, speed: float, start: float) -> float:
        """By how many seconds the clock is off: where moments, taken by the clock alone, agree best."""
        step = 1 / 16
        tried = {}
        for count in range(-int(NEAR / step), int(NEAR / step) + 1):
            pairs = _telling(_paired(self._clip, self._release, speed, start + count * step) or [])
            if pairs:
                tried[count * step] = agreement(self._overlaid(pairs, place)) - abs(count) * 1e-6
        return max(tried, key=lambda near: tried[near], default=0.0)

    def looks(self, place: Matrix, pairs: Sequence[_Pair]) -> list[Look]:
        """All moments laid over; of those that may be the release's moment the one that agrees best."""
        shown = self._shown(place)
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
