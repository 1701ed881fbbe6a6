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
from watermark.windows import CHROMA_LINES, LINES, WINDOW_SECONDS, Block

DESIGN = lattice(DetectionKey(epoch=3, secret=bytes(range(32))))
POINTS = np.array([[x, y] for x in np.linspace(0, 1.25, 5) for y in np.linspace(0, 1, 5)])
QUARTERS = [[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[-1, 0], [0, 1]], [[0, 1], [1, 0]]]


NOISE = {True: 3.0, False: 4.0}  # over the pattern, in clips with colour and without
NEAR = {True: 0.09, False: 0.04}  # tiles: the finest wave has 9 to a tile in colour, 22 in luma
coloured_or_not = pytest.mark.parametrize("colour", [True, False], ids=["colour", "grey"])


def best_of(block, design=DESIGN):
    handed = [placement for helping in search.helpings(block, design) for placement in helping]
    return max(handed, key=lambda placement: placement.statistic) if handed else None


def gap(one, other):
    """Largest distance between what two geometries make of the frame, in tiles, less a shift of it all."""
    apart = 2 * (apply(one.matrix, POINTS) - apply(other.matrix, POINTS))
    return np.abs(apart - apart.mean(axis=0)).max()


def linear(degrees, scale, stretch):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([stretch**0.5, stretch**-0.5]) / scale


