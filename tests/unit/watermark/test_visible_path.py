import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watermark.errors import GeometryError, KeyMaterialError, PayloadError
from watermark.visible_path import NOMINAL_SIZES, PATH_VERSION, VARIANTS, Plate, VisiblePath, nominal_aspect

VECTORS = Path(__file__).parents[2] / "vectors" / "visible_path_v1.json"
KEY = bytes(range(32))
ASPECTS = (9 / 16, 1.0, 1.5, 16 / 9, 21 / 9)


def centres(path: VisiblePath, plate: Plate, times: np.ndarray) -> np.ndarray:
    return np.array([path.centre(plate, float(t), NOMINAL_SIZES[plate]) for t in times])


def test_known_answers():
    vectors = json.loads(VECTORS.read_text())
    assert vectors["version"] == PATH_VERSION
    for case in vectors["cases"]:
        path = VisiblePath(
            bytes.fromhex(case["key"]), int(case["payload"], 16), case["variant"], case["aspect"]
        )
        for point in case["points"]:
            for plate, name in ((Plate.LABEL, "label"), (Plate.HANDLE, "handle")):
                centre = path.centre(plate, point["time"], NOMINAL_SIZES[plate])
                assert centre == pytest.approx(point[name], abs=2e-8)
            assert path.drift(Plate.LABEL, point["time"]) == pytest.approx(point["label_drift"], abs=2e-8)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_speed_stays_in_its_range_and_nothing_rests(aspect):
    times = np.arange(0, 60, 1 / 30)
    for variant in range(0, VARIANTS, 5):
        path = VisiblePath(KEY, 1000 + variant, variant, aspect)
        for plate in Plate:
            track = centres(path, plate, times)
            pixels = np.hypot(*np.diff(track, axis=0).T) * 720
            assert pixels.max() < 2.05
            assert np.percentile(pixels, 1) > 0.95
            windows = track[np.arange(0, 1740, 15)[:, None] + np.arange(60)]
            extent = np.hypot(*(windows.max(axis=1) - windows.min(axis=1)).T)
            assert extent.min() > 0.04  # even where it turns back, it moves most of a plate's height
            assert np.median(extent) > 0.09


def test_most_of_the_room_is_visited_within_a_minute():
    times = np.arange(0, 60, 0.25)
    paths = [VisiblePath(KEY, variant, variant, 16 / 9) for variant in range(4)]
    spans = [np.ptp([path.fractions(plate, t) for t in times], axis=0) for path in paths for plate in Plate]
    assert np.mean(spans) > 0.7


@settings(max_examples=60)
@given(
    payload=st.integers(0, 2**64 - 1),
    variant=st.integers(0, VARIANTS - 1),
    aspect=st.sampled_from(ASPECTS),
    time=st.floats(-1e4, 1e6),
)
def test_plates_stay_inside_and_apart(payload, variant, aspect, time):
    path = VisiblePath(KEY, payload, variant, aspect)
    corners = []
    for plate, size in zip(Plate, ((0.70, 0.125), (0.24, 0.05)), strict=True):
        x, y = path.centre(plate, time, size)
        corners.append((x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2))
    for left, top, right, bottom in corners:
        assert left >= 0.039
        assert top >= 0.049 * path.frame[1]
        assert right <= path.frame[0] - 0.039
        assert bottom <= 0.851 * path.frame[1]
    a, b = corners
    assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


def test_every_input_changes_the_path():
    times = np.arange(0, 10, 0.5)
    base = centres(VisiblePath(KEY, 5, 0, 16 / 9), Plate.LABEL, times)
    for other in (
        VisiblePath(bytes(32), 5, 0, 16 / 9),
        VisiblePath(KEY, 6, 0, 16 / 9),
        VisiblePath(KEY, 5, 1, 16 / 9),
    ):
        assert np.abs(centres(other, Plate.LABEL, times) - base).max() > 0.05


def test_resized_clips_keep_their_aspect():
    assert nominal_aspect(854, 480) == nominal_aspect(1280, 720) == 16 / 9
    assert nominal_aspect(480, 854) == 9 / 16
    assert nominal_aspect(1000, 300) == 1000 / 300


def test_drift_is_bounded_and_smooth():
    path = VisiblePath(KEY, 5, 0, 1.0)
    values = np.array([path.drift(Plate.HANDLE, t) for t in np.arange(0, 20, 1 / 30)])
    assert np.abs(values).max() <= 1
    assert np.abs(np.diff(values, axis=0)).max() < 0.25


def test_unusable_input_is_refused():
    with pytest.raises(KeyMaterialError):
        VisiblePath(b"short", 1, 0, 1.0)
    with pytest.raises(PayloadError):
        VisiblePath(KEY, 2**64, 0, 1.0)
    with pytest.raises(GeometryError):
        VisiblePath(KEY, 1, 16, 1.0)
    with pytest.raises(GeometryError):
        VisiblePath(KEY, 1, 0, 9.0)
    with pytest.raises(GeometryError):
        VisiblePath(KEY, 1, 0, 1.0).drift(Plate.LABEL, math.nan)
    with pytest.raises(GeometryError):
        VisiblePath(KEY, 1, 0, 1.0).centre(Plate.LABEL, 0.0, (2.0, 0.1))
