"""How strongly a known payload shows in frames that were not moved: what strength is chosen by."""

from collections.abc import Iterable

from watermark import sync
from watermark.base import Picture
from watermark.clocks import Clock
from watermark.evidence import correlation, measure
from watermark.geometry import FrameGeometry
from watermark.keys import DetectionKey
from watermark.lattice import lattice, origin
from watermark.windows import blocks


def agreement(frames: Iterable[Picture], key: DetectionKey, payload: int) -> float:
    """Correlation z of `payload` over the first block (12 s) of unmoved frames; about 12 make it readable."""
    design, frame, began = lattice(key), FrameGeometry(), origin(key, payload)
    for block in blocks(frames):
        found = sync.coefficients(block, design, frame)
        there = sync.at(found, block.times, design, frame, Clock(offset=began.seconds), began.shift)
        return correlation(measure(there, design), design, payload)
    return 0.0
