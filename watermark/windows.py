"""Frames become quarter-second windows of equalised planes: all that the detector keeps of a clip.

Twice what is loud is made quiet: in each frame, where the picture is busy, and in each window once the still
part of the scene is off, where it moves. In luma both with a very local mean taken off first: what codecs
leave of a picture is strongest at low frequencies, and a clip of three deviations should not be spent on them
(docs/adr/0039-registration.md has the figures). The pattern in the colour planes is low itself, so the mean
is taken over more there, and what moves is made quiet square by square: colour changes where things move, and
nowhere else (docs/adr/0040-hidden-mark-in-colour.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Luma, Picture
from watermark.resample import shrink

LINES = 256  # short side at which luma is looked at: the ring ends at 52 cycles, well under 128
CHROMA_LINES = 128  # and colour: its ring ends at 18
WINDOW_SECONDS = 0.25
BLOCK_SECONDS = 12.0  # three periods of the carrier
LOCAL_PIXELS = 5  # of a frame: mean and deviation
RESIDUAL_PIXELS = 7  # of a window without its still part: deviation
CHROMA_PIXELS = 17  # the same two of the colour planes
SQUARE = 32  # pixels of the squares in which colour is made quiet over time
CLIP_DEVIATIONS = 3.0
DEVIATION_FLOOR = 0.5  # grey levels: noise on flat walls is not blown up without limit
RESIDUAL_FLOOR = 0.1  # of a window's deviation
RIDGE = 0.3  # of the mean: how little of the windows' common movement is left
CHROMA_RIDGE = 0.03
MAX_ASPECT = 4.0  # of a sliver's long side no more is looked at, so that its planes stay small
MAX_WINDOWS = 56  # a block has 48; only times that jump back and forth bring more
PIXELS_AT_ONCE = 1 << 15  # so that making windows independent needs no second copy of them

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Up to 12 s of a clip: equalised windows without what stands still, and where they lie in time.

    ``windows`` float32[n, h, w] of luma, ``chroma`` float32[2, n, h', w'] of U and V or None, ``times``
    float64[n]: their middles in seconds, ``frames``: how many.
    """

    windows: Plane
    chroma: Plane | None
    times: NDArray[np.float64]
    frames: int
    end: float

    @property
    def start(self) -> float:
        """Start of the first window, in seconds."""
        return float(self.times[0]) - WINDOW_SECONDS / 2

    @property
    def aspect(self) -> tuple[float, float]:
        """Width and height in short sides."""
        height, width = self.windows.shape[1:]
        return width / LINES, height / LINES


def blocks(frames: Iterable[Picture]) -> Iterator[Block]:
    """Split a clip into blocks; memory stays that of one block."""
    sums: list[list[Plane]] = []
    times: list[float] = []
    current, first, count, last = None, 0.0, 0, 0.0
    for picture in frames:
        time, window = picture.time, int(picture.time / WINDOW_SECONDS)
        over = time - first >= BLOCK_SECONDS and window != current
        if sums and (over or len(sums) >= MAX_WINDOWS):
            yield _block(sums, times, count, last)
            times, count = [], 0
        planes = _planes(picture)
        if sums and window == current and _alike(planes, sums[-1]):
            for total, plane in zip(sums[-1], planes, strict=True):
                total += plane
        else:
            first = time if not sums else first
            sums.append(planes)
            times.append((window + 0.5) * WINDOW_SECONDS)
            current = window
        count, last = count + 1, time
    if sums:
        yield _block(sums, times, count, last)


def _planes(picture: Picture) -> list[Plane]:
    planes = [equalise(picture.y, LINES, LOCAL_PIXELS)]
    if picture.u is not None and picture.v is not None:
        planes += [equalise(plane, CHROMA_LINES, CHROMA_PIXELS) for plane in (picture.u, picture.v)]
    return planes


def _alike(one: list[Plane], other: list[Plane]) -> bool:
    return [plane.shape for plane in one] == [plane.shape for plane in other]


