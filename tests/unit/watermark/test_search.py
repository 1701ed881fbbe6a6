from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark import search
from watermark.clocks import Clock
from watermark.geometry import FrameGeometry, apply
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, lattice
from watermark.windows import LINES

DESIGN = lattice(DetectionKey(epoch=3, secret=bytes(range(32))))
POINTS = np.array([[x, y] for x in np.linspace(0, 320 / LINES, 5) for y in np.linspace(0, 1, 5)])
QUARTERS = [[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[-1, 0], [0, 1]], [[0, 1], [1, 0]]]


def best_of(windows, times, design=DESIGN):
    handed = [placement for helping in search.helpings(windows, times, design) for placement in helping]
    return max(handed, key=lambda placement: placement.statistic) if handed else None


def gap(one, other):
    """Largest distance between what two geometries make of the frame, in tiles, less a shift of it all."""
    apart = 2 * (apply(one.matrix, POINTS) - apply(other.matrix, POINTS))
    return np.abs(apart - apart.mean(axis=0)).max()


def linear(degrees, scale, stretch):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([stretch**0.5, stretch**-0.5]) / scale


@settings(max_examples=4, deadline=None)
@given(
    st.sampled_from(QUARTERS),
    st.floats(-12, 12),
    st.floats(0.75, 1.9),
    st.floats(0.8, 1.25),
    st.floats(0, 3.99),
    st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
)
def test_any_geometry_is_found_exactly(shown, quarter, degrees, scale, stretch, offset, shift):
    frame = FrameGeometry.of(linear(degrees, scale, stretch) @ np.array(quarter, float))
    windows, times = shown(DESIGN, frame, clock=Clock(1.0, offset), shift=shift, noise=4.0)
    best = best_of(windows, times)
    assert best is not None
    assert best.statistic > 8
    assert gap(best.frame, frame) < 0.04
    off = (best.clock.speed * times.mean() + best.clock.offset - times.mean() - offset) % PERIOD_SECONDS
    assert min(off, PERIOD_SECONDS - off) < 0.15


@pytest.mark.parametrize("speed", [0.7, 0.9, 1.1, 1.4])
def test_another_speed_is_found(shown, speed):
    frame = FrameGeometry.of(linear(5, 1.2, 1.0))
    windows, times = shown(DESIGN, frame, clock=Clock(speed, 0.7), noise=4.0)
    best = best_of(windows, times)
    assert best is not None
    assert best.clock.speed == pytest.approx(speed, rel=0.07)  # four seconds tell no more
    assert gap(best.frame, frame) < 0.04


@pytest.mark.parametrize("bend", [(0.05, 0.0), (-0.04, 0.06)])
def test_perspective_is_found(shown, bend):
    matrix = np.eye(3)
    matrix[2, :2] = bend
    frame = FrameGeometry.of(matrix)
    best = best_of(*shown(DESIGN, frame, noise=4.0))
    assert best is not None
    assert gap(best.frame, frame) < 0.04


@pytest.mark.parametrize("seed", range(4))
def test_noise_hands_on_little(seed):
    noise = np.random.default_rng(seed).standard_normal((16, 256, 320)).astype(np.float32)
    helpings = list(search.helpings(noise, (np.arange(16) + 0.5) / 4, DESIGN))
    assert len(helpings) == 2
    for helping, most in zip(helpings, search.HANDED_ON, strict=True):
        assert len(helping) <= most


@pytest.mark.parametrize("shape", [(2, 256, 256), (3, 256, 1024), (5, 1024, 256)])
def test_nothing_is_searched_without_warnings(shape):
    windows = np.zeros(shape, np.float32)
    times = np.array([0.125, 1e6, 0.125, 3.0, -7.0])[: shape[0]]
    assert [list(helping) for helping in search.helpings(windows, times, DESIGN)] == [[], []]


