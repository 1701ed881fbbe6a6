"""Our search, asked for one message: how surely the mark of a known release is in a clip, accepted or not.

Peers are asked whether the embedded message is there, so ours is as well (`benchmarks.trials.decision`). The
search is the product's, blind and with what it accepts; beside it, the message's correlation is taken at
every placement that is handed to the decoder. There are at most `PLACEMENTS` of them in a block, found by the
template key alone, so by the bound of `watermark.detector` the best z of an unmarked clip reaches t with a
chance of at most 3.18·Q(t)·blocks·`PLACEMENTS`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from watermark.base import Detection, Picture
from watermark.detector import FULL, QUICK, SHARP, UNMOVED, HiddenMarkDetector, Reading, log10_normal_tail
from watermark.evidence import correlation, measure
from watermark.issued import Issued
from watermark.keys import DetectionKey
from watermark.lattice import lattice
from watermark.windows import BLOCK_SECONDS

PLACEMENTS: Final = UNMOVED + QUICK + FULL


class KnownMessageDetector(HiddenMarkDetector):
    """The product's detector; after `detect`, `surety` tells of `message`. One key, one clip."""

    def __init__(
        self, key: DetectionKey, accepts: Callable[[int], bool], issued: Issued, *, message: int
    ) -> None:
        super().__init__([key], accepts, issued)
        self._design, self._message = lattice(key), message
        self._best, self._seconds = -math.inf, 0.0

    @property
    def surety(self) -> float:
        """−log₁₀ of the proved chance that an unmarked clip agrees with the message as well as this one."""
        if self._best <= 0:
            return 0.0
        places = PLACEMENTS * (1 + self._seconds // BLOCK_SECONDS)
        return max(0.0, -math.log10(places) - math.log10(SHARP) - log10_normal_tail(self._best))

    def detect(self, frames: Iterable[Picture]) -> Detection:
        """As the product does."""
        return super().detect(self._timed(frames))

    def _timed(self, frames: Iterable[Picture]) -> Iterator[Picture]:
        for picture in frames:
            self._seconds = max(self._seconds, picture.time)
            yield picture

    def _acceptable(self, reading: Reading, chance: float) -> bool:
        if not reading.listed:  # of both readings of a placement one is enough
            there = correlation(measure(reading.placement, self._design), self._design, self._message)
            self._best = max(self._best, there)
        return super()._acceptable(reading, chance)
