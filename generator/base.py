"""What a generator is given, and what it gives back."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One request: the prompt, the size in pixels, the length in seconds, frames per second, the seed."""

    prompt: str
    width: int
    height: int
    seconds: float
    frame_rate: Fraction
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A generated clip: RGB frames ``uint8[h, w, 3]``, made one at a time, and who made it."""

    frames: Iterator[NDArray[np.uint8]]
    width: int
    height: int
    frame_rate: Fraction
    generator: str
    version: str


class Generator(Protocol):
    """Makes a clip from a request."""

    name: str
    version: str

    def generate(self, request: GenerationRequest) -> Clip:
        """Start generating; frames are drawn from ``Clip.frames``."""
        ...