def _block(sums: list[list[Plane]], times: list[float], frames: int, end: float) -> Block:
    """The block of these sums, which are used up: no second copy lives on while the block is looked at."""
    same = [index for index, planes in enumerate(sums) if _alike(planes, sums[0])]
    luma = np.stack([sums[index][0] for index in same])
    coloured = len(sums[0]) > 1
    colour = np.stack([[sums[index][part] for index in same] for part in (1, 2)]) if coloured else None
    sums.clear()
    if colour is not None:
        for plane in colour:
            quieted(plane)
    return Block(windows=residuals(luma), chroma=colour, times=np.array(times)[same], frames=frames, end=end)


def residuals(stack: Plane) -> Plane:
    """Window sums ``float32[n, h, w]``, changed in place: the mean over time off, equalised again.

    The still part of the scene goes; the carrier stays, because it moves.
    """
    stack /= np.maximum(stack.std(axis=(1, 2), keepdims=True), 1e-6)
    stack -= stack.mean(axis=0)
    for plane in stack:
        plane /= _deviation(plane, RESIDUAL_PIXELS) + np.float32(RESIDUAL_FLOOR)
        np.clip(plane, -CLIP_DEVIATIONS, CLIP_DEVIATIONS, out=plane)
    flat = stack.reshape(len(stack), -1)
    mixing = _independent((flat @ flat.T)[None].astype(np.float64) / flat.shape[1], RIDGE)[0]
    for start in range(0, flat.shape[1], PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        flat[:, part] = mixing @ flat[:, part]
    return stack


def quieted(stack: Plane) -> Plane:
    """Window sums ``float32[n, h, w]`` of a colour plane, changed in place: independent in each square."""
    count, height, width = stack.shape
    stack /= np.maximum(stack.std(axis=(1, 2), keepdims=True), 1e-6)
    rows, columns = -(-height // SQUARE), -(-width // SQUARE)
    padded = np.zeros((count, rows * SQUARE, columns * SQUARE), dtype=np.float32)
    padded[:, :height, :width] = stack
    squares = padded.reshape(count, rows, SQUARE, columns, SQUARE).transpose(1, 3, 0, 2, 4)
    squares = squares.reshape(rows * columns, count, SQUARE * SQUARE)
    mixing = _independent((squares @ squares.transpose(0, 2, 1)).astype(np.float64) / SQUARE**2, CHROMA_RIDGE)
    squares = (mixing @ squares).reshape(rows, columns, count, SQUARE, SQUARE).transpose(2, 0, 3, 1, 4)
    stack[:] = squares.reshape(padded.shape)[:, :height, :width]
    for plane in stack:
        plane /= _deviation(plane, CHROMA_PIXELS) + np.float32(1e-3)
        np.clip(plane, -CLIP_DEVIATIONS, CLIP_DEVIATIONS, out=plane)
    return stack


def _independent(covariance: NDArray[np.float64], ridge: float) -> Plane:
    """C^(−½) ``float32[k, n, n]`` of covariances with a ridge: what makes windows unlike each other in time.

    What moves slowly is alike in many windows and would speak once for each of them.
    """
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)
    values += ridge * np.maximum(values.mean(axis=1, keepdims=True), 1e-6 * values.mean() + 1e-12)
    scaled = vectors / np.sqrt(values)[:, None, :]
    return (scaled @ vectors.transpose(0, 2, 1)).astype(np.float32)


def _deviation(plane: Plane, pixels: int) -> Plane:
    power = cv2.blur(plane * plane, (pixels, pixels))
    deviation: Plane = np.sqrt(np.maximum(power, 0.0))  # the blur's running sums can fall below 0
    return deviation


def equalise(samples: Luma, lines: int = LINES, local: int = LOCAL_PIXELS) -> Plane:
    """``float32[h', w']`` at `lines` lines: high-pass, divided by the local deviation, clipped at ±3."""
    longest = int(MAX_ASPECT * min(samples.shape))
    samples = samples[:longest, :longest]
    height, width = samples.shape
    scale = lines / min(height, width)
    small = shrink(samples, round(width * scale), round(height * scale)).astype(np.float32)
    small -= cv2.blur(small, (local, local))
    small /= _deviation(small, local) + np.float32(DEVIATION_FLOOR)
    plane: Plane = np.clip(small, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
    return plane
