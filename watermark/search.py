"""The full search: which geometries and clocks are tried, and which of them are handed on.

The rules:
1. A fixed grid of geometries, with mirrors and quarter turns, is ranked by power without time.
2. The best of them, and all likely ones whatever their rank, are ranked at every offset at the right speed.
3. The best of those are ranked at every speed.
4. The best distinct ones of all are refined (`watermark.refine`), those that agree best once more.
5. At most `HANDED_ON` go to the decision, none whose template agrees less than `LEAST_AGREEMENT`; each lies
   on the grid that `PLACEMENTS` counts.

Nothing here knows the carrier key.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark import refine, spectrum, sync
from watermark.clocks import OTHER_SPEEDS, SPEEDS, Clock, Clocks, grid, shares
from watermark.geometry import CORNER_PLACES, FrameGeometry, snapped
from watermark.lattice import PERIOD_SECONDS, Lattice, Template
from watermark.spectrum import Look, Maps, Power
from watermark.windows import WINDOW_SECONDS, Block, Plane


class Grain(NamedTuple):
    """How finely a template has to be looked for, which its frequencies say.

    ``step`` of the scale, relative to it: 0.9 cycles at the template's mean frequency. ``plain_step`` of the
    scale's logarithm in sharp spectra, ``zooms``: first steps of the climbs there.
    """

    step: float
    plain_step: float
    zooms: tuple[float, float]
    rough: Look
    sharp: Look


class Searched(NamedTuple):
    """Planes ``float32[n, h, w]``, n ≥ 2, that are searched for a template, and how finely."""

    planes: Plane
    times: NDArray[np.float64]
    template: Template
    grain: Grain


# The rough looks forgive a cycle of error and some perspective; the sharp ones a third of a cycle, and see
# three times as far.
LUMA = Grain(
    step=0.028, plain_step=0.005, zooms=(0.006, 0.002),
    rough=Look(bin=0.5, pieces=3, tapered=True, highest=90.0, even=15.5),
    sharp=Look(bin=0.25, pieces=1, tapered=False, highest=90.0, even=15.5),
)  # fmt: skip
CHROMA = Grain(
    step=0.06, plain_step=0.012, zooms=(0.015, 0.005),
    rough=Look(bin=0.5, pieces=3, tapered=True, highest=40.0, even=9.5),
    sharp=Look(bin=0.25, pieces=1, tapered=False, highest=40.0, even=9.5),
)  # fmt: skip

SCALES = (0.45, 2.7)
TURN = np.radians(15.0)  # beyond quarter turns
STRETCH = np.log(1.36)
TURNED_FROM, STRETCHED_FROM = 0.7, 0.6  # scale: a pattern smaller than that is hardly looked for slanted
SEARCHED_WINDOWS = 32  # from the middle of a block
TIMED, SPED = 4000, 300  # hypotheses in the second and the third ranking
REFINED = (8, 16)  # rough places in the first helping and in the second
HANDED_ON = (2, 4)  # and what of them goes to the decision
CLIMBED_AGAIN = (2, 4)  # of those that were refined
MOST_CLIMBS, GAIN = 4, 1.02
HOPEFUL_AGREEMENT = 4.0
LEAST_AGREEMENT = 4.8
QUARTERS = np.array(
    [[[1, 0], [0, 1]], [[-1, 0], [0, 1]], [[0, 1], [-1, 0]], [[0, 1], [1, 0]]], dtype=np.float64
)
GROUP = 0.1  # of the scale's logarithm
SHARPENED = 120
SHARP_STEPS = np.array([0, -1, 1, -2, 2, -3, 3])  # of equals the first is taken: no change
# Larger and smaller, turned, wider, slanted.
CHANGES = np.array(
    [[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]], dtype=np.float64
)
KEPT = 800  # of one ranking, before neighbours are taken out
COLOURED = 1e-3  # of an equalised plane's deviation, which is about 1 wherever there is anything
LEAST_SPREAD = 4.0  # of scores by chance, so that short clips are not blown up
LIKELY_BONUS = 0.7  # neither slanted nor stretched, as most clips are
FINE_SPEEDS = np.linspace(-0.02, 0.02, 5)
OFFSET_STEP = 0.05  # seconds
FINE_OFFSETS = np.arange(-3, 4)  # of those steps
CLEARLY = 0.9  # a clock that was read and says the right speed is left for one that is so much better
NEARLY = 0.97  # and one that says another speed for one of the right speed that is nearly as good
# What the template's phases can be compared at in one block: the corners' grid, the clocks', the shifts'.
PLACEMENTS = (
    CORNER_PLACES * (len(SPEEDS) * len(FINE_SPEEDS)) * round(PERIOD_SECONDS / OFFSET_STEP) * sync.FINEST**2
)


class Start(NamedTuple):
    """A rough place: its standing among all that were ranked with it, linear map and clock."""

    score: float
    linear: Maps
    clock: Clock


class Hypotheses(NamedTuple):
    """Linear maps float64[h, 2, 2], whether each is likely, and the group that its scale belongs to."""

    maps: Maps
    likely: NDArray[np.bool_]
    group: NDArray[np.int64]


@lru_cache(maxsize=2)
def hypotheses(fineness: float) -> Hypotheses:
    """All geometries that are ranked, in steps of `Grain.step`; each also stands for itself upside down."""
    maps, likely, group, scale = [], [], [], SCALES[0]
    while scale <= SCALES[1]:
        step = fineness * scale
        turns = _around(TURN if scale >= TURNED_FROM else 0.0, step)
        for turn in turns:
            for stretch in _around(STRETCH if scale >= STRETCHED_FROM else 4.2 * step, 2 * step):
                cosine, sine = np.cos(turn), np.sin(turn)
                wide = np.diag([np.exp(-stretch / 2), np.exp(stretch / 2)])
                maps.append(wide @ [[cosine, sine], [-sine, cosine]] / scale)
                likely.append(turn == 0 and stretch == 0)
                group.append(round(np.log(scale) / GROUP))
        scale *= 1 + step
    whole = np.concatenate([np.array(maps) @ quarter for quarter in QUARTERS])
    return Hypotheses(whole, np.tile(likely, len(QUARTERS)), np.tile(group, len(QUARTERS)))


@lru_cache(maxsize=2)
def plain_maps(step: float) -> tuple[Maps, NDArray[np.int64]]:
    """Sizes only, densely, in all mirrors and quarter turns, and the group of each scale."""
    scales = np.exp(np.arange(np.log(SCALES[0]), np.log(SCALES[1]), step))
    maps = QUARTERS[:, None] / scales[:, None, None]
    return maps.reshape(-1, 2, 2), np.tile(np.round(np.log(scales) / GROUP), len(QUARTERS)).astype(np.int64)


def _around(reach: float, step: float) -> list[float]:
    count = int(reach / step)
    return [index * step for index in range(-count, count + 1)]


def searched(block: Block, design: Lattice) -> Searched:
    """What of a block is searched: colour, where there is any; its template is stronger and forgives more."""
    return all_searched(block, design)[0]


def all_searched(block: Block, design: Lattice) -> list[Searched]:
    """Colour, where there is any, and luma."""
    luma = Searched(block.windows, block.times, design.y.template, LUMA)
    if block.chroma is None or block.chroma.std(axis=(1, 2, 3)).min() <= COLOURED:
        return [luma]
    both = block.chroma.sum(axis=0)  # they share the template
    return [Searched(both, block.times, design.u.template, CHROMA), luma]


def helpings(block: Block, design: Lattice) -> Iterator[list[sync.Placement]]:
    """Placements for the decision in two helpings, the likelier ones first; n ≥ 2 windows."""
    what = searched(block, design)
    rough = starts(what)
    done = 0
    for refining, again, handing in zip(REFINED, CLIMBED_AGAIN, HANDED_ON, strict=True):
        reached = [_refined(what, start) for start in rough[done : done + refining]]
        reached.sort(key=lambda found: -found.agreement)
        hopeful = [found for found in reached[:again] if found.agreement >= HOPEFUL_AGREEMENT]
        best = [_climbed_again(what, found) for found in hopeful]
        best.sort(key=lambda found: -found.agreement)
        placements = (
            placed(block, design, found) for found in best[:handing] if found.agreement >= LEAST_AGREEMENT
        )
        yield [placement for placement in placements if placement]
        done += refining


def starts(what: Searched) -> list[Start]:
    """Distinct rough places: of each ranking's best in turn."""
    rows, columns = what.planes.shape[1:]
    width, height = columns / min(rows, columns), rows / min(rows, columns)
    plain, sharpened = _sharp(what)
    first = max(0, (len(what.planes) - SEARCHED_WINDOWS) // 2)
    part = slice(first, first + SEARCHED_WINDOWS)
    timed, sped = _rough(what._replace(planes=what.planes[part], times=what.times[part]))
    apart = distinct(timed, width, height, SHARPENED)
    # In sharp spectra a frame seen from the side is lost, so the rough ranking counts beside them.
    rankings = [distinct(r, width, height, sum(REFINED)) for r in (plain, sharpened(apart), apart, sped)]
    in_turn = [ranking[i] for i in range(sum(REFINED)) for ranking in rankings if i < len(ranking)]
    return distinct(in_turn, width, height, sum(REFINED), sort=False)


def _rough(what: Searched) -> tuple[list[Start], list[Start]]:
    """The best of the whole grid at the right speed, and at other speeds."""
    look, template = what.grain.rough, what.template
    found, (maps, likely, group) = spectrum.spectra(what.planes, look), hypotheses(what.grain.step)
    where = spectrum.places(template, maps, look)
    rough = spectrum.by_power(found, where)
    rough[likely] = np.inf

    def ranked(rows: NDArray[np.int64], clocks: Clocks) -> tuple[list[Start], Power]:
        scores = spectrum.by_clock(found, where.only(rows), what.times, template, clocks)
        scores = standard(scores, group[rows]) + LIKELY_BONUS * likely[rows][:, None]
        return _best(scores, maps[rows], clocks), scores.max(axis=(0, 2))

    chosen = np.argsort(-rough, kind="stable")[:TIMED]
    timed, best = ranked(chosen, grid(np.ones(1), WINDOW_SECONDS))
    again = chosen[np.argsort(-best, kind="stable")[:SPED]]
    return timed, ranked(again, grid(OTHER_SPEEDS, WINDOW_SECONDS))[0]


def _sharp(what: Searched) -> tuple[list[Start], Callable[[Sequence[Start]], list[Start]]]:
    """The best of `plain_maps` in sharp spectra, and what makes rough places sharp in them."""
    look, template = what.grain.sharp, what.template
    planes, places, roots = spectrum.folded(what.planes, what.times)
    if len(planes) < 2:
        return [], list
    found, clocks = spectrum.spectra(planes, look), grid(np.ones(1), WINDOW_SECONDS)
    maps, group = plain_maps(what.grain.plain_step)
    where = spectrum.places(template, maps, look)
    scores = spectrum.by_clock(found, where, places, template, clocks, roots)

    def sharpened(rough: Sequence[Start]) -> list[Start]:
        linear, own = np.array([s.linear for s in rough]), np.array([s.clock for s in rough])
        best = np.full(len(own), -np.inf)
        for zoom in what.grain.zooms:
            for change in CHANGES:
                tried = linear[:, None] @ (np.eye(2) + zoom * SHARP_STEPS[:, None, None] * change)
                score = spectrum.of_pairs(
                    found, spectrum.places(template, tried.reshape(-1, 2, 2), look), places, template,
                    np.repeat(own, len(SHARP_STEPS), axis=0), roots,
                ).reshape(len(own), -1)  # fmt: skip
                linear = tried[np.arange(len(own)), score.argmax(axis=1)]
                best = score.max(axis=1)
        return sorted(
            (
                start._replace(score=float(s), linear=m)
                for start, s, m in zip(rough, best, linear, strict=True)
            ),
            key=lambda start: -start.score,
        )

    return _best(standard(scores, group), maps, clocks), sharpened


def _best(scores: Power, maps: Maps, clocks: Clocks) -> list[Start]:
    """The `KEPT` best of ``float32[2, h, c]`` scores, the best first."""
    order = np.argsort(-scores.ravel(), kind="stable")[:KEPT]
    upside_down, row, clock = np.unravel_index(order, scores.shape)
    places = zip(scores[upside_down, row, clock], upside_down, maps[row], clocks[clock], strict=True)
    return [
        Start(float(v), m * (-1 if down else 1), Clock(float(c[0]), float(c[1]))) for v, down, m, c in places
    ]


def standard(scores: Power, groups: NDArray[np.int64]) -> Power:
    """Scores ``float32[2, h, c]`` in units of their own spread among hypotheses of about the same scale.

    Where a picture is simple its few strong points say the same again and again, and chance reaches further.
    """
    out = np.empty_like(scores)
    for group in np.unique(groups):
        rows = groups == group
        low, middle, high = np.quantile(scores[:, rows][:, ::4], (0.16, 0.5, 0.84))
        out[:, rows] = (scores[:, rows] - middle) / max(LEAST_SPREAD, (high - low) / 2)
    return out


def distinct(
    ranked: Sequence[Start], width: float, height: float, count: int, *, sort: bool = True
) -> list[Start]:
    """The `count` best starts that are not neighbours of a better one."""
    chosen: list[Start] = []
    for start in sorted(ranked, key=lambda start: -start.score) if sort else ranked:
        if not any(_near(start, other, width, height) for other in chosen):
            chosen.append(start)
        if len(chosen) == count:
            break
    return chosen


def _near(one: Start, other: Start, width: float, height: float) -> bool:
    gap = (one.clock.offset - other.clock.offset) % PERIOD_SECONDS
    together = min(gap, PERIOD_SECONDS - gap) < 0.3 and abs(one.clock.speed / other.clock.speed - 1) < 0.05
    return together and bool(np.abs((one.linear - other.linear) * [width, height]).max() < 0.05)


class Climbed(NamedTuple):
    """A refined geometry, its clock, and the template's agreement there."""

    agreement: float
    frame: FrameGeometry
    clock: Clock


def climbed(what: Searched, frame: FrameGeometry, clock: Clock) -> Climbed:
    """As far as climbing leads from some geometry, also with some perspective."""
    return _climbed_again(what, Climbed(0.0, frame, clock))


def _refined(what: Searched, start: Start) -> Climbed:
    states = _by_state(what, start.clock)
    agreement, frame = refine.refined(states, what.template, FrameGeometry.of(start.linear))
    return Climbed(agreement, frame, start.clock)


def _climbed_again(what: Searched, found: Climbed) -> Climbed:
    """Climb on, also with some perspective, for as long as that gains."""
    states = _by_state(what, found.clock)
    for _ in range(MOST_CLIMBS):
        agreement, frame = refine.refined(states, what.template, found.frame, slanted=True)
        if agreement <= GAIN * found.agreement:
            break
        found = found._replace(agreement=agreement, frame=frame)
    return found


def _by_state(what: Searched, clock: Clock) -> Plane:
    summed: Plane = np.tensordot(shares(what.times, np.array([clock]))[0], what.planes, axes=1)
    return summed


def placed(block: Block, design: Lattice, found: Climbed) -> sync.Placement | None:
    """Where it lies exactly in time and space, on the grid that is counted; None beyond it."""
    on_grid = snapped(found.frame, *block.aspect)
    if on_grid is None:
        return None
    return timed(sync.coefficients(block, design, on_grid), block.times, design, on_grid, found.clock)


def timed(
    found: sync.Spectra, times: NDArray[np.float64], design: Lattice, frame: FrameGeometry, clock: Clock
) -> sync.Placement:
    """The best placement with a clock near `clock`."""
    near = near_clocks(clock, clock.speed * (1 + FINE_SPEEDS), times)
    (best,) = sync.place(found, times, design, frame, near, 1)
    return best


def near_clocks(clock: Clock, speeds: NDArray[np.float64], times: NDArray[np.float64]) -> Clocks:
    """Clocks of these speeds that in the middle of the windows show about what `clock` shows."""
    middle = float(times.mean())
    at_middle = clock.offset + (clock.speed - speeds) * middle
    steps = np.round(at_middle / OFFSET_STEP)[:, None] + FINE_OFFSETS
    offsets = (steps * OFFSET_STEP) % PERIOD_SECONDS
    return np.stack([np.repeat(speeds, offsets.shape[1]), offsets.ravel()], axis=1)