def blank(shape, times, *, colour, noise=False):
    """A block of nothing or of noise: `shape` is that of luma's windows."""
    count, height, width = shape
    rng = np.random.default_rng(count)
    smaller = (2, count, height * CHROMA_LINES // LINES, width * CHROMA_LINES // LINES)
    windows, chroma = (
        rng.standard_normal(s).astype(np.float32) if noise else np.zeros(s, np.float32)
        for s in (shape, smaller)
    )
    return Block(
        windows=windows, chroma=chroma if colour else None, times=np.asarray(times, float), frames=count,
        end=float(times[-1]) + WINDOW_SECONDS / 2,
    )  # fmt: skip


@coloured_or_not
@settings(max_examples=3)
@given(
    st.sampled_from(QUARTERS),
    st.floats(-12, 12),
    st.floats(0.75, 1.9),
    st.floats(0.8, 1.25),
    st.floats(0, 3.99),
    st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
)
def test_any_geometry_is_found_exactly(scene, colour, quarter, degrees, scale, stretch, offset, shift):
    frame = FrameGeometry.of(linear(degrees, scale, stretch) @ np.array(quarter, float))
    block = scene(DESIGN, frame, colour=colour, clock=Clock(1.0, offset), shift=shift, noise=NOISE[colour])
    best, times = best_of(block), block.times
    assert best is not None
    assert best.statistic > 8
    assert gap(best.frame, frame) < NEAR[colour]
    off = (best.clock.speed * times.mean() + best.clock.offset - times.mean() - offset) % PERIOD_SECONDS
    assert min(off, PERIOD_SECONDS - off) < 0.15


@coloured_or_not
@pytest.mark.parametrize("speed", [0.7, 0.9, 1.1, 1.4])
def test_another_speed_is_found(scene, colour, speed):
    frame = FrameGeometry.of(linear(5, 1.2, 1.0))
    best = best_of(scene(DESIGN, frame, colour=colour, clock=Clock(speed, 0.7), noise=NOISE[colour]))
    assert best is not None
    assert best.clock.speed == pytest.approx(speed, rel=0.07)  # four seconds tell no more
    assert gap(best.frame, frame) < NEAR[colour]


@coloured_or_not
@pytest.mark.parametrize("bend", [(0.05, 0.0), (-0.04, 0.06)])
def test_perspective_is_found(scene, colour, bend):
    matrix = np.eye(3)
    matrix[2, :2] = bend
    frame = FrameGeometry.of(matrix)
    best = best_of(scene(DESIGN, frame, colour=colour, noise=NOISE[colour]))
    assert best is not None
    assert gap(best.frame, frame) < NEAR[colour]


@coloured_or_not
@pytest.mark.parametrize("count", [15, 16])
def test_noise_hands_on_little(colour, count):
    block = blank((count, 256, 320), (np.arange(count) + 0.5) / 4, colour=colour, noise=True)
    helpings = list(search.helpings(block, DESIGN))
    assert len(helpings) == 2
    for helping, most in zip(helpings, search.HANDED_ON, strict=True):
        assert len(helping) <= most


@coloured_or_not
@pytest.mark.parametrize("shape", [(2, 256, 256), (3, 256, 1024), (5, 1024, 256)])
def test_nothing_is_searched_without_warnings(shape, colour):
    times = np.array([0.125, 1e6, 0.125, 3.0, -7.0])[: shape[0]]
    block = blank(shape, times, colour=colour)
    assert [list(helping) for helping in search.helpings(block, DESIGN)] == [[], []]


def test_colour_is_searched_where_there_is_any(scene):
    block = scene(DESIGN, FrameGeometry(), colour=True, noise=1.0, count=4)
    assert search.searched(block, DESIGN).template is DESIGN.u.template
    grey = replace(block, chroma=None)
    assert search.searched(grey, DESIGN).template is DESIGN.y.template
    for empty in (np.zeros_like(block.chroma), block.chroma * np.array([1, 0])[:, None, None, None]):
        one = search.searched(replace(block, chroma=empty.astype(np.float32)), DESIGN)
        assert one.template is DESIGN.y.template
        assert one.planes is block.windows


@coloured_or_not
def test_the_search_does_not_know_the_carrier_key(scene, colour):
    stranger = lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
    parts = zip("yuv", DESIGN.patterns, stranger.patterns, strict=True)
    mixed = replace(DESIGN, **{name: replace(a, signs=b.signs, coded=b.coded) for name, a, b in parts})
    block = scene(DESIGN, FrameGeometry.of(linear(7, 1.1, 1.0)), colour=colour, noise=NOISE[colour])
    one, other = best_of(block), best_of(block, mixed)
    assert one is not None
    assert other is not None
    assert (one.frame, one.clock, one.shift, one.statistic) == (
        other.frame,
        other.clock,
        other.shift,
        other.statistic,
    )
    for a, b in zip(
        (one.spectra.template, *one.spectra.payloads),
        (other.spectra.template, *other.spectra.payloads),
        strict=True,
    ):
        assert np.array_equal(a, b)


GRAINS = pytest.mark.parametrize("grain", [search.LUMA, search.CHROMA], ids=["luma", "colour"])


@GRAINS
def test_every_hypothesis_is_invertible_and_the_likely_ones_are_plain(grain):
    maps, likely, group = search.hypotheses(grain.step)
    assert len(maps) == len(likely) == len(group)
    sizes = np.abs(np.linalg.det(maps)) ** -0.5
    assert search.SCALES[0] * 0.99 < sizes.min() < sizes.max() < search.SCALES[1] * 1.01
    assert np.count_nonzero(likely) < search.TIMED / 4
    for plain in maps[likely]:
        assert sorted(np.abs(plain).ravel())[1] < 1e-12


@pytest.mark.parametrize(("grain", "pattern"), [(search.LUMA, DESIGN.y), (search.CHROMA, DESIGN.u)])
@given(st.floats(-14.5, 14.5), st.floats(0.75, 2.2), st.floats(0.8, 1.25))
def test_the_grid_is_dense_enough(grain, pattern, degrees, scale, stretch):
    # At the template's mean frequency some hypothesis lies within a cycle in each direction.
    maps = search.hypotheses(grain.step).maps
    wanted = np.diag([stretch**-0.5, stretch**0.5]) @ linear(degrees, scale, 1.0)
    cycles = 2 * np.hypot(*pattern.template.points.T).mean()
    errors = cycles * np.abs(maps - wanted).max(axis=(1, 2))
    assert errors.min() < 1.0


@coloured_or_not
def test_starts_are_apart_and_no_more_than_are_refined(scene, colour):
    block = scene(DESIGN, FrameGeometry(), colour=colour, noise=2.0)
    found = search.starts(search.searched(block, DESIGN))
    assert 2 < len(found) <= sum(search.REFINED)
    for index, one in enumerate(found):
        assert not any(search._near(one, other, 1.25, 1.0) for other in found[:index])


def test_scores_are_told_in_their_own_spread():
    rng = np.random.default_rng(5)
    groups = np.repeat([0, 1], 200)
    scores = (rng.standard_normal((2, 400, 16)) * np.where(groups, 30, 8)[:, None] + 5).astype(np.float32)
    out = search.standard(scores, groups)
    for group in (0, 1):
        assert out[:, groups == group].std() == pytest.approx(1.0, abs=0.1)
        assert np.median(out[:, groups == group]) == pytest.approx(0.0, abs=0.1)


@GRAINS
def test_plain_maps_are_sizes_only_in_every_quarter_and_mirror(grain):
    maps, group = search.plain_maps(grain.plain_step)
    assert len(maps) == len(group)
    shapes = {tuple(np.sign(np.round(m, 9)).ravel()) for m in maps}
    assert shapes == {tuple(np.ravel(quarter)) for quarter in search.QUARTERS}
    sizes = np.unique(np.round([abs(np.linalg.det(m)) ** -0.5 for m in maps], 6))
    for wanted in (0.5, 1.0, 1.41, 2.0, 2.5):
        assert np.abs(np.log(sizes / wanted)).min() <= grain.plain_step / 2 + 1e-9


@coloured_or_not
@pytest.mark.parametrize("scale", [0.6, 1.0, 1.82, 2.5])
def test_a_weak_mark_of_another_size_is_found(scene, colour, scale):
    frame = FrameGeometry.of(np.eye(2) / scale)
    best = best_of(scene(DESIGN, frame, colour=colour, shift=(0.2, 0.4), noise=2.5 * NOISE[colour]))
    assert best is not None
    assert best.statistic > 5
    assert gap(best.frame, frame) < 1.25 * NEAR[colour]


@pytest.mark.parametrize(
    ("larger", "slanted", "degrees"), [(0.012, -0.005, 0.9), (-0.01, 0.01, -3.0), (0, 0, 8)]
)
@coloured_or_not
def test_rough_places_are_made_sharp(scene, colour, larger, slanted, degrees):
    true = linear(degrees, 1.1, 1.0)
    block = scene(DESIGN, FrameGeometry.of(true), colour=colour, noise=3 * NOISE[colour])
    change = np.array([[1 + larger, -slanted], [slanted, 1 + larger]])
    _, sharpened = search._sharp(search.searched(block, DESIGN))
    (sharp,) = sharpened([search.Start(0.0, true @ change, Clock())])
    assert np.abs(sharp.linear - true).max() < (0.012 if colour else 0.006)
