"""Blind registration: where the pattern lies. Uses the template key only, never the carrier key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark.clocks import AS_MARKED, Clock, Clocks, shares
from watermark.geometry import FrameGeometry, upright
from watermark.lattice import ORIGIN_STEPS, Complex, Lattice, Points, Template
from watermark.windows import Block, Plane

GRID = 64  # shift hypotheses per axis: over twice the template's highest coefficient
FINE = 9  # shift refinement per axis, around the coarse peak
FINEST = GRID * (FINE - 1) // 2  # places per axis that a refinement around any coarse peak can reach
CLOCKS_AT_ONCE = 64  # bounds the memory of their correlation surfaces

Surface = NDArray[np.float32]


class Spectra(NamedTuple):
    """Fourier coefficients at the lattice's points, one row per window or per state.

    ``template`` complex64[n, t] of luma's and of colour's points, these in U and V together; ``payloads``: of
    the payload points complex64[n, p] of Y, U and V. Planes are brought to equal noise; one that is not there
    is 0.
    """

    template: Complex
    payloads: tuple[Complex, Complex, Complex]

    def mixed(self, weights: NDArray[np.float32]) -> "Spectra":
        """Weighted sums of rows, ``float32[m, n]``."""
        y, u, v = (weights @ payload for payload in self.payloads)
        return Spectra(weights @ self.template, (y, u, v))

    def moved(self, shift: tuple[float, float], design: Lattice) -> "Spectra":
        """As if the pattern's origin lay `shift` tiles elsewhere."""
        y, u, v = (
            _turned(payload, pattern.points, shift)
            for payload, pattern in zip(self.payloads, design.patterns, strict=True)
        )
        return Spectra(_turned(self.template, design.template.points, shift), (y, u, v))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One hypothesis: frame geometry, clock, shift in tiles, and the template's statistic.

    ``spectra``: the clip's coefficients per state, shifted into place. ``gains`` float32[8]: how much of each
    state the clip shows. ``statistic`` is the correlation over its norm: under no mark,
    P(statistic ≥ t) ≤ exp(−t²) for uniform template phases.
    """

    frame: FrameGeometry
    clock: Clock
    shift: tuple[float, float]
    statistic: float
    spectra: Spectra
    gains: NDArray[np.float32]


def coefficients(block: Block, design: Lattice, frame: FrameGeometry) -> Spectra:
    """The block's coefficients under `frame`, one row per window."""
    own, luma = _plane(block.windows, design.y.template.points, design.y.points, frame)
    if block.chroma is None:
        rows = len(block.windows)
        none = [np.zeros((rows, len(p.points)), np.complex64) for p in (design.u, design.v)]
        shared = np.zeros((rows, len(design.u.template.points)), np.complex64)
        return Spectra(np.concatenate([own, shared], axis=1), (luma, none[0], none[1]))
    (first, u), (second, v) = (
        _plane(planes, pattern.template.points, pattern.points, frame)
        for planes, pattern in zip(block.chroma, (design.u, design.v), strict=True)
    )
    shared = (first + second) / np.float32(np.sqrt(2))
    return Spectra(np.concatenate([own, shared], axis=1), (luma, u, v))


def _plane(planes: Plane, template: Points, payload: Points, frame: FrameGeometry) -> tuple[Complex, Complex]:
    """Of one plane's windows: complex64[n, t] and [n, p], in units of their root mean square."""
    found = picked(planes, np.concatenate([template, payload]), frame)
    level = np.sqrt(np.mean(found.real**2 + found.imag**2)) + np.float32(1e-12)
    found /= level
    return found[:, : len(template)], found[:, len(template) :]


def picked(planes: Plane, points: Points, frame: FrameGeometry) -> Complex:
    """Fourier coefficients ``complex64[n, p]`` of ``float32[n, h, w]`` at `points`, under `frame`.

    Separable once the windows are upright: a matrix for the rows, one for the columns, any scale.
    """
    turned = upright(planes, frame)
    count, height, width = turned.planes.shape
    orders = np.arange(int(np.abs(points).max()) + 1)
    rows = _harmonics(orders, height, turned.pitch[1], turned.origin[1])
    columns = _harmonics(orders, width, turned.pitch[0], turned.origin[0]).T
    # One large real product does nearly all the work; negative orders are its conjugates.
    both = np.concatenate([columns.real, columns.imag], axis=1)
    parts = (turned.planes.reshape(-1, width) @ both).reshape(count, height, 2, -1)
    along = (parts[:, :, 0] + 1j * parts[:, :, 1]).astype(np.complex64)
    right, left = rows @ along, rows @ np.conj(along)
    kx, ky = points.T
    chosen: Complex = np.where(kx >= 0, right[:, ky, np.abs(kx)], left[:, ky, np.abs(kx)])
    return chosen


def _harmonics(orders: NDArray[np.int64], pixels: int, pitch: float, origin: float) -> Complex:
    position = (np.arange(pixels) + 0.5) * pitch + origin
    waves: Complex = np.exp(-2j * np.pi * np.outer(orders, 2 * position)).astype(np.complex64)
    return waves


def _turned(values: Complex, points: Points, shift: tuple[float, float]) -> Complex:
    turned: Complex = values * np.exp(2j * np.pi * (points @ np.array(shift))).astype(np.complex64)
    return turned


def place(
    found: Spectra,
    times: NDArray[np.float64],
    design: Lattice,
    frame: FrameGeometry,
    clocks: Clocks,
    peaks: int,
) -> list[Placement]:
    """The `peaks` best clocks of ``float64[c, 2]``, each at its best shift, by the template alone."""
    best = surfaces(found, times, design, clocks).max(axis=1)
    order = np.argsort(best)[::-1][:peaks]
    return [
        shifted(found, times, design, frame, Clock(float(clocks[i, 0]), float(clocks[i, 1]))) for i in order
    ]


