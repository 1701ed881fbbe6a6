"""The standing label: large enough, in the plates' way never, seen where it is and nowhere else."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from watermark.base import TimedLuma
from watermark.errors import GeometryError
from watermark.look_alike import look_for
from watermark.visible import VisibleLayout, VisibleMark
from watermark.visible_draw import CAP_HEIGHT, VisibleStyle
from watermark.visible_standing import EM, SEEN, check_text, seen, standing_box

KEY = bytes(range(32))
SIZES = [(640, 360), (360, 640), (256, 256), (854, 480)]
TEXTS = ["AI-generated", "AI生成"]


def ground(width: int, height: int, seed: int = 1) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    base = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 6)
    return np.clip(120 + 50 * base / base.std(), 16, 235).astype(np.uint8)


def drawn(
    size: tuple[int, int], time: float, duration: float | None = None, **style: object
) -> NDArray[np.uint8]:
    width, height = size
    y, chroma = ground(width, height), np.full((2, height // 2, width // 2), 90, np.uint8)
    chosen = VisibleStyle.chosen(**style)  # type: ignore[arg-type]
    VisibleMark(KEY, 5, 1, width, height, style=chosen, duration=duration).draw(y, *chroma, time)
    return y


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("light", [False, True])
def test_it_is_seen_where_it_is_drawn_and_nowhere_else(size: tuple[int, int], text: str, light: bool) -> None:
    there = drawn(size, 0.5, standing=text, light=light)
    assert seen(there, text, light=light) > SEEN + 0.15
    assert seen(ground(*size), text, light=light) < SEEN - 0.25
    assert seen(drawn(size, 0.5, light=light), text, light=light) < SEEN - 0.25
    assert seen(there, "人工智能合成内容", light=light) < SEEN


@pytest.mark.parametrize("factor", [0.5, 0.67])
def test_it_is_seen_in_a_smaller_and_coarser_copy(factor: float) -> None:
    there = drawn((640, 360), 0.5, standing="AI-generated")
    small = cv2.resize(there, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])
    copy = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    assert seen(copy, "AI-generated", light=False) > SEEN


@pytest.mark.parametrize("size", SIZES)
def test_it_is_large_enough_and_out_of_the_plates_way(size: tuple[int, int]) -> None:
    for text in TEXTS:
        x0, y0, x1, y1 = standing_box(*size, text)
        assert 0 <= x0 < x1 <= size[0]
        assert y1 <= size[1]
        assert (y1 - y0 - 2) * EM * CAP_HEIGHT >= 0.05 * min(size)
        for variant in range(0, 16, 3):
            layout = VisibleLayout(KEY, 5, variant, *size)
            for time in np.arange(0, 10, 0.5).tolist():
                assert all(box[3] <= y0 for box in layout.boxes(time))


def test_the_plates_are_drawn_as_without_it() -> None:
    with_it, without = drawn((640, 360), 0.5, standing="AI-generated"), drawn((640, 360), 0.5)
    changed = np.argwhere(with_it != without)
    x0, y0, x1, y1 = standing_box(640, 360, "AI-generated")
    assert changed.min(axis=0).tolist() >= [y0, x0]
    assert (changed.max(axis=0) < [y1, x1]).all()


def test_letters_stand_out_from_white_and_from_black() -> None:
    for level in (16, 235):
        y, chroma = np.full((360, 640), level, np.uint8), np.full((2, 180, 320), 90, np.uint8)
        style = VisibleStyle.chosen(standing="AI-generated")
        VisibleMark(KEY, 5, 1, 640, 360, style=style).draw(y, *chroma, 0.0)
        x0, y0, x1, y1 = standing_box(640, 360, "AI-generated")
        dark, bright = (
            max((float(value) - 16) / 219, 0.0) ** 2.2 for value in np.percentile(y[y0:y1, x0:x1], (30, 97))
        )
        assert (bright + 0.05) / (dark + 0.05) >= 7


def test_times() -> None:
    style = VisibleStyle.chosen(standing="AI生成", standing_seconds=3)
    start = VisibleLayout(KEY, 5, 1, 640, 360, style=style)
    both = VisibleLayout(KEY, 5, 1, 640, 360, style=VisibleStyle.chosen(standing="AI生成", standing_end=True))
    assert [start.stands(time, 20.0) for time in (0, 2.9, 3.0, 19.0)] == [True, True, False, False]
    assert [both.stands(time, 20.0) for time in (2.4, 2.5, 17.4, 17.5, 19.9)] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert not VisibleLayout(KEY, 5, 1, 640, 360).stands(0.0)
    assert (
        seen(drawn((640, 360), 19.0, 20.0, standing="AI生成", standing_end=True), "AI生成", light=False)
        > SEEN
    )
    assert seen(drawn((640, 360), 19.0, 20.0, standing="AI生成"), "AI生成", light=False) < SEEN


@pytest.mark.parametrize("text", [" ", "x" * 25, "a\nb", "AI\ue000", "AI ☃", "AI ಕ"])
def test_what_the_font_cannot_draw_is_refused(text: str) -> None:
    with pytest.raises(GeometryError):
        VisibleLayout(KEY, 5, 1, 640, 360, style=VisibleStyle.chosen(standing=text))


@pytest.mark.parametrize(
    "text", ["AI-generated", "AI生成", "人工智能合成", "AI 생성", "généré par IA", "AI?"]
)
def test_what_the_font_can_draw_is_taken(text: str) -> None:
    assert check_text(text) == text


def test_a_text_too_wide_for_letters_of_that_size_is_refused() -> None:
    with pytest.raises(GeometryError, match="shorten"):
        standing_box(360, 640, "an AI system generated it")
    assert standing_box(1280, 720, "an AI system generated it")
    with pytest.raises(GeometryError, match="seconds"):
        VisibleStyle.chosen(standing="AI", standing_seconds=1.9)


def test_nobody_takes_it_for_a_label_that_was_moved() -> None:
    """Else a release whose moving mark was painted out would read as somebody else's label."""
    width, height = 640, 360
    style = VisibleStyle.chosen(standing="AI-generated")
    layout, frames = VisibleLayout(KEY, 5, 1, width, height, style=style), []
    for index in range(30):
        y, chroma = ground(width, height, index), np.full((2, height // 2, width // 2), 90, np.uint8)
        mark = VisibleMark(KEY, 5, 1, width, height, style=style)
        mark.draw(y, *chroma, index / 15)
        for x0, y0, x1, y1 in layout.boxes(index / 15):
            y[y0:y1, x0:x1] = 120
        frames.append(TimedLuma(index / 15, y))
    assert look_for(frames, layout) is None
