from dataclasses import replace

import numpy as np
import pytest

from watermark import sync
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, STATES, TEMPLATE_POINTS, lattice
from watermark.sync import FrameGeometry
from watermark.windows import blocks

PLAIN = FrameGeometry()


def windows_of(frames):
    (block,) = blocks(frames)
    return block.windows - block.windows.mean(axis=0), block.times


@pytest.fixture(scope="module")
def found(marked, key):
    windows, times = windows_of(marked)
    return sync.coefficients(windows, lattice(key), PLAIN), times


def test_coefficients_are_those_of_a_direct_sum(key):
    windows = np.random.default_rng(0).standard_normal((2, 256, 300)).astype(np.float32)
    design, frame = lattice(key), FrameGeometry(scale_x=1.3, scale_y=0.9)
    got = sync.coefficients(windows, design, frame)
    rows, columns = np.mgrid[:256, :300] + 0.5
    for index in (0, 47, 48, 500, 1005):
        kx, ky = design.points[index]
        wave = np.exp(-2j * np.pi * (kx * 2 * columns / 256 / 1.3 + ky * 2 * rows / 256 / 0.9))
        assert got[1, index] == pytest.approx(np.sum(windows[1] * wave), rel=1e-3, abs=0.5)


def test_a_mirrored_frame_gives_the_same_coefficients(marked, key):
    windows, _ = windows_of(marked[:12])
    design = lattice(key)
    straight = sync.coefficients(windows, design, PLAIN)
    mirror = sync.coefficients(windows[:, :, ::-1], design, FrameGeometry(mirrored=True))
    # The matrices are complex64: agreement to rounding.
    assert np.abs(straight - mirror).max() < 1e-3 * np.abs(straight).max()


def test_states_are_summed_by_time(key):
    times = np.array([0.125, 0.375, 0.625, 3.9, 4.1])
    found = np.arange(10, dtype=np.complex64).reshape(5, 2)
    spectra = sync.by_state(found, times)
    assert spectra.shape == (STATES, 2)
    assert spectra[0].tolist() == (found[0] + found[1] + found[4]).tolist()
    assert spectra[1].tolist() == found[2].tolist()
    assert spectra[7].tolist() == found[3].tolist()
    assert not spectra[2:7].any()


def test_the_untouched_place_is_found(found, key):
    values, times = found
    placements = sync.place(values, times, lattice(key), PLAIN)
    assert len(placements) == sync.PEAKS
    best = max(placements, key=lambda placement: placement.statistic)
    assert best.statistic > 10
    assert all(min(shift, 1 - shift) <= 1 / 128 for shift in best.shift)
    assert min(best.offset, PERIOD_SECONDS - best.offset) <= 0.13
    plain = sync.at(values, times, lattice(key), PLAIN)
    assert plain.statistic == pytest.approx(best.statistic, rel=0.15)
    assert (plain.shift, plain.offset) == ((0.0, 0.0), 0.0)


@pytest.mark.parametrize(("left", "top"), [(30, 16), (7, 61)])
def test_a_crop_is_found_as_a_shift(marked, key, left, top):
    # Padded back to the old size by grey, so that only the place of the pattern changes.
    moved = [
        frame._replace(luma=np.pad(frame.luma[top:, left:], ((0, top), (0, left)), constant_values=115))
        for frame in marked
    ]
    windows, times = windows_of(moved)
    best = sync.place(sync.coefficients(windows, lattice(key), PLAIN), times, lattice(key), PLAIN)[0]
    expected = (-left / 120) % 1, (-top / 120) % 1  # where the pattern's origin now lies, in tiles of 120
    for got, want in zip(best.shift, expected, strict=True):
        gap = abs(got - want) % 1
        assert min(gap, 1 - gap) < 0.02


def test_a_trimmed_start_is_found_as_an_offset(marked, key):
    cut = [frame._replace(time=frame.time - 18 / 12) for frame in marked[18:]]
    windows, times = windows_of(cut)
    best = sync.place(sync.coefficients(windows, lattice(key), PLAIN), times, lattice(key), PLAIN)[0]
    assert best.offset == pytest.approx(18 / 12, abs=0.13)


def test_refinement_never_loses(found, key):
    values, times = found
    design = lattice(key)
    for placement in sync.place(values, times, design, PLAIN):
        spectra = sync.by_state(values, times + placement.offset)
        products = spectra[:, :TEMPLATE_POINTS] * np.conj(design.phasors[:, :TEMPLATE_POINTS])
        kx, ky = design.points[:TEMPLATE_POINTS].T
        grid = np.arange(sync.GRID) / sync.GRID
        waves_x, waves_y = np.exp(2j * np.pi * np.outer(grid, kx)), np.exp(2j * np.pi * np.outer(grid, ky))
        coarse = np.einsum("yk,xk,k->yx", waves_y, waves_x, products.sum(axis=0), optimize=True).real.max()
        norm = np.sqrt(np.sum(np.abs(products) ** 2))
        assert placement.statistic >= coarse / norm * (1 - 1e-4)


def test_all_fine_places_lie_on_one_grid(found, key):
    # What the presence bound counts: shifts are multiples of 1/256 of a tile, offsets of 1/32 period.
    values, times = found
    for placement in sync.place(values, times, lattice(key), PLAIN):
        steps = np.array(placement.shift) * sync.GRID * (sync.FINE - 1) / 2
        assert np.abs(steps - np.round(steps)).max() < 1e-6
        assert (placement.offset / PERIOD_SECONDS * sync.OFFSETS).is_integer()


def test_no_place_depends_on_the_carrier_key(found, key):
    values, times = found
    design = lattice(key)
    stranger = lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
    mixed = replace(design, signs=stranger.signs, coded=stranger.coded)
    pairs = zip(
        sync.place(values, times, design, PLAIN), sync.place(values, times, mixed, PLAIN), strict=True
    )
    for one, other in pairs:
        assert (one.offset, one.shift, one.statistic) == (other.offset, other.shift, other.statistic)
        assert np.array_equal(one.spectra, other.spectra)


def test_nothing_gives_a_statistic_of_nothing(key):
    windows = np.zeros((4, 256, 256), np.float32)
    design = lattice(key)
    found = sync.coefficients(windows, design, PLAIN)
    for placement in sync.place(found, np.arange(4) / 4 + 0.125, design, PLAIN):
        assert placement.statistic == 0.0


@pytest.mark.parametrize("spread", ["even", "one strong", "steep"])
def test_the_template_statistic_stays_under_its_bound(spread):
    # P(t' ≥ t) ≤ exp(−t²) for uniform phases and any magnitudes (E exp(λ a cos φ) = I₀(λa) ≤ exp(λ²a²/4)).
    count = STATES * TEMPLATE_POINTS
    size = {"even": np.ones(count), "one strong": np.ones(count), "steep": 0.9 ** np.arange(count)}[spread]
    if spread == "one strong":
        size[0] = 60.0
    phases = np.random.default_rng(4).uniform(0, 2 * np.pi, (10_000, count)).astype(np.float32)
    statistic = np.cos(phases) @ size / np.sqrt(np.sum(size**2))
    for t in (0.9, 1.5, 2.0):
        assert np.mean(statistic >= t) <= np.exp(-t * t)
