"""How a clip lies on a release that it may show, without a mark that says so: by the pictures alone.

1. A place to begin with comes from the keys: which part of the query looked like which part of the release.
2. It is improved by the enhanced correlation coefficient (Evangelidis and Psarakis 2008, OpenCV): an affine
   map of one moment of the clip onto one of the release, first of blurred luma, then of structure.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.credentials.moments import Moment, Moments
from pipeline.verify.laying import Field, Matrix, Sides, back
from pipeline.verify.similar_keys import Window, whole
from pipeline.verify.structure import equalised

COARSE: Final = (40, 1e-4, 7)  # rounds, least gain, blur in cells
FINE: Final = (30, 1e-4, 3)
MOST_STRETCH: Final = 2.0  # of a place that was found against the one it began with


def place_of(clip: Sides, part: Window, release: Sides, window: Window, *, mirrored: bool) -> Matrix:
    """The place at which a part of the clip's picture lies on a window of the release's."""
    scale = [
        (window[axis + 2] - window[axis]) * release[axis] / (part[axis + 2] - part[axis]) / clip[axis]
        for axis in (0, 1)
    ]
    place = np.diag([scale[0], scale[1], 1.0])
    place[:2, 2] = [window[i] * release[i] - scale[i] * part[i] * clip[i] for i in (0, 1)]
    if mirrored:
        place[0, 0], place[0, 2] = -scale[0], window.x1 * release[0] + scale[0] * part.x0 * clip[0]
    return place


def improved(
    place: Matrix, clip: Moments, shown: Moment, part: Window, release: Moments, moment: Moment
) -> Matrix:
    """The place moved so that a part of one moment of the clip lies best on one moment of the release.

    As it was, where no better one is found nearby.
    """
    rows, columns = moment.y.shape
    size, sides = (columns, rows), (clip.sides, release.sides)
    picture = _as_fine(shown.y, place, *sides, size)
    begun = back(picture.shape, place, *sides, size)
    theirs = whole(moment.y)
    seen = _mask(part, picture.shape)
    warp = _aligned(theirs, picture, begun, seen, COARSE)
    structures = (
        equalised(theirs, np.ones(theirs.shape, np.float32)),
        equalised(picture, seen.astype(np.float32)),
    )
    warp = _aligned(*structures, warp, seen, FINE)
    cells, pixels = _grid(size, release.sides), _grid(picture.shape[::-1], clip.sides)
    better: Matrix = cells @ np.linalg.inv(warp) @ np.linalg.inv(pixels)
    return better


def _grid(size: tuple[int, ...], sides: Sides) -> Matrix:
    """From cells of a picture of `size` (columns, rows) to short sides."""
    grid = np.diag([sides[0] / size[0], sides[1] / size[1], 1.0])
    grid[:2, 2] = grid[0, 0] / 2, grid[1, 1] / 2
    return grid


def _as_fine(
    luma: NDArray[np.uint8], place: Matrix, clip: Sides, release: Sides, size: tuple[int, int]
) -> Field:
    """The clip's picture shrunk so that its cells are about as large as the release's."""
    scale = np.sqrt(abs(np.linalg.det(back(luma.shape, place, clip, release, size)[:2, :2])))
    if scale <= 1:
        return luma.astype(np.float32)
    wanted = (max(8, round(luma.shape[1] / scale)), max(8, round(luma.shape[0] / scale)))
    return np.asarray(cv2.resize(luma, wanted, interpolation=cv2.INTER_AREA), np.float32)


def _mask(part: Window, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    rows, columns = shape
    mask = np.zeros((rows, columns), np.uint8)
    mask[
        round(part.y0 * rows) : round(part.y1 * rows), round(part.x0 * columns) : round(part.x1 * columns)
    ] = 1
    return mask


def _aligned(
    theirs: Field, ours: Field, begun: Matrix, seen: NDArray[np.uint8], how: tuple[int, float, int]
) -> Matrix:
    """A map of `theirs` into `ours` where the latter is `seen`; the one begun with, where none is better."""
    rounds, gain, blur = how
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, rounds, gain)
    try:
        _, warp = cv2.findTransformECC(
            theirs, ours, begun[:2].astype(np.float32), cv2.MOTION_AFFINE, criteria, seen, blur
        )
    except cv2.error:  # it did not converge, or nothing overlaps
        return begun
    found: Matrix = np.vstack([np.asarray(warp, np.float64), [0.0, 0.0, 1.0]])
    change = np.linalg.det(found[:2, :2]) / np.linalg.det(begun[:2, :2])
    return found if 1 / MOST_STRETCH < change < MOST_STRETCH else begun
