"""Time hypotheses: which state of the carrier shows in which window of a clip."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark.carrier import FADE_SECONDS
from watermark.lattice import PERIOD_SECONDS, STATE_SECONDS, STATES
from watermark.windows import WINDOW_SECONDS

SAMPLES = 8  # per window, for the mean share of each state in it

OTHER_SPEEDS = np.exp(np.concatenate([np.arange(-10, 0), np.arange(1, 11)]) * 0.04)  # 0.67 to 1.49
SPEEDS = np.concatenate([[1.0], OTHER_SPEEDS])

Clocks = NDArray[np.float64]
Weights = NDArray[np.float32]


class Clock(NamedTuple):
    """Time when marked = `speed` × time in the clip + `offset`, in seconds, modulo the carrier's period."""

    speed: float = 1.0
    offset: float = 0.0


AS_MARKED = Clock()


def grid(speeds: NDArray[np.float64], step: float) -> Clocks:
    """All clocks ``float64[c, 2]`` of these speeds with offsets `step` seconds apart over the period."""
    offsets = np.arange(round(PERIOD_SECONDS / step)) * step
    return np.stack([np.repeat(speeds, len(offsets)), np.tile(offsets, len(speeds))], axis=1)


def shares(times: NDArray[np.float64], clocks: Clocks) -> Weights:
    """Mean amplitude ``float32[c, 8, n]`` of each state in the windows at `times`, fades and all.

    `times` are the windows' middles in seconds, `clocks` ``float64[c, 2]`` of (speed, offset).
    """
    inside = (np.arange(SAMPLES) + 0.5) / SAMPLES * WINDOW_SECONDS - WINDOW_SECONDS / 2
    when = (times[:, None] + inside).ravel()
    position = ((clocks[:, :1] * when + clocks[:, 1:]) % PERIOD_SECONDS) / STATE_SECONDS
    state = np.minimum(position.astype(int), STATES - 1)
    faded = np.maximum(0.0, (position - state - 1) * STATE_SECONDS + FADE_SECONDS) / FADE_SECONDS
    weights = np.zeros((len(clocks), STATES, len(when)), dtype=np.float32)
    rows, columns = np.ogrid[: len(clocks), : len(when)]
    weights[rows, state, columns] = np.cos(faded * np.pi / 2)
    weights[rows, (state + 1) % STATES, columns] = np.sin(faded * np.pi / 2)
    mean: Weights = weights.reshape(len(clocks), STATES, len(times), SAMPLES).mean(axis=3)
    return mean
