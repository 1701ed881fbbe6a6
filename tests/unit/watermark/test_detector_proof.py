"""What the printed bound rests on: independence, counting, and the tail of the statistic itself."""

import math
from dataclasses import replace

import numpy as np
import pytest

from watermark import channel, search, sync
from watermark.base import TimedLuma
from watermark.detector import (
    CANDIDATES,
    MAX_BLOCKS,
    MAX_EPOCHS,
    MAX_LOG10_CHANCE,
    QUICK_PLACEMENTS,
    HiddenMarkDetector,
    _full,
    _quick,
    decode,
    presence_log10_chance,
)
from watermark.evidence import correlation, measure
from watermark.geometry import CORNER_STEPS, apply, corners
from watermark.keys import DetectionKey, MintingKey, signs
from watermark.lattice import lattice
from watermark.payload import PayloadCodec
from watermark.windows import LINES, blocks

STRANGER = lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
CODEC = PayloadCodec(MintingKey(secret=b"\x02" * 32))
DRAWS = 10_000


def placements_of(frames, design):
    """Everything that is handed to the decision for one clip of one block, in one list."""
    (block,) = blocks(frames)
    return [p for part in (_quick, _full) for helping in part(block, design) for p in helping]


def evidence_of(frames, design):
    return [
        measure(placement.spectra, placement.gains, design) for placement in placements_of(frames, design)
    ]


def test_the_bound_is_the_formula(key):
    for accepts, bits in ((CODEC.accepts, 40), (None, 60)):
        detector = HiddenMarkDetector([key], accepts)
        hypotheses = 2**bits * CANDIDATES * MAX_BLOCKS * MAX_EPOCHS
        for z in (8.0, 11.0, 13.0, 20.0, 60.0):
            expected = math.log10(hypotheses) - z * z / 2 / math.log(10)
            assert detector.log10_chance(z) == pytest.approx(min(0.0, expected), abs=1e-9)


def test_negative_correlations_are_no_evidence(key):
    detector = HiddenMarkDetector([key])
    assert detector.log10_chance(-50.0) == detector.log10_chance(0.0) == 0.0
    assert presence_log10_chance(-50.0, 1) == 0.0


def test_without_the_minting_key_the_threshold_is_higher(key):
    def threshold(detector):
        return min(z for z in np.arange(5, 20, 0.001) if detector.log10_chance(z) <= MAX_LOG10_CHANCE)

    with_mac = threshold(HiddenMarkDetector([key], CODEC.accepts))
    without = threshold(HiddenMarkDetector([key]))
    assert with_mac == pytest.approx(10.955, abs=0.01)
    assert without == pytest.approx(12.155, abs=0.01)


@pytest.mark.parametrize("places", [QUICK_PLACEMENTS, search.PLACEMENTS])
def test_presence_pays_for_every_place_in_both_parts(places):
    for statistic in (6.0, 8.0, 10.0, 12.0):
        least = 2 * places * MAX_BLOCKS * MAX_EPOCHS * math.exp(-(statistic**2))
        assert presence_log10_chance(statistic, places) >= min(0.0, math.log10(least)) - 1e-9


@pytest.mark.parametrize("which", ["marked", "unmarked", "noise", "flat"])
def test_no_more_candidates_than_counted(request, key, which, monkeypatch):
    # However good all of it looks: with no least agreement everything that may be handed on is.
    monkeypatch.setattr(search, "LEAST_AGREEMENT", -1e9)
    monkeypatch.setattr(search, "HOPEFUL_AGREEMENT", -1e9)
    rng = np.random.default_rng(21)
    made = {
        "noise": lambda: rng.integers(0, 256, (72, 96), dtype=np.uint8),
        "flat": lambda: np.full((72, 96), 90, np.uint8),
    }
    frames = (
        [TimedLuma(index / 8, made[which]()) for index in range(32)]
        if which in made
        else request.getfixturevalue(which)
    )
    handed = placements_of(frames, lattice(key))
    assert len(handed) <= CANDIDATES
    if which != "flat":
        assert len(handed) >= CANDIDATES - 3  # the count is not far above what happens


def test_every_full_candidate_lies_on_the_grid_that_is_counted(unmarked, key, monkeypatch):
    monkeypatch.setattr(search, "LEAST_AGREEMENT", -1e9)
    monkeypatch.setattr(search, "HOPEFUL_AGREEMENT", -1e9)
    (block,) = blocks(unmarked)
    width, height = block.windows.shape[2] / LINES, block.windows.shape[1] / LINES
    speeds = np.outer(search.SPEEDS, 1 + search.FINE_SPEEDS).ravel()
    handed = [p for helping in _full(block, lattice(key)) for p in helping]
    assert handed
    for placement in handed:
        steps = 2 * CORNER_STEPS * apply(placement.frame.matrix, corners(width, height))
        assert np.abs(steps - np.round(steps)).max() < 0.02
        assert np.abs(speeds - placement.clock.speed).min() < 1e-9
        offset = placement.clock.offset / search.OFFSET_STEP
        assert abs(offset - round(offset)) < 1e-6
        fine = np.array(placement.shift) * sync.FINEST
        assert np.abs(fine - np.round(fine)).max() < 1e-6


