"""PDQ, the perceptual hash that is shared most widely, as an anchor: 256 bits of a small picture's slow waves
(Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019).
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from classifiers.base import Picture, Vectors

SIDE: Final = 64
WAVES: Final = 16
LARGEST: Final = 512


class Pdq:
    """Hashes as vectors of ±1/16, so that an inner product is 1 less a 128th of the bits that differ."""

    space = "pdq"

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        """``float32[n, 256]``."""
        return np.stack([self._one(image) for image in images])

    def _one(self, image: Picture) -> Vectors:
        waves = _DCT @ _reduced(image) @ _DCT.T
        bits = waves.ravel() > np.median(waves)
        return np.asarray(np.where(bits, 1, -1) / 16, dtype=np.float32)


def _reduced(image: Picture) -> Vectors:
    """Luma of 64 × 64: two passes of a box as wide as half a step (Jarosz), then every step's middle."""
    red, green, blue = (image[..., place].astype(np.float32) for place in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    share = min(1.0, LARGEST / max(luma.shape))
    if share < 1:
        size = tuple(max(1, round(side * share)) for side in reversed(luma.shape))
        luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32)
    high, wide = luma.shape
    window = max(1, -(-wide // (2 * SIDE))), max(1, -(-high // (2 * SIDE)))
    for _ in range(2):
        luma = np.asarray(cv2.blur(luma, window, borderType=cv2.BORDER_REPLICATE), np.float32)
    rows = ((np.arange(SIDE) + 0.5) * high / SIDE).astype(int)
    columns = ((np.arange(SIDE) + 0.5) * wide / SIDE).astype(int)
    return np.asarray(luma[np.ix_(rows, columns)], dtype=np.float32)


_PLACES: Final = 2 * np.arange(SIDE) + 1
_DCT: Final = np.sqrt(2 / SIDE) * np.cos(
    np.pi / (2 * SIDE) * np.outer(np.arange(1, WAVES + 1), _PLACES)
).astype(np.float32)
