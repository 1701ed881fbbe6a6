"""Climbing from a rough geometry to the exact one, by the template, in cells of the frame.

The windows, turned upright by the rough geometry and summed by state, are cut into cells so small that
whatever is left to correct is, within one cell, a shift. Each cell gives one complex number per template
point; a correction only turns them. First the shift between the cells counts and not that of the whole
(power per point), then all of them together.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark.clocks import Clock, shares
from watermark.geometry import FrameGeometry, apply, corners, possible, upright
from watermark.lattice import RING, TEMPLATE_POINTS, Complex, Lattice
from watermark.sync import GRID, template_products
from watermark.windows import LINES, Plane

CELL = 40  # pixels of a side
STEPS = np.linspace(-1, 1, 7)
ZOOMS = (1.0, 0.4, 0.15)
REACH = 0.012  # tiles by which the corners move in the first sweep's step, per pixel of ... see `_fields`

Fields = NDArray[np.float32]


class Cells(NamedTuple):
    """Per cell: complex64[c, 48] and its middle float64[c, 2] in short sides of the marked clip."""

    values: Complex
    middles: NDArray[np.float64]


def cells(states: Plane, design: Lattice, frame: FrameGeometry) -> Cells:
    """The template's coefficients of each cell of ``float32[8, h, w]`` sums by state, phases taken off."""
    turned = upright(states, frame, cubic=False)
    _, height, width = turned.planes.shape
    kx, ky = design.points[:TEMPLATE_POINTS].T
    column_edges, row_edges = _edges(width), _edges(height)
    x = (np.arange(width) + 0.5) * turned.pitch[0] + turned.origin[0]
    y = (np.arange(height) + 0.5) * turned.pitch[1] + turned.origin[1]
    waves = np.exp(-4j * np.pi * np.outer(x, np.arange(int(RING[1]) + 1))).astype(np.complex64)
    split = np.concatenate([waves.real, waves.imag], axis=1)
    flat = np.ascontiguousarray(turned.planes).reshape(-1, width)
    phases = np.conj(design.phasors[:, :TEMPLATE_POINTS])
    down = np.exp(-4j * np.pi * np.outer(y, ky)).astype(np.complex64)
    values = []
    for left, right in zip(column_edges[:-1], column_edges[1:], strict=True):
        parts = (flat[:, left:right] @ split[left:right]).reshape(len(states), height, 2, -1)
        along = (parts[:, :, 0] + 1j * parts[:, :, 1])[:, :, np.abs(kx)]
        along = np.where(kx >= 0, along, np.conj(along))
        summed = np.einsum("shk,sk->hk", along, phases) * down
        values.append(np.add.reduceat(summed, row_edges[:-1], axis=0))
    middle_x = [x[a:b].mean() for a, b in zip(column_edges[:-1], column_edges[1:], strict=True)]
    middle_y = [y[a:b].mean() for a, b in zip(row_edges[:-1], row_edges[1:], strict=True)]
    grid = np.stack(np.meshgrid(middle_x, middle_y, indexing="ij"), axis=-1).reshape(-1, 2)
    return Cells(np.concatenate(values).astype(np.complex64), grid)


def _edges(pixels: int) -> NDArray[np.int64]:
    return np.linspace(0, pixels, max(1, round(pixels / CELL)) + 1).astype(np.int64)


def refined(
    windows: Plane, times: NDArray[np.float64], design: Lattice, frame: FrameGeometry, clock: Clock,
    *, rounds: int,
) -> tuple[float, FrameGeometry]:
    """The geometry climbed to from `frame`, and the template's statistic in the cells there."""
    states = np.tensordot(shares(times, np.array([clock]))[0], windows, axes=1)
    size = windows.shape[2] / LINES, windows.shape[1] / LINES
    statistic = 0.0
    for turn in range(rounds):
        found = cells(states, design, frame)
        statistic, correction = climb(found, design, first=turn == 0)
        better = FrameGeometry.of(correction @ frame.matrix)
        if not possible(better, *size):
            return statistic, frame
        frame = better
    return statistic, frame


def climb(found: Cells, design: Lattice, *, first: bool) -> tuple[float, NDArray[np.float64]]:
    """The best correction, as a homography ``float64[3, 3]`` of the marked clip's plane, and its score."""
    centre = found.middles.mean(axis=0)
    place = found.middles - centre
    fields = _fields(place)
    turns = (fields @ (2 * design.points[:TEMPLATE_POINTS].T)).astype(np.float32)  # [8, cells, 48]
    unit = 0.5 / np.abs(turns).max(axis=(1, 2))  # of each parameter: half a turn at the outermost
    amount = np.zeros(len(fields))
    values = found.values
    for zoom in ZOOMS if first else ZOOMS[1:]:
        for index in (0, 1, 2, 3, 4, 5):
            values = _step(values, turns[index], amount, index, zoom * unit[index] * 2, power=True)
    kx, ky = design.points[:TEMPLATE_POINTS].T
    spectrum = np.zeros((GRID, GRID), dtype=np.complex64)
    spectrum[ky % GRID, kx % GRID] = values.sum(axis=0)
    row, column = np.unravel_index(int(np.argmax(np.fft.ifft2(spectrum).real)), (GRID, GRID))
    values = values * np.exp(2j * np.pi * (kx * column + ky * row) / GRID).astype(np.complex64)
    for zoom in ZOOMS[1:]:
        for index in (6, 7, 0, 1, 2, 3, 4, 5):
            values = _step(values, turns[index], amount, index, zoom * unit[index], power=False)
    score = float(values.sum().real / (np.sqrt(np.sum(np.abs(found.values) ** 2)) + 1e-9))
    b, g = amount[:4].reshape(2, 2), amount[4:6]
    bent = np.eye(3)
    bent[:2, :2] += b
    bent[2, :2] = -g
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = centre, -centre
    return score, there @ bent @ back


def _fields(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement of each cell per unit of each parameter, ``float64[8, cells, 2]``.

    Four linear ones (xx, xy, yx, yy), two of perspective to first order, two shifts.
    """
    x, y = place.T
    none, one = np.zeros_like(x), np.ones_like(x)
    pairs = [(x, none), (y, none), (none, x), (none, y), (x * x, x * y), (x * y, y * y), (one, none), (none, one)]
    return np.stack([np.stack(pair, axis=1) for pair in pairs])


def _step(
    values: Complex, turns: Fields, amount: NDArray[np.float64], index: int, reach: float, *, power: bool
) -> Complex:
    """Try `STEPS` of one parameter and take the best; `amount` is changed in place."""
    tried = np.exp(-2j * np.pi * (STEPS * reach)[:, None, None] * turns).astype(np.complex64) * values
    sums = tried.sum(axis=1)
    scores = (np.abs(sums) ** 2).sum(axis=1) if power else sums.real.sum(axis=1)
    best = int(np.argmax(scores))
    amount[index] += STEPS[best] * reach
    chosen: Complex = tried[best]
    return chosen
