"""How a clip lies on another in time: the speed and the start at which their moments agree best."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SPEEDS: Final = tuple(1.025**step for step in range(-12, 13))  # 0.74 to 1.34
GRID: Final = 1 / 16  # seconds
MOST_OFFSETS: Final = 4096  # tried at one speed: in clips of minutes the grid is coarser
NEAR: Final = 0.13  # seconds by which a moment may be off
FAVOUR: Final = 0.002  # for the speed as it was, per step away from it, of each moment
LEAST_SHARE: Final = 0.5  # of as many moments as can lie on a line of that speed
LESS: Final = 0.12  # agreement below the best of any two moments that counts against a line

Times = NDArray[np.float64]


class Line(NamedTuple):
    """Seconds of the other clip: ``speed`` times the clip's, and ``offset``.

    ``pairs``: (moment of the clip, of the other) along it, by number; never empty.
    """

    speed: float
    offset: float
    pairs: tuple[tuple[int, int], ...]


def best_line(agreement: NDArray[np.float32], ours: Times, theirs: Times) -> Line:
    """The line along which ``agreement[ours, theirs]`` adds up to most beyond what is `LESS` than the best.

    Times ascend, in seconds. A sum, so that a long line that agrees well beats a short one that does.
    """
    least = float(agreement.max()) - LESS
    best: tuple[float, Line] | None = None
    for speed in sorted(SPEEDS, key=lambda one: abs(math.log(one))):
        shown = ours * speed
        first, last = theirs[0] - shown[-1], theirs[-1] - shown[0]
        grid = max(GRID, (last - first) / MOST_OFFSETS)
        offsets = grid * np.arange(math.floor(first / grid), math.ceil(last / grid) + 1)
        at, inside = _nearest(shown, theirs[None, :] - offsets[:, None])
        beyond = agreement[at, np.arange(len(theirs))[None, :]] - least
        steps = abs(math.log(speed) / math.log(1.025))
        sums = np.where(inside, beyond - FAVOUR * steps, 0.0).sum(axis=1) - 1e-6 * np.abs(offsets)
        counts = inside.sum(axis=1)
        sums = np.where(counts >= np.ceil(LEAST_SHARE * counts.max()), sums, -math.inf)
        chosen = int(np.argmax(sums))
        if best is None or sums[chosen] > best[0]:
            pairs = tuple((int(at[chosen, of]), int(of)) for of in np.flatnonzero(inside[chosen]))
            best = float(sums[chosen]), Line(speed, float(offsets[chosen]), pairs)
    assert best is not None  # noqa: S101 - some offset pairs two moments, at any speed
    return best[1]


def _nearest(shown: Times, wanted: Times) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which of `shown` is nearest to each of `wanted`, and whether it is near."""
    after = np.searchsorted(shown, wanted).clip(0, len(shown) - 1)
    before = np.maximum(after - 1, 0)
    at = np.where(np.abs(shown[before] - wanted) <= np.abs(shown[after] - wanted), before, after)
    return at, np.abs(shown[at] - wanted) <= NEAR
