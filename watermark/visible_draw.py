"""What the plates of the visible mark look like: shape, sparkle, text; rendered once, placed per frame.

A plate is a dark translucent rounded box with a hairline rim and near-white text, so that it reads on light
and on dark. It is a *solid* plate: removing it means removing a whole box, and that leaves a hole in the
hidden mark, while painting over bare letters would not.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.errors import GeometryError

Patch = NDArray[np.float32]

OVERSAMPLING = 2  # stored ink pixels per frame pixel: sub-pixel placement then keeps its sharpness
MAX_TEXT = 32  # characters
FONT = "sans"  # OpenCV's built-in variable font (Rubik, with CJK fallback)
WEIGHT = 540  # of the font
STROKE_GROWTH = 0.028  # over plate height: how much wider letters get between the thin and the bold stroke
EM = 0.60  # font size over plate height
CAP_HEIGHT = 0.70  # height of capital letters over font size
PADDING, GLYPH, GLYPH_GAP, CORNER, RIM = 0.42, 0.50, 0.25, 0.36, 0.035  # over plate height
STROKE_STEPS = 4
NEUTRAL_CHROMA = 128
PLATE_OPACITY = 0.62
SIZES = (0.8, 1.6)  # times the usual height
OPACITIES = (0.5, 0.95)  # of a plate: fainter ones leave the letters alone on what is behind
STANDING_SECONDS = (2.0, 10.0)  # of a standing label: rules ask for two


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleStyle:
    """Size and look of the visible mark. Lengths in short sides, opacities 0 … 1, times in seconds.

    ``min_label_pixels``/``min_handle_pixels``: plate heights below which text stops being legible.
    ``intro_text_height``: height of capital letters in the first ``intro_seconds`` (labelling rules ask for
    5 % of the short side for 2 s); the label then eases to its usual size within ``ease_seconds``.
    ``light``: dark letters on a light plate instead of light ones on a dark plate. ``standing``: text of a
    label that stays for the first ``standing_seconds``, and for the last ones where ``standing_end``
    (`watermark.visible_standing`); none where empty.
    """

    label_height: float = 0.056
    handle_height: float = 0.045
    min_label_pixels: float = 20.0
    min_handle_pixels: float = 17.0
    plate_opacity: float = PLATE_OPACITY
    text_opacity: float = 0.95
    rim_opacity: float = 0.20
    opacity_drift: float = 0.03
    size_drift: float = 0.02
    intro_seconds: float = 2.0
    ease_seconds: float = 0.8
    intro_text_height: float = 0.052
    light: bool = False
    standing: str = ""
    standing_seconds: float = 2.5
    standing_end: bool = False

    @classmethod
    def chosen(
        cls, *, size: float = 1.0, light: bool = False, opacity: float = PLATE_OPACITY, standing: str = "",
        standing_seconds: float = 2.5, standing_end: bool = False,
    ) -> "VisibleStyle":  # fmt: skip
        """What an operator may choose: `size` times the usual height after the first seconds, the plate, and
        the text of a standing label, its time, and whether it comes again at the end.

        Raises: GeometryError for what is not legible, too large, or lets too much through.
        """
        if not (SIZES[0] <= size <= SIZES[1] and OPACITIES[0] <= opacity <= OPACITIES[1]):
            raise GeometryError(
                f"The visible mark's size lies between {SIZES[0]:g} and {SIZES[1]:g}, "
                f"the opacity of its plates between {OPACITIES[0]:g} and {OPACITIES[1]:g}."
            )
        if not STANDING_SECONDS[0] <= standing_seconds <= STANDING_SECONDS[1]:
            raise GeometryError(
                f"A standing label stays for {STANDING_SECONDS[0]:g} to {STANDING_SECONDS[1]:g} seconds."
            )
        usual = cls()
        return cls(
            label_height=usual.label_height * size, handle_height=usual.handle_height * size,
            plate_opacity=opacity, light=light, standing=standing, standing_seconds=standing_seconds,
            standing_end=standing_end,
        )  # fmt: skip


class Levels(NamedTuple):
    """Luma values of the plate, its text and its rim, in the clip's own range."""

    plate: float
    text: float
    rim: float

    @classmethod
    def of_range(cls, *, full_range: bool, light: bool = False) -> "Levels":
        """Near black and near white, clear of the ends of the range; `light`: the plate is the white one."""
        dark, bright = (10.0, 246.0) if full_range else (25.0, 228.0)
        return cls(bright, dark, dark) if light else cls(dark, bright, bright)


