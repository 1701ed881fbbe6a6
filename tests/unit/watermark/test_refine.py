import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watermark import refine, sync
from watermark.clocks import AS_MARKED, shares
from watermark.geometry import FrameGeometry, apply
from watermark.keys import DetectionKey
from watermark.lattice import lattice
from watermark.windows import CHROMA_LINES, LINES

DESIGN = lattice(DetectionKey(epoch=3, secret=bytes(range(32))))
TEMPLATE = DESIGN.y.template
WIDTH = 1.25
PATTERNS = {"luma": (DESIGN.y, LINES, 0.03), "colour": (DESIGN.u, CHROMA_LINES, 0.07)}
POINTS = np.array([[x, y] for x in np.linspace(0, WIDTH, 5) for y in np.linspace(0, 1, 5)])
small = st.floats(-0.01, 0.01)


def summed(windows, times):
    return np.tensordot(shares(times, np.array([AS_MARKED]))[0], windows, axes=1)


def gap(one, other):
    """Largest distance between what two geometries make of the frame, in tiles, less a shift of it all."""
    apart = 2 * (apply(one.matrix, POINTS) - apply(other.matrix, POINTS))
    return np.abs(apart - apart.mean(axis=0)).max()


@pytest.mark.parametrize("which", PATTERNS)
@settings(max_examples=6, suppress_health_check=[HealthCheck.differing_executors])
@given(st.tuples(small, small, small, small), st.floats(-0.02, 0.02), st.floats(-180, 180))
def test_the_exact_geometry_is_climbed_to(shown, which, error, bend, angle):
    pattern, lines, near = PATTERNS[which]
    turn = np.radians(angle)
    true = np.eye(3)
    true[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    rough = FrameGeometry.of(true[:2, :2] @ (np.eye(2) + np.array(error).reshape(2, 2)))
    true[2, 0] = bend
    frame = FrameGeometry.of(true)
    states = summed(*shown(pattern, frame, noise=2.0, lines=lines))
    _, nearer = refine.refined(states, pattern.template, rough)
    agreement, exact = refine.refined(states, pattern.template, nearer)
    assert agreement > 8
    assert gap(exact, frame) < near  # the template's finest wave has 22 to a tile, that of colour 9


def test_noise_agrees_with_nothing():
    rng, found = np.random.default_rng(3), []
    for _ in range(5):
        noise = rng.standard_normal((8, 256, 320)).astype(np.float32)
        found.append(refine.refined(noise, TEMPLATE, FrameGeometry())[0])
    assert max(found) < 6


def test_nothing_stays_where_it_is():
    agreement, frame = refine.refined(np.zeros((8, 256, 256), np.float32), TEMPLATE, FrameGeometry())
    assert agreement == 0.0
    assert np.isfinite(frame.matrix).all()


@pytest.mark.parametrize("size", [(1024, 256), (256, 1024), (256, 256)])
def test_cells_cover_the_frame_once(size):
    windows = np.random.default_rng(4).standard_normal((8, size[1], size[0])).astype(np.float32)
    found = refine.cells(windows, TEMPLATE, FrameGeometry())
    picked = sync.picked(windows, TEMPLATE.points, FrameGeometry())
    whole = (picked * np.conj(TEMPLATE.phasors)).sum(axis=0)
    assert np.abs(found.values.sum(axis=0) - whole).max() < 1e-3 * np.abs(whole).max()
    assert found.middles[:, 0].min() > 0
    assert found.middles[:, 0].max() < size[0] / LINES
