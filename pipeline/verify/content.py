"""Does a clip that bears a release's mark show what the release shows? Moment by moment, place by place.

The mark itself says how the clip lies on the release, in the picture and in time. So the clip is laid over
the stored moments there, and has to agree in each: a mark that was moved to other pictures, be they of the
same composition, or to another moment of the same scene, does not.

1. Where: the whole frame on the whole frame, or as the mark's geometry says, at any of its tiles. When: as
   the mark's clock says, at any of its periods, the likeliest by the fingerprint first. The best of these, by
   structure alone, is refined a little. *Structure* is the correlation of what is finer than a twelfth of the
   picture, with equal weight for strong and faint.
2. Tone and colour may have changed for the whole clip in one way; what differs then, differs
   (`pipeline.verify.differing`).
3. Same: enough could be compared, every moment has the release's structure, and nowhere anything differs.
4. Other: the mark says that the picture was not turned or cut, and yet its moments have another structure.
   Everything else is undecided: a clip of which a part was covered or changed, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.moments import COVERED, Moment, Moments
from pipeline.verify.differing import Look, differing, level
from pipeline.verify.laying import Field, Matrix, Sides, covered, lay, places, refined
from watermark.base import Geometry
from watermark.lattice import PERIOD_SECONDS

NEAR: Final = 0.26  # seconds by which the mark's clock may be off for the whole clip
NEARER: Final = 0.13  # and a single moment besides: frames are dropped, doubled, reordered
PERIODS: Final = 6  # trims by whole periods of the carrier that are tried, the likeliest first
JUDGED_BY: Final = 3  # moments by which places are compared
TRIED_ON: Final = 2  # places that are refined
HOPELESS: Final = 0.2  # structure below which a place is not worth it
WELL_LAID: Final = 0.97  # structure at which nothing is refined
LEAST_MOMENTS: Final = 2
LEAST_SHARE: Final = 0.5  # of the shorter clip's moments
FINE: Final = 4.0  # cells: what is finer than this counts as structure
FLOOR: Final = 2.0  # levels added to the local deviation
LOUDEST: Final = 3.0  # deviations
STRUCTURED: Final = 0.04  # mean square of the equalised cells below which a moment has no structure

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
    best: tuple[float, Matrix, float] | None = None
    speed, possible = geometry.speed, _starts(clip, release, geometry, offsets)
    paired = {start: _paired(clip, release, speed, start) for start in possible}
    starts = [start for start, pairs in paired.items() if _enough(pairs, clip, release, speed)]
    for start in starts[:PERIODS]:
        pairs = paired[start]
        found = laid.best_place(_telling(pairs), geometry)
        if found and (best is None or found[0] > best[0]):
            best = (*found, start)
    if best is None:
        return UNKNOWN
    _, place, start = best
    start += laid.best_near(place, speed, start)
    looks = laid.looks(place, _paired(clip, release, speed, start))
    return _judged(looks, sure=geometry.untouched and len(starts) <= PERIODS)


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

    def best_place(self, pairs: Sequence[_Pair], geometry: Geometry) -> tuple[float, Matrix] | None:
        """The place where the few `pairs` agree best in structure, refined, and how well they do."""
        tried = [(self._agreement(pairs, place), place) for place in places(*self._sides, geometry)]
        ranked = sorted(tried, key=lambda one: -one[0])[:TRIED_ON]
        if ranked and HOPELESS < ranked[0][0] < WELL_LAID:
            finer = [
                refined(place, self._sides[1], lambda at: self._agreement(pairs, at)) for _, place in ranked
            ]
            ranked = sorted(((self._agreement(pairs, at), at) for at in finer), key=lambda one: -one[0])
        return ranked[0] if ranked and ranked[0][0] > -1 else None

    def best_near(self, place: Matrix, speed: float, start: float) -> float:
        """By how many seconds the clock is off: where moments, taken by the clock alone, agree best."""
        step = 1 / 16
        tried = {}
        for count in range(-int(NEAR / step), int(NEAR / step) + 1):
            pairs = _telling(_paired(self._clip, self._release, speed, start + count * step) or [])
            if pairs:
                tried[count * step] = self._agreement(pairs, place) - abs(count) * 1e-6
        return max(tried, key=lambda near: tried[near], default=0.0)

    def looks(self, place: Matrix, pairs: Sequence[_Pair]) -> list[Look]:
        """All moments laid over; of those that may be the release's moment the one that agrees best."""
        found = []
        for pair in pairs:
            looks = [self._look(place, pair.release, moment) for moment in pair.clip]
            found.append(max(looks, key=lambda look: -1.0 if look.structure is None else look.structure))
        return found

    def _agreement(self, pairs: Sequence[_Pair], place: Matrix) -> float:
        seen = covered(place, *self._sides, self._size)
        if seen.mean() < 0.1:
            return -1.0
        values = [self._structure(place, pair.release, pair.clip[0], seen)[1] for pair in pairs]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else -1.0

    def _structure(
        self, place: Matrix, release: Moment, moment: Moment, seen: NDArray[np.bool_]
    ) -> tuple[Field, float | None]:
        y = lay(moment.y, place, *self._sides, self._size)
        mask = (seen & (release.y != COVERED)).astype(np.float32)
        ours, theirs = equalised(level(release.y), mask), equalised(y, mask)
        known = float(np.mean(ours * ours)) > STRUCTURED * float(mask.mean())
        return y, correlation(ours, theirs) if known else None

    def _look(self, place: Matrix, release: Moment, moment: Moment) -> Look:
        seen = covered(place, *self._sides, self._size)
        y, structure = self._structure(place, release, moment, seen)
        half = (self._size[0] // 2, self._size[1] // 2)
        uv = np.stack([lay(plane, place, *self._sides, half) for plane in moment.uv])
        return Look(release=release, y=y, uv=uv, seen=seen & (release.y != COVERED), structure=structure)


def equalised(values: Field, mask: Field) -> Field:
    """What is finer than `FINE` cells, over its local deviation; nothing outside of the mask ``[h, w]``."""
    weight = _blurred(mask) + np.float32(1e-6)
    fine = (values - _blurred(values * mask) / weight) * mask
    deviation = np.sqrt(_blurred(fine * fine) / weight)
    return np.clip(fine / (deviation + np.float32(FLOOR)), -LOUDEST, LOUDEST)


def _blurred(values: Field) -> Field:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), FINE, borderType=cv2.BORDER_REFLECT), np.float32)


def correlation(one: Field, other: Field) -> float:
    """Of two fields of mean 0; 0 where one of them is empty."""
    norm = math.sqrt(float(np.sum(one * one)) * float(np.sum(other * other)))
    return float(np.sum(one * other)) / norm if norm > 0 else 0.0


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