def test_the_evidence_does_not_know_the_carrier_key(marked, key):
    design = lattice(key)
    mixed = replace(design, signs=STRANGER.signs, coded=STRANGER.coded)
    for one, other in zip(evidence_of(marked, design), evidence_of(marked, mixed), strict=True):
        assert np.array_equal(one, other)


def test_the_decision_does(marked, key, payload):
    design = lattice(key)
    mixed = replace(design, signs=STRANGER.signs, coded=STRANGER.coded)
    placements = placements_of(marked, design)
    assert max(reading.z for reading in decode(placements, design)) > 30
    assert {reading.message for reading in decode(placements, design)} == {payload}
    assert decode(placements, mixed) == []


def test_only_words_whose_check_fits_are_readings(unmarked, key):
    assert decode(placements_of(unmarked, lattice(key)), lattice(key)) == []


def noisy(frames, deviation, seed=0):
    """The frames with grain that hides most of the mark."""
    rng = np.random.default_rng(seed)
    for frame in frames:
        grain = rng.normal(0, deviation, frame.luma.shape)
        yield frame._replace(luma=np.clip(frame.luma + grain, 0, 255).astype(np.uint8))


def test_a_payload_is_read_only_under_the_threshold(film, mark, key):
    # From clear to hopeless: whatever is accepted prints a bound of at most 10⁻⁹.
    issued, accepted = CODEC.issue(7), []
    clip = list(mark(film(2, 160, 120), key, issued))
    for deviation in (0, 24, 32, 40, 90):
        found = HiddenMarkDetector([key], CODEC.accepts).detect(noisy(clip, deviation))
        assert found.payload in (issued, None)
        assert (found.payload is None) == (found.log10_chance == 0.0)
        assert found.payload is None or found.log10_chance <= MAX_LOG10_CHANCE
        accepted.append(found.payload is not None)
    assert accepted[0]
    assert not accepted[-1]


@pytest.mark.parametrize("which", ["marked", "unmarked", "few points", "two equal", "huge spread"])
def test_the_tail_of_z_stays_under_hoeffding(request, key, payload, which):
    design = lattice(key)
    shape = design.signs.shape
    if which in ("marked", "unmarked"):
        # The mark of another carrier key is content like any other.
        values = evidence_of(request.getfixturevalue(which), design)[0]
    else:
        values = np.zeros(shape, np.float32)
        few = {"few points": [1] * 9, "two equal": [3, 3], "huge spread": [10.0**-i for i in range(8)]}[which]
        values.flat[: len(few)] = few
    expected = channel.encode(payload)[design.coded]
    weights = (values * expected / np.sqrt(np.sum(values * values))).ravel()
    rng, z = np.random.default_rng(11), []
    for _ in range(DRAWS // 1000):
        drawn = rng.integers(0, 2, (1000, weights.size), dtype=np.int8).astype(np.float32)
        z.append((1 - 2 * drawn) @ weights)
    tail = np.concatenate(z)
    for t in (1.0, 2.0, 3.0):
        assert np.mean(tail >= t - 1e-4) <= math.exp(-t * t / 2)
    if which in ("marked", "unmarked"):  # many comparable points: nearly a normal distribution
        assert np.mean(tail >= 2) == pytest.approx(0.0228, abs=0.006)


def test_real_keys_draw_the_same_tail(unmarked, key, payload):
    design = lattice(key)
    values = evidence_of(unmarked, design)[0]
    z = []
    for epoch in range(1000):
        drawn = signs(bytes(32), f"null/{epoch}", values.size).reshape(values.shape)
        z.append(correlation(values, replace(design, signs=drawn), payload))
    assert abs(np.mean(z)) < 0.15
    assert np.std(z) == pytest.approx(1.0, abs=0.1)
    assert np.mean(np.array(z) >= 2) <= math.exp(-2)


def test_no_evidence_has_no_correlation(key, payload):
    design = lattice(key)
    nothing = measure(np.zeros((8, len(design.points)), np.complex64), np.ones(8, np.float32), design)
    assert not nothing.any()
    assert correlation(nothing, design, payload) == 0.0


def test_one_bright_point_counts_no_more_than_three_deviations(key):
    design = lattice(key)
    rng = np.random.default_rng(12)
    noise = rng.standard_normal((8, len(design.points))) + 1j * rng.standard_normal((8, len(design.points)))
    calm = measure(noise.astype(np.complex64), np.ones(8, np.float32), design)
    noise[0, 100] *= 1e6
    loud = measure(noise.astype(np.complex64), np.ones(8, np.float32), design)
    assert np.abs(loud).max() <= 3.5 * np.abs(calm).max()
    assert np.isfinite(loud).all()
