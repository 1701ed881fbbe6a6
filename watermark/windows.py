"""Frames become quarter-second windows of quieted planes: all that the detector keeps of a clip.

1. Each frame loses what is smooth: the mean over a few pixels of luma, over more of colour, since the pattern
   there is low itself. Luma is divided by its local deviation, so that busy places do not drown the others.
2. A plane of colour loses what its frame's luma and other plane of colour explain in each square: edges are
   in all three, the patterns are not.
3. In each square the windows are made independent of each other, which takes off what stands still or moves
   slowly; the carrier stays, because it moves.
4. Where it is still loud it is divided by the deviation there, of all windows, and clipped.

Figures are in docs/adr/0039-registration.md and 0040-hidden-mark-in-colour.md.
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
LUMA_PIXELS, CHROMA_PIXELS = 5, 17  # of a frame: mean and deviation
RESIDUAL_PIXELS = 17  # of the windows: deviation
SQUARE = 32  # pixels of the squares in which windows are made independent
EXPLAINED_SQUARE = 16  # and of those in which a plane of colour is explained by the others
RIDGE, EXPLAINED_RIDGE = 0.03, 0.01  # of the mean power: how little is left
WHITENING = 0.65  # exponent of the windows' covariance that is taken off
CLIP_DEVIATIONS = 3.0
DEVIATION_FLOOR = 0.5  # grey levels: noise on flat walls is not blown up without limit
RESIDUAL_FLOOR = 1e-3  # of a window's deviation
MAX_ASPECT = 4.0  # of a sliver's long side no more is looked at, so that its planes stay small
MAX_WINDOWS = 56  # a block has 48; only times that jump back and forth bring more
SQUARES_AT_ONCE = 32  # so that making windows independent needs no second copy of them

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
    """Luma; and where there is colour U, V and luma at their size."""
    luma = _shrunk(picture.y, LINES)
    luma -= _mean(luma, LUMA_PIXELS)
    luma /= _deviation(luma, LUMA_PIXELS) + np.float32(DEVIATION_FLOOR)
    np.clip(luma, -CLIP_DEVIATIONS, CLIP_DEVIATIONS, out=luma)
    if picture.u is None or picture.v is None:
        return [luma]
    colour = [_shrunk(plane, CHROMA_LINES) for plane in (picture.u, picture.v)]
    size = colour[0].shape[::-1]
    colour.append(shrink(_looked_at(picture.y), *size).astype(np.float32))
    return [luma, *(plane - _mean(plane, CHROMA_PIXELS) for plane in colour)]


def _shrunk(samples: Luma, lines: int) -> Plane:
    samples = _looked_at(samples)
    height, width = samples.shape
    scale = lines / min(height, width)
    return shrink(samples, round(width * scale), round(height * scale)).astype(np.float32)


def _looked_at(samples: Luma) -> Luma:
    longest = int(MAX_ASPECT * min(samples.shape))
    return samples[:longest, :longest]


def _alike(one: list[Plane], other: list[Plane]) -> bool:
    return [plane.shape for plane in one] == [plane.shape for plane in other]


def _block(sums: list[list[Plane]], times: list[float], frames: int, end: float) -> Block:
    """The block of these sums, which are used up: no second copy lives on while the block is looked at."""
    same = [index for index, planes in enumerate(sums) if _alike(planes, sums[0])]
    luma, *colour = (np.stack([sums[index][part] for index in same]) for part in range(len(sums[0])))
    sums.clear()
    return Block(
        windows=quieted(luma),
        chroma=np.stack([quieted(plane) for plane in unexplained(*colour)]) if colour else None,
        times=np.array(times)[same],
        frames=frames,
        end=end,
    )


def unexplained(u: Plane, v: Plane, luma: Plane) -> tuple[Plane, Plane]:
    """Of windows ``float32[n, h, w]`` of U and V what the two other planes do not explain, square by square.

    A linear prediction by least squares, as codecs predict colour from luma (cross-component linear model,
    ITU-T H.266 clause 8.4.5.2.14).
    """
    parts = [_squares(plane, EXPLAINED_SQUARE) for plane in (u, v, luma)]
    left = (_residual(parts[0], parts[2], parts[1]), _residual(parts[1], parts[2], parts[0]))
    first, second = (_whole(part, u.shape, EXPLAINED_SQUARE) for part in left)
    return first, second


def _residual(target: Plane, first: Plane, second: Plane) -> Plane:
    """``float32[k, n, p]`` less its best combination of two others in each of ``[k, n]``."""
    pairs = (first, first), (second, second), (first, second)
    aa, bb, ab = (np.einsum("knp,knp->kn", x, y) for x, y in pairs)
    at, bt = (np.einsum("knp,knp->kn", x, target) for x in (first, second))
    ridge = EXPLAINED_RIDGE * (aa + bb) + np.float32(1e-6)
    aa, bb = aa + ridge, bb + ridge
    determinant = aa * bb - ab * ab
    one, two = (at * bb - bt * ab) / determinant, (bt * aa - at * ab) / determinant
    left: Plane = target - one[..., None] * first - two[..., None] * second
    return left


def quieted(stack: Plane) -> Plane:
    """Window sums ``float32[n, h, w]``, changed in place: independent in squares, then of even deviation."""
    stack /= np.maximum(stack.std(axis=(1, 2), keepdims=True), 1e-6)
    squares = _squares(stack, SQUARE)
    for start in range(0, len(squares), SQUARES_AT_ONCE):
        part = squares[start : start + SQUARES_AT_ONCE]
        part[:] = _independent(part @ part.transpose(0, 2, 1) / np.float32(SQUARE**2)) @ part
    stack[:] = _whole(squares, stack.shape, SQUARE)
    # One level for all windows: what a codec changed little in says little, and is not to be blown up.
    power = np.einsum("nhw,nhw->hw", stack, stack) / len(stack)
    stack /= np.sqrt(np.maximum(_mean(power, RESIDUAL_PIXELS), 0.0)) + np.float32(RESIDUAL_FLOOR)
    np.clip(stack, -CLIP_DEVIATIONS, CLIP_DEVIATIONS, out=stack)
    return stack


def _independent(covariances: Plane) -> Plane:
    """C^(−0.65) ``float32[k, n, n]`` of covariances with a ridge: what makes windows unlike in time.

    What moves slowly is alike in many windows and would speak once for each of them. An exponent of −½ would
    leave them equally strong; a little more, and what common movement is left is quieter than the rest.
    """
    values, vectors = np.linalg.eigh(covariances.astype(np.float64))
    values = np.maximum(values, 0)
    values += RIDGE * np.maximum(values.mean(axis=1, keepdims=True), 1e-6)
    scaled = vectors * (values**-WHITENING)[:, None, :]
    return np.asarray(scaled @ vectors.transpose(0, 2, 1), np.float32)


def _squares(stack: Plane, side: int) -> Plane:
    """``float32[n, h, w]`` cut into ``float32[k, n, side²]``, filled up with zeros."""
    count, height, width = stack.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.zeros((count, rows * side, columns * side), dtype=np.float32)
    padded[:, :height, :width] = stack
    cut = padded.reshape(count, rows, side, columns, side).transpose(1, 3, 0, 2, 4)
    return cut.reshape(rows * columns, count, side * side)


def _whole(squares: Plane, shape: tuple[int, ...], side: int) -> Plane:
    """What `_squares` cut, together again."""
    count, height, width = shape
    rows, columns = -(-height // side), -(-width // side)
    laid = squares.reshape(rows, columns, count, side, side).transpose(2, 0, 3, 1, 4)
    whole: Plane = laid.reshape(count, rows * side, columns * side)[:, :height, :width]
    return whole


def _mean(plane: Plane, pixels: int) -> Plane:
    return np.asarray(cv2.blur(plane, (pixels, pixels)), np.float32)


def _deviation(plane: Plane, pixels: int) -> Plane:
    power = cv2.blur(plane * plane, (pixels, pixels))
    deviation: Plane = np.sqrt(np.maximum(power, 0.0))  # the blur's running sums can fall below 0
    return deviation
