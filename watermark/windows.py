"""Frames become quarter-second windows of equalised luma: all that the detector keeps of a clip."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Luma, TimedLuma
from watermark.resample import shrink

LINES = 256  # short side at which detection works: the ring ends at 52 cycles, well under 128
WINDOW_SECONDS = 0.25
BLOCK_SECONDS = 12.0  # three periods of the carrier
LOCAL_PIXELS = 15
CLIP_DEVIATIONS = 3.0
DEVIATION_FLOOR = 1.0  # grey levels: noise on flat walls is not blown up without limit
MAX_ASPECT = 8.0  # of a sliver's long side no more is looked at, so that its planes stay small
MAX_WINDOWS = 96  # a block has 48; only times that jump back and forth bring more

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Up to 12 s of a clip: window sums ``float32[n, h, w]``, their middle times (s), the frame count."""

    windows: Plane
    times: NDArray[np.float64]
    frames: int
    end: float

    @property
    def start(self) -> float:
        """Start of the first window, in seconds."""
        return float(self.times[0]) - WINDOW_SECONDS / 2


def blocks(frames: Iterable[TimedLuma]) -> Iterator[Block]:
    """Split a clip into blocks; memory stays that of one block."""
    sums: list[Plane] = []
    times: list[float] = []
    current, first, count, last = None, 0.0, 0, 0.0
    for time, luma in frames:
        window = int(time / WINDOW_SECONDS)
        over = time - first >= BLOCK_SECONDS and window != current
        if sums and (over or len(sums) >= MAX_WINDOWS):
            yield _block(sums, times, count, last)
            sums, times, count = [], [], 0
        plane = equalise(luma)
        if sums and window == current and plane.shape == sums[-1].shape:
            sums[-1] += plane
        else:
            first = time if not sums else first
            sums.append(plane)
            times.append((window + 0.5) * WINDOW_SECONDS)
            current = window
        count, last = count + 1, time
    if sums:
        yield _block(sums, times, count, last)


def _block(sums: list[Plane], times: list[float], frames: int, end: float) -> Block:
    same = [index for index, plane in enumerate(sums) if plane.shape == sums[0].shape]
    stack = np.stack([sums[index] for index in same])
    stack /= np.maximum(stack.std(axis=(1, 2), keepdims=True), 1e-6)
    return Block(windows=stack, times=np.array(times)[same], frames=frames, end=end)


def equalise(luma: Luma) -> Plane:
    """``float32[h', w']`` at 256 lines: high-pass, divided by the local deviation, clipped at ±3."""
    longest = int(MAX_ASPECT * min(luma.shape))
    luma = luma[:longest, :longest]
    height, width = luma.shape
    scale = LINES / min(height, width)
    size = (round(width * scale), round(height * scale))
    small = shrink(luma, *size).astype(np.float32)
    small -= cv2.blur(small, (LOCAL_PIXELS, LOCAL_PIXELS))
    power = np.maximum(cv2.blur(small * small, (LOCAL_PIXELS, LOCAL_PIXELS)), 0.0)
    deviation = np.sqrt(power) + np.float32(DEVIATION_FLOOR)
    plane: Plane = np.clip(small / deviation, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
    return plane
