import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from watermark.channel import CODED_BITS, encode
from watermark.keys import DetectionKey
from watermark.lattice import (
    CHROMA,
    LUMA,
    ORIGIN_STEPS,
    PERIOD_SECONDS,
    PLANES,
    STATE_SECONDS,
    STATES,
    TEMPLATE_ENERGY,
    half_plane,
    lattice,
    origin,
)

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "hidden_mark.json").read_text())
KEY = DetectionKey(epoch=0, secret=bytes.fromhex(VECTOR["secret"]))
STRANGER = DetectionKey(epoch=0, secret=b"\x01" * 32)
PAYLOAD = int(VECTOR["payload"], 16)
BANDS = {"y": LUMA, "u": CHROMA, "v": CHROMA}

every_plane = pytest.mark.parametrize("plane", PLANES)


def pattern_of(plane, key=KEY):
    return getattr(lattice(key), plane)


def tuples(points):
    return {tuple(point) for point in points.tolist()}


@every_plane
def test_points_are_pinned(plane):
    points, _ = pattern_of(plane).coefficients(encode(PAYLOAD))
    wanted = VECTOR["planes"][plane]
    assert len(points) == wanted["points"]
    assert pattern_of(plane).template.points.tolist() == wanted["template_points"]


@every_plane
def test_signs_and_interleaving_are_pinned(plane):
    pattern, wanted = pattern_of(plane), VECTOR["planes"][plane]
    assert pattern.signs.ravel()[:32].tolist() == wanted["signs_head"]
    assert hashlib.sha256((pattern.signs < 0).astype(np.uint8)).hexdigest() == wanted["signs_sha256"]
    assert pattern.coded.ravel()[:16].tolist() == wanted["coded_head"]
    assert pattern.coded.ravel()[-16:].tolist() == wanted["coded_last"]
    assert hashlib.sha256(pattern.coded.astype("<u2")).hexdigest() == wanted["coded_sha256"]


@every_plane
def test_coefficients_are_pinned(plane):
    points, values = pattern_of(plane).coefficients(encode(PAYLOAD))
    for sample in VECTOR["planes"][plane]["coefficients"]:
        assert points[sample["index"]].tolist() == sample["point"]
        value = values[sample["state"], sample["index"]]
        assert (value.real, value.imag) == pytest.approx((sample["re"], sample["im"]), abs=2e-6)


@pytest.mark.parametrize("ring", [LUMA.ring, CHROMA.ring])
def test_a_ring_is_one_half_plane(ring):
    points = half_plane(ring)
    radius = np.hypot(*points.T)
    assert ring[0] <= radius.min() <= radius.max() <= ring[1]
    seen = tuples(points)
    assert len(seen) == len(points)
    assert not seen & {(-x, -y) for x, y in seen}
    whole = [(x, y) for x in range(-27, 28) for y in range(-27, 28) if ring[0] <= np.hypot(x, y) <= ring[1]]
    assert len(whole) == 2 * len(points)


@every_plane
def test_template_and_payload_share_no_point_and_fill_the_ring(plane):
    pattern, band = pattern_of(plane), BANDS[plane]
    own, data = tuples(pattern.template.points), tuples(pattern.points)
    assert not own & data
    assert own | data == tuples(half_plane(band.ring))
    assert len(own) == len(pattern.template.points) == band.template_points
    radius = np.hypot(*pattern.template.points.T)
    assert band.template_ring[0] <= radius.min() <= radius.max() <= band.template_ring[1]


@pytest.mark.parametrize("epoch", range(6))
def test_the_templates_of_luma_and_colour_share_no_point(epoch):
    design = lattice(DetectionKey(epoch=0, secret=bytes([epoch]) * 32))
    assert not tuples(design.y.template.points) & tuples(design.u.template.points)
    assert len(tuples(design.template.points)) == len(design.template.points) == 80


def test_u_and_v_share_their_template_and_nothing_else():
    design = lattice(KEY)
    assert np.array_equal(design.u.template.points, design.v.template.points)
    assert np.array_equal(design.u.template.phasors, design.v.template.phasors)
    assert np.array_equal(design.u.points, design.v.points)
    for one, other in (
        (design.u.phasors, design.v.phasors),
        (design.u.signs, design.v.signs),
        (design.u.coded, design.v.coded),
    ):
        assert not np.array_equal(one, other)
    assert abs(np.mean(design.u.signs * design.v.signs)) < 0.1


def test_the_whole_template_is_lumas_and_then_colours():
    design = lattice(KEY)
    luma = len(design.y.template.points)
    assert np.array_equal(design.template.points[:luma], design.y.template.points)
    assert np.array_equal(design.template.points[luma:], design.u.template.points)
    assert np.array_equal(design.template.phasors[:, luma:], design.u.template.phasors)
    assert design.template.reach == design.y.template.reach <= LUMA.template_ring[1]


