"""The full search: which geometries and clocks are tried, and which of them are handed on.

1. A fixed grid of geometries, in mirrors and quarter turns, is ranked by power without time.
2. The best of them, and all likely ones whatever their rank, are ranked with every offset at the right speed.
3. The best of those are ranked with every speed.
4. The best distinct ones are refined (`watermark.refine`), and `HANDED_ON` go to the decision.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark import refine, spectrum, sync
from watermark.clocks import Clock, grid
from watermark.geometry import FrameGeometry, possible
from watermark.lattice import PERIOD_SECONDS, Lattice
from watermark.windows import LINES, WINDOW_SECONDS, Plane

SCALES = (0.45, 2.3)
STEP = 0.028  # relative to the scale: 0.9 cycles at the template's mean frequency
TURN = np.radians(15.0)
STRETCH = np.log(1.36)
TURNED_FROM = 0.7  # scale; smaller patterns are only looked for upright
STRETCHED_FROM = 0.6
SPEEDS = np.exp(np.arange(-10, 11) * 0.04)  # 0.67 to 1.49
SEARCHED_WINDOWS = 32
TIMED, SPED, REFINED, CLIMBED_TWICE, HANDED_ON = 5000, 300, 16, 8, 6
LEAST_SPREAD = 4.0

Maps = NDArray[np.float64]


class Start(NamedTuple):
    """A rough geometry, a clock and their score."""

    score: float
    linear: Maps
    clock: Clock


@lru_cache(maxsize=1)
def hypotheses() -> tuple[Maps, NDArray[np.bool_], NDArray[np.int64]]:
    """Linear maps ``float64[h, 2, 2]``, half of those of all mirrors and turns, and which are likely.

    The other half are the same upside down.
    """
    found, likely, size = [], [], []
    scale = SCALES[0]
    while scale <= SCALES[1]:
        step = STEP * scale
        turns = np.arange(-(n := int(TURN / step)), n + 1) * step if scale >= TURNED_FROM else np.zeros(1)
        reach = STRETCH if scale >= STRETCHED_FROM else 2.1 * step
        stretches = np.arange(-(n := int(reach / (2 * step))), n + 1) * 2 * step
        for turn in turns:
            for stretch in stretches:
                rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
                found.append(np.diag([np.exp(-stretch / 2), np.exp(stretch / 2)]) @ rotation / scale)
                size.append(round(np.log(scale) / 0.1))
                likely.append(abs(turn) < 1e-9 and abs(stretch) < 1e-9 or abs(stretch) < 1e-9 and .95<scale<1.1)
        scale *= 1 + step
    base = np.array(found)
    quarters = [np.array(q, float) for q in ([[1, 0], [0, 1]], [[-1, 0], [0, 1]], [[0, 1], [-1, 0]], [[0, 1], [1, 0]])]
    return np.concatenate([base @ quarter for quarter in quarters]), np.tile(likely, len(quarters)), np.tile(size, len(quarters))


def starts(windows: Plane, times: NDArray[np.float64], design: Lattice) -> list[Start]:
    """The `REFINED` best distinct rough places, the best first."""
    first = max(0, (len(windows) - SEARCHED_WINDOWS) // 2)
    part = slice(first, first + SEARCHED_WINDOWS)
    windows, times = windows[part], times[part]
    found = spectrum.spectra(windows)
    maps, likely, size = hypotheses()
    where = spectrum.places(design, maps)
    rough = spectrum.by_power(found, where)
    rough[likely] += 1e3
    chosen = np.argsort(rough)[::-1][:TIMED]
    clocks = grid(np.ones(1), WINDOW_SECONDS)
    timed = spectrum.by_clock(found, _only(where, chosen), times, design, clocks)
    timed = standard(timed, size[chosen])
    ranked = [Start(float(timed[s, h, c]), _map(maps[chosen[h]], s), Clock(*clocks[c])) for s, h, c in _best(timed)]
    again = chosen[np.argsort(timed.max(axis=(0, 2)))[::-1][:SPED]]
    clocks = grid(np.delete(SPEEDS, len(SPEEDS) // 2), WINDOW_SECONDS)
    sped = spectrum.by_clock(found, _only(where, again), times, design, clocks)
    sped = standard(sped, size[again])
    ranked += [Start(float(sped[s, h, c]), _map(maps[again[h]], s), Clock(*clocks[c])) for s, h, c in _best(sped)]
    return distinct(ranked, windows.shape[2] / LINES, windows.shape[1] / LINES)


def standard(scores: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scores ``float32[2, h, c]`` over their own spread among hypotheses of about the same scale.

    Where a picture is simple its few strong points say the same again and again, and chance reaches further.
    """
    out = np.empty_like(scores)
    for group in np.unique(groups):
        rows = groups == group
        low, middle, high = np.quantile(scores[:, rows][:, ::4], (0.16, 0.5, 0.84))
        out[:, rows] = (scores[:, rows] - middle) / max(LEAST_SPREAD, (high - low) / 2)
    return out


def _only(where: spectrum.Places, rows: NDArray[np.int64]) -> spectrum.Places:
    return spectrum.Places(where.bins[rows], where.turned[rows])


def _map(linear: Maps, upside_down: int) -> Maps:
    return -linear if upside_down else linear


def _best(scores: NDArray[np.float32], count: int = 400) -> list[tuple[int, int, int]]:
    order = np.argpartition(scores.ravel(), -min(count, scores.size))[-count:]
    return list(zip(*(axis.tolist() for axis in np.unravel_index(order, scores.shape)), strict=True))


def distinct(ranked: list[Start], width: float, height: float) -> list[Start]:
    """The best `REFINED` that are not neighbours of a better one."""
    chosen: list[Start] = []
    for start in sorted(ranked, key=lambda s: -s.score):
        if len(chosen) == REFINED:
            break
        if not any(_near(start, other, width, height) for other in chosen):
            chosen.append(start)
    return chosen


def _near(one: Start, other: Start, width: float, height: float) -> bool:
    gap = abs(one.clock.offset - other.clock.offset) % PERIOD_SECONDS
    late = min(gap, PERIOD_SECONDS - gap) > 0.3 or abs(np.log(one.clock.speed / other.clock.speed)) > 0.05
    apart = np.abs((one.linear - other.linear) * [width, height]).max()
    return not late and bool(apart < 0.05)


def frames(windows: Plane, times: NDArray[np.float64], design: Lattice) -> list[tuple[float, FrameGeometry, Clock]]:
    """Refined."""
    size = windows.shape[2] / LINES, windows.shape[1] / LINES
    found = []
    for start in starts(windows, times, design):
        frame = FrameGeometry.of(start.linear)
        statistic, frame = refine.refined(windows, times, design, frame, start.clock, rounds=1)
        found.append((statistic, frame, start.clock))
    found.sort(key=lambda f: -f[0])
    again = []
    for _, frame, clock in found[:CLIMBED_TWICE]:
        statistic, frame = refine.refined(windows, times, design, frame, clock, rounds=1)
        again.append((statistic, frame, clock))
    again.sort(key=lambda f: -f[0])
    return again[:HANDED_ON]
