"""Eyes of which only one is open: what else looks at a clip costs time, and is not measured."""

from typing import Any

from benchmarks.tools.drawn_checks import ColourHistogram
from classifiers.base import Picture
from classifiers.faces import Face
from classifiers.words import ReadLine


class NoFaces:
    """Finds no face."""

    space = "none"

    def look(self, _picture: Picture) -> tuple[Face, ...]:
        """None."""
        return ()


class NoWords:
    """Reads no word."""

    def look(self, _picture: Picture) -> tuple[ReadLine, ...]:
        """None."""
        return ()


class PartEyes:
    """The eyes that are given; closed ones for the others."""

    def __init__(self, *, clip: Any = None, faces: Any = None, words: Any = None) -> None:
        self.clip: Any = clip or ColourHistogram()
        self.faces: Any = faces or NoFaces()
        self.words: Any = words or NoWords()
