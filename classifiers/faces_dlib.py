"""Faces by dlib: its five points, its face vectors. What finds them is `classifiers.face_search`.

1. A dark picture is brightened and its grain softened: a detector sees edges, and the dark has few.
2. The picture is searched with a low bar: what is no face resembles nobody, while a face half covered or a
   sketched one is doubtful.
3. Where no face is sure, it is searched again, smaller: turned, for faces that lie, and by dlib's detector,
   which knows some drawn and leaning faces that the other does not (from 80 pixels on).
4. Each face is aligned by five points and made a vector, from the picture as it is.

The weights (CC0) come with the package `face-recognition-models`, whose own code is not imported: it needs
`pkg_resources`, which is gone from current setuptools. The 68-point predictor in that package may not be used
commercially and is never read; the 5-point one aligns as well. Its other detector (a network) takes five
seconds of a core for a megapixel and is not read either.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Box, Picture
from classifiers.errors import ModelUnusable
from classifiers.face_search import FaceSearch, Place
from classifiers.faces import DIMENSION, Face, FaceLimits, clipped, demand_few, overlap, within
from classifiers.packaged import checked, folder_of

PACKAGE: Final = "face_recognition_models"
DISTRIBUTION: Final = "face-recognition-models"
# Name and SHA-256 of the weights; part of the space's name, since other weights give other vectors.
PREDICTOR: Final = (
    "shape_predictor_5_face_landmarks.dat",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)
ENCODER: Final = (
    "dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
LEAST: Final = -0.4
"""The score of dlib's detector from which on something may be a face; its own bar is 0."""
SURE: Final = 0.0
SURE_PLACE: Final = 0.9
"""The probability from which on a place of `classifiers.face_search` is a face for sure, ..."""
OUT_OF: Final = 1 - SURE_PLACE
"""... and what lies above it: so sure is 0 and certain is 1, near to how dlib's detector counts."""
LOWER, SHARE = 0.05, 0.81
"""Where dlib would have the face, by the place's height: how far below its middle, and how large (the medians
of 294 photographs), since the five points were learnt with such boxes."""
TURNS: Final = (
    (cv2.ROTATE_90_CLOCKWISE, ((0, 1, 0), (-1, 0, 1))),
    (cv2.ROTATE_90_COUNTERCLOCKWISE, ((0, -1, 1), (1, 0, 0))),
    (cv2.ROTATE_180, ((-1, 0, 1), (0, -1, 1))),
)
"""How a picture is turned, and the way back, from shares of the turned one to those of the picture."""
OVERLAP: Final = 0.3
"""Share of two boxes' union that both cover, from which on they are one face."""
CHIP, PADDING = 150, 0.25
"""Pixels and margin of an aligned face, as the vectors' network was trained with."""
DARK, BRIGHT, BRIGHT_SHARE = 110.0, 230.0, 99.0
"""A picture is dark where 99 % of it is below the first; it is brightened so that they reach the second."""
SAMPLED: Final = 4
"""One pixel in so many, of rows and columns, tells how bright a picture is."""
SOFTENED: Final = 1.2
"""Pixels of blur that take the grain out of a brightened picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A face at dlib's rectangle ``box`` of ``picture``; ``back``: from its pixels to shares of the frame."""

    picture: Picture
    box: Any
    certainty: float
    back: NDArray[np.float64]

    @property
    def share(self) -> Box:
        """The upright box around it in the frame."""
        box = self.box
        sides = ((x, y) for x in (box.left(), box.right() + 1) for y in (box.top(), box.bottom() + 1))
        corners = np.array([(*side, 1.0) for side in sides]) @ self.back.T
        return clipped(*corners.min(axis=0), *corners.max(axis=0))