def test_the_search_does_not_know_the_carrier_key(shown):
    stranger = lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
    mixed = replace(DESIGN, signs=stranger.signs, coded=stranger.coded)
    windows, times = shown(DESIGN, FrameGeometry.of(linear(7, 1.1, 1.0)), noise=4.0)
    one, other = best_of(windows, times), best_of(windows, times, mixed)
    assert one is not None
    assert other is not None
    assert (one.frame, one.clock, one.shift, one.statistic) == (
        other.frame,
        other.clock,
        other.shift,
        other.statistic,
    )
    assert np.array_equal(one.spectra, other.spectra)


def test_every_hypothesis_is_invertible_and_the_likely_ones_are_plain():
    maps, likely, group = search.hypotheses()
    assert len(maps) == len(likely) == len(group)
    sizes = np.abs(np.linalg.det(maps)) ** -0.5
    assert search.SCALES[0] * 0.99 < sizes.min() < sizes.max() < search.SCALES[1] * 1.01
    assert np.count_nonzero(likely) < search.TIMED / 4
    for plain in maps[likely]:
        assert sorted(np.abs(plain).ravel())[1] < 1e-12


@given(st.floats(-15, 15), st.floats(0.75, 2.2), st.floats(0.8, 1.25))
def test_the_grid_is_dense_enough(degrees, scale, stretch):
    # At the template's mean frequency, 32 cycles, some hypothesis lies within a cycle in each direction.
    maps = search.hypotheses().maps
    wanted = np.diag([stretch**-0.5, stretch**0.5]) @ linear(degrees, scale, 1.0)
    errors = 32 * np.abs(maps - wanted).max(axis=(1, 2))
    assert errors.min() < 1.0


def test_starts_are_apart_and_no_more_than_are_refined(shown):
    windows, times = shown(DESIGN, FrameGeometry(), noise=2.0)
    found = search.starts(windows, times, DESIGN)
    assert 2 < len(found) <= sum(search.REFINED)
    for index, one in enumerate(found):
        assert not any(search._near(one, other, 320 / LINES, 1.0) for other in found[:index])


def test_scores_are_told_in_their_own_spread():
    rng = np.random.default_rng(5)
    groups = np.repeat([0, 1], 200)
    scores = (rng.standard_normal((2, 400, 16)) * np.where(groups, 30, 8)[:, None] + 5).astype(np.float32)
    out = search.standard(scores, groups)
    for group in (0, 1):
        assert out[:, groups == group].std() == pytest.approx(1.0, abs=0.1)
        assert np.median(out[:, groups == group]) == pytest.approx(0.0, abs=0.1)


def test_plain_maps_are_sizes_only_in_every_quarter_and_mirror():
    maps, group = search.plain_maps()
    assert len(maps) == len(group)
    shapes = {tuple(np.sign(np.round(m, 9)).ravel()) for m in maps}
    assert shapes == {tuple(np.ravel(quarter)) for quarter in search.QUARTERS}
    assert {round(abs(np.linalg.det(m)) ** -0.5, 2) for m in maps} >= {0.5, 1.0, 1.41, 2.0, 2.5}


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.82, 2.5])
def test_a_weak_mark_of_another_size_is_found(shown, scale):
    frame = FrameGeometry.of(np.eye(2) / scale)
    best = best_of(*shown(DESIGN, frame, shift=(0.2, 0.4), noise=10.0))
    assert best is not None
    assert best.statistic > 5
    assert gap(best.frame, frame) < 0.05


@pytest.mark.parametrize(
    ("larger", "slanted", "degrees"), [(0.012, -0.005, 0.9), (-0.01, 0.01, -3.0), (0, 0, 8)]
)
def test_rough_places_are_made_sharp(shown, larger, slanted, degrees):
    true = linear(degrees, 1.1, 1.0)
    windows, times = shown(DESIGN, FrameGeometry.of(true), noise=12.0)
    change = np.array([[1 + larger, -slanted], [slanted, 1 + larger]])
    _, sharpened = search._sharp(windows, times, DESIGN)
    (sharp,) = sharpened([search.Start(0.0, true @ change, Clock())])
    assert np.abs(sharp.linear - true).max() < 0.006
