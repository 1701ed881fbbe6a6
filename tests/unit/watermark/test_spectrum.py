import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from watermark import search, spectrum
from watermark.clocks import Clock, grid
from watermark.geometry import FrameGeometry
from watermark.keys import DetectionKey
from watermark.lattice import lattice
from watermark.windows import CHROMA_LINES, LINES

DESIGN = lattice(DetectionKey(epoch=3, secret=bytes(range(32))))
EYE = np.eye(2)
CLOCKS = grid(np.ones(1), 0.25)
PATTERN, TEMPLATE, ROUGH, SHARP = DESIGN.y, DESIGN.y.template, search.LUMA.rough, search.LUMA.sharp
KINDS = {
    "luma": (DESIGN.y, search.LUMA.rough, LINES),
    "colour": (DESIGN.u, search.CHROMA.rough, CHROMA_LINES),
}


def turned(degrees):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    "linear", [EYE, -EYE, turned(90), turned(12), np.diag([-1.0, 1.0]), EYE / 1.4, 1.5 * EYE]
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_right_place_and_time_score_highest(shown, linear, kind):
    pattern, look, lines = KINDS[kind]
    windows, times = shown(
        pattern, FrameGeometry.of(linear), clock=Clock(1.0, 1.5), noise=3.0, lines=lines
    )  # fmt: skip
    wrong = [turned(degrees) @ (linear * scale) for degrees in (0, 30, 100) for scale in (0.8, 1.25)]
    where = spectrum.places(pattern.template, np.array([linear, *wrong]), look)
    scores = spectrum.by_clock(spectrum.spectra(windows, look), where, times, pattern.template, CLOCKS)
    upside_down, hypothesis, clock = np.unravel_index(np.argmax(scores), scores.shape)
    assert (upside_down, hypothesis) == (0, 0)
    assert CLOCKS[clock, 1] == pytest.approx(1.5, abs=0.26)
    assert scores.max() > 2 * np.sort(scores[:, 1:].ravel())[-1]


def test_upside_down_is_the_opposite_map(shown):
    windows, times = shown(PATTERN, FrameGeometry(), noise=3.0)
    found = spectrum.spectra(windows, ROUGH)
    one, other = (
        spectrum.by_clock(found, spectrum.places(TEMPLATE, np.array([m]), ROUGH), times, TEMPLATE, CLOCKS)
        for m in (EYE, -EYE)
    )
    assert one[0] == pytest.approx(other[1], abs=1e-3)
    assert one[1] == pytest.approx(other[0], abs=1e-3)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.37, 0.81)])
def test_no_shift_matters(shown, shift):
    windows, times = shown(PATTERN, FrameGeometry(), shift=shift)
    where = spectrum.places(TEMPLATE, np.array([EYE]), ROUGH)
    scores = spectrum.by_clock(spectrum.spectra(windows, ROUGH), where, times, TEMPLATE, CLOCKS)
    assert scores[0, 0, 0] > 0.7 * len(TEMPLATE.points) * (spectrum.CLIP_POWER - 1)


def test_by_chance_scores_are_about_nothing():
    rng = np.random.default_rng(9)
    windows = rng.standard_normal((16, 256, 455)).astype(np.float32)
    found = spectrum.spectra(windows, ROUGH)
    maps = np.array(
        [turned(angle) * scale for angle in range(0, 90, 3) for scale in np.geomspace(0.6, 1.6, 20)]
    )
    where = spectrum.places(TEMPLATE, maps, ROUGH)
    scores = spectrum.by_clock(found, where, (np.arange(16) + 0.5) / 4, TEMPLATE, CLOCKS)
    # Each point adds about an exponential variable less one, over two pieces; loud bins are held down.
    assert -8 < scores.mean() < 2
    assert scores.std() < np.sqrt(len(TEMPLATE.points))
    assert abs(spectrum.by_power(found, where).mean()) < 2


def test_places_beyond_the_spectrum_say_nothing():
    where = spectrum.places(TEMPLATE, np.array([40 * EYE, 12 * EYE]), ROUGH)
    assert not where.bins.any()
    found = spectrum.spectra(
        np.random.default_rng(1).standard_normal((4, 256, 256)).astype(np.float32), ROUGH
    )
    assert not spectrum.by_clock(found, where, np.arange(4) / 4, TEMPLATE, CLOCKS).any()
    assert not spectrum.by_power(found, where).any()


def test_nothing_is_whitened_without_warnings():
    found = spectrum.spectra(np.zeros((3, 256, 300), np.float32), ROUGH)
    assert not found.values.any()
    assert np.isfinite(found.excess).all()


def test_the_power_sees_no_phases(shown):
    windows, _ = shown(PATTERN, FrameGeometry(), noise=2.0)
    found, mixed = spectrum.spectra(windows, ROUGH), replace(TEMPLATE, phasors=np.conj(TEMPLATE.phasors))
    one, other = (
        spectrum.by_power(found, spectrum.places(t, np.array([EYE]), ROUGH)) for t in (TEMPLATE, mixed)
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize("look", [ROUGH, SHARP, search.CHROMA.rough, search.CHROMA.sharp])
@pytest.mark.parametrize("size", [(256, 256), (455, 256), (256, 455), (1024, 256), (128, 512), (150, 128)])
def test_pieces_lie_in_the_frame_and_are_few(size, look):
    width, height = size
    padded = round(min(size) / look.bin)
    pieces = spectrum._pieces(height, width, look, padded)
    assert 1 <= len(pieces) <= look.pieces
    for rows, columns in pieces:
        assert 0 <= rows.start < rows.stop <= height
        assert 0 <= columns.start < columns.stop <= width
        assert max(rows.stop - rows.start, columns.stop - columns.start) <= padded


@pytest.mark.parametrize(("look", "count"), [(ROUGH, 32), (SHARP, 16)])
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
    windows, times = shown(PATTERN, FrameGeometry(), count=40, noise=3.0)
    planes, places, roots = spectrum.folded(windows, times)
    assert places.tolist() == times[:16].tolist()
    assert roots.tolist() == pytest.approx([3**0.5] * 8 + [2**0.5] * 8)
    assert planes[0] == pytest.approx((windows[0] + windows[16] + windows[32]) / 3**0.5, abs=1e-5)
    assert planes[9] == pytest.approx((windows[9] + windows[25]) / 2**0.5, abs=1e-5)


def test_folded_and_unfolded_spectra_agree_on_the_place(shown):
    windows, times = shown(PATTERN, FrameGeometry(), count=40, noise=6.0)
    planes, places, roots = spectrum.folded(windows, times)
    where = spectrum.places(TEMPLATE, np.array([EYE, turned(30)]), SHARP)
    found = spectrum.spectra(planes, SHARP)
    scores = spectrum.by_clock(found, where, places, TEMPLATE, CLOCKS, roots)
    assert np.unravel_index(np.argmax(scores), scores.shape) == (0, 0, 0)
    pairs = spectrum.of_pairs(
        found,
        spectrum.places(TEMPLATE, np.array([EYE, EYE, turned(30)]), SHARP),
        places,
        TEMPLATE,
        CLOCKS[[0, 5, 0]],
        roots,
    )
    assert pairs == pytest.approx([scores[0, 0, 0], scores[0, 0, 5], scores[0, 1, 0]], rel=1e-3, abs=1e-2)
