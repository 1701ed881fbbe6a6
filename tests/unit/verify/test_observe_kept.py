"""What a verification keeps of a clip's first seconds."""

import numpy as np

from pipeline.verify.observe import COLOUR_LINES, KEPT_INTERVAL, KEPT_LINES, KEPT_SECONDS, Kept
from watermark.base import Picture

Y, U = np.full((720, 1280), 90, np.uint8), np.full((360, 640), 120, np.uint8)


def test_small_copies_now_and_then_of_the_first_seconds() -> None:
    kept = Kept()
    for index in range(20 * 60):
        kept.take(Picture(index / 60, Y, U, U))
    times = np.array([frame.time for frame in kept.frames])
    assert times[0] == 0
    assert times[-1] <= KEPT_SECONDS
    assert np.diff(times).min() >= KEPT_INTERVAL
    assert len(kept.colours) == len(kept.frames)
    assert kept.frames[0].luma.shape[0] == KEPT_LINES
    assert kept.colours[0][1].shape[0] == COLOUR_LINES


def test_a_clip_that_is_grey_here_and_there_has_no_colours() -> None:
    kept = Kept()
    for index, colour in enumerate([(U, U), (None, None), (U, U)]):
        kept.take(Picture(float(index), Y, *colour))
    assert len(kept.frames) == 3
    assert kept.colours == ()
