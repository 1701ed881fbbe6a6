"""Where a point of the marked clip lies in another: whatever was cut, turned or mirrored is found."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watermark.base import Geometry
from watermark.framing import MIRRORED, WHOLE, Framing, framings, upright

MARKED = (1280, 720)
POINTS = [(100.0, 80.0), (640.0, 360.0), (1200.0, 700.0)]


def lands(framing: Framing, x: float, y: float) -> tuple[float, float]:
    return framing.point(MARKED, x, y)


@given(side=st.floats(0.4, 0.95), left=st.floats(0, 1), top=st.floats(0, 1))
@example(side=0.4, left=0.0, top=0.1666820890287091)  # its left edge is the frame's
@example(side=0.4, left=1.0, top=0.1666820890287091)
@example(side=0.5, left=0.0, top=0.0)
def test_a_crop_is_among_the_framings(side: float, left: float, top: float) -> None:
    """Its place is known modulo half a short side only; the true one is never left out."""
    clip = (1280 * side, 720 * side)
    corner = ((1280 - clip[0]) * left, (720 - clip[1]) * top)
    shift = tuple(-place / 720 % 0.5 for place in corner)
    geometry = Geometry(scale=1 / side, shift=(shift[0], shift[1]))
    found = framings(geometry, MARKED, (round(clip[0]), round(clip[1])))
    wanted = [((x - corner[0]) / clip[0], (y - corner[1]) / clip[1]) for x, y in POINTS]
    misses = [
        max(math.dist(lands(one, x, y), to) for (x, y), to in zip(POINTS, wanted, strict=True))
        for one in found
    ]
    assert min(misses) < 0.01


@given(degrees=st.floats(-15, 15), offset=st.floats(0, 4), speed=st.floats(0.7, 1.4))
def test_a_turned_and_sped_clip(degrees: float, offset: float, speed: float) -> None:
    """Turned about its middle, as `benchmarks.attacks.geometry.rotate` does it."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    middle = np.array([640.0, 360.0])
    # A clip's point p shows the marked clip's middle + turn⁻¹ (p − middle); its corner shows `origin`.
    origin = middle - np.linalg.inv(turn) @ middle
    shift = -origin / 720 % 0.5
    geometry = Geometry(
        rotation=degrees, shift=(float(shift[0]), float(shift[1])), time_offset=offset, speed=speed
    )
    found = framings(geometry, MARKED, MARKED)
    wanted = [(turn @ (np.array(point) - middle) + middle) / MARKED for point in POINTS]
    misses = [
        max(math.dist(lands(one, *point), to) for point, to in zip(POINTS, wanted, strict=True))
        for one in found
    ]
    assert min(misses) < 0.02
    assert found[0].speed == speed
    assert math.isclose((found[0].marked_time(1.0) - speed - offset + 2) % 4, 2, abs_tol=1e-6)


@pytest.mark.parametrize("clip", [(1280, 720), (640, 360), (854, 480), (640, 480), (320, 720)])
def test_a_resized_clip_shows_the_whole_frame(clip: tuple[int, int]) -> None:
    """At any aspect, also mirrored: then its pattern begins where the marked frame ends."""
    aspect, shown = 1280 / 720, (clip[0] / min(clip), clip[1] / min(clip))
    scale = math.sqrt(shown[0] * shown[1] / aspect)
    assert framings(Geometry(scale=scale), MARKED, clip) == (WHOLE,)
    flipped = Geometry(scale=scale, mirrored=True, shift=(-aspect % 0.5, 0.0))
    assert framings(flipped, MARKED, clip) == (MIRRORED,)
    assert lands(MIRRORED, 100, 80) == pytest.approx((1 - 100 / 1280, 80 / 720))


def test_upright_undoes_a_turn_and_a_mirror() -> None:
    for geometry in (Geometry(rotation=90.0), Geometry(rotation=7.0, mirrored=True), Geometry(scale=1.4)):
        framing = framings(geometry, MARKED, MARKED)[0]
        change, size = upright(framing, MARKED, MARKED)
        placed = framing.after(change).pixels(MARKED, size)[:, :2]
        assert placed == pytest.approx(np.eye(2) * placed[0, 0], abs=0.02)
        assert placed[0, 0] > 0
