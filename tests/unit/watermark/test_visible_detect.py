import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from watermark.base import TimedLuma
from watermark.errors import GeometryError
from watermark.framing import WHOLE, Framing
from watermark.visible import VisibleLayout, VisibleMark
from watermark.visible_detect import VisibleDetector, VisibleEvidence, VisibleSearch, follow
from watermark.visible_draw import VisibleStyle

KEY = bytes(range(32))
SIZE = (640, 360)


def scene(seconds: float, rate: float = 10.0) -> Iterator[tuple[float, np.ndarray]]:
    """A textured picture that pans slowly, with some noise."""
    rng = np.random.default_rng(9)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (500, 900)).astype(np.float32), (0, 0), 4)
    texture = 120 + 45 * texture / texture.std()
    for index in range(round(seconds * rate)):
        view = texture[index : index + SIZE[1], 2 * index : 2 * index + SIZE[0]]
        yield index / rate, np.clip(view + rng.normal(0, 3, view.shape), 16, 235).astype(np.uint8)


def marked(mark: VisibleMark, seconds: float) -> list[tuple[float, np.ndarray]]:
    chroma = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    frames = list(scene(seconds))
    for time, luma in frames:
        mark.draw(luma, chroma.copy(), chroma.copy(), time)
    return frames


def look(layout: VisibleLayout, frames: list[tuple[float, np.ndarray]]) -> VisibleEvidence:
    detector = VisibleDetector(layout)
    for time, luma in frames:
        detector.observe(time, luma)
    return detector.result()


@pytest.fixture(scope="module")
def mark() -> VisibleMark:
    return VisibleMark(KEY, 77, 4, *SIZE)


@pytest.fixture(scope="module")
def clip(mark) -> list[tuple[float, np.ndarray]]:
    return marked(mark, 4.0)


def test_found_where_it_is(mark, clip):
    evidence = look(VisibleLayout(KEY, 77, 4, *SIZE), clip)
    assert (evidence.state, evidence.label.state, evidence.handle.state) == ("found", "found", "found")
    assert evidence.label.missing == evidence.handle.missing == ()
    assert evidence.label.present[0][0] == 0.0
    assert evidence.frames == 40


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5])
def test_found_at_other_sizes_and_brightness(mark, clip, factor):
    resized = [
        (t, cv2.resize(y // 2 + 60, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
        for t, y in clip[:20]
    ]
    assert look(mark, resized).state == "found"


def test_absent_on_other_paths_and_clean_clips(mark, clip):
    assert look(mark, list(scene(3.0))).state == "absent"
    for payload in range(100, 110):
        assert look(VisibleLayout(KEY, payload, 4, *SIZE), clip).state == "absent"
    for variant in (0, 5, 15):
        assert look(VisibleLayout(KEY, 77, variant, *SIZE), clip).state == "absent"


def test_painting_over_one_plate_or_some_seconds_is_seen(mark, clip):
    clean = dict(scene(4.0))
    painted = []
    for time, luma in clip:
        luma = luma.copy()
        for index, (x0, y0, x1, y1) in enumerate(mark.boxes(time)):
            if index == 0 or time >= 2:
                luma[y0:y1, x0:x1] = cv2.GaussianBlur(clean[time], (0, 0), 6)[y0:y1, x0:x1]
        painted.append((time, luma))
    evidence = look(mark, painted)
    assert evidence.state == "found"
    assert evidence.label.state == "absent"
    assert evidence.handle.present == ((0.0, 1.9),)
    assert evidence.handle.missing == ((2.0, 3.9),)


def test_too_little_is_undecidable(mark, clip):
    assert look(mark, []).state == "undecidable"
    assert look(mark, clip[:2]).state == "undecidable"
    tiny = [(t, cv2.resize(y, (96, 54), interpolation=cv2.INTER_AREA)) for t, y in clip]
    evidence = look(mark, tiny)
    assert (evidence.state, evidence.frames) == ("undecidable", 0)


def test_flat_black_frames_hold_no_mark(mark):
    black = [(t, np.full(SIZE[::-1], 16, np.uint8)) for t in np.arange(0, 2, 0.1)]
    assert look(mark, black).state == "absent"


def test_search_finds_the_variant(clip):
    search = VisibleSearch(KEY, 77, *SIZE)
    for time, luma in clip[::2]:
        search.observe(time, luma)
    evidence = search.result()
    assert (evidence.variant, evidence.state) == (4, "found")


NEAR = tuple(WHOLE.begun(start) for start in (0.0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3))


def starts(*seconds: float) -> tuple[Framing, ...]:
    return tuple(WHOLE.begun(start) for start in seconds)


def test_a_small_trim_is_not_a_removal():
    """0.3 s move both plates of this path away from where the release had them."""
    mark = VisibleMark(KEY, 95, 4, *SIZE)
    cut = [TimedLuma(time - 0.3, luma) for time, luma in marked(mark, 2.3)[3:]]
    assert look(mark, cut).state == "absent"
    evidence = follow(mark, cut, NEAR)
    assert (evidence.state, evidence.start) == ("found", pytest.approx(0.3, abs=0.11))
    assert evidence.label.present[0][0] == pytest.approx(0.0)  # in the clip's own time


def test_what_is_left_of_a_painted_plate_is_no_plate(mark, clip):
    """From shifted starts its edges score faintly, but no better than at the control shifts."""
    painted = []
    for time, luma in clip:
        hole = np.zeros(luma.shape, np.uint8)
        for x0, y0, x1, y1 in mark.boxes(time):
            hole[y0:y1, x0:x1] = 255
        painted.append(TimedLuma(time, cv2.inpaint(luma, hole, 3, cv2.INPAINT_TELEA)))
    for length in (20, 30, 40):
        assert follow(mark, painted[:length], NEAR).state == "absent"


def test_absent_needs_every_start(mark, clip):
    frames = [TimedLuma(*frame) for frame in clip[:20]]
    assert follow(mark, frames, starts(9.0, 5.0)).state == "absent"
    assert follow(mark, frames, starts(9.0, 5.0, 0.0)).state == "found"
    assert follow(mark, frames[:3], starts(9.0, 0.0)).state == "undecidable"
    with pytest.raises(GeometryError):
        follow(mark, frames, ())


def test_unusable_input_is_refused(mark):
    detector = VisibleDetector(mark)
    with pytest.raises(GeometryError):
        detector.observe(0.0, np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(GeometryError):
        detector.observe(math.inf, np.zeros((360, 640), np.uint8))
    for shape in ((1, 5000), (5000, 1), (0, 0)):
        detector.observe(1.0, np.zeros(shape, np.uint8))
    assert detector.result().frames == 0


def test_a_light_plate_is_found_as_such() -> None:
    style = VisibleStyle.chosen(light=True, size=1.2, opacity=0.8)
    rng = np.random.default_rng(5)
    mark = VisibleMark(bytes(range(32)), 7, 2, 480, 270, style=style)
    frames = []
    for index in range(40):
        y = np.clip(rng.normal(110, 12, (270, 480)), 16, 235).astype(np.uint8)
        u, v = (np.full((135, 240), 128, np.uint8) for _ in range(2))
        mark.draw(y, u, v, index / 10)
        frames.append((index / 10, y))
    states = {}
    for name, look in (("light", style), ("dark", VisibleStyle())):
        seen = VisibleDetector(VisibleLayout(bytes(range(32)), 7, 2, 480, 270, style=look))
        for time, luma in frames:
            seen.observe(time, luma)
        states[name] = seen.result().state
    assert states["light"] == "found"
    assert states["dark"] != "found"