@dataclass(frozen=True, slots=True)
class Ink:
    """One rendered plate as layers ``float32[h, w, 2]``: opacity a and premultiplied luma b.

    The drawn luma is y * (1 - a) + b. Both are linear in the text's coverage, so a stroke between thin and
    bold is ``thin`` plus a share of ``growth``.
    """

    thin: Patch
    growth: Patch

    def layers(self, stroke: float) -> Patch:
        """The plate with a stroke between -1 (thin) and 1 (bold)."""
        return np.asarray(cv2.scaleAdd(self.growth, (stroke + 1) / 2, self.thin), np.float32)


def plate_ratio(text: str, *, glyph: bool) -> float:
    """Width over height of the plate that carries ``text``. Raises GeometryError for unusable text."""
    _check_text(text)
    reference = 200.0
    return 2 * PADDING + _glyph_room(glyph=glyph) + _text_width(text, reference) / reference


def render(text: str, *, glyph: bool, height: float, style: VisibleStyle, levels: Levels) -> Ink:
    """Ink of a plate that will be about ``height`` frame pixels high (stored at twice that)."""
    scale = height * OVERSAMPLING
    ratio = plate_ratio(text, glyph=glyph)
    shape = (math.ceil(scale) + 2, math.ceil(scale * ratio) + 2)
    box, rim = _box(shape, (scale * ratio, scale))
    strokes = _text(shape, text, scale, glyph=glyph)
    width = max(3, round(STROKE_GROWTH * scale) | 1)
    wider = cv2.dilate(strokes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    share = np.float32(min(1.0, STROKE_GROWTH * scale / (width - 1)))
    bold = strokes + (np.asarray(wider, np.float32) - strokes) * share
    thin = _compose(box, rim, soften(strokes), style, levels)
    return Ink(thin, _compose(box, rim, soften(bold), style, levels) - thin)


def _compose(box: Patch, rim: Patch, text: Patch, style: VisibleStyle, levels: Levels) -> Patch:
    """Stack text over rim over box: ``float32[h, w, 2]`` of opacity and premultiplied luma."""
    box, rim, text = box * style.plate_opacity, rim * style.rim_opacity, text * style.text_opacity
    under = box * (1 - rim) * levels.plate + rim * levels.rim
    opacity = 1 - (1 - box) * (1 - rim) * (1 - text)
    return np.dstack([opacity, under * (1 - text) + text * levels.text]).astype(np.float32)


def place(
    layers: Patch, *, centre: tuple[float, float], height: float, box: tuple[int, int, int, int], ratio: float
) -> Patch:
    """Resample ``layers`` onto the pixels of ``box`` (x0, y0, x1, y1), the plate ``height`` pixels high.

    ``centre`` in pixels of the frame, measured from its upper left corner (not from a pixel's centre).
    """
    factor = (layers.shape[0] - 2) / height
    left, top = centre[0] - height * ratio / 2, centre[1] - height / 2
    x = (box[0] + 0.5 - left) * factor + 0.5  # the ink has one empty pixel around it
    y = (box[1] + 0.5 - top) * factor + 0.5
    matrix = np.array([[factor, 0, x], [0, factor, y]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (box[2] - box[0], box[3] - box[1])
    return np.asarray(cv2.warpAffine(layers, matrix, size, flags=flags), np.float32)


def _check_text(text: str) -> None:
    if not text.strip() or len(text) > MAX_TEXT or not text.isprintable():
        raise GeometryError(f"The text of the visible mark cannot be drawn: give 1 to {MAX_TEXT} letters.")


def _glyph_room(*, glyph: bool) -> float:
    return GLYPH + GLYPH_GAP if glyph else 0.0


def _text_width(text: str, plate_height: float) -> float:
    font = cv2.FontFace(FONT)
    return float(cv2.getTextSize((0, 0), text, (0, 0), font, round(EM * plate_height), WEIGHT)[2])


def _box(shape: tuple[int, int], inner: tuple[float, float]) -> tuple[Patch, Patch]:
    """Coverage of the rounded box and of its hairline rim, from the distance to the outline."""
    outside = _outside(shape, inner, 1.0)
    half = max(RIM * inner[1], 1.6) / 2
    box = np.clip(0.5 - outside, 0, 1)
    rim = np.clip(half + 0.5 - np.abs(outside + half), 0, 1)
    return soften(np.asarray(box, np.float32)), soften(np.asarray(rim, np.float32))


def rounded_box(shape: tuple[int, int]) -> Patch:
    """Coverage of a rounded box that fills the shape."""
    outside = _outside(shape, (float(shape[1]), float(shape[0])), 0.0)
    return np.asarray(np.clip(0.5 - outside, 0, 1), np.float32)


def _outside(shape: tuple[int, int], inner: tuple[float, float], margin: float) -> Patch:
    """Pixels from the outline of a rounded box, ``margin`` from the left and the top; negative inside."""
    corner = CORNER * inner[1]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    dx = np.abs(x + 0.5 - (margin + inner[0] / 2)) - (inner[0] / 2 - corner)
    dy = np.abs(y + 0.5 - (margin + inner[1] / 2)) - (inner[1] / 2 - corner)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - corner
    return np.asarray(outside, np.float32)


def _text(shape: tuple[int, int], text: str, scale: float, *, glyph: bool) -> Patch:
    canvas = np.zeros(shape, np.uint8)
    if glyph:
        _sparkle(canvas, (1 + (PADDING + 0.46 * GLYPH) * scale, 1 + 0.53 * scale), 0.50 * GLYPH * scale)
        _sparkle(canvas, (1 + (PADDING + 0.92 * GLYPH) * scale, 1 + 0.315 * scale), 0.22 * GLYPH * scale)
    size = round(EM * scale)
    x = 1 + (PADDING + _glyph_room(glyph=glyph)) * scale
    baseline = 1 + scale / 2 + CAP_HEIGHT * size / 2
    cv2.putText(canvas, text, (round(x), round(baseline)), 255, cv2.FontFace(FONT), size, WEIGHT)
    return np.asarray(canvas / np.float32(255), np.float32)


def _sparkle(canvas: NDArray[np.uint8], centre: tuple[float, float], radius: float) -> None:
    """A four-pointed star with hollow sides, the usual sign for generated content."""
    angles = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.sign(points) * np.abs(points) ** 2.4 * radius + centre
    shift = 4
    cv2.fillPoly(canvas, [np.rint(points * 2**shift).astype(np.int32)], 255, cv2.LINE_AA, shift)


def soften(coverage: NDArray[np.float32]) -> Patch:
    """Band-limit to frame pixels, so that text does not shimmer while it moves."""
    return np.asarray(cv2.GaussianBlur(coverage, (3, 3), 0.7), np.float32)


def blend(planes: tuple[NDArray[np.uint8], ...], placed: Patch, box: tuple[int, int, int, int]) -> None:
    """Mix a patch into the planes y, u, v of a frame, in place; colour turns grey under it.

    ``placed``: ``float32[h, w, 2]`` for the pixels of ``box`` (x0, y0, x1, y1), which is on even coordinates.
    """
    x0, y0, x1, y1 = box
    opacity = np.ascontiguousarray(placed[..., 0])
    _mix(planes[0][y0:y1, x0:x1], opacity, placed[..., 1])
    coarse = np.asarray(cv2.resize(opacity, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
    neutral = coarse * np.float32(NEUTRAL_CHROMA)
    for plane in planes[1:]:
        _mix(plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2], coarse, neutral)


def _mix(target: NDArray[np.uint8], opacity: Patch, premultiplied: Patch) -> None:
    """Mix in place: target * (1 - opacity) + premultiplied, rounded."""
    mixed = target * (1 - opacity)
    mixed += premultiplied
    mixed += 0.5
    target[...] = mixed.astype(np.uint8)