@every_plane
def test_energy_is_one_and_shared_as_written(plane):
    pattern = pattern_of(plane)
    _, values = pattern.coefficients(encode(PAYLOAD))
    power, own = 2 * np.abs(values) ** 2, len(pattern.template.points)
    assert power.sum(axis=1) == pytest.approx(np.ones(STATES), abs=1e-5)
    assert power[:, :own].sum(axis=1) == pytest.approx(np.full(STATES, TEMPLATE_ENERGY), abs=1e-5)


@every_plane
def test_all_coded_bits_are_in_every_run(plane):
    pattern = pattern_of(plane)
    assert pattern.signs.shape == pattern.coded.shape == (STATES, len(pattern.points))
    flat = pattern.coded.ravel()
    for start in range(0, len(flat) - CODED_BITS + 1, CODED_BITS):
        assert np.array_equal(np.sort(flat[start : start + CODED_BITS]), np.arange(CODED_BITS))
    assert len(set(flat[-(len(flat) % CODED_BITS) :].tolist())) == len(flat) % CODED_BITS
    assert np.ptp(np.bincount(flat, minlength=CODED_BITS)) <= 1


@every_plane
def test_phases_are_units_and_payload_points_use_half_a_turn(plane):
    pattern = pattern_of(plane)
    for phasors in (pattern.phasors, pattern.template.phasors):
        assert np.abs(phasors) == pytest.approx(np.ones(phasors.shape), abs=1e-6)
    assert pattern.phasors.imag.min() > -1e-6
    assert pattern.template.phasors.imag.min() < -0.9


@every_plane
def test_states_differ(plane):
    phasors = pattern_of(plane).template.phasors
    for state in range(1, STATES):
        assert np.abs(np.vdot(phasors[0], phasors[state])) / phasors.shape[1] < 0.5


@every_plane
def test_the_payload_touches_signs_only(plane):
    pattern = pattern_of(plane)
    own = len(pattern.template.points)
    (_, one), (_, other) = (pattern.coefficients(encode(message)) for message in (1, 2**63))
    assert np.array_equal(one[:, :own], other[:, :own])
    assert np.allclose(np.abs(one), np.abs(other))
    quotient = other[:, own:] / one[:, own:]
    assert np.allclose(np.abs(quotient.real), 1, atol=1e-5)
    assert np.any(quotient.real < 0)


@every_plane
def test_a_carrier_key_changes_signs_only(plane):
    pattern, stranger = pattern_of(plane), pattern_of(plane, STRANGER)
    own = len(pattern.template.points)
    mixed = replace(pattern, signs=stranger.signs, coded=stranger.coded)
    (_, one), (_, other) = (p.coefficients(encode(PAYLOAD)) for p in (pattern, mixed))
    assert np.array_equal(one[:, :own], other[:, :own])
    assert np.allclose(np.abs(one), np.abs(other))
    assert 0.4 < np.mean(np.abs(one - other)[:, own:] > 1e-6) < 0.6


@every_plane
def test_keys_have_different_templates(plane):
    one, other = (pattern_of(plane, key).template.points for key in (KEY, STRANGER))
    assert len(tuples(one) & tuples(other)) < 0.45 * len(one)


def test_origins_are_pinned():
    for case in VECTOR["origins"]:
        began = origin(KEY, int(case["payload"], 16))
        assert list(began.shift) == case["shift"]
        assert began.seconds == case["seconds"]


def test_origins_lie_on_their_grid_and_use_all_of_it():
    found = [origin(KEY, payload) for payload in range(4096)]
    steps = np.array([(*began.shift, began.seconds / PERIOD_SECONDS) for began in found]) * ORIGIN_STEPS
    assert STATES == ORIGIN_STEPS
    assert np.array_equal(steps, steps.astype(int))
    assert (steps.min(), steps.max()) == (0, ORIGIN_STEPS - 1)
    places = steps.astype(int) @ [1, ORIGIN_STEPS, ORIGIN_STEPS**2]
    counts = np.bincount(places, minlength=512)
    assert len(counts) == 512
    assert counts.max() < 30  # of 8 on average


def test_origins_depend_on_the_template_key_only(monkeypatch):
    others = [origin(STRANGER, payload) for payload in range(64)]
    mine = [origin(KEY, payload) for payload in range(64)]
    assert sum(a == b for a, b in zip(mine, others, strict=True)) < 5

    def forbidden(_):
        raise AssertionError("the carrier key was asked for")

    monkeypatch.setattr(DetectionKey, "carrier", property(forbidden))
    assert [origin(KEY, payload) for payload in range(64)] == mine


@every_plane
def test_many_clips_in_sum_do_not_show_the_template(plane):
    # What an averager of aligned clips sees of each template point: shifts and states turn it away.
    template = pattern_of(plane).template
    origins = [origin(KEY, payload) for payload in range(2000)]
    shifts = np.array([began.shift for began in origins])
    begun = np.array([began.seconds / STATE_SECONDS for began in origins], dtype=int)
    waves = np.exp(-2j * np.pi * shifts @ template.points.T)
    for state in range(STATES):
        seen = np.abs(np.mean(waves * template.phasors[(begun + state) % STATES], axis=0))
        assert np.median(seen) < 0.05
        assert np.sqrt(np.mean(seen**2)) < 0.2
