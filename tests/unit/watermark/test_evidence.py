from dataclasses import replace

import numpy as np
import pytest

from watermark import sync
from watermark.base import Picture
from watermark.channel import encode
from watermark.clocks import Clock
from watermark.evidence import CLIP_DEVIATIONS, LEAST_STATISTIC, correlation, measure, soft
from watermark.geometry import FrameGeometry
from watermark.lattice import lattice, origin
from watermark.windows import blocks

PLAIN = FrameGeometry()


@pytest.fixture(scope="module")
def design(key):
    return lattice(key)


@pytest.fixture(scope="module")
def placed(key, payload, design):
    """A clip's placement where it was marked."""
    began = origin(key, payload)

    def at(frames):
        (block,) = blocks(frames)
        found = sync.coefficients(block, design, PLAIN)
        return sync.at(found, block.times, design, PLAIN, Clock(offset=began.seconds), began.shift)

    return at


@pytest.fixture(scope="module")
def weak(film, mark, key, payload):
    """Four seconds with a mark near the end of what can be read."""
    rng = np.random.default_rng(5)

    def grainy(part, deviation):
        return np.clip(part + rng.normal(0, deviation, part.shape), 0, 255).astype(np.uint8)

    frames = mark(film(4, 160, 120), key, payload)
    return [Picture(time, grainy(y, 20), grainy(u, 10), grainy(v, 10)) for time, y, u, v in frames]


def static(part, rng):
    """Noise in the place of a plane."""
    return rng.integers(0, 256, part.shape, dtype=np.uint8)


def parts_of(values, design):
    sizes = np.cumsum([pattern.phasors.size for pattern in design.patterns])
    return np.split(values, sizes[:-1])


def test_the_evidence_of_all_planes_is_one_row(placed, marked, design):
    values = measure(placed(marked), design)
    assert values.shape == (sum(pattern.phasors.size for pattern in design.patterns),)
    assert np.isfinite(values).all()
    assert all(part.any() for part in parts_of(values, design))


@pytest.mark.parametrize("noisy", ["y", "uv"])
def test_a_plane_that_is_noise_does_not_drown_the_others(placed, weak, design, payload, noisy):
    rng = np.random.default_rng(1)
    ruined = [frame._replace(**{n: static(getattr(frame, n), rng) for n in noisy}) for frame in weak]
    flat = [frame._replace(**{n: np.full_like(getattr(frame, n), 128) for n in noisy}) for frame in weak]
    whole, without, alone = (
        correlation(measure(placed(frames), design), design, payload) for frames in (weak, ruined, flat)
    )
    assert alone > 6
    assert without > 0.85 * alone
    assert whole > 1.05 * alone


def test_grey_and_colourless_clips_are_read_by_luma_alone(placed, weak, grey, design, payload):
    without = measure(placed(grey(weak)), design)
    flat = [f._replace(u=np.full_like(f.u, 77), v=np.full_like(f.v, 128)) for f in weak]
    colourless = measure(placed(flat), design)
    for values in (without, colourless):
        y, u, v = parts_of(values, design)
        assert y.any()
        assert not u.any()
        assert not v.any()
    assert np.array_equal(without, colourless)
    assert correlation(without, design, payload) > 6


def test_planes_count_by_what_their_template_says(placed, weak, design):
    placement = placed(weak)
    statistics = sync.template_statistics(placement.spectra, design)
    values = parts_of(measure(placement, design), design)
    for part, statistic, pattern in zip(values, statistics, design.patterns, strict=True):
        # Evidence is of about unit deviation, times what a payload point is expected to show.
        own, data = pattern.amplitudes
        expected = max(statistic, LEAST_STATISTIC) * data / own / np.sqrt(pattern.template.phasors.size)
        assert np.sqrt(np.mean(part**2)) / expected == pytest.approx(1.0, abs=0.35)


def test_no_evidence_has_no_correlation(scene, design, payload):
    block = scene(design, PLAIN, colour=True)
    nothing = replace(block, windows=0 * block.windows, chroma=0 * block.chroma)
    found = sync.coefficients(nothing, design, PLAIN)
    values = measure(sync.at(found, block.times, design, PLAIN), design)
    assert not values.any()
    assert correlation(values, design, payload) == 0.0
    assert not soft(values, design).any()


def spoiled(placement, plane, state, index, factor):
    payloads = [part.copy() for part in placement.spectra.payloads]
    payloads[plane][state, index] *= factor
    return replace(placement, spectra=placement.spectra._replace(payloads=tuple(payloads)))


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_one_bright_point_counts_no_more_than_three_deviations(placed, unmarked, design, plane):
    placement = placed(unmarked)
    calm = measure(placement, design)
    loud = measure(spoiled(placement, plane, 0, 20, 1e6), design)
    assert np.abs(loud).max() <= 1.5 * CLIP_DEVIATIONS * np.abs(calm).max()
    assert np.isfinite(loud).all()


def test_loud_surroundings_count_less(placed, unmarked, design):
    # All points of one direction are loud, as those of an edge are: they lose weight, the others do not.
    placement = placed(unmarked)
    angle = np.arctan2(*design.y.points.T[::-1])
    along = (angle > 0.5) & (angle < 0.8)
    loud = spoiled(placement, 0, slice(None), along, 5.0)
    before, after = (parts_of(measure(p, design), design)[0].reshape(8, -1) for p in (placement, loud))
    far = (angle > 1.2) | (angle < 0.1)

    def share(values):
        return np.mean(values[:, along] ** 2) / np.mean(values[:, far] ** 2)

    assert share(after) < 0.5 * share(before)


def test_soft_values_are_of_unit_size_and_point_at_the_message(placed, marked, design, payload):
    values = soft(measure(placed(marked), design), design)
    assert values.shape == (256,)
    assert np.abs(values).mean() == pytest.approx(1.0, abs=1e-3)
    assert np.mean(values * encode(payload) > 0) > 0.97


def test_correlation_has_unit_deviation_over_messages(placed, unmarked, design):
    values = measure(placed(unmarked), design)
    messages = np.random.default_rng(3).integers(0, 2**64, 600, dtype=np.uint64).tolist()
    z = [correlation(values, design, message) for message in messages]
    assert np.std(z) == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean(z)) < 0.2
