import itertools

import numpy as np
import pytest

from watermark.base import TimedLuma
from watermark.errors import GeometryError
from watermark.visible import VisibleLayout, VisibleMark, choose_variant
from watermark.visible_draw import VisibleStyle
from watermark.visible_path import VARIANTS

KEY = bytes(range(32))


def planes(width: int, height: int, luma: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    half = ((height + 1) // 2, (width + 1) // 2)
    return np.full((height, width), luma, np.uint8), np.full(half, 90, np.uint8), np.full(half, 160, np.uint8)


@pytest.mark.parametrize("size", [(426, 240), (240, 426), (320, 320), (97, 131), (641, 361)])
@pytest.mark.parametrize("luma", [16, 235])
def test_text_is_legible_on_dark_and_light(size, luma):
    mark = VisibleMark(KEY, 7, 2, *size)
    y, u, v = planes(*size, luma)
    mark.draw(y, u, v, 5.0)
    for x0, y0, x1, y1 in mark.boxes(5.0):
        inner = y[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4]
        assert int(np.percentile(inner, 97)) - int(np.percentile(inner, 40)) > 90
        assert inner.max() <= 235
        assert inner.min() >= 16


def test_only_the_boxes_are_touched_and_chroma_turns_neutral():
    mark = VisibleMark(KEY, 7, 2, 640, 360)
    y, u, v = planes(640, 360)
    mark.draw(y, u, v, 5.0)
    outside = np.ones(y.shape, bool)
    for x0, y0, x1, y1 in mark.boxes(5.0):
        outside[y0:y1, x0:x1] = False
        middle = ((y0 + y1) // 4, (x0 + x1) // 4)
        assert abs(int(u[middle]) - 128) < 25
        assert abs(int(v[middle]) - 128) < 25
    assert (y[outside] == 120).all()
    assert (u[outside[::2, ::2] & outside[1::2, 1::2]] == 90).all()
    assert (y != 120).mean() < 0.06


def test_full_range_is_whiter():
    tops = []
    for full_range in (False, True):
        y, u, v = planes(640, 360, 0 if full_range else 16)
        VisibleMark(KEY, 7, 2, 640, 360, full_range=full_range).draw(y, u, v, 5.0)
        tops.append(int(y.max()))
    assert tops[0] <= 228 < tops[1]


def test_label_starts_at_the_size_that_rules_ask_for_and_shrinks_smoothly():
    layout = VisibleLayout(KEY, 7, 2, 1280, 720)
    heights = np.array([layout.poses(t)[0].height for t in np.arange(0, 4, 1 / 30)])
    capital = 0.60 * 0.70
    assert (heights[:60] * capital >= 0.05 * 720).all()
    assert heights[-1] < 45
    assert np.abs(np.diff(heights)).max() < 5
    quiet = VisibleLayout(KEY, 7, 2, 1280, 720, style=VisibleStyle(intro_seconds=0.0))
    assert quiet.poses(0.0)[0].height < 45


def test_movement_is_drawn_below_a_pixel():
    mark = VisibleMark(KEY, 7, 2, 640, 360)
    sums = []
    for step in range(4):
        y, u, v = planes(640, 360)
        mark.draw(y, u, v, 5.0 + step / 240)
        sums.append(y.astype(int))
    assert all((a != b).any() for a, b in itertools.pairwise(sums))


def test_drawing_is_a_pure_function_of_time():
    mark = VisibleMark(KEY, 7, 2, 640, 360)
    first, again = planes(640, 360), planes(640, 360)
    mark.draw(*first, 5.0)
    fresh = VisibleMark(KEY, 7, 2, 640, 360)
    fresh.draw(*again, 5.0)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_other_scripts_and_long_texts_fit():
    for label in ("AI生成", "Généré par une IA", "x" * 32):
        mark = VisibleMark(KEY, 7, 2, 360, 640, label, "studio")
        y, u, v = planes(360, 640)
        mark.draw(y, u, v, 0.0)
        assert (y > 200).sum() > 50


def test_unusable_input_is_refused():
    for label in ("", "   ", "x" * 33, "a\nb"):
        with pytest.raises(GeometryError):
            VisibleLayout(KEY, 7, 2, 640, 360, label)
    with pytest.raises(GeometryError):
        VisibleLayout(KEY, 7, 2, 90, 90)
    mark = VisibleMark(KEY, 7, 2, 640, 360)
    with pytest.raises(GeometryError):
        mark.draw(*planes(320, 180), 0.0)


def test_variant_prefers_texture():
    rng = np.random.default_rng(3)
    luma = np.full((180, 320), 120, np.uint8)
    luma[:, 160:] = rng.integers(0, 255, (180, 160), dtype=np.uint8)
    frames = [TimedLuma(t, luma) for t in np.arange(0, 4, 0.5)]
    chosen = choose_variant(frames, KEY, 7)
    assert chosen == choose_variant(frames, KEY, 7)

    def texture_met(variant: int) -> float:
        layout = VisibleLayout(KEY, 7, variant, 320, 180)
        return float(np.mean([(x0 + x1) / 2 > 160 for t, _ in frames for x0, _, x1, _ in layout.boxes(t)]))

    met = [texture_met(variant) for variant in range(VARIANTS)]
    assert met[chosen] >= np.percentile(met, 80)
    with pytest.raises(GeometryError):
        choose_variant([], KEY, 7)


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("size", [0.8, 1.6])
def test_size_and_plates_can_be_chosen(light: bool, size: float) -> None:
    style = VisibleStyle.chosen(size=size, light=light, opacity=0.9)
    mark = VisibleMark(bytes(range(32)), 7, 2, 640, 360, style=style)
    usual = VisibleMark(bytes(range(32)), 7, 2, 640, 360)
    y, u, v = np.full((360, 640), 120, np.uint8), *(np.full((180, 320), 128, np.uint8) for _ in range(2))
    mark.draw(y, u, v, 4.0)
    plain = VisibleStyle()
    label, handle = (pose.height for pose in mark.poses(4.0))
    assert label == pytest.approx(max(plain.label_height * size * 360, plain.min_label_pixels), rel=0.03)
    assert handle == pytest.approx(max(plain.handle_height * size * 360, plain.min_handle_pixels), rel=0.03)
    x0, y0, x1, y1 = mark.boxes(4.0)[0]
    darkest, lightest = np.quantile(y[y0:y1, x0:x1], [0.3, 0.7])
    assert lightest > 180 if light else darkest < 60
    assert mark.poses(0.5)[0].height >= usual.poses(0.5)[0].height * 0.97  # the first seconds are a duty


@pytest.mark.parametrize("chosen", [{"size": 0.5}, {"size": 3}, {"opacity": 0.1}, {"opacity": 1.2}])
def test_what_cannot_be_read_cannot_be_chosen(chosen: dict[str, float]) -> None:
    with pytest.raises(GeometryError):
        VisibleStyle.chosen(**chosen)
