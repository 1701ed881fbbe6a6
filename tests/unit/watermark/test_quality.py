import math

import numpy as np
import pytest

from watermark.quality import psnr, squared_error


def test_equal_planes_have_no_error():
    plane = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert squared_error(plane, plane) == 0.0
    assert psnr(0.0) == math.inf


def test_the_largest_difference_does_not_wrap():
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert squared_error(black, white) == squared_error(white, black) == 255.0**2
    assert psnr(255.0**2) == 0.0


@pytest.mark.parametrize(("error", "decibels"), [(1.0, 48.1308), (2.589, 43.9996), (0.25, 54.1514)])
def test_known_values(error, decibels):
    assert psnr(error) == pytest.approx(decibels, abs=1e-3)


def test_a_single_grey_level():
    plane = np.full((10, 10), 7, np.uint8)
    changed = plane.copy()
    changed[0, 0] = 12
    assert squared_error(plane, changed) == pytest.approx(25 / 100)
