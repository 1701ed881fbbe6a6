"""The hidden mark's embedder: keyed, moving patterns in luma and colour, in one streaming pass.

All are masked by luma, weakly: busy places get more, flat ones less, where the eye would see it first.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Luma, Picture
from watermark.channel import encode
from watermark.errors import GeometryError
from watermark.keys import DetectionKey
from watermark.lattice import PERIOD_SECONDS, STATE_SECONDS, STATES, Complex, Points, lattice, origin
from watermark.resample import shrink

MIN_SHORT_SIDE = 108  # pixels; below, the ring's upper frequencies no longer fit on a tile
MASK_LINES = 180
MASK_FLOOR = 2.0  # grey levels added to the local deviation, so that flat walls are not empty
FADE_SECONDS = 0.16
COLOUR_LOUDER = 8.0  # dB, unless said: what a dB costs in luma and in colour, and brings (docs/adr/0040)

Tiles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How strong the patterns are.

    ``psnr``: of each frame's luma, in dB. ``louder``: by how many dB the patterns in colour are louder.
    """

    psnr: float = 54.5
    louder: float = COLOUR_LOUDER

    @property
    def chroma(self) -> float:
        """The PSNR in dB of U and V, each by itself."""
        return self.psnr - self.louder


def deviation(psnr: float) -> float:
    """Root mean square of a change in grey levels of 8 bits."""
    return float(255.0 / 10 ** (psnr / 20))


class Mixture(NamedTuple):
    """States shown at a time: the first, the one it fades to, and how far that has gone, 0 … 1."""

    first: int
    second: int
    weight: float


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
        self._size = width, height
        codeword, (shift, self._begin) = encode(payload), origin(key, payload)
        y, u, v = (pattern.coefficients(codeword) for pattern in lattice(key).patterns)
        self._luma = tiles(*y, short / 2, shift) * np.float32(deviation(strength.psnr))
        loud = np.float32(deviation(strength.chroma))
        self._colour = [loud * tiles(*plane, short / 4, shift) for plane in (u, v)]

    def embed(self, picture: Picture) -> Picture:
        """A marked copy of a picture of 4:2:0, ``uint8[h, w]`` and ``uint8[h/2, w/2]``; grey stays so.

        Raises: GeometryError when the frame has another size than the clip.
        """
        height, width = picture.y.shape
        if (width, height) != self._size:
            raise GeometryError(f"the frame is {width}×{height}, the clip {self._size}")
        shown, mask = mixture(picture.time + self._begin), perceptual_mask(picture.y)
        y = laid(picture.y, mask, _faded(self._luma, shown))
        if picture.u is None or picture.v is None:
            return picture._replace(y=y)
        if not picture.u.shape == picture.v.shape == (height // 2, width // 2):
            raise GeometryError("the planes of colour must have half the frame's size")
        u, v = (
            laid(plane, mask, _faded(patterns, shown))
            for plane, patterns in zip((picture.u, picture.v), self._colour, strict=True)
        )
        return Picture(picture.time, y, u, v)


def laid(plane: Luma, mask: Tiles, tile: Tiles) -> Luma:
    """``uint8[h, w]`` with the tile added all over, times the mask ``float32[h', w']`` at that size."""
    change = np.asarray(cv2.resize(mask, plane.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    for rows, columns in _places(plane, tile):
        part = change[rows, columns]
        part *= tile[: part.shape[0], : part.shape[1]]
    marked: Luma = cv2.add(plane, change, dtype=cv2.CV_8U).astype(np.uint8, copy=False)
    return marked


def _places(plane: Luma, tile: Tiles) -> list[tuple[slice, slice]]:
    (height, width), (high, wide) = plane.shape, tile.shape
    return [
        (slice(top, top + high), slice(left, left + wide))
        for top in range(0, height, high)
        for left in range(0, width, wide)
    ]


def mixture(time: float) -> Mixture:
    """What is shown at `time` seconds."""
    position = (time % PERIOD_SECONDS) / STATE_SECONDS
    state = int(position) % STATES
    into = (position - int(position)) * STATE_SECONDS
    weight = max(0.0, into - (STATE_SECONDS - FADE_SECONDS)) / FADE_SECONDS
    return Mixture(state, (state + 1) % STATES, weight)


def _faded(patterns: Tiles, shown: Mixture) -> Tiles:
    """The tile that is shown; between cross-fades, of equal power, it stands still."""
    if not shown.weight:
        return np.asarray(patterns[shown.first])
    angle = np.float32(shown.weight * np.pi / 2)
    faded = np.cos(angle) * patterns[shown.first] + np.sin(angle) * patterns[shown.second]
    return np.asarray(faded, dtype=np.float32)


def perceptual_mask(luma: Luma) -> Tiles:
    """Relative strength ``float32[h', w']`` at `MASK_LINES` lines, mean square 1: more where it is busy.

    The exponent stays small: strong texture masking would leave flat content without a mark.
    """
    mask = np.sqrt(np.sqrt(deviations(luma) + np.float32(MASK_FLOOR)))
    return np.asarray(mask / np.sqrt(np.mean(mask * mask)), np.float32)


def deviations(luma: Luma) -> Tiles:
    """Local deviation in grey levels, ``float32[h', w']`` at `MASK_LINES` lines."""
    scale = MASK_LINES / min(luma.shape)
    size = (max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale)))
    small = shrink(luma, *size).astype(np.float32)
    mean, square = cv2.blur(small, (5, 5)), cv2.blur(small * small, (5, 5))
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0.0)), np.float32)


def tiles(
    points: Points, coefficients: Complex, side: float, shift: tuple[float, float] = (0.0, 0.0)
) -> Tiles:
    """``float32[8, n, n]`` of unit variance from coefficients of the half plane; a period has `side` pixels.

    Where that is no whole number two, or four, periods make a tile. `shift`: where the origin lies, in
    periods.
    """
    repeats = next(count for count in (1, 2, 4) if float(side * count).is_integer())
    pixels = round(side * repeats)
    kx, ky = (points * repeats).T
    # Samples sit at pixel centres, so that a resized clip keeps the pattern's place.
    centred = coefficients * np.exp(1j * np.pi * (kx + ky) / pixels - 2j * np.pi * (points @ np.array(shift)))
    spectrum = np.zeros((STATES, pixels, pixels), dtype=np.complex64)
    spectrum[:, ky % pixels, kx % pixels] = centred
    spectrum[:, -ky % pixels, -kx % pixels] = np.conj(centred)
    return np.fft.ifft2(spectrum, norm="forward").real.astype(np.float32)
