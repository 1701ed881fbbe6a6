"""The standing label: one plate that stays below the moving ones, at the start of a clip and perhaps its end.

Labelling rules ask for a text that stays for two seconds, with letters of 5 % of the shorter side (GB
45438-2025, video). It lies in the strip that the moving plates leave free, so that it never covers them, and
its letters stand further apart than theirs, so that nobody who looks for a moved label takes it for one.
The rectangle follows from the frame's size and the text alone: no key is needed to look for it.
"""

import math
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Luma
from watermark.errors import GeometryError
from watermark.visible_draw import (
    CAP_HEIGHT,
    FONT,
    OVERSAMPLING,
    WEIGHT,
    Levels,
    Patch,
    blend,
    rounded_box,
    soften,
)
from watermark.visible_path import MARGIN_BOTTOM

TEXT_HEIGHT: Final = 0.055  # of capital letters, in short sides; the rules ask for 0.05
LEAST_TEXT_HEIGHT: Final = 0.05
MAX_CHARACTERS: Final = 24
EM: Final = 0.80  # font size over plate height
PADDING: Final = 0.40  # over plate height, at both ends
TRACKING: Final = 0.10  # room between letters, over font size
PLATE_OPACITY: Final = 0.80  # letters keep a contrast of 7 : 1 over white
TEXT_OPACITY: Final = 0.97
BELOW_BANDS: Final = 0.012  # short sides between the moving plates' lowest place and this plate
WIDEST: Final = 0.96  # of the frame's width
MISSING_GLYPH: Final = "?"  # what the font draws for a character that it does not have

SEEN: Final = (
    0.55  # correlation from which on the label is there: 0.67 at least with it, 0.20 at most without
)
SHIFT: Final = 4  # pixels of the canonical plate by which it may be off
CANONICAL_HEIGHT: Final = 24  # pixels of the plate when it is looked for
HIGH_PASS: Final = 5.0  # pixels of sigma
NOISE: Final = 4.0  # luma: flatter pictures count as noise of this size

Box = tuple[int, int, int, int]


def check_text(text: str) -> str:
    """The text, if every character of it can be drawn. Raises: GeometryError."""
    if not text.strip() or len(text) > MAX_CHARACTERS or not text.isprintable():
        raise GeometryError(f"The standing label cannot be drawn: give 1 to {MAX_CHARACTERS} characters.")
    lost = sorted({one for one in text if not one.isspace() and one != MISSING_GLYPH and not _has(one)})
    if lost:
        raise GeometryError(f"The font has no picture of {' '.join(lost)}: write the standing label without.")
    return text


def standing_box(width: int, height: int, text: str) -> Box:
    """The pixels (x0, y0, x1, y1) of the plate in a frame of that size, on even coordinates.

    Raises: GeometryError where the text does not fit beside letters of the size that rules ask for.
    """
    short = min(width, height)
    high = TEXT_HEIGHT / (EM * CAP_HEIGHT) * short
    wide = plate_ratio(text) * high
    if wide > WIDEST * width:
        raise GeometryError("The standing label is too wide for this frame: shorten its text.")
    top = math.ceil(((1 - MARGIN_BOTTOM) * height + BELOW_BANDS * short) / 2) * 2
    x0, y0 = int((width - wide) / 4) * 2, top
    return x0, y0, x0 + math.ceil(wide / 2) * 2, min(y0 + math.ceil(high / 2) * 2, height // 2 * 2)


def plate_ratio(text: str) -> float:
    """Width over height of the plate."""
    reference = 200
    return 2 * PADDING + _advance(text, reference) / reference * EM


class StandingLabel:
    """Draws the plate. `light`: dark letters on a light plate; `full_range`: of the clip's luma."""

    def __init__(self, width: int, height: int, text: str, *, light: bool, full_range: bool) -> None:
        self.box = standing_box(width, height, text)
        x0, y0, x1, y1 = self.box
        self._layers = _plate(text, x1 - x0, y1 - y0, Levels.of_range(full_range=full_range, light=light))

    def draw(self, y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]) -> None:
        """Draw it into the planes of a frame, in place; shapes as in `VisibleMark.draw`."""
        blend((y, u, v), self._layers, self.box)