class DlibFaces:
    """Finds faces and their vectors. Safe to share between threads: one look at a time.

    Raises: ModelUnusable when dlib or its weights are missing or damaged.
    """

    def __init__(self, folder: Path | None = None, limits: FaceLimits | None = None) -> None:
        self._limits = limits or FaceLimits()
        place = folder or _packaged()
        weights = PREDICTOR, ENCODER
        predictor, encoder = (checked(place / name, digest, DISTRIBUTION) for name, digest in weights)
        dlib = _dlib()
        self._dlib = dlib
        self._lock = threading.Lock()
        self._search = FaceSearch()
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(predictor))
        self._encoder = dlib.face_recognition_model_v1(str(encoder))

    @property
    def space(self) -> str:
        """The name of the space of the vectors; distances are Euclidean."""
        return "dlib-face-" + hashlib.sha256((PREDICTOR[1] + ENCODER[1]).encode()).hexdigest()[:12]

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return DIMENSION

    def look(self, picture: Picture) -> tuple[Face, ...]:
        """The faces in ``picture[h, w, 3]`` (RGB), the surest first. Raises: TooManyFaces."""
        small = lit(within(picture, self._limits.pixels))
        if min(small.shape[:2]) < self._limits.side:
            return ()
        with self._lock:
            found = self._standing(small)
            if all(one.certainty < SURE for one in found):
                smaller = within(small, self._limits.turned)
                found += [*self._lying(smaller), *self._by_dlib(smaller)]
            apart = _distinct(found)
            demand_few(len(apart), self._limits)
            return tuple(map(self._face, apart))

    def _standing(self, picture: Picture) -> list[_Found]:
        height, width = picture.shape[:2]
        smallest = max(self._limits.smallest, self._limits.finest * (height * width) ** 0.5)
        return self._searched(picture, smallest, _shares(picture))

    def _lying(self, picture: Picture) -> Iterator[_Found]:
        for turn, back in TURNS:
            turned = np.asarray(cv2.rotate(picture, turn), np.uint8)
            way = np.array(back) @ np.vstack([_shares(turned), (0, 0, 1)])
            yield from self._searched(turned, self._limits.lying, way)

    def _searched(self, picture: Picture, smallest: float, back: NDArray[np.float64]) -> list[_Found]:
        return [
            _Found(
                picture=picture,
                box=self._rectangle(place),
                certainty=self._certainty(picture, place),
                back=back,
            )
            for place in self._search.search(picture, smallest)
        ]

    def _certainty(self, picture: Picture, place: Place) -> float:
        """A face that lies is found too, but its points are not: it is sure in the turned picture."""
        certainty = (place.certainty - SURE_PLACE) / OUT_OF
        return certainty if certainty < SURE or self._search.stands(picture, place) else LEAST

    def _rectangle(self, place: Place) -> Any:
        left, top, right, bottom = place.box
        height = bottom - top
        half, middle = SHARE * height / 2, (top + bottom) / 2 + LOWER * height
        sides = ((left + right) / 2 - half, middle - half, (left + right) / 2 + half, middle + half)
        left, top, right, bottom = (round(side) for side in sides)
        return self._dlib.rectangle(left, top, right - 1, bottom - 1)

    def _by_dlib(self, picture: Picture) -> Iterator[_Found]:
        grey = np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        boxes, certainties, _ = self._detector.run(grey, 0, LEAST)
        for box, sure in zip(boxes, certainties, strict=True):
            yield _Found(picture=picture, box=box, certainty=float(sure), back=_shares(picture))

    def _face(self, found: _Found) -> Face:
        points = self._predictor(found.picture, found.box)
        chip = self._dlib.get_face_chip(found.picture, points, CHIP, PADDING)
        vector = np.array(self._encoder.compute_face_descriptor(chip), np.float32)
        return Face(box=found.share, vector=vector, certainty=found.certainty)


def lit(picture: Picture) -> Picture:
    """The picture, brightened and softened where it is dark."""
    bright = float(np.percentile(picture[::SAMPLED, ::SAMPLED].max(axis=2), BRIGHT_SHARE))
    if bright >= DARK:
        return picture
    gained = np.clip(picture.astype(np.float32) * (BRIGHT / max(bright, 1.0)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(gained, (0, 0), SOFTENED), dtype=np.uint8)


def _shares(picture: Picture) -> NDArray[np.float64]:
    """From pixels of a picture to shares of it: ``[2, 3]``."""
    height, width = picture.shape[:2]
    return np.array([[1 / width, 0.0, 0.0], [0.0, 1 / height, 0.0]])


def _distinct(found: Iterable[_Found]) -> Sequence[_Found]:
    """The surest first, without those that an even surer one covers."""
    kept: list[_Found] = []
    for one in sorted(found, key=lambda one: -one.certainty):
        if all(overlap(one.share, other.share) < OVERLAP for other in kept):
            kept.append(one)
    return kept


def _packaged() -> Path:
    missing = "the weights for faces are not installed; run: pip install 'countermark[classify]'"
    return folder_of(PACKAGE, missing) / "models"


def _dlib() -> Any:
    try:
        import dlib
    except ImportError:
        raise ModelUnusable("dlib is not installed; run: pip install 'countermark[classify]'") from None
    return dlib
