"""Moving a place until a clip lies on its release as well as it can.

Gauss-Newton on the structure of several moments at once (Lucas and Kanade 1981), of blurred structure first:
two cells beside the right place are near enough to begin with. A step counts only where it agrees better.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.verify.laying import Field, Matrix, Sides
from pipeline.verify.structure import Overlay, agreement

# By how much the eight numbers of a place may be changed, in short sides or as a share. The mark says quite
# exactly where a clip lies, and a camera that pans must not be followed to another moment.
FARTHEST: Final = (0.06,) * 8
BY_MARK: Final = (0.02, 0.02, *FARTHEST[2:])
CUT: Final = (0.10, 0.10, 0.12, 0.12, *FARTHEST[4:])  # of a whole frame, which may be a cut one
ROUNDS: Final = 4  # at each stage
SHORTER: Final = (1.0, 0.5, 0.25)  # of a step, where the whole one is too long
DAMPING: Final = 1e-3
SAME: Final = 0.02  # by which the numbers of two matrices differ that are about one place
ENOUGH: Final = 1e-4  # agreement gained below which a stage ends


class Stage(NamedTuple):
    """How much structure is blurred, in cells, and how many numbers are free: 4 move and stretch the picture,
    8 slant and tilt it too.
    """

    blur: float
    free: int


COARSE: Final = (Stage(2.0, 4),)
FINE: Final = (Stage(2.0, 8), Stage(1.0, 8), Stage(0.0, 8))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A place, and by how much it was changed about the middle of the release's picture (`side`).

    ``numbers``: right, down, wider, higher, slanted twice, tilted twice: ``float64[8]``.
    """

    begun: Matrix
    side: Sides
    bounds: tuple[float, ...] = FARTHEST
    numbers: NDArray[np.float64] = field(default_factory=lambda: np.zeros(8))

    @property
    def matrix(self) -> Matrix:
        """The homography from the clip's picture to the release's."""
        middle, moved = np.eye(3), np.eye(3)
        middle[:2, 2] = self.side[0] / 2, self.side[1] / 2
        moved.flat[[2, 5, 0, 4, 1, 3, 6, 7]] += self.numbers
        changed = middle @ moved @ np.linalg.inv(middle) @ self.begun
        return np.asarray(changed / changed[2, 2], np.float64)

    def near(self, other: "Placed") -> bool:
        """Whether both are about the same place: there, a cell apart."""
        return bool(np.abs(self.matrix - other.matrix).max() < SAME)

    def changed(self, step: NDArray[np.float64]) -> "Placed":
        """Some more, within bounds."""
        bounds = np.array(self.bounds)
        return replace(self, numbers=np.clip(self.numbers + step, -bounds, bounds))


def aligned(
    placed: Placed, overlaid: Callable[[Matrix], Sequence[Overlay]], stages: Iterable[Stage]
) -> Placed:
    """The place moved while the moments that `overlaid` lays there agree better."""
    for stage in stages:
        overlays = [one.blurred(stage.blur) for one in overlaid(placed.matrix)]
        best = agreement(overlays)
        for _ in range(ROUNDS):
            before, step = best, _step(overlays, placed.side, stage.free)
            for share in SHORTER:
                tried = placed.changed(share * step)
                there = [one.blurred(stage.blur) for one in overlaid(tried.matrix)]
                if agreement(there) > best:
                    placed, overlays, best = tried, there, agreement(there)
                    break
            if best - before < ENOUGH:
                break
    return placed


def _step(overlays: Sequence[Overlay], side: Sides, free: int) -> NDArray[np.float64]:
    """By how much the first `free` numbers are off, as far as the slopes of the clip's structure tell."""
    shape = overlays[0].seen.shape
    towards, cell = _towards(shape, side)[:free], side[0] / shape[1]
    squares, products = np.zeros((free, free)), np.zeros(free)
    for one in overlays:
        inner = cv2.erode(one.seen, np.ones((3, 3), np.uint8))
        across, down = (cv2.Sobel(one.clip, cv2.CV_32F, *axes) / (8 * cell) for axes in ((1, 0), (0, 1)))
        slopes = (-(across * towards[:, 0] + down * towards[:, 1]) * inner).reshape(free, -1)
        squares += slopes @ slopes.T
        products += slopes @ ((one.release - one.clip) * inner).ravel()
    damping = DAMPING * np.diag(np.diag(squares)) + 1e-6 * np.eye(free)
    step = np.zeros(8)
    step[:free] = np.linalg.solve(squares + damping, products)
    return step


def _towards(shape: tuple[int, ...], side: Sides) -> Field:
    """Where each number moves each cell: ``float32[8, 2, h, w]``, in short sides."""
    rows, columns = shape
    across = ((np.arange(columns) + 0.5) / columns - 0.5) * side[0]
    u, v = np.meshgrid(across, ((np.arange(rows) + 0.5) / rows - 0.5) * side[1])
    none, one = np.zeros_like(u), np.ones_like(u)
    moved = [(one, none), (none, one), (u, none), (none, v), (v, none), (none, u)]
    tilted = [(-u * u, -u * v), (-u * v, -v * v)]
    return np.stack([np.stack(move) for move in (*moved, *tilted)]).astype(np.float32)
