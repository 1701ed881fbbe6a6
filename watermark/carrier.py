"""The hidden mark's embedder: a keyed, moving luma pattern, masked by the picture, in one streaming pass."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Luma
from watermark.channel import encode
from watermark.errors import GeometryError
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, STATE_SECONDS, STATES, Complex, lattice
from watermark.resample import shrink

MIN_SHORT_SIDE = 108  # pixels; below, the ring's upper frequencies no longer fit on a tile
MASK_LINES = 180
MASK_FLOOR = 2.0  # grey levels added to the local deviation, so that flat walls are not empty
FADE_SECONDS = 0.16

Pattern = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How strong the pattern is: the luma PSNR in dB that each frame is brought to."""

    psnr: float = 44.0

    @property
    def rms(self) -> float:
        """Root mean square of the change, in grey levels of 8 bits."""
        return float(255.0 / 10 ** (self.psnr / 20))


class HiddenMark:
    """Embeds one payload into the frames of one clip.

    Raises: GeometryError when the frame is too small or its sides are odd.
    """

    def __init__(self, key: DetectionKey, payload: int, width: int, height: int, strength: Strength) -> None:
        short = min(width, height)
        if short < MIN_SHORT_SIDE:
            raise GeometryError(
                f"a clip of {width}×{height} is too small to mark: {MIN_SHORT_SIDE} pixels are needed"
            )
        if width % 2 or height % 2:
            raise GeometryError(f"sides must be even, got {width}×{height}")
        design = lattice(key)
        self._size, self._strength = (width, height), strength
        self._tiles = _tiles(design.coefficients(encode(payload)), design.points, short // 2)

    def embed(self, luma: Luma, time: float) -> Luma:
        """A marked copy of ``uint8[h, w]`` shown at `time` seconds.

        Raises: GeometryError when the frame has another size than the clip.
        """
        if luma.shape != self._size[::-1]:
            raise GeometryError(f"the frame is {luma.shape[1]}×{luma.shape[0]}, the clip {self._size}")
        small = perceptual_mask(luma)
        small *= self._strength.rms / float(np.sqrt(np.mean(small * small)))
        change = np.asarray(cv2.resize(small, self._size, interpolation=cv2.INTER_LINEAR), np.float32)
        self._lay(change, self._pattern(time))
        marked: Luma = cv2.add(luma, change, dtype=cv2.CV_8U).astype(np.uint8, copy=False)
        return marked

    def _lay(self, change: Pattern, tile: Pattern) -> None:
        """Multiply `change` by the pattern, tile by tile: a whole plane of it is never made."""
        height, width = change.shape
        side = len(tile)
        for top in range(0, height, side):
            for left in range(0, width, side):
                part = change[top : top + side, left : left + side]
                part *= tile[: part.shape[0], : part.shape[1]]

    def _pattern(self, time: float) -> Pattern:
        """The tile shown at `time`; between cross-fades it stands still."""
        first, second, weight = mixture(time)
        if not weight:
            return np.asarray(self._tiles[first])
        angle = np.float32(weight * np.pi / 2)  # equal power
        faded = np.cos(angle) * self._tiles[first] + np.sin(angle) * self._tiles[second]
        return np.asarray(faded, dtype=np.float32)


def mixture(time: float) -> tuple[int, int, float]:
    """States (a, b) shown at `time` seconds and how far the fade from a to b has gone, 0 … 1."""
    position = (time % PERIOD_SECONDS) / STATE_SECONDS
    state = int(position) % STATES
    into = (position - int(position)) * STATE_SECONDS
    weight = max(0.0, into - (STATE_SECONDS - FADE_SECONDS)) / FADE_SECONDS
    return state, (state + 1) % STATES, weight


def perceptual_mask(luma: Luma) -> Pattern:
    """Relative strength ``float32[h', w']`` at `MASK_LINES` lines: weakly more where the picture is busy.

    The exponent stays small: strong texture masking would leave flat content without a mark.
    """
    scale = MASK_LINES / min(luma.shape)
    size = (max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale)))
    small = shrink(luma, *size).astype(np.float32)
    mean, square = cv2.blur(small, (5, 5)), cv2.blur(small * small, (5, 5))
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return np.sqrt(np.sqrt(deviation + np.float32(MASK_FLOOR)))


def _tiles(coefficients: Complex, points: NDArray[np.int32], side: int) -> Pattern:
    """Render ``float32[8, side, side]`` tiles of unit variance from half-plane coefficients."""
    kx, ky = points.T
    # Samples sit at pixel centres, so that a resized clip keeps the pattern's place.
    centred = coefficients * np.exp(1j * np.pi * (kx + ky) / side)
    spectrum = np.zeros((STATES, side, side), dtype=np.complex64)
    spectrum[:, ky % side, kx % side] = centred
    spectrum[:, -ky % side, -kx % side] = np.conj(centred)
    return np.fft.ifft2(spectrum, norm="forward").real.astype(np.float32)
