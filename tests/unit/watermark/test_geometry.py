import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark.geometry import (
    CORNER_PLACES,
    CORNER_REACH,
    CORNER_STEPS,
    MAX_CANVAS,
    FrameGeometry,
    apply,
    corners,
    jacobian,
    possible,
    snapped,
    upright,
)
from watermark.windows import LINES

WIDTH, HEIGHT = 320 / LINES, 1.0
entries = st.floats(-0.3, 0.3)


@st.composite
def homographies(draw):
    """Any mirror and quarter turn, with a slant and a little perspective."""
    quarter = draw(
        st.sampled_from([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, 1]], [[0, 1], [1, 0]]])
    )
    matrix = np.eye(3)
    matrix[:2, :2] = np.array(quarter) + np.array([draw(entries) for _ in range(4)]).reshape(2, 2)
    matrix[2, :2] = [draw(st.floats(-0.1, 0.1)) for _ in range(2)]
    matrix[:2, 2] = draw(entries)
    return FrameGeometry.of(matrix)


@given(homographies())
def test_the_corner_stays(frame):
    assert np.abs(apply(frame.matrix, np.zeros((1, 2)))).max() < 1e-9


@given(homographies(), st.floats(0.1, 1.1), st.floats(0.1, 0.9))
def test_the_derivative_is_that_of_small_steps(frame, x, y):
    at, step = np.array([[x, y]]), 1e-6
    numeric = [
        (apply(frame.matrix, at + d) - apply(frame.matrix, at - d))[0] / (2 * step) for d in np.eye(2) * step
    ]
    assert jacobian(frame.matrix, at)[0] == pytest.approx(np.array(numeric).T, abs=1e-5)


@given(homographies())
def test_the_grid_of_corners_is_close_and_stable(frame):
    near = snapped(frame, WIDTH, HEIGHT)
    assert near is not None
    places = [apply(f.matrix, corners(WIDTH, HEIGHT)) for f in (frame, near)]
    assert np.abs(places[0] - places[1]).max() <= 0.51 / (2 * CORNER_STEPS)
    steps = places[1] * 2 * CORNER_STEPS
    assert np.abs(steps - np.round(steps)).max() < 1e-2  # corners to single precision
    again = snapped(near, WIDTH, HEIGHT)
    assert again is not None
    assert again.matrix == pytest.approx(near.matrix, abs=1e-4)


def test_the_grid_is_as_large_as_counted():
    # Three corners, each anywhere in a square of this many steps to either side.
    assert CORNER_PLACES == (2 * CORNER_STEPS * CORNER_REACH + 1) ** 6
    assert snapped(FrameGeometry.stretched(0.01, 0.01), WIDTH, HEIGHT) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_wild_matrices_lie_nowhere(bad):
    matrix = np.eye(3)
    matrix[0, 1] = bad
    with np.errstate(all="ignore"):
        assert snapped(FrameGeometry.of(matrix), WIDTH, HEIGHT) is None


def test_a_horizon_in_the_frame_is_impossible():
    assert possible(FrameGeometry(), WIDTH, HEIGHT)
    for bend in (0.9, -0.9, -2.0, np.nan):
        matrix = np.eye(3)
        matrix[2, 0] = bend
        assert not possible(FrameGeometry.of(matrix), WIDTH, HEIGHT)


@pytest.mark.parametrize("matrix", [np.diag([1.2, 0.9]), [[0, 1.0], [-1.0, 0]], [[0.98, 0.1], [-0.1, 1.02]]])
def test_planes_of_fewer_lines_lie_in_the_same_place(matrix):
    # Geometry is in short sides, whatever the number of lines: that of colour is half of luma's.
    frame = FrameGeometry.of(np.array(matrix, float))
    found = []
    for lines in (256, 128):
        plane = cv2.resize(blob(200, 100)[0], (lines * 5 // 4, lines), interpolation=cv2.INTER_AREA)
        turned = upright(plane[None], frame)
        moments = cv2.moments(np.abs(turned.planes[0]))
        place = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        found.append((place + 0.5) * turned.pitch + turned.origin)
    assert found[0] == pytest.approx(found[1], abs=0.004)


def blob(x, y):
    """One bright spot at (x, y) pixels."""
    columns, rows = np.meshgrid(np.arange(320), np.arange(256))
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 30).astype(np.float32)[None]


@settings(max_examples=40)
@given(homographies(), st.floats(60, 260), st.floats(60, 196))
def test_what_is_turned_upright_lies_where_the_geometry_says(frame, x, y):
    turned = upright(blob(x, y), frame)
    moments = cv2.moments(np.abs(turned.planes[0]))
    found = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    place = (found + 0.5) * turned.pitch + turned.origin
    expected = apply(frame.matrix, np.array([[x + 0.5, y + 0.5]]) / LINES)[0]
    assert place == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize(
    "matrix", [[[1, 0], [0, 1]], [[-1, 0], [0, 1]], [[0, -1], [1, 0]], [[0, 1.3], [0.8, 0]]]
)
def test_quarter_turns_resample_nothing(matrix):
    planes = np.random.default_rng(1).standard_normal((2, 256, 320)).astype(np.float32)
    turned = upright(planes, FrameGeometry.of(np.array(matrix, float)))
    assert np.array_equal(np.sort(turned.planes, axis=None), np.sort(planes, axis=None))


@settings(max_examples=30)
@given(homographies(), st.sampled_from([(1024, 256), (256, 1024), (256, 256)]))
def test_no_canvas_is_huge(frame, size):
    turned = upright(np.zeros((1, size[1], size[0]), np.float32), frame)
    if possible(frame, size[0] / LINES, size[1] / LINES):
        assert turned.planes.size <= 1.1 * MAX_CANVAS * size[0] * size[1]
