"""The models of one process: loaded once, when first asked for, and never replaced by something weaker."""

import threading
from functools import cached_property
from pathlib import Path
from typing import Final

from classifiers.minilm import MiniLm

from classifiers import thresholds
from classifiers.embed import OpenClipEmbedder
from classifiers.faces import FaceFinder
from classifiers.thresholds import Calibration

CALIBRATIONS: Final = "calibrations"
EMBEDDED: Final = "embedded"


class Eyes:
    """What looks at prompts and clips: the CLIP of the settings, MiniLM, faces, and their calibrations.

    Raises, when a model is first used: `classifiers.errors.ModelUnusable`, and CalibrationMissing for a
    model that nobody has calibrated. Safe to share between threads.
    """

    def __init__(self, clip_model: str, clip_sha256: str | None, home: Path) -> None:
        self._clip_model, self._clip_sha256 = clip_model, clip_sha256
        self._folder = home / CALIBRATIONS
        self._lock = threading.RLock()

    @cached_property
    def clip(self) -> OpenClipEmbedder:
        """The embedder of frames, pictures and prompts."""
        with self._lock:
            name = None if self._clip_model == EMBEDDED else self._clip_model
            return OpenClipEmbedder(name, sha256=self._clip_sha256)

    @cached_property
    def minilm(self) -> MiniLm:
        """The embedder of descriptions."""
        with self._lock:
            return MiniLm()

    @cached_property
    def faces(self) -> FaceFinder:
        """The finder of faces."""
        with self._lock:
            return FaceFinder()

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """The calibration of each space."""
        with self._lock:
            spaces = (self.clip.space, self.minilm.space, self.faces.space)
            return {space: thresholds.load(space, [self._folder]) for space in spaces}

    def open(self) -> "Eyes":
        """Load everything now, so that what is missing stops the start and not the first request."""
        _ = self.calibrations
        return self
