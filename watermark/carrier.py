"""The hidden mark's embedder: keyed, moving patterns in luma and colour, in one streaming pass.

Luma's pattern is masked by the picture. Those of colour are not: the eye sees little at their frequencies at
this strength, and flat places carry them best.
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
COLOUR_LOUDER = 4.0  # dB: what a dB costs in luma and in colour, and brings (docs/adr/0040)

Tiles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How strong the patterns are: the PSNR in dB of each frame's luma. That of colour goes with it."""

    psnr: float = 51.5

    @property
    def chroma(self) -> float:
        """The PSNR in dB of U and V, each by itself."""
        return self.psnr - COLOUR_LOUDER


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
        self._size, self._deviation = (width, height), deviation(strength.psnr)
        codeword, (shift, self._begin) = encode(payload), origin(key, payload)
        y, u, v = (pattern.coefficients(codeword) for pattern in lattice(key).patterns)
        self._luma = tiles(*y, short / 2, shift)
        loud = np.float32(deviation(strength.chroma))
        self._colour = [loud * tiles(*plane, short / 4, shift) for plane in (u, v)]

    def embed(self, picture: Picture) -> Picture:
        """A marked copy of a picture of 4:2:0, ``uint8[h, w]`` and ``uint8[h/2, w/2]``; grey stays so.

        Raises: GeometryError when the frame has another size than the clip.
        """
        height, width = picture.y.shape
        if (width, height) != self._size:
            raise GeometryError(f"the frame is {width}×{height}, the clip {self._size}")
        shown = mixture(picture.time + self._begin)
        y = self._marked_luma(picture.y, shown)
        if picture.u is None or picture.v is None:
            return picture._replace(y=y)
        if not picture.u.shape == picture.v.shape == (height // 2, width // 2):
            raise GeometryError("the planes of colour must have half the frame's size")
        u, v = (
            laid(plane, _faded(patterns, shown))
            for plane, patterns in zip((picture.u, picture.v), self._colour, strict=True)
        )
        return Picture(picture.time, y, u, v)

    def _marked_luma(self, luma: Luma, shown: Mixture) -> Luma:
        small = perceptual_mask(luma)
        small *= self._deviation / float(np.sqrt(np.mean(small * small)))
        change = np.asarray(cv2.resize(small, self._size, interpolation=cv2.INTER_LINEAR), np.float32)
        tile = _faded(self._luma, shown)
        for rows, columns in _places(luma, tile):
            part = change[rows, columns]
            part *= tile[: part.shape[0], : part.shape[1]]
        marked: Luma = cv2.add(luma, change, dtype=cv2.CV_8U).astype(np.uint8, copy=False)
        return marked


def laid(plane: Luma, tile: Tiles) -> Luma:
    """``uint8[h, w]`` with the tile added all over; a whole plane of it is never made."""
    marked = np.empty_like(plane)
    for rows, columns in _places(plane, tile):
        part = plane[rows, columns]
        change = tile[: part.shape[0], : part.shape[1]]
        marked[rows, columns] = cv2.add(part, change, dtype=cv2.CV_8U)
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
    """Relative strength ``float32[h', w']`` at `MASK_LINES` lines: weakly more where the picture is busy.

    The exponent stays small: strong texture masking would leave flat content without a mark.
    """
    scale = MASK_LINES / min(luma.shape)
    size = (max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale)))
    small = shrink(luma, *size).astype(np.float32)
    mean, square = cv2.blur(small, (5, 5)), cv2.blur(small * small, (5, 5))
    spread = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return np.sqrt(np.sqrt(spread + np.float32(MASK_FLOOR)))


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
