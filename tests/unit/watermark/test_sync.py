from dataclasses import replace

import numpy as np
import pytest

from watermark import sync
from watermark.clocks import Clock, grid, shares
from watermark.detector import PEAKS
from watermark.geometry import FrameGeometry
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, STATES, TEMPLATE_POINTS, lattice
from watermark.windows import blocks

PLAIN = FrameGeometry()
CLOCKS = grid(np.ones(1), 0.125)


def windows_of(frames):
    (block,) = blocks(frames)
    return block.windows, block.times


def place(values, times, design, frame):
    return sync.place(values, times, design, frame, CLOCKS, PEAKS)


@pytest.fixture(scope="module")
def found(marked, key):
    windows, times = windows_of(marked)
    return sync.coefficients(windows, lattice(key), PLAIN), times


def test_coefficients_are_those_of_a_direct_sum(key):
    windows = np.random.default_rng(0).standard_normal((2, 256, 300)).astype(np.float32)
    design, frame = lattice(key), FrameGeometry.stretched(1.3, 0.9)
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
    mirror = sync.coefficients(windows[:, :, ::-1], design, FrameGeometry.stretched(1, 1, mirrored=True))
    # Mirrored about the corner: the pattern lies a frame's width further, and complex64 rounds.
    wide = np.exp(-4j * np.pi * design.points[:, 0] * windows.shape[2] / 256)
    assert np.abs(straight - mirror * wide).max() < 2e-3 * np.abs(straight).max()


def test_the_untouched_place_is_found(found, key):
    values, times = found
    placements = place(values, times, lattice(key), PLAIN)
    assert len(placements) == PEAKS
    best = max(placements, key=lambda placement: placement.statistic)
    assert best.statistic > 10
    assert all(min(shift, 1 - shift) <= 1 / 128 for shift in best.shift)
    assert min(best.clock.offset, PERIOD_SECONDS - best.clock.offset) <= 0.13
    plain = sync.at(values, times, lattice(key), PLAIN)
    assert plain.statistic == pytest.approx(best.statistic, rel=0.15)
    assert (plain.shift, plain.clock.offset) == ((0.0, 0.0), 0.0)


@pytest.mark.parametrize(("left", "top"), [(30, 16), (7, 61)])
def test_a_crop_is_found_as_a_shift(marked, key, left, top):
    # Padded back to the old size by grey, so that only the place of the pattern changes.
    moved = [
        frame._replace(luma=np.pad(frame.luma[top:, left:], ((0, top), (0, left)), constant_values=115))
        for frame in marked
    ]
    windows, times = windows_of(moved)
    best = place(sync.coefficients(windows, lattice(key), PLAIN), times, lattice(key), PLAIN)[0]
    expected = (-left / 120) % 1, (-top / 120) % 1  # where the pattern's origin now lies, in tiles of 120
    for got, want in zip(best.shift, expected, strict=True):
        gap = abs(got - want) % 1
        assert min(gap, 1 - gap) < 0.02


def test_a_trimmed_start_is_found_as_an_offset(marked, key):
    cut = [frame._replace(time=frame.time - 18 / 12) for frame in marked[18:]]
    windows, times = windows_of(cut)
    best = place(sync.coefficients(windows, lattice(key), PLAIN), times, lattice(key), PLAIN)[0]
    assert best.clock.offset == pytest.approx(18 / 12, abs=0.13)


def test_refinement_never_loses(found, key):
    values, times = found
    design = lattice(key)
    for placement in place(values, times, design, PLAIN):
        spectra = shares(times, np.array([placement.clock]))[0] @ values
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
    for placement in place(values, times, lattice(key), PLAIN):
        steps = np.array(placement.shift) * sync.GRID * (sync.FINE - 1) / 2
        assert np.abs(steps - np.round(steps)).max() < 1e-6
        assert (placement.clock.offset / PERIOD_SECONDS * 32).is_integer()


def test_no_place_depends_on_the_carrier_key(found, key):
    values, times = found
    design = lattice(key)
    stranger = lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
    mixed = replace(design, signs=stranger.signs, coded=stranger.coded)
    pairs = zip(place(values, times, design, PLAIN), place(values, times, mixed, PLAIN), strict=True)
    for one, other in pairs:
        assert (one.clock.offset, one.shift, one.statistic) == (
            other.clock.offset,
            other.shift,
            other.statistic,
        )
        assert np.array_equal(one.spectra, other.spectra)


def test_strengths_are_the_surfaces_at_one_shift(found, key):
    values, times = found
    design, clocks = lattice(key), CLOCKS[::5]
    surface = sync.surfaces(values, times, design, clocks).reshape(-1, sync.GRID, sync.GRID)
    for x, y in ((0, 0), (5, 60)):
        one = sync.strengths(values, times, design, clocks, (x / sync.GRID, y / sync.GRID))
        assert one == pytest.approx(surface[:, y, x], rel=1e-3, abs=1e-2 * float(surface.max()))


@pytest.mark.parametrize("clock", [Clock(1.0, 1.3), Clock(0.8, 2.0), Clock(1.25, 0.5)])
def test_a_pattern_alone_is_placed_exactly(shown, key, clock):
    design, shift = lattice(key), (0.30, 0.71)
    windows, times = shown(design, PLAIN, clock=clock, shift=shift, noise=1.0)
    values = sync.coefficients(windows, design, PLAIN)
    clocks = np.concatenate([CLOCKS, grid(np.array([0.8, 1.25]), 0.25)])
    best = sync.place(values, times, design, PLAIN, clocks, 1)[0]
    assert best.clock.speed == clock.speed
    assert best.clock.offset == pytest.approx(clock.offset, abs=0.13)
    assert best.shift == pytest.approx(shift, abs=0.01)
    assert best.statistic > 10


def test_gains_are_what_is_seen_of_each_state(found, key):
    values, times = found
    some = times < 2
    seen = sync.at(values[some], times[some], lattice(key), PLAIN).gains
    assert seen[:4].min() > 1.2  # two windows each, but for the fades
    assert seen[4] < 0.2  # the fade into it
    assert not seen[5:].any()


def test_nothing_gives_a_statistic_of_nothing(key):
    windows = np.zeros((4, 256, 256), np.float32)
    design = lattice(key)
    found = sync.coefficients(windows, design, PLAIN)
    for placement in place(found, np.arange(4) / 4 + 0.125, design, PLAIN):
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
