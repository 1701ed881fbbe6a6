"""How far a marked frame is from its original."""

import math

import numpy as np

from watermark.base import Luma

PEAK = 255.0


def squared_error(original: Luma, changed: Luma) -> float:
    """Mean squared error of two luma planes ``uint8[h, w]``, in grey levels squared."""
    difference = original.astype(np.int16) - changed
    return float(np.mean(np.square(difference, dtype=np.int32)))


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error over one or many frames; inf for none."""
    return math.inf if mean_squared_error == 0 else 10 * math.log10(PEAK**2 / mean_squared_error)
