"""How strongly a known payload shows in frames that were not moved: what strength is chosen by."""

from collections.abc import Iterable

from watermark import sync
from watermark.base import Picture
from watermark.evidence import correlation, measure
from watermark.geometry import FrameGeometry
from watermark.keys import DetectionKey
from watermark.lattice import lattice
from watermark.windows import blocks


def agreement(frames: Iterable[Picture], key: DetectionKey, payload: int) -> float:
    """Correlation z of `payload` over the first block (12 s) of unmoved frames; about 12 make it readable."""
    design, frame = lattice(key), FrameGeometry()
    for block in blocks(frames):
        found = sync.coefficients(block, design, frame)
        return correlation(measure(sync.at(found, block.times, design, frame), design), design, payload)
    return 0.0
