"""The models of one process: imported and loaded when first asked for, never replaced by something weaker."""

import threading
from collections.abc import Callable, Iterator, Mapping
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
        self._files = CalibrationFiles(home / CALIBRATIONS)
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
    def calibrations(self) -> "CalibrationFiles":
        """The calibration of each space; asking for one loads no model."""
        return self._files

    def open(self) -> "Eyes":
        """Load everything now, so that what is missing stops the start and not the first request."""
        for space in (self.clip.space, self.minilm.space, self.faces.space):
            self._files.demand(space)
        return self

    def _once(self, name: str, load: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load()
            return self._loaded[name]


class CalibrationFiles(Mapping[str, "Calibration"]):
    """Calibrations by space, read when asked for: those of the home, else those that ship."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Calibration] = {}

    def demand(self, space: str) -> "Calibration":
        """Raises: `classifiers.errors.CalibrationMissing` for a space that nobody has calibrated."""
        from classifiers import thresholds

        if space not in self._read:
            self._read[space] = thresholds.load(space, [self._folder])
        return self._read[space]

    def __getitem__(self, space: str) -> "Calibration":
        from classifiers.errors import CalibrationMissing

        try:
            return self.demand(space)
        except CalibrationMissing:
            raise KeyError(space) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)
