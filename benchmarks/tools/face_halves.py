"""Figures of faces that do not rest on the very persons, or on the very many pairs, that they are told of.

1. *Thresholds of other persons*: everybody shown or registered is halved at random. From the pairs among one
   half the thresholds are moved alike until none is false, or a given share; shares are told of the other
   half, then the other way round, and all that again for other halves.
2. *Fewer pairs*: the thresholds at which none of so many pairs, drawn at random, is false. No pair false of
   a hundred thousand is a harder demand than of three thousand.
3. *The nearest two aside*: one pair of persons who look alike in life can decide at which thresholds no pair
   is false; the same figure without the pairs of those two says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Conditions, Row

SEED: Final = 5
HALVINGS: Final = 20
SHARES: Final = (0.0, 0.0005)
"""Of false pairs that thresholds are fitted for."""
LEAST: Final = 4
"""Persons of whom there can be two halves with a pair each."""
FEW: Final = 3000
DRAWS: Final = 200
Margins = NDArray[np.float64]


class Shown(Protocol):
    """A clip of ``who``: by how much the best space is inside its threshold; ``own``: of each frame,
    ``others``: of each frame with a face and each other person (``names``).
    """

    @property
    def who(self) -> str: ...  # noqa: D102
    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def own(self) -> Margins: ...  # noqa: D102
    @property
    def others(self) -> Margins: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One half's thresholds told of the other: shares of false pairs, frames and clips found."""

    false: float
    frames: float
    clips: float


def rows(clips: Sequence[Shown], mine: Sequence[Shown], told: Conditions) -> list[Row]:
    """``clips``: all, whose pairs count; ``mine``: those of them in which somebody is to be found."""
    everybody = sorted({one.who for one in clips} | {name for one in clips for name in one.names})
    pairs = np.concatenate([one.others.ravel() for one in clips])
    if not mine or len(everybody) < LEAST or not len(pairs):
        return []
    made = [row for share in SHARES for row in _of_other_persons(clips, mine, everybody, share, told)]
    if len(pairs) > FEW:
        made += _of_few(pairs, mine, told)
    return [*made, *_but_the_nearest(clips, mine, told)]


def _of_other_persons(
    clips: Sequence[Shown], mine: Sequence[Shown], everybody: Sequence[str], share: float, told: Conditions
) -> Iterator[Row]:
    rng = np.random.default_rng(SEED)
    found: list[_Told] = []
    for _ in range(HALVINGS):
        drawn = rng.permutation(len(everybody))
        one, other = ({everybody[at] for at in half} for half in np.array_split(drawn, 2))
        for fitted, asked in ((one, other), (other, one)):
            near, pairs = _pairs(clips, fitted), _pairs(clips, asked)
            shown = [clip for clip in mine if clip.who in asked]
            if len(near) and len(pairs) and shown:
                found.append(_told(_beyond(near, share), pairs, shown))
    how = (
        f"fitted so that {share:.2%} of the pairs of one half of the persons are false, told of the other"
        f" half; {HALVINGS} halvings, both ways"
    )
    frames, whole = sum(len(one.own) for one in mine), len(mine)
    for metric, values, count in (
        ("pairs of a frame and another person, false, thresholds of other persons",
         [one.false for one in found], sum(one.others.size for one in clips)),
        ("person found in a frame, thresholds of other persons", [one.frames for one in found], frames),
        ("person found in a clip, thresholds of other persons", [one.clips for one in found], whole),
    ):  # fmt: skip
        if values:
            yield _mean(metric, values, count, {**told, "thresholds": how, "seed": SEED})


def _pairs(clips: Sequence[Shown], persons: set[str]) -> Margins:
    """Margins of the pairs of which both are among `persons`."""
    parts = [
        one.others[:, [name in persons for name in one.names]].ravel()
        for one in clips
        if one.who in persons and len(one.others)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _beyond(pairs: Margins, share: float) -> float:
    """The margin that at most such a share of the pairs is beyond."""
    return float(np.sort(pairs)[len(pairs) - 1 - int(share * len(pairs))])


def _told(beyond: float, pairs: Margins, shown: Sequence[Shown]) -> _Told:
    return _Told(
        false=float((pairs > beyond).mean()),
        frames=float((np.concatenate([one.own for one in shown]) > beyond).mean()),
        clips=float(np.mean([(one.own > beyond).any() for one in shown])),
    )


def _of_few(pairs: Margins, mine: Sequence[Shown], told: Conditions) -> Iterator[Row]:
    rng = np.random.default_rng(SEED)
    found = [
        _told(float(rng.choice(pairs, FEW, replace=False, shuffle=False).max()), pairs, mine)
        for _ in range(DRAWS)
    ]
    how = f"strictest at which none of {FEW} pairs is false, drawn at random {DRAWS} times"
    frames = sum(len(one.own) for one in mine)
    for name, values, count in (
        ("frame", [one.frames for one in found], frames), ("clip", [one.clips for one in found], len(mine)),
    ):  # fmt: skip
        metric = f"person found in a {name}, at 0 false of {FEW} pairs"
        yield _mean(metric, values, count, {**told, "thresholds": how, "seed": SEED})


def _but_the_nearest(clips: Sequence[Shown], mine: Sequence[Shown], told: Conditions) -> Iterator[Row]:
    met = [
        (float(margin), frozenset((one.who, name)))
        for one in clips
        if len(one.others)
        for name, margin in zip(one.names, one.others.max(axis=0), strict=True)
    ]
    nearest = max(met, key=lambda pair: pair[0])[1]
    beyond = max((margin for margin, pair in met if pair != nearest), default=None)
    if beyond is None:
        return
    found = _told(beyond, np.zeros(1), mine)
    how = f"moved by {-beyond:+.3f}: no pair false but of the two nearest persons"
    frames = sum(len(one.own) for one in mine)
    for name, value, count in (("frame", found.frames, frames), ("clip", found.clips, len(mine))):
        metric = f"person found in a {name}, at 0 false pairs, the two nearest persons aside"
        yield _mean(metric, [value], count, {**told, "thresholds": how})


def _mean(metric: str, values: Sequence[float], count: int, told: Conditions) -> Row:
    low, high = np.quantile(values, [0.025, 0.975])
    return Row(
        metric=metric, value=float(np.mean(values)), unit="share", n=count,
        interval=(float(low), float(high)), conditions=told,
    )  # fmt: skip
