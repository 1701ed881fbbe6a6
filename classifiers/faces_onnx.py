"""Faces by OpenCV's YuNet (finds them) and SFace (tells them apart): a folder with both as ONNX files.

1. The folder holds one ``face_detection_*.onnx`` and one ``face_recognition_*.onnx``, as OpenCV's model zoo
   names them (https://github.com/opencv/opencv_zoo; MIT and Apache-2.0). Nothing is fetched from there.
2. Each file is read once, compared with its digest where one is given, and both are tried on a grey picture:
   what is no such model is refused before anything is looked at.
3. The space is named after both files, so that other weights are another space, which needs a calibration
   of its own.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from classifiers.base import Picture, Vectors
from classifiers.errors import ModelUnusable
from classifiers.faces import Face, FaceLimits, clipped, demand_few, within

DETECTOR: Final = "face_detection_*.onnx"
RECOGNISER: Final = "face_recognition_*.onnx"
MAX_MODEL_BYTES: Final = 512 << 20
PREPARED: Final = "yunet+sface/1"
"""How pictures are prepared; part of the space's name."""
CERTAINTY: Final = 0.6
"""YuNet's score from which on something is a face; below it are the backs of heads and patterns."""
OVERLAP: Final = 0.3
CANDIDATES: Final = 5000
"""Places, a dozen for each face, that are compared with each other for their overlap; OpenCV's own number."""
PROBES: Final = ((64, 96), (160, 96))
"""Widths and heights of what is tried when a model is loaded: it has to take any size."""
_FRAMEWORK: Final = "onnx"


class OnnxFaces:
    """Finds faces and their vectors, of unit length. Safe to share between threads: one look at a time.

    ``digests``: the SHA-256 of the detector's and of the recogniser's file, each empty for any.
    Raises: ModelUnusable when a file is missing, is another one, or is no such model.
    """

    def __init__(
        self, folder: Path, digests: tuple[str, str] = ("", ""), limits: FaceLimits | None = None
    ) -> None:
        self._limits = limits or FaceLimits()
        detector, recogniser = _weights(folder, digests)
        self._space = _space(detector, recogniser)
        self._lock = threading.Lock()
        try:
            with _quiet():
                self._detector = cv2.FaceDetectorYN.create(
                    _FRAMEWORK, _bytes(detector), _bytes(b""), PROBES[0], CERTAINTY, OVERLAP, CANDIDATES
                )
                self._recogniser = cv2.FaceRecognizerSF.create(_FRAMEWORK, _bytes(recogniser), _bytes(b""))
            self._dimension = self._tried()
        except (cv2.error, ValueError):
            raise ModelUnusable(
                f"the models in {folder} are not YuNet and SFace as OpenCV {cv2.__version__} reads them; "
                "face_model names a folder with both as its model zoo has them"
            ) from None

    @property
    def space(self) -> str:
        """The name of the space of the vectors; distances are Euclidean."""
        return self._space

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def look(self, picture: Picture) -> tuple[Face, ...]:
        """The faces in ``picture[h, w, 3]`` (RGB), the surest first.

        Raises: TooManyFaces, ValueError for a model that answers with what is no number.
        """
        small = within(picture, self._limits.pixels)
        if min(small.shape[:2]) < self._limits.side:
            return ()
        shown = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        with self._lock:
            found = sorted(self._found(shown), key=lambda row: -float(row[-1]))
            demand_few(len(found), self._limits)
            return tuple(self._face(shown, row) for row in found)

    def _tried(self) -> int:
        """The length of a vector. Raises: cv2.error, ValueError."""
        for width, height in PROBES:
            grey = np.full((height, width, 3), 128, np.uint8)
            self._found(grey)
        return len(self._vector(np.full((112, 112, 3), 128, np.uint8)))

    def _found(self, shown: Any) -> Sequence[Any]:
        """Rows of x, y, width, height, five points, certainty."""
        self._detector.setInputSize((shown.shape[1], shown.shape[0]))
        _, rows = self._detector.detect(shown)
        if rows is None:
            return ()
        if not np.isfinite(rows).all():
            raise ValueError("the detector of faces answered with what is no number")
        return list(rows)

    def _face(self, shown: Any, row: Any) -> Face:
        height, width = shown.shape[:2]
        left, top, wide, high = (float(value) for value in row[:4])
        vector = self._vector(self._recogniser.alignCrop(shown, row))
        box = clipped(left / width, top / height, (left + wide) / width, (top + high) / height)
        return Face(box=box, vector=vector, certainty=float(row[-1]))

    def _vector(self, chip: Any) -> Vectors:
        vector = np.array(self._recogniser.feature(chip), np.float32).ravel()
        length = float(np.linalg.norm(vector))
        if not (np.isfinite(length) and length > 0):
            raise ValueError("the model of faces answered with what is no direction")
        return np.asarray(vector / length, np.float32)


def space_of(folder: Path, digests: tuple[str, str] = ("", "")) -> str:
    """The name of the space of a folder's models, none of which is opened. Raises: ModelUnusable."""
    return _space(*_weights(folder, digests))


def _weights(folder: Path, digests: tuple[str, str]) -> tuple[bytes, bytes]:
    """The files of the detector and of the recogniser. Raises: ModelUnusable."""
    detector, recogniser = digests
    return _read(_only(folder, DETECTOR), detector), _read(_only(folder, RECOGNISER), recogniser)


def _space(detector: bytes, recogniser: bytes) -> str:
    parts = [PREPARED.encode(), *(hashlib.sha256(weights).digest() for weights in (detector, recogniser))]
    return "opencv-face-" + hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        told = f"has {len(found)} files" if found else "has no file"
        raise ModelUnusable(f"{folder} {told} called {pattern}; face_model names a folder with exactly one")
    return found[0]


def _read(path: Path, digest: str) -> bytes:
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelUnusable(f"{path.name} is larger than {MAX_MODEL_BYTES >> 20} MiB; no such model is")
        weights = path.read_bytes()
    except OSError as error:
        raise ModelUnusable(f"{path} cannot be read ({error.strerror}); check it") from None
    if digest and hashlib.sha256(weights).hexdigest() != digest.lower():
        raise ModelUnusable(f"{path.name} does not have the digest that the settings name; check both")
    return weights


def _bytes(data: bytes) -> Any:
    return np.frombuffer(data, np.uint8)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's warning that the engine of version 5 knows no targets, once for each model."""
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(before)
