import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from watermark import spectrum
from watermark.clocks import Clock, grid
from watermark.geometry import FrameGeometry
from watermark.keys import DetectionKey
from watermark.lattice import TEMPLATE_POINTS, lattice

DESIGN = lattice(DetectionKey(epoch=3, secret=bytes(range(32))))
EYE = np.eye(2)
CLOCKS = grid(np.ones(1), 0.25)


def turned(degrees):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    "linear", [EYE, -EYE, turned(90), turned(12), np.diag([-1.0, 1.0]), EYE / 1.4, 1.5 * EYE]
)
def test_the_right_place_and_time_score_highest(shown, linear):
    windows, times = shown(DESIGN, FrameGeometry.of(linear), clock=Clock(1.0, 1.5), noise=4.0)
    wrong = [turned(degrees) @ (linear * scale) for degrees in (0, 30, 100) for scale in (0.8, 1.25)]
    where = spectrum.places(DESIGN, np.array([linear, *wrong]))
    scores = spectrum.by_clock(spectrum.spectra(windows), where, times, DESIGN, CLOCKS)
    upside_down, hypothesis, clock = np.unravel_index(np.argmax(scores), scores.shape)
    assert (upside_down, hypothesis) == (0, 0)
    assert CLOCKS[clock, 1] == pytest.approx(1.5, abs=0.26)
    assert scores.max() > 2 * np.sort(scores[:, 1:].ravel())[-1]


def test_upside_down_is_the_opposite_map(shown):
    windows, times = shown(DESIGN, FrameGeometry(), noise=3.0)
    found = spectrum.spectra(windows)
    one, other = (
        spectrum.by_clock(found, spectrum.places(DESIGN, np.array([m])), times, DESIGN, CLOCKS)
        for m in (EYE, -EYE)
    )
    assert one[0] == pytest.approx(other[1], abs=1e-3)
    assert one[1] == pytest.approx(other[0], abs=1e-3)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.37, 0.81)])
def test_no_shift_matters(shown, shift):
    windows, times = shown(DESIGN, FrameGeometry(), shift=shift)
    where = spectrum.places(DESIGN, np.array([EYE]))
    scores = spectrum.by_clock(spectrum.spectra(windows), where, times, DESIGN, CLOCKS)
    assert scores[0, 0, 0] > 0.7 * TEMPLATE_POINTS * (spectrum.CLIP_POWER - 1)


def test_by_chance_scores_are_about_nothing():
    rng = np.random.default_rng(9)
    windows = rng.standard_normal((16, 256, 455)).astype(np.float32)
    found = spectrum.spectra(windows)
    maps = np.array(
        [turned(angle) * scale for angle in range(0, 90, 3) for scale in np.geomspace(0.6, 1.6, 20)]
    )
    where = spectrum.places(DESIGN, maps)
    scores = spectrum.by_clock(found, where, (np.arange(16) + 0.5) / 4, DESIGN, CLOCKS)
    # Each point adds about an exponential variable less one, over two pieces; loud bins are held down.
    assert -8 < scores.mean() < 2
    assert scores.std() < np.sqrt(TEMPLATE_POINTS)
    assert abs(spectrum.by_power(found, where).mean()) < 2


def test_places_beyond_the_spectrum_say_nothing():
    where = spectrum.places(DESIGN, np.array([40 * EYE, 12 * EYE]))
    assert not where.bins.any()
    found = spectrum.spectra(np.random.default_rng(1).standard_normal((4, 256, 256)).astype(np.float32))
    assert not spectrum.by_clock(found, where, np.arange(4) / 4, DESIGN, CLOCKS).any()
    assert not spectrum.by_power(found, where).any()


def test_nothing_is_whitened_without_warnings():
    found = spectrum.spectra(np.zeros((3, 256, 300), np.float32))
    assert not found.values.any()
    assert np.isfinite(found.excess).all()


def test_the_power_sees_no_phases(shown):
    windows, _ = shown(DESIGN, FrameGeometry(), noise=2.0)
    found, mixed = (
        spectrum.spectra(windows),
        replace(DESIGN, phasors=np.conj(DESIGN.phasors), signs=-DESIGN.signs),
    )
    one, other = (spectrum.by_power(found, spectrum.places(d, np.array([EYE]))) for d in (DESIGN, mixed))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("look", [spectrum.ROUGH, spectrum.SHARP])
@pytest.mark.parametrize("size", [(256, 256), (455, 256), (256, 455), (1024, 256), (256, 1024), (300, 256)])
def test_pieces_lie_in_the_frame_and_are_few(size, look):
    width, height = size
    pieces = spectrum._pieces(height, width, look)
    assert 1 <= len(pieces) <= look.pieces
    for rows, columns in pieces:
        assert 0 <= rows.start < rows.stop <= height
        assert 0 <= columns.start < columns.stop <= width
        assert max(rows.stop - rows.start, columns.stop - columns.start) <= look.size


@pytest.mark.parametrize(("look", "count"), [(spectrum.ROUGH, 32), (spectrum.SHARP, 16)])
def test_the_longest_frames_do_not_take_the_memory(look, count):
    windows = np.random.default_rng(2).standard_normal((count, 256, 1024)).astype(np.float32)
    tracemalloc.start()
    try:
        spectrum.spectra(windows, look)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 140e6


def test_folding_sums_what_lies_a_period_apart(shown):
    windows, times = shown(DESIGN, FrameGeometry(), count=40, noise=3.0)
    planes, places, roots = spectrum.folded(windows, times)
    assert places.tolist() == times[:16].tolist()
    assert roots.tolist() == pytest.approx([3**0.5] * 8 + [2**0.5] * 8)
    assert planes[0] == pytest.approx((windows[0] + windows[16] + windows[32]) / 3**0.5, abs=1e-5)
    assert planes[9] == pytest.approx((windows[9] + windows[25]) / 2**0.5, abs=1e-5)


def test_folded_and_unfolded_spectra_agree_on_the_place(shown):
    windows, times = shown(DESIGN, FrameGeometry(), count=40, noise=6.0)
    planes, places, roots = spectrum.folded(windows, times)
    where = spectrum.places(DESIGN, np.array([EYE, turned(30)]), spectrum.SHARP)
    found = spectrum.spectra(planes, spectrum.SHARP)
    scores = spectrum.by_clock(found, where, places, DESIGN, CLOCKS, roots)
    assert np.unravel_index(np.argmax(scores), scores.shape) == (0, 0, 0)
    pairs = spectrum.of_pairs(
        found,
        spectrum.places(DESIGN, np.array([EYE, EYE, turned(30)]), spectrum.SHARP),
        places,
        DESIGN,
        CLOCKS[[0, 5, 0]],
        roots,
    )
    assert pairs == pytest.approx([scores[0, 0, 0], scores[0, 0, 5], scores[0, 1, 0]], rel=1e-3, abs=1e-2)
