"""Climbing from a rough geometry to the exact one, by the template, in cells of the frame.

The windows, turned upright by the rough geometry and summed by state, are cut into cells so small that
whatever is left to correct is, within one cell, a shift. Each cell gives one complex number per template
point; a correction only turns them. First the cells have to agree with each other, wherever the whole lies
(power per point); then the points too.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark.geometry import FrameGeometry, Matrix, possible, upright
from watermark.lattice import Complex, Template
from watermark.sync import best_shift
from watermark.windows import Plane

CELL_CYCLES = 7.0  # of the template's highest frequency in a cell's side
CELLS = (3, 16)  # along an axis, at least and at most
STEPS = 3  # tried to either side
ZOOMS = (1.0, 0.4, 0.15)  # of the first step, half a turn at the outermost cell and highest point
SLANTS = ((0.0, 0.0), (1.5, 0.0), (-1.5, 0.0), (0.0, 1.5), (0.0, -1.5))  # in first steps
LINEAR, PERSPECTIVE, SHIFT = (0, 1, 2, 3), (4, 5), (6, 7)


class Cells(NamedTuple):
    """Per cell: complex64[c, t] and its middle float64[c, 2] in short sides of the marked clip."""

    values: Complex
    middles: NDArray[np.float64]


def refined(
    states: Plane, template: Template, frame: FrameGeometry, *, slanted: bool = False
) -> tuple[float, FrameGeometry]:
    """The geometry climbed to from `frame`, and the template's agreement in the cells there.

    `states` float32[8, h, w] are the windows summed by state. `slanted`: also climb from some perspective to
    either side, for the best of all. Where that leads to something impossible the geometry stays as it was.
    """
    lines = min(states.shape[1:])
    found = cells(states, template, frame)
    climbs = [climb(found, template, slant) for slant in (SLANTS if slanted else SLANTS[:1])]
    agreement, correction = max(climbs, key=lambda reached: reached[0])
    better = FrameGeometry.of(correction @ frame.matrix)
    sensible = possible(better, states.shape[2] / lines, states.shape[1] / lines)
    return (agreement, better) if sensible else (0.0, frame)


def cells(states: Plane, template: Template, frame: FrameGeometry) -> Cells:
    """The template's coefficients of each cell, phases taken off and all states in sum."""
    turned = upright(states, frame, cubic=False)
    _, height, width = turned.planes.shape
    kx, ky = template.points.T
    x = (np.arange(width) + 0.5) * turned.pitch[0] + turned.origin[0]
    y = (np.arange(height) + 0.5) * turned.pitch[1] + turned.origin[1]
    across = np.exp(-4j * np.pi * np.outer(x, np.arange(template.reach + 1))).astype(np.complex64)
    down = np.exp(-4j * np.pi * np.outer(y, ky)).astype(np.complex64)
    split = np.concatenate([across.real, across.imag], axis=1)
    flat = np.ascontiguousarray(turned.planes).reshape(-1, width)
    phases = np.conj(template.phasors)
    cell = CELL_CYCLES / (2 * template.reach)  # short sides of the marked clip
    columns, rows, values = _edges(width, cell / turned.pitch[0]), _edges(height, cell / turned.pitch[1]), []
    for left, right in pairwise(columns):
        parts = (flat[:, left:right] @ split[left:right]).reshape(len(states), height, 2, -1)[..., np.abs(kx)]
        along = parts[:, :, 0] + 1j * np.where(kx >= 0, parts[:, :, 1], -parts[:, :, 1])
        summed = np.einsum("shk,sk->hk", along, phases) * down
        values.append(np.add.reduceat(summed, rows[:-1], axis=0))
    middles = [(left, top) for left in _means(x, columns) for top in _means(y, rows)]
    return Cells(np.concatenate(values).astype(np.complex64), np.array(middles))


def _edges(pixels: int, side: float) -> NDArray[np.int64]:
    return np.linspace(0, pixels, min(CELLS[1], max(CELLS[0], round(pixels / side))) + 1).astype(np.int64)


def _means(values: NDArray[np.floating], edges: NDArray[np.int64]) -> list[float]:
    return [float(values[left:right].mean()) for left, right in pairwise(edges)]


def climb(found: Cells, template: Template, slant: tuple[float, float] = (0.0, 0.0)) -> tuple[float, Matrix]:
    """The agreement at the best correction, and this: a homography ``float64[3, 3]`` of the marked plane."""
    centre = found.middles.mean(axis=0)
    fields = _fields(found.middles - centre)
    turns = (fields @ (2.0 * template.points.T)).astype(np.float32)  # [8, cells, t]
    reach = 1.0 / (np.abs(turns).max(axis=(1, 2)) + 1e-9)
    amount = np.zeros(len(fields))
    amount[list(PERSPECTIVE)] = slant * reach[list(PERSPECTIVE)]
    start = np.tensordot(amount.astype(np.float32), turns, axes=1)
    values = found.values * np.exp(np.complex64(-2j * np.pi) * start)
    for zoom in ZOOMS:
        for index in (*LINEAR, *PERSPECTIVE):
            values = _step(values, turns[index], amount, index, zoom * reach[index], power=True)
    x, y = best_shift(values.sum(axis=0), template)
    values = values * np.exp(2j * np.pi * (template.points @ [x, y])).astype(np.complex64)
    for zoom in ZOOMS[1:]:
        for index in (*SHIFT, *LINEAR, *PERSPECTIVE):
            values = _step(values, turns[index], amount, index, zoom * reach[index] / 2, power=False)
    agreement = float(values.sum().real / (np.sqrt(np.sum(np.abs(found.values) ** 2)) + 1e-9))
    bent, there, back = np.eye(3), np.eye(3), np.eye(3)
    bent[:2, :2] += amount[list(LINEAR)].reshape(2, 2)
    bent[2, :2] = -amount[list(PERSPECTIVE)]
    there[:2, 2], back[:2, 2] = centre, -centre
    return agreement, there @ bent @ back


def _fields(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement ``float64[8, cells, 2]`` per unit of each parameter.

    Four linear ones, two of perspective to first order, two shifts.
    """
    x, y = place.T
    none, one = np.zeros_like(x), np.ones_like(x)
    linear = [(x, none), (y, none), (none, x), (none, y)]
    return np.array([*linear, (x * x, x * y), (x * y, y * y), (one, none), (none, one)]).transpose(0, 2, 1)


def _step(
    values: Complex, turns: NDArray[np.float32], amount: NDArray[np.float64], index: int, reach: float,
    *, power: bool,
) -> Complex:  # fmt: skip
    """Try `STEPS` to either side of one parameter and take the best; `amount` is changed in place."""
    unit = reach / STEPS
    forward = np.exp(np.complex64(-2j * np.pi * unit) * turns)
    tried = np.empty((2 * STEPS + 1, *values.shape), dtype=np.complex64)
    tried[STEPS] = values
    for step in range(1, STEPS + 1):  # powers of one turn: the exponential is what costs
        np.multiply(tried[STEPS + step - 1], forward, out=tried[STEPS + step])
        np.multiply(tried[STEPS - step + 1], forward.conj(), out=tried[STEPS - step])
    sums = tried.sum(axis=1)
    scores = (sums.real**2 + sums.imag**2).sum(axis=1) if power else sums.real.sum(axis=1)
    best = int(np.argmax(scores))
    amount[index] += (best - STEPS) * unit
    chosen: Complex = tried[best]
    return chosen
