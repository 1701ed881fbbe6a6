"""The full search for scaled, stretched and mirrored patterns: the template's points in a power spectrum."""

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.lattice import TEMPLATE_POINTS, Lattice
from watermark.sync import ASPECTS, FRAMES_SEARCHED, FULL_SEARCH_WINDOWS, SCALES, FrameGeometry
from watermark.windows import LINES, Plane

PADDING = 2
CLIP_POWER = 8.0  # one bright peak of the picture must not outweigh 48 points
NEIGHBOURHOOD = 31  # bins
REFINE = np.linspace(-0.01, 0.01, 9)
_MIN_DISTANCE = 0.02

Power = NDArray[np.float32]


def frames(windows: Plane, design: Lattice) -> list[FrameGeometry]:
    """The `FRAMES_SEARCHED` likeliest geometries for mean-free windows ``float32[n, h, w]``."""
    power = whitened_power(windows)
    scale = np.repeat(SCALES, len(ASPECTS))
    stretch = np.sqrt(np.tile(ASPECTS, len(SCALES)))
    hypotheses = np.stack([scale * stretch, scale / stretch], axis=1)
    found: list[tuple[float, FrameGeometry]] = []
    for mirrored in (False, True):
        scores = score(power, design, hypotheses, mirrored=mirrored)
        for index in _distinct(hypotheses, scores):
            found.append(_refine(power, design, hypotheses[index], mirrored=mirrored))
    found.sort(key=lambda pair: -pair[0])
    return [frame for _, frame in found[:FRAMES_SEARCHED]]


def whitened_power(windows: Plane) -> Power:
    """Mean power spectrum ``float32[fy, fx]`` (half plane in x), each bin over its neighbourhood's mean."""
    count, height, width = windows.shape
    size = (PADDING * 256 * -(-height // 256), PADDING * 256 * -(-width // 256))
    taper = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    step = max(1, count // FULL_SEARCH_WINDOWS)
    power = np.zeros((size[0], size[1] // 2 + 1), dtype=np.float32)
    for window in windows[::step]:
        power += np.abs(np.fft.rfft2(window * taper, s=size)) ** 2
    around = cv2.blur(power, (NEIGHBOURHOOD, NEIGHBOURHOOD), borderType=cv2.BORDER_REFLECT)
    whitened: Power = np.minimum(power / (around + 1e-9), CLIP_POWER).astype(np.float32)
    return whitened


def score(
    power: Power, design: Lattice, hypotheses: NDArray[np.float64], *, mirrored: bool
) -> NDArray[np.float64]:
    """Mean whitened power at the template's points under each (scale_x, scale_y) of ``float64[n, 2]``."""
    kx, ky = design.points[:TEMPLATE_POINTS].T.astype(np.float64)
    rows, columns = power.shape
    fx = (-kx if mirrored else kx) * 2 / LINES * 2 * (columns - 1) / hypotheses[:, :1]
    fy = ky * 2 / LINES * rows / hypotheses[:, 1:]
    # A real picture's spectrum is symmetric: fold the left half plane onto the right.
    fy = np.where(fx < 0, -fy, fy) % rows
    fx = np.minimum(np.abs(fx), columns - 2)
    x, y = np.floor(fx).astype(int), np.floor(fy).astype(int) % rows
    u, v = fx - x, fy - np.floor(fy)
    below = (y + 1) % rows
    top = power[y, x] * (1 - u) + power[y, x + 1] * u
    bottom = power[below, x] * (1 - u) + power[below, x + 1] * u
    mean: NDArray[np.float64] = (top * (1 - v) + bottom * v).mean(axis=1)
    return mean


def _distinct(hypotheses: NDArray[np.float64], scores: NDArray[np.float64]) -> list[int]:
    """The best few hypotheses that are not neighbours of a better one."""
    chosen: list[int] = []
    for index in np.argsort(scores)[::-1][:200]:
        apart = [np.abs(np.log(hypotheses[index] / hypotheses[other])).max() for other in chosen]
        if all(distance > _MIN_DISTANCE for distance in apart):
            chosen.append(int(index))
        if len(chosen) == FRAMES_SEARCHED:
            break
    return chosen


def _refine(
    power: Power, design: Lattice, start: NDArray[np.float64], *, mirrored: bool
) -> tuple[float, FrameGeometry]:
    """Climb to the best scale per axis: steps of 0.25 %, then of 0.06 %."""
    best = start
    for zoom in (1.0, 0.25):
        x, y = np.meshgrid(1 + zoom * REFINE, 1 + zoom * REFINE)
        near = best * np.stack([x.ravel(), y.ravel()], axis=1)
        scores = score(power, design, near, mirrored=mirrored)
        best = near[int(np.argmax(scores))]
    frame = FrameGeometry(scale_x=float(best[0]), scale_y=float(best[1]), mirrored=mirrored)
    return float(scores.max()), frame
