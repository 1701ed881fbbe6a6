"""How exactly an accepted clip lies, for what is said of it afterwards; nothing here changes the decision.

A quick reading takes a clip as unmoved and at the right speed if it can be read so, and low frequencies of
colour forgive some degrees and per cent. What follows the visible mark's path needs to know them.
"""

from collections.abc import Callable, Iterator

import numpy as np

from watermark import search, sync
from watermark.clocks import SPEEDS, Clock, Clocks, grid
from watermark.geometry import FrameGeometry, apply, corners
from watermark.lattice import Lattice
from watermark.search import CLEARLY, FINE_SPEEDS, NEARLY, near_clocks
from watermark.windows import WINDOW_SECONDS, Block

WHOLE = FrameGeometry(), FrameGeometry.stretched(1, 1, mirrored=True)
# What lies as it was marked, or mirrored, is said to lie otherwise only if that fits so many times as well
# and a corner lies so many short sides elsewhere. Of what was moved anyhow every better place is told.
BETTER = 1.05
MOVED = 0.025
AS_WELL = 0.95  # as another clock has to fit

Fit = Callable[[sync.Placement], float]


def settled(block: Block, design: Lattice, placement: sync.Placement, fit: Fit) -> sync.Placement:
    """The same place with the likeliest clock and geometry. `fit`: how well the message fits there."""
    paced = _paced(block, design, placement)
    placement = paced if fit(paced) >= AS_WELL * fit(placement) else placement
    asked = BETTER if placement.frame in WHOLE else 1.0
    for climbed in _climbed(block, design, placement):
        worth = placement.frame not in WHOLE or _moved(block, placement, climbed)
        if worth and fit(climbed) > asked * fit(placement):
            placement = climbed
    return placement


def _moved(block: Block, one: sync.Placement, other: sync.Placement) -> bool:
    here, there = (apply(placed.frame.matrix, corners(*block.aspect)) for placed in (one, other))
    return bool(np.abs(here - there).max() > MOVED)


def _climbed(block: Block, design: Lattice, placement: sync.Placement) -> Iterator[sync.Placement]:
    """Where colour leads, and from there luma, which knows more exactly."""
    frame = placement.frame
    for what in search.all_searched(block, design):
        climbed = search.climbed(what, frame, placement.clock)
        better = search.placed(block, design, climbed)
        if better is not None:
            frame = better.frame
            yield better


def _paced(block: Block, design: Lattice, placement: sync.Placement) -> sync.Placement:
    """The same place with the likeliest clock, for what is said of a clip after the decision.

    A quick reading took the speed for right; it is, unless another fits clearly better.
    """
    found, times = sync.coefficients(block, design, placement.frame), block.times

    def best(clocks: Clocks) -> tuple[float, Clock]:
        values = sync.strengths(found, times, design, clocks, placement.shift)
        speed, offset = clocks[int(np.argmax(values))].tolist()
        return float(values.max()), Clock(speed, offset)

    _, rough = best(np.concatenate([grid(SPEEDS, WINDOW_SECONDS), [placement.clock]]))
    strongest, clock = best(near_clocks(rough, rough.speed * (1 + FINE_SPEEDS), times))
    as_read, _ = best(np.array([placement.clock]))
    if placement.clock.speed == 1 and as_read >= CLEARLY * strongest:
        return placement
    right, at_right_speed = best(near_clocks(clock, np.ones(1), times))
    clock = at_right_speed if right >= NEARLY * strongest else clock
    return sync.at(found, times, design, placement.frame, clock, placement.shift)
