"""Reads the words in pictures: PP-OCR's detector and recogniser (Apache-2.0), as `rapidocr` ships them.

The weights lie in that package; their digests are checked before they are read, and they are named by their
files, since the package would fetch what it misses. A look costs a tenth of a second of one core, and a few
hundredths for each line (docs/adr/0024-words-in-frames.md).
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from classifiers.base import Box, Line, Picture
from classifiers.errors import ModelUnusable, TooManyWords
from classifiers.packaged import checked, folder_of
from classifiers.words import ReadLine

PACKAGE: Final = "rapidocr"
INSTALL: Final = "pip install 'countermark[classify]'"
# Part of the package: name and SHA-256 of the weights.
DETECTOR: Final = (
    "PP-OCRv6_det_small.onnx",
    "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
)
TURNER: Final = (
    "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
)
RECOGNISER: Final = (
    "PP-OCRv6_rec_small.onnx",
    "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
)
GRAIN: Final = 32  # pixels; the detector sees whole multiples of it
SILENT: Final = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """What one look may cost.

    ``searched``: pixels of the longer side in which lines are searched; a larger picture is made smaller for
    that, and the lines are read at full size. ``lines``: of one picture; more are not read in part.
    ``candidates``: places that may turn out to be lines. ``confidence``: from which on something was read at
    all. ``side``: of the smallest picture that is searched. ``threads``: of one look.
    """

    searched: int = 736
    lines: int = 100
    candidates: int = 1000
    confidence: float = 0.5
    side: int = 16
    threads: int = 1


class WordReader:
    """Finds lines of words in pictures and reads them. Safe to share between threads: one look at a time.

    Raises: ModelUnusable when the package or its weights are missing or damaged.
    """

    def __init__(self, folder: Path | None = None, limits: ReadLimits | None = None) -> None:
        self._limits = limits or ReadLimits()
        place = folder or _packaged()
        weights = [checked(place / name, digest, PACKAGE) for name, digest in (DETECTOR, TURNER, RECOGNISER)]
        self._engine = _engine(weights, self._limits)
        self._lock = threading.Lock()

    def look(self, picture: Picture) -> tuple[ReadLine, ...]:
        """The lines in ``picture[h, w, 3]`` (RGB) from top to bottom. Raises: TooManyWords."""
        if min(picture.shape[:2]) < self._limits.side:
            return ()
        blue_first = self._padded(np.ascontiguousarray(picture[..., ::-1]))
        with self._lock:
            corners = self._search(blue_first)
            if not len(corners):
                return ()
            parts = self._engine.crop_text_regions(blue_first, corners)
            read = self._engine.recognize_txt(self._engine.cls_and_rotate(parts)[0])
        return tuple(self._lines(picture, corners, read))

    def _padded(self, picture: Picture) -> Picture:
        """The picture, with more below or on the right if making it smaller left the detector nothing."""
        height, width = picture.shape[:2]
        least = -(-GRAIN * max(height, width) // min(self._limits.searched, max(height, width)))
        if min(height, width) >= least:
            return picture
        more = ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0))
        return np.pad(picture, more, "edge")

    def _search(self, picture: Picture) -> Any:
        """The corners of each line: ``int32[n, 4, 2]``."""
        found = self._engine.text_det(picture)
        corners = () if found.boxes is None else found.boxes
        if len(corners) > self._limits.lines:
            raise TooManyWords(f"a frame shows more than {self._limits.lines} lines of words")
        return corners

    def _lines(self, picture: Picture, corners: Any, read: Any) -> list[ReadLine]:
        told = zip(corners, read.txts, read.scores, strict=True)
        return [
            ReadLine(
                line=Line(text=text.strip(), confidence=float(sure)),
                box=_box(four, picture),
            )
            for four, text, sure in told
            if text.strip() and sure >= self._limits.confidence
        ]


def _box(corners: Any, picture: Picture) -> Box:
    """The upright box around four corners."""
    height, width = picture.shape[:2]
    shares = np.asarray(corners, np.float64) / (width, height)
    (left, top), (right, bottom) = shares.min(axis=0).clip(0, 1), shares.max(axis=0).clip(0, 1)
    return float(left), float(top), float(right), float(bottom)


def _engine(weights: Sequence[Path], limits: ReadLimits) -> Any:
    detector, turner, recogniser = map(str, weights)
    try:
        from rapidocr import RapidOCR
    except ImportError:
        raise ModelUnusable(f"rapidocr or onnxruntime is not installed; run: {INSTALL}") from None
    engine = RapidOCR(
        params={
            "Global.log_level": SILENT, "Det.model_path": detector, "Cls.model_path": turner,
            "Rec.model_path": recogniser, "Det.limit_type": "max", "Det.limit_side_len": limits.searched,
            "Det.max_candidates": limits.candidates,
            "EngineConfig.onnxruntime.intra_op_num_threads": limits.threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )  # fmt: skip
    engine(_test_picture())  # loads all three
    if None in (engine.text_det, engine.text_cls, engine.text_rec):
        raise ModelUnusable(f"rapidocr did not find the words that it is tried with; run: {INSTALL}")
    return engine


def _test_picture() -> Picture:
    picture = np.full((96, 320, 3), 255, np.uint8)
    cv2.putText(picture, "WORDS 12", (20, 64), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 4)
    return picture


def _packaged() -> Path:
    return folder_of(PACKAGE, f"the weights for reading words are not installed; run: {INSTALL}") / "models"
