"""Cases that once went wrong: spliced releases, touched geometry, sparse frames, the presence count."""

import time

import cv2
import pytest

from watermark import search
from watermark.base import Geometry
from watermark.detector import QUICK_PLACEMENTS, HiddenMarkDetector, presence_log10_chance


@pytest.mark.parametrize("flip", [0xFF, 0x0ABCDEF012345678, 0x0F0F0F0F0F0F0F0F])
def test_the_span_does_not_run_into_another_release(film, mark, key, payload, flip):
    first = list(mark(film(12, 160, 120), key, payload))
    second = [f._replace(time=f.time + 12) for f in mark(film(12, 160, 120, 1), key, payload ^ flip)]
    found = HiddenMarkDetector([key]).detect(first + second)
    assert found.payload == payload
    assert found.span == pytest.approx((0.0, 12 - 1 / 12))


def test_a_plain_resize_counts_as_untouched(film, mark, changed, key, payload):
    def smaller(part):
        size = part.shape[1] * 2 // 3, part.shape[0] * 2 // 3
        return cv2.resize(part, size, interpolation=cv2.INTER_AREA)

    frames = changed(mark(film(), key, payload), smaller)
    geometry = HiddenMarkDetector([key]).detect(frames).geometry
    assert geometry is not None
    assert geometry.untouched
    assert Geometry(shift=(0.498046875, 0.0)).untouched
    assert not Geometry(shift=(0.25, 0.0)).untouched


def test_single_frames_far_apart_cost_nothing(film, key):
    frames = [f._replace(time=30.0 * i) for i, f in enumerate(film(4))]
    before = time.process_time()
    found = HiddenMarkDetector([key]).detect(frames)
    assert time.process_time() - before < 2
    assert (found.blocks, found.searched) == (48, 0)


def test_what_is_searched_is_counted(film, mark, key, payload):
    frames = [f._replace(time=f.time if f.time < 1 else f.time + 11) for f in film(1.25, 160, 120)]
    found = HiddenMarkDetector([key]).detect(frames)
    assert (found.payload, found.blocks, found.searched) == (None, 2, 1)  # a window is left at the end
    found = HiddenMarkDetector([key]).detect(film(0.25))
    assert (found.payload, found.blocks, found.searched) == (None, 1, 0)
    found = HiddenMarkDetector([key]).detect(mark(film(13), key, payload))
    assert (found.payload, found.blocks, found.searched) == (payload, 2, 1)


def test_presence_pays_for_exactly_the_places_compared():
    # 32 offsets at the right speed, 16 at each of 20 others, in both mirrors.
    assert QUICK_PLACEMENTS == 2 * (32 + 20 * 16) * 256**2
    # Three corners relative to the first, 21 × 5 speeds, 80 offsets of 0.05 s, and the shifts.
    assert search.PLACEMENTS == (2 * 64 * 128 + 1) ** 6 * 105 * 80 * 256**2
    assert presence_log10_chance(7.1, QUICK_PLACEMENTS) <= -9
    assert (
        presence_log10_chance(10.5, search.PLACEMENTS) <= -9 < presence_log10_chance(10.2, search.PLACEMENTS)
    )
