"""Blind registration: where the pattern lies. Uses the template key only, never the carrier key."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.clocks import AS_MARKED, Clock, Clocks, shares
from watermark.geometry import FrameGeometry, upright
from watermark.lattice import RING, TEMPLATE_POINTS, Complex, Lattice
from watermark.windows import Plane

GRID = 64  # shift hypotheses per axis: over twice the template's highest coefficient
FINE = 9  # shift refinement per axis, around the coarse peak
FINEST = GRID * (FINE - 1) // 2  # places per axis that a refinement around any coarse peak can reach
CLOCKS_AT_ONCE = 64  # bounds the memory of their correlation surfaces

Surface = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One hypothesis: frame geometry, clock, shift in tiles, and the template's statistic.

    ``spectra`` complex64[8, n]: the clip's coefficients per state, shifted into place. ``gains`` float32[8]:
    how much of each state the clip shows. ``statistic`` is the correlation over its norm: under no mark,
    P(statistic ≥ t) ≤ exp(−t²) for uniform template phases.
    """

    frame: FrameGeometry
    clock: Clock
    shift: tuple[float, float]
    statistic: float
    spectra: Complex
    gains: NDArray[np.float32]


def coefficients(windows: Plane, design: Lattice, frame: FrameGeometry) -> Complex:
    """The clip's Fourier coefficients ``complex64[n_windows, n_points]`` under `frame`.

    Separable once the windows are upright: a matrix for the rows, one for the columns, any scale.
    """
    turned = upright(windows, frame)
    count, height, width = turned.planes.shape
    orders = np.arange(int(RING[1]) + 1)
    rows = _harmonics(orders, height, turned.pitch[1], turned.origin[1])
    columns = _harmonics(orders, width, turned.pitch[0], turned.origin[0]).T
    # One large real product does nearly all the work; negative orders are its conjugates.
    both = np.concatenate([columns.real, columns.imag], axis=1)
    parts = (turned.planes.reshape(-1, width) @ both).reshape(count, height, 2, -1)
    along = (parts[:, :, 0] + 1j * parts[:, :, 1]).astype(np.complex64)
    right, left = rows @ along, rows @ np.conj(along)
    kx, ky = design.points.T
    picked: Complex = np.where(kx >= 0, right[:, ky, np.abs(kx)], left[:, ky, np.abs(kx)])
    return picked


def _harmonics(orders: NDArray[np.int64], pixels: int, pitch: float, origin: float) -> Complex:
    position = (np.arange(pixels) + 0.5) * pitch + origin
    waves: Complex = np.exp(-2j * np.pi * np.outer(orders, 2 * position)).astype(np.complex64)
    return waves


def place(
    found: Complex,
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


def surfaces(found: Complex, times: NDArray[np.float64], design: Lattice, clocks: Clocks) -> Surface:
    """How strong the template is with each clock at all coarse shifts, ``float32[c, GRID²]``."""
    parts = []
    for start in range(0, len(clocks), CLOCKS_AT_ONCE):
        products = _products(found, times, design, clocks[start : start + CLOCKS_AT_ONCE])
        parts.append(_correlation(products, design).reshape(len(products), -1))
    return np.concatenate(parts)


def strengths(
    found: Complex, times: NDArray[np.float64], design: Lattice, clocks: Clocks, shift: tuple[float, float]
) -> NDArray[np.float32]:
    """The same at one shift only, ``float32[c]``."""
    moved = found[:, :TEMPLATE_POINTS] * np.exp(2j * np.pi * (design.points[:TEMPLATE_POINTS] @ shift))
    parts = [
        _products(moved.astype(np.complex64), times, design, clocks[start : start + CLOCKS_AT_ONCE])
        for start in range(0, len(clocks), CLOCKS_AT_ONCE)
    ]
    return np.asarray(np.concatenate(parts).sum(axis=1).real, np.float32)


def _products(found: Complex, times: NDArray[np.float64], design: Lattice, clocks: Clocks) -> Complex:
    """Template coefficients ``complex64[c, 48]`` of each clock, phases off, over what noise adds to them."""
    weights = shares(times, clocks)
    products = template_products(weights @ found[:, :TEMPLATE_POINTS], design).sum(axis=1)
    noise = np.sqrt(np.sum(weights * weights, axis=(1, 2)))[:, None] + np.float32(1e-9)
    scaled: Complex = (products / noise).astype(np.complex64, copy=False)
    return scaled


def at(
    found: Complex,
    times: NDArray[np.float64],
    design: Lattice,
    frame: FrameGeometry,
    clock: Clock = AS_MARKED,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Placement:
    """The placement at one place; without `clock` and `shift` of a clip neither trimmed nor cropped."""
    weights = shares(times, np.array([clock]))[0]
    moved = (weights @ found * np.exp(2j * np.pi * (design.points @ np.array(shift)))).astype(np.complex64)
    products = template_products(moved, design)
    statistic = float(products.sum().real / (np.sqrt(np.sum(np.abs(products) ** 2)) + 1e-9))
    gains = np.sum(weights * weights, axis=1)
    return Placement(
        frame=frame, clock=clock, shift=shift, statistic=statistic, spectra=moved, gains=gains,
    )  # fmt: skip


def shifted(
    found: Complex, times: NDArray[np.float64], design: Lattice, frame: FrameGeometry, clock: Clock
) -> Placement:
    """The placement at the best shift of one clock."""
    weights = shares(times, np.array([clock]))[0]
    products = template_products(weights @ found[:, :TEMPLATE_POINTS], design).sum(axis=0)
    return at(found, times, design, frame, clock, best_shift(products, design))


def best_shift(products: Complex, design: Lattice) -> tuple[float, float]:
    """The shift (x, y) in tiles at which ``complex64[48]`` agree best: on a coarse grid, then a finer one."""
    surface = _correlation(products[None], design)[0]
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    kx, ky = design.points[:TEMPLATE_POINTS].T
    steps = np.linspace(-1, 1, FINE) / GRID
    xs, ys = column / GRID + steps, row / GRID + steps
    waves_x, waves_y = np.exp(2j * np.pi * np.outer(xs, kx)), np.exp(2j * np.pi * np.outer(ys, ky))
    values = np.einsum("yk,xk,k->yx", waves_y, waves_x, products, optimize=True).real
    y, x = np.unravel_index(int(np.argmax(values)), values.shape)
    return float(xs[x]) % 1.0, float(ys[y]) % 1.0


def strongest(placements: Sequence[Placement]) -> float:
    """The best statistic among placements, 0 for none."""
    return max((placement.statistic for placement in placements), default=0.0)


def template_products(spectra: Complex, design: Lattice) -> Complex:
    """Template coefficients ``[..., 8, 48]`` of `spectra` ``[..., 8, ≥ 48]`` with their phase taken off."""
    products: Complex = spectra[..., :TEMPLATE_POINTS] * np.conj(design.phasors[:, :TEMPLATE_POINTS])
    return products


def _correlation(products: Complex, design: Lattice) -> NDArray[np.float32]:
    """Correlation over all shifts of the tile, ``float32[n, GRID, GRID]`` indexed (y, x)."""
    kx, ky = design.points[:TEMPLATE_POINTS].T
    spectrum = np.zeros((len(products), GRID, GRID), dtype=np.complex64)
    spectrum[:, ky % GRID, kx % GRID] = products
    return np.fft.ifft2(spectrum, norm="forward").real.astype(np.float32)
