import numpy as np
import pytest

from watermark.keys import DetectionKey
from watermark.survey import agreement


def test_no_frames_agree_with_nothing(key, payload):
    assert agreement([], key, payload) == 0.0


def test_one_frame_says_something(marked, grey, key, payload):
    assert agreement(marked[:1], key, payload) > 6
    assert agreement(grey(marked[:1]), key, payload) > 3


def test_the_right_payload_stands_out(marked, key, payload):
    assert agreement(marked, key, payload) > 30
    assert agreement(marked, key, payload ^ 0xFF00FF00FF00FF) < 15
    assert abs(agreement(marked, DetectionKey(epoch=0, secret=b"\x01" * 32), payload)) < 4


def test_unmarked_frames_do_not_agree(unmarked, key, payload):
    assert abs(agreement(unmarked, key, payload)) < 4


def test_stronger_and_longer_say_more(film, mark, key, payload):
    def measured(seconds: float, psnr: float) -> float:
        return agreement(mark(film(seconds, 160, 120), key, payload, psnr), key, payload)

    assert measured(4, 54.0) < measured(4, 48.0)
    assert measured(2, 54.0) < measured(4, 54.0)


def test_only_the_first_block_is_read(marked, key, payload):
    def frames():
        yield from marked
        yield marked[0]._replace(time=13.0)
        raise AssertionError("frames after the first block were asked for")

    assert agreement(frames(), key, payload) == pytest.approx(agreement(marked, key, payload))


def test_each_plane_adds_to_it(marked, grey, key, payload):
    luma = agreement(grey(marked), key, payload)
    colour = agreement([f._replace(y=np.full_like(f.y, 90)) for f in marked], key, payload)
    both = agreement(marked, key, payload)
    assert min(luma, colour) > 20
    assert both > 0.9 * max(luma, colour)