def surfaces(found: Spectra, times: NDArray[np.float64], design: Lattice, clocks: Clocks) -> Surface:
    """How strong the template is with each clock at all coarse shifts, ``float32[c, GRID²]``."""
    parts, template = [], design.template
    for start in range(0, len(clocks), CLOCKS_AT_ONCE):
        products = _products(found.template, times, template, clocks[start : start + CLOCKS_AT_ONCE])
        parts.append(_correlation(products, template).reshape(len(products), -1))
    return np.concatenate(parts)


def strengths(
    found: Spectra, times: NDArray[np.float64], design: Lattice, clocks: Clocks, shift: tuple[float, float]
) -> NDArray[np.float32]:
    """The same at one shift only, ``float32[c]``."""
    template = design.template
    moved = _turned(found.template, template.points, shift)
    parts = [
        _products(moved, times, template, clocks[start : start + CLOCKS_AT_ONCE])
        for start in range(0, len(clocks), CLOCKS_AT_ONCE)
    ]
    return np.asarray(np.concatenate(parts).sum(axis=1).real, np.float32)


def _products(found: Complex, times: NDArray[np.float64], template: Template, clocks: Clocks) -> Complex:
    """Template coefficients ``complex64[c, t]`` of each clock, phases off, over what noise adds to them."""
    weights = shares(times, clocks)
    products = (weights @ found * np.conj(template.phasors)).sum(axis=1)
    noise = np.sqrt(np.sum(weights * weights, axis=(1, 2)))[:, None] + np.float32(1e-9)
    scaled: Complex = (products / noise).astype(np.complex64, copy=False)
    return scaled


def at(
    found: Spectra,
    times: NDArray[np.float64],
    design: Lattice,
    frame: FrameGeometry,
    clock: Clock = AS_MARKED,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Placement:
    """The placement at one place; without `clock` and `shift` of a clip neither trimmed nor cropped."""
    weights = shares(times, np.array([clock]))[0]
    spectra = found.mixed(weights).moved(shift, design)
    statistic = _statistic(spectra.template * np.conj(design.template.phasors))
    gains = np.sum(weights * weights, axis=1)
    return Placement(
        frame=frame, clock=clock, shift=shift, statistic=statistic, spectra=spectra, gains=gains,
    )  # fmt: skip


def template_statistics(spectra: Spectra, design: Lattice) -> tuple[float, float, float]:
    """How well the template agrees in Y, and in U and V together, which share it (`Placement.statistic`)."""
    products = spectra.template * np.conj(design.template.phasors)
    luma = len(design.y.template.points)
    colour = _statistic(products[:, luma:])
    return _statistic(products[:, :luma]), colour, colour


def _statistic(products: Complex) -> float:
    return float(products.sum().real / (np.sqrt(np.sum(np.abs(products) ** 2)) + 1e-9))


def at_origins(
    found: Spectra,
    times: NDArray[np.float64],
    design: Lattice,
    frame: FrameGeometry,
    clocks: Clocks,
    peaks: int,
) -> list[Placement]:
    """The `peaks` best of these clocks ``float64[c, 2]`` and of the shifts at which a pattern may begin."""
    step = GRID // ORIGIN_STEPS
    surface = surfaces(found, times, design, clocks).reshape(len(clocks), GRID, GRID)[:, ::step, ::step]
    best = np.unravel_index(np.argsort(surface.ravel())[::-1][:peaks], surface.shape)
    return [
        at(found, times, design, frame, Clock(*clocks[c].tolist()), (x / ORIGIN_STEPS, y / ORIGIN_STEPS))
        for c, y, x in np.stack(best, axis=1).tolist()
    ]


def shifted(
    found: Spectra, times: NDArray[np.float64], design: Lattice, frame: FrameGeometry, clock: Clock
) -> Placement:
    """The placement at the best shift of one clock."""
    weights, template = shares(times, np.array([clock]))[0], design.template
    products = (weights @ found.template * np.conj(template.phasors)).sum(axis=0)
    return at(found, times, design, frame, clock, best_shift(products, template))


def best_shift(products: Complex, template: Template) -> tuple[float, float]:
    """The shift (x, y) in tiles at which ``complex64[t]`` agree best: on a coarse grid, then a finer one."""
    surface = _correlation(products[None], template)[0]
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    kx, ky = template.points.T
    steps = np.linspace(-1, 1, FINE) / GRID
    xs, ys = column / GRID + steps, row / GRID + steps
    waves_x, waves_y = np.exp(2j * np.pi * np.outer(xs, kx)), np.exp(2j * np.pi * np.outer(ys, ky))
    values = np.einsum("yk,xk,k->yx", waves_y, waves_x, products, optimize=True).real
    y, x = np.unravel_index(int(np.argmax(values)), values.shape)
    return float(xs[x]) % 1.0, float(ys[y]) % 1.0


def strongest(placements: Sequence[Placement]) -> float:
    """The best statistic among placements, 0 for none."""
    return max((placement.statistic for placement in placements), default=0.0)


def _correlation(products: Complex, template: Template) -> NDArray[np.float32]:
    """Correlation over all shifts of the tile, ``float32[n, GRID, GRID]`` indexed (y, x)."""
    kx, ky = template.points.T
    spectrum = np.zeros((len(products), GRID, GRID), dtype=np.complex64)
    spectrum[:, ky % GRID, kx % GRID] = products
    return np.fft.ifft2(spectrum, norm="forward").real.astype(np.float32)