def seen(luma: Luma, text: str, *, light: bool) -> float:
    """How much the label's place looks like the label: about 0 without and 0.7 … 1 with it.

    `luma`: uint8[h, w], of any size, of the whole picture. Raises: GeometryError as `standing_box`.
    """
    height, width = luma.shape
    x0, y0, x1, y1 = standing_box(width, height, text)
    scale = CANONICAL_HEIGHT / (y1 - y0)
    margin = math.ceil(SHIFT / scale)
    crop = luma[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    picture = _high_pass(np.asarray(cv2.resize(crop, size, interpolation=mode), np.float32))
    template = _template(text, round((x1 - x0) * scale), light)
    if picture.shape[0] < template.shape[0] or picture.shape[1] < template.shape[1]:
        return 0.0
    raw = cv2.matchTemplate(picture, template, cv2.TM_CCORR)
    shape = template.shape[::-1]
    energy = cv2.boxFilter(picture * picture, -1, shape, anchor=(0, 0), normalize=False)
    energy = energy[: raw.shape[0], : raw.shape[1]]
    return float((raw / np.sqrt(energy + template.size * NOISE**2)).max())


@lru_cache(maxsize=16)
def _template(text: str, width: int, light: bool) -> Patch:
    layers = _plate(text, width, CANONICAL_HEIGHT, Levels.of_range(full_range=False, light=light))
    drawn = _high_pass(np.asarray(layers[..., 1] + 110.0 * (1 - layers[..., 0]), np.float32))
    drawn = drawn - drawn.mean()
    return np.asarray(drawn / np.linalg.norm(drawn), np.float32)


def _high_pass(picture: Patch) -> Patch:
    return np.asarray(picture - cv2.GaussianBlur(picture, (0, 0), HIGH_PASS), np.float32)


def _plate(text: str, width: int, height: int, levels: Levels) -> Patch:
    """``float32[h, w, 2]``: opacity and premultiplied luma, as `watermark.visible_draw.Ink`."""
    shape = (height * OVERSAMPLING, width * OVERSAMPLING)
    box = soften(rounded_box(shape)) * PLATE_OPACITY
    letters = soften(_letters(shape, text)) * TEXT_OPACITY
    under = box * levels.plate
    opacity = 1 - (1 - box) * (1 - letters)
    layers = np.dstack([opacity, under * (1 - letters) + letters * levels.text])
    return np.asarray(cv2.resize(layers, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _letters(shape: tuple[int, int], text: str) -> Patch:
    canvas = np.zeros(shape, np.uint8)
    size = round(EM * shape[0])
    x = (shape[1] - _advance(text, size)) / 2
    baseline = round(shape[0] / 2 + CAP_HEIGHT * size / 2)
    for letter in text:
        cv2.putText(canvas, letter, (round(x), baseline), 255, cv2.FontFace(FONT), size, WEIGHT)
        x += _width(letter, size) + TRACKING * size
    return np.asarray(canvas / np.float32(255), np.float32)


def _advance(text: str, size: int) -> float:
    return sum(_width(letter, size) for letter in text) + TRACKING * size * (len(text) - 1)


@lru_cache(maxsize=1024)
def _width(letter: str, size: int) -> float:
    # A space alone measures nothing, so it is measured between two letters.
    font = cv2.FontFace(FONT)
    both = cv2.getTextSize((0, 0), f"I{letter}I", (0, 0), font, size, WEIGHT)[2]
    return float(both - cv2.getTextSize((0, 0), "II", (0, 0), font, size, WEIGHT)[2])


@lru_cache(maxsize=256)
def _has(character: str) -> bool:
    return not np.array_equal(_picture(character), _picture(MISSING_GLYPH))


def _picture(character: str) -> NDArray[np.uint8]:
    canvas = np.zeros((48, 64), np.uint8)
    cv2.putText(canvas, character, (8, 36), 255, cv2.FontFace(FONT), 32, WEIGHT)
    return canvas
