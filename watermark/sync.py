"""Blind registration: where the pattern lies. Uses the template key only, never the carrier key."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.lattice import PERIOD_SECONDS, RING, STATE_SECONDS, STATES, TEMPLATE_POINTS, Complex, Lattice
from watermark.windows import LINES, Plane

OFFSETS = 32  # time hypotheses over one period of the carrier
GRID = 64  # shift hypotheses per axis: over twice the template's highest coefficient
FINE = 9  # shift refinement per axis, around the coarse peak
PEAKS = 3  # placements handed on for each frame geometry
FRAMES_SEARCHED = 4  # geometries of the frame handed on by the full search
SCALES = np.geomspace(0.45, 2.3, 206)  # steps of 0.8 %
ASPECTS = np.geomspace(0.74, 1.36, 31)  # steps of 2 %
FULL_SEARCH_WINDOWS = 24
FINEST = GRID * (FINE - 1) // 2  # places per axis that a refinement around any coarse peak can reach
# What the template's phases are compared at in one block; `presence` pays for each. The frame geometries
# count only as those handed on: `watermark.search` sees the points but no phases.
PLACEMENTS = (2 + FRAMES_SEARCHED) * OFFSETS * FINEST**2


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGeometry:
    """Size of the pattern along x and y relative to an untouched clip, and whether it is mirrored."""

    scale_x: float = 1.0
    scale_y: float = 1.0
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One hypothesis: frame geometry, time offset in seconds, shift in tiles, and the template's statistic.

    ``spectra`` complex64[8, n]: the clip's coefficients per state, shifted into place. ``statistic`` is the
    correlation over its norm: under no mark, P(statistic ≥ t) ≤ exp(−t²) for uniform template phases.
    """

    frame: FrameGeometry
    offset: float
    shift: tuple[float, float]
    statistic: float
    spectra: Complex


def coefficients(windows: Plane, design: Lattice, frame: FrameGeometry) -> Complex:
    """The clip's Fourier coefficients ``complex64[n_windows, n_points]`` under `frame`.

    Separable: a matrix for the rows, one for the columns; no resampling, any scale.
    """
    count, height, width = windows.shape
    orders = np.arange(int(RING[1]) + 1)
    rows = _harmonics(orders, height, frame.scale_y, mirrored=False)
    columns = _harmonics(orders, width, frame.scale_x, mirrored=frame.mirrored).T
    # One large real product does nearly all the work; negative orders are its conjugates.
    both = np.concatenate([columns.real, columns.imag], axis=1)
    parts = (windows.reshape(-1, width) @ both).reshape(count, height, 2, -1)
    along = (parts[:, :, 0] + 1j * parts[:, :, 1]).astype(np.complex64)
    right, left = rows @ along, rows @ np.conj(along)
    kx, ky = design.points.T
    picked: Complex = np.where(kx >= 0, right[:, ky, np.abs(kx)], left[:, ky, np.abs(kx)])
    return picked


def _harmonics(orders: NDArray[np.int64], pixels: int, scale: float, *, mirrored: bool) -> Complex:
    position = (np.arange(pixels) + 0.5) / LINES
    if mirrored:
        position = pixels / LINES - position
    waves: Complex = np.exp(-2j * np.pi * np.outer(orders, 2 * position / scale)).astype(np.complex64)
    return waves


def place(
    found: Complex, times: NDArray[np.float64], design: Lattice, frame: FrameGeometry
) -> list[Placement]:
    """The `PEAKS` best time offsets and shifts for one frame geometry, by the template alone."""
    offsets = np.arange(OFFSETS) * PERIOD_SECONDS / OFFSETS
    spectra = np.stack([by_state(found, times + offset) for offset in offsets])
    template = _template_products(spectra, design)
    surface = _correlation(template.sum(axis=1), design)
    norms = np.sqrt(np.sum(np.abs(template) ** 2, axis=(1, 2))) + 1e-9
    best = surface.reshape(OFFSETS, -1).max(axis=1) / norms
    order = np.argsort(best)[::-1][:PEAKS]
    return [_refined(spectra[i], float(offsets[i]), surface[i], design, frame) for i in order]


def at(found: Complex, times: NDArray[np.float64], design: Lattice, frame: FrameGeometry) -> Placement:
    """The placement of a clip that was neither shifted nor trimmed: handed on whatever the template says."""
    spectra = by_state(found, times)
    return _placed(spectra, 0.0, (0.0, 0.0), design, frame)


def by_state(found: Complex, times: NDArray[np.float64]) -> Complex:
    """Sum windows by the state that the carrier shows at `times`: ``complex64[8, n_points]``."""
    position = (times % PERIOD_SECONDS) / STATE_SECONDS
    member = np.zeros((STATES, len(times)), dtype=np.complex64)
    member[position.astype(int) % STATES, np.arange(len(times))] = 1.0
    return member @ found


def _template_products(spectra: Complex, design: Lattice) -> Complex:
    """Template coefficients with their keyed phase taken off."""
    products: Complex = spectra[..., :TEMPLATE_POINTS] * np.conj(design.phasors[:, :TEMPLATE_POINTS])
    return products


def _correlation(products: Complex, design: Lattice) -> NDArray[np.float32]:
    """Correlation over all shifts of the tile, ``float32[n, GRID, GRID]`` indexed (y, x)."""
    kx, ky = design.points[:TEMPLATE_POINTS].T
    spectrum = np.zeros((len(products), GRID, GRID), dtype=np.complex64)
    spectrum[:, ky % GRID, kx % GRID] = products
    return np.fft.ifft2(spectrum, norm="forward").real.astype(np.float32)


def _refined(
    spectra: Complex, offset: float, surface: NDArray[np.float32], design: Lattice, frame: FrameGeometry
) -> Placement:
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    products = _template_products(spectra, design).sum(axis=0)
    kx, ky = design.points[:TEMPLATE_POINTS].T
    steps = np.linspace(-1, 1, FINE) / GRID
    xs, ys = column / GRID + steps, row / GRID + steps
    waves_x, waves_y = np.exp(2j * np.pi * np.outer(xs, kx)), np.exp(2j * np.pi * np.outer(ys, ky))
    values = np.einsum("yk,xk,k->yx", waves_y, waves_x, products, optimize=True).real
    y, x = np.unravel_index(int(np.argmax(values)), values.shape)
    return _placed(spectra, offset, (float(xs[x]) % 1.0, float(ys[y]) % 1.0), design, frame)


def _placed(
    spectra: Complex, offset: float, shift: tuple[float, float], design: Lattice, frame: FrameGeometry
) -> Placement:
    moved = (spectra * np.exp(2j * np.pi * (design.points @ np.array(shift)))).astype(np.complex64)
    products = _template_products(moved, design)
    statistic = float(products.sum().real / (np.sqrt(np.sum(np.abs(products) ** 2)) + 1e-9))
    return Placement(frame=frame, offset=offset, shift=shift, statistic=statistic, spectra=moved)
