"""The models of one process: imported and loaded when first asked for, never replaced by something weaker."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from classifiers.embed import OpenClipEmbedder
    from classifiers.faces import FaceFinder
    from classifiers.minilm import MiniLm
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
        self._loaded: dict[str, Any] = {}

    @property
    def clip(self) -> "OpenClipEmbedder":
        """The embedder of frames, pictures and prompts."""
        from classifiers.embed import OpenClipEmbedder

        model = {} if self._clip_model == EMBEDDED else {"model": self._clip_model}
        return self._once("clip", lambda: OpenClipEmbedder(**model, sha256=self._clip_sha256 or ""))

    @property
    def minilm(self) -> "MiniLm":
        """The embedder of descriptions."""
        from classifiers.minilm import MiniLm

        return self._once("minilm", MiniLm)

    @property
    def faces(self) -> "FaceFinder":
        """The finder of faces."""
        from classifiers.faces import FaceFinder

        return self._once("faces", FaceFinder)

    @property
    def calibrations(self) -> "dict[str, Calibration]":
        """The calibration of each space."""
        return self._once("calibrations", self._calibrations)

    def open(self) -> "Eyes":
        """Load everything now, so that what is missing stops the start and not the first request."""
        _ = self.calibrations
        return self

    def _calibrations(self) -> "dict[str, Calibration]":
        from classifiers import thresholds

        spaces = (self.clip.space, self.minilm.space, self.faces.space)
        return {space: thresholds.load(space, [self._folder]) for space in spaces}

    def _once(self, name: str, load: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load()
            return self._loaded[name]
