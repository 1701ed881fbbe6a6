import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from watermark.channel import CODED_BITS, encode
from watermark.keys import DetectionKey
from watermark.lattice import (
    RING,
    STATES,
    TEMPLATE_ENERGY,
    TEMPLATE_POINTS,
    TEMPLATE_RING,
    half_plane,
    lattice,
)

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "hidden_mark_v1.json").read_text())
KEY = DetectionKey(epoch=0, secret=bytes.fromhex(VECTOR["secret"]))
PAYLOAD = int(VECTOR["payload"], 16)


def test_points_are_pinned():
    points = lattice(KEY).points
    assert len(points) == VECTOR["points"]
    assert points[:TEMPLATE_POINTS].tolist() == VECTOR["template_points"]


def test_signs_and_interleaving_are_pinned():
    design = lattice(KEY)
    assert design.signs[0, :32].tolist() == VECTOR["signs_head"]
    assert hashlib.sha256((design.signs < 0).astype(np.uint8)).hexdigest() == VECTOR["signs_sha256"]
    assert design.coded[0, :16].tolist() == VECTOR["coded_head"]
    assert design.coded[7, -16:].tolist() == VECTOR["coded_last"]
    assert hashlib.sha256(design.coded.astype("<u2")).hexdigest() == VECTOR["coded_sha256"]


def test_coefficients_are_pinned():
    design = lattice(KEY)
    values = design.coefficients(encode(PAYLOAD))
    for sample in VECTOR["coefficients"]:
        assert design.points[sample["index"]].tolist() == sample["point"]
        value = values[sample["state"], sample["index"]]
        assert (value.real, value.imag) == pytest.approx((sample["re"], sample["im"]), abs=2e-6)


def test_the_ring_is_one_half_plane():
    points = half_plane(RING)
    radius = np.hypot(*points.T)
    assert RING[0] <= radius.min() <= radius.max() <= RING[1]
    seen = {tuple(point) for point in points.tolist()}
    assert len(seen) == len(points)
    assert not seen & {(-x, -y) for x, y in seen}
    whole = [(x, y) for x in range(-26, 27) for y in range(-26, 27) if RING[0] <= np.hypot(x, y) <= RING[1]]
    assert len(whole) == 2 * len(points)


def test_template_and_payload_share_no_point():
    design = lattice(KEY)
    points = [tuple(point) for point in design.points.tolist()]
    assert len(set(points)) == len(points)
    radius = np.hypot(*design.points[:TEMPLATE_POINTS].T)
    assert TEMPLATE_RING[0] <= radius.min() <= radius.max() <= TEMPLATE_RING[1]


def test_energy_is_one_and_shared_as_written():
    design = lattice(KEY)
    power = 2 * np.abs(design.coefficients(encode(PAYLOAD))) ** 2
    assert power.sum(axis=1) == pytest.approx(np.ones(STATES), abs=1e-5)
    assert power[:, :TEMPLATE_POINTS].sum(axis=1) == pytest.approx(np.full(STATES, TEMPLATE_ENERGY), abs=1e-5)


def test_every_coded_bit_is_carried_about_equally_often():
    design = lattice(KEY)
    assert design.signs.shape == design.coded.shape == (STATES, len(design.points) - TEMPLATE_POINTS)
    counts = np.bincount(design.coded.ravel(), minlength=CODED_BITS)
    assert len(counts) == CODED_BITS
    assert counts.max() - counts.min() <= STATES
    for row in design.coded:
        assert np.ptp(np.bincount(row, minlength=CODED_BITS)) <= 1


def test_phases_are_units_and_payload_points_use_half_a_turn():
    design = lattice(KEY)
    assert np.abs(design.phasors) == pytest.approx(np.ones(design.phasors.shape), abs=1e-6)
    assert design.phasors[:, TEMPLATE_POINTS:].imag.min() > -1e-6
    assert design.phasors[:, :TEMPLATE_POINTS].imag.min() < -0.9


def test_states_differ():
    phasors = lattice(KEY).phasors
    for state in range(1, STATES):
        likeness = np.abs(np.vdot(phasors[0, :TEMPLATE_POINTS], phasors[state, :TEMPLATE_POINTS]))
        assert likeness / TEMPLATE_POINTS < 0.5


def test_the_payload_touches_signs_only():
    design = lattice(KEY)
    one, other = design.coefficients(encode(1)), design.coefficients(encode(2**63))
    assert np.array_equal(one[:, :TEMPLATE_POINTS], other[:, :TEMPLATE_POINTS])
    assert np.allclose(np.abs(one), np.abs(other))
    quotient = other[:, TEMPLATE_POINTS:] / one[:, TEMPLATE_POINTS:]
    assert np.allclose(np.abs(quotient.real), 1, atol=1e-5)


def test_a_carrier_key_changes_no_template():
    design = lattice(KEY)
    stranger = lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
    mixed = replace(design, signs=stranger.signs, coded=stranger.coded)
    one, other = design.coefficients(encode(PAYLOAD)), mixed.coefficients(encode(PAYLOAD))
    assert np.array_equal(one[:, :TEMPLATE_POINTS], other[:, :TEMPLATE_POINTS])
    assert 0.4 < np.mean(np.abs(one - other)[:, TEMPLATE_POINTS:] > 1e-6) < 0.6


def test_keys_have_different_templates():
    one, other = lattice(KEY), lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
    same = {tuple(p) for p in one.points[:TEMPLATE_POINTS].tolist()} & {
        tuple(p) for p in other.points[:TEMPLATE_POINTS].tolist()
    }
    assert len(same) < 15
