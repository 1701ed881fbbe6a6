"""Frames become quarter-second windows of equalised luma: all that the detector keeps of a clip.

Twice what is loud is made quiet: in each frame, where the picture is busy, and in each window once the still
part of the scene is off, where it moves. Both with a very local mean taken off first: what codecs leave of a
picture is strongest at low frequencies, and a clip of three deviations should not be spent on them
(docs/adr/0039-registration.md has the figures).
"""

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
LOCAL_PIXELS = 5  # of a frame: mean and deviation
RESIDUAL_PIXELS = 7  # of a window without its still part: deviation
CLIP_DEVIATIONS = 3.0
DEVIATION_FLOOR = 0.5  # grey levels: noise on flat walls is not blown up without limit
RESIDUAL_FLOOR = 0.1  # of a window's deviation
RIDGE = 0.3  # of the mean: how little of the windows' common movement is left
MAX_ASPECT = 4.0  # of a sliver's long side no more is looked at, so that its planes stay small
MAX_WINDOWS = 56  # a block has 48; only times that jump back and forth bring more
PIXELS_AT_ONCE = 1 << 15  # so that making windows independent needs no second copy of them

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Up to 12 s of a clip: equalised windows without what stands still, and where they lie in time.

    ``windows`` float32[n, h, w], ``times`` float64[n]: their middles in seconds, ``frames``: how many.
    """

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
            times, count = [], 0
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
    """The block of these sums, which are used up: no second copy lives on while the block is looked at."""
    same = [index for index, plane in enumerate(sums) if plane.shape == sums[0].shape]
    stack = np.stack([sums[index] for index in same])
    sums.clear()
    return Block(windows=residuals(stack), times=np.array(times)[same], frames=frames, end=end)


def residuals(stack: Plane) -> Plane:
    """Window sums ``float32[n, h, w]``, changed in place: the mean over time off, equalised again.

    The still part of the scene goes; the carrier stays, because it moves.
    """
    stack /= np.maximum(stack.std(axis=(1, 2), keepdims=True), 1e-6)
    stack -= stack.mean(axis=0)
    for plane in stack:
        plane /= _deviation(plane, RESIDUAL_PIXELS) + np.float32(RESIDUAL_FLOOR)
        np.clip(plane, -CLIP_DEVIATIONS, CLIP_DEVIATIONS, out=plane)
    return _independent(stack)


def _independent(stack: Plane) -> Plane:
    """Windows whose likeness in time is taken off: C^(−½) of them, with C their covariance and a ridge.

    What moves slowly is alike in many windows and would speak once for each of them.
    """
    flat = stack.reshape(len(stack), -1)
    covariance = (flat @ flat.T).astype(np.float64) / flat.shape[1]
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + RIDGE * max(float(values.mean()), 1e-12)
    mixing = ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)
    for start in range(0, flat.shape[1], PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        flat[:, part] = mixing @ flat[:, part]
    return stack


def _deviation(plane: Plane, pixels: int) -> Plane:
    power = cv2.blur(plane * plane, (pixels, pixels))
    deviation: Plane = np.sqrt(np.maximum(power, 0.0))  # the blur's running sums can fall below 0
    return deviation


def equalise(luma: Luma) -> Plane:
    """``float32[h', w']`` at 256 lines: high-pass, divided by the local deviation, clipped at ±3."""
    longest = int(MAX_ASPECT * min(luma.shape))
    luma = luma[:longest, :longest]
    height, width = luma.shape
    scale = LINES / min(height, width)
    size = (round(width * scale), round(height * scale))
    small = shrink(luma, *size).astype(np.float32)
    small -= cv2.blur(small, (LOCAL_PIXELS, LOCAL_PIXELS))
    small /= _deviation(small, LOCAL_PIXELS) + np.float32(DEVIATION_FLOOR)
    plane: Plane = np.clip(small, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
    return plane
