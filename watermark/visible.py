"""The visible moving mark: two small plates that say "AI-generated" and by which service.

Drawn on YUV 4:2:0 planes. Where the plates are follows from key and payload (``visible_path``), so whoever
knows the hidden payload knows where the visible mark has to be at each time (``visible_detect``).
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.base import Luma, TimedLuma
from watermark.errors import GeometryError
from watermark.visible_draw import (
    CAP_HEIGHT,
    EM,
    STROKE_STEPS,
    Ink,
    Levels,
    Patch,
    VisibleStyle,
    blend,
    place,
    plate_ratio,
    render,
)
from watermark.visible_path import VARIANTS, Plate, VisiblePath, nominal_aspect
from watermark.visible_standing import StandingLabel, check_text, standing_box

DEFAULT_LABEL = "AI-generated"
DEFAULT_HANDLE = "countermark"
MIN_SHORT_SIDE = 96  # pixels: below this no text is legible
MIN_PLATE_PIXELS = 10.0
_LEVEL_STEP = 1.25  # ink is rendered anew when a plate outgrows it or shrinks by this factor

Box = tuple[int, int, int, int]


class Pose(NamedTuple):
    """One plate at one time. Pixels of the marked frame; ``opacity`` 0 … 1; ``stroke`` -1 … 1."""

    plate: Plate
    centre: tuple[float, float]
    height: float
    ratio: float
    opacity: float
    stroke: float

    def box(self) -> Box:
        """Pixels touched (x0, y0, x1, y1), on even coordinates."""
        half = (self.height * self.ratio / 2 + 1, self.height / 2 + 1)
        low = [int((c - h) // 2 * 2) for c, h in zip(self.centre, half, strict=True)]
        high = [int(-((c + h) // -2) * 2) for c, h in zip(self.centre, half, strict=True)]
        return low[0], low[1], high[0], high[1]


class VisibleLayout:
    """Where and how large both plates are, without pixels: what drawing and verification share.

    ``width``, ``height``: pixels of the marked frame (display orientation). Raises GeometryError where the
    texts do not fit.
    """

    def __init__(
        self,
        key: bytes,
        payload: int,
        variant: int,
        width: int,
        height: int,
        label: str = DEFAULT_LABEL,
        handle: str = DEFAULT_HANDLE,
        style: VisibleStyle | None = None,
    ) -> None:
        if min(width, height) < MIN_SHORT_SIDE:
            raise GeometryError(f"The frame is under {MIN_SHORT_SIDE} pixels: too small for a visible mark.")
        self.width, self.height = width, height
        self.style = style or VisibleStyle()
        self.texts = (label, handle)
        self.path = VisiblePath(key, payload, variant, nominal_aspect(width, height))
        self.ratios = (plate_ratio(label, glyph=True), plate_ratio(handle, glyph=False))
        self._short = min(width, height)
        self._heights = tuple(self._usual_height(plate) for plate in Plate)
        self._intro = self._intro_height()
        if self.style.standing:
            check_text(self.style.standing)
            standing_box(width, height, self.style.standing)

    @property
    def opening_text_height(self) -> float:
        """Height of the moving label's capitals in the first seconds, in short sides."""
        return self._intro * EM * CAP_HEIGHT

    def stands(self, time: float, duration: float | None = None) -> bool:
        """Whether the standing label is shown at ``time``; ``duration``: of the clip, all in seconds."""
        style = self.style
        if not style.standing:
            return False
        late = style.standing_end and duration is not None and time >= duration - style.standing_seconds
        return time < style.standing_seconds or late

    def poses(self, time: float) -> tuple[Pose, Pose]:
        """Label and handle at ``time`` seconds."""
        return self._pose(Plate.LABEL, time), self._pose(Plate.HANDLE, time)

    def boxes(self, time: float) -> tuple[Box, Box]:
        """The pixel boxes (x0, y0, x1, y1) that the plates touch at this time."""
        label, handle = self.poses(time)
        return label.box(), handle.box()

    def _pose(self, plate: Plate, time: float) -> Pose:
        drift = self.path.drift(plate, time)
        height = self._height_at(plate, time) * (1 + self.style.size_drift * drift.size)
        ratio = self.ratios[plate]
        x, y = self.path.centre(plate, time, (height * ratio, height))
        wide, high = self.path.frame
        opacity = 1 - self.style.opacity_drift * (1 + drift.opacity)
        stroke = round(drift.stroke * STROKE_STEPS) / STROKE_STEPS
        centre = (x / wide * self.width, y / high * self.height)
        return Pose(plate, centre, height * self._short, ratio, opacity, stroke)

    def _usual_height(self, plate: Plate) -> float:
        """Plate height in short sides, shrunk where the text would not fit."""
        style = self.style
        wanted, least = (
            (style.label_height, style.min_label_pixels),
            (style.handle_height, style.min_handle_pixels),
        )[plate]
        height = min(max(wanted, least / self._short), self._tallest(plate))
        if height * self._short < MIN_PLATE_PIXELS:
            raise GeometryError("The text of the visible mark is too long for this frame: shorten it.")
        return height

    def _tallest(self, plate: Plate) -> float:
        """The height at which the plate would just fill its band, less some room to move."""
        band = self.path.bands[plate]
        room = min((band.right - band.left) / self.ratios[plate], band.bottom - band.top)
        return room * 0.94 / (1 + self.style.size_drift)

    def _intro_height(self) -> float:
        wanted = self.style.intro_text_height / (EM * CAP_HEIGHT)
        return min(max(wanted, self._heights[Plate.LABEL]), self._tallest(Plate.LABEL))

    def _height_at(self, plate: Plate, time: float) -> float:
        usual = self._heights[plate]
        after = time - self.style.intro_seconds
        if plate is not Plate.LABEL or after >= self.style.ease_seconds or self.style.intro_seconds <= 0:
            return usual
        passed = min(max(after / self.style.ease_seconds, 0.0), 1.0) if self.style.ease_seconds > 0 else 0.0
        return self._intro + (usual - self._intro) * passed * passed * (3 - 2 * passed)


class VisibleMark(VisibleLayout):
    """Draws the visible mark into frames of one clip. Keeps rendered ink: use one per thread.

    ``duration``: seconds of the clip, which a standing label at its end needs.
    """

    def __init__(
        self,
        key: bytes,
        payload: int,
        variant: int,
        width: int,
        height: int,
        label: str = DEFAULT_LABEL,
        handle: str = DEFAULT_HANDLE,
        style: VisibleStyle | None = None,
        *,
        full_range: bool = False,
        duration: float | None = None,
    ) -> None:
        super().__init__(key, payload, variant, width, height, label, handle, style)
        self._duration = duration
        self._levels = Levels.of_range(full_range=full_range, light=self.style.light)
        self._inks = [
            _InkStore(text, glyph=plate is Plate.LABEL) for plate, text in zip(Plate, self.texts, strict=True)
        ]
        self._standing = (
            StandingLabel(width, height, self.style.standing, light=self.style.light, full_range=full_range)
            if self.style.standing
            else None
        )

    def draw(self, y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8], time: float) -> None:
        """Draw both plates in place, and the standing label where it is due.

        ``y`` uint8[height, width]; ``u``, ``v`` uint8[ceil(height / 2), ceil(width / 2)]; ``time``:
        presentation time in seconds from the start of the clip. Raises GeometryError for other shapes.
        """
        half = ((self.height + 1) // 2, (self.width + 1) // 2)
        if y.shape != (self.height, self.width) or u.shape != half or v.shape != half:
            raise GeometryError("The frame's size is not the one that the visible mark was made for.")
        if self._standing is not None and self.stands(time, self._duration):
            self._standing.draw(y, u, v)
        for pose in self.poses(time):
            self._draw_plate(y, u, v, pose)

    def _draw_plate(
        self, y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8], pose: Pose
    ) -> None:
        layers = self._inks[pose.plate].layers(pose, self.style, self._levels)
        box = _inside(pose.box(), self.width, self.height)
        placed = place(layers, centre=pose.centre, height=pose.height, box=box, ratio=pose.ratio)
        placed *= np.float32(pose.opacity)
        blend((y, u, v), placed, box)


class _InkStore:
    """The ink of one plate at the size in use; re-rendered when the size or the stroke leaves it."""

    def __init__(self, text: str, *, glyph: bool) -> None:
        self._text, self._glyph = text, glyph
        self._height = 0.0
        self._ink: Ink | None = None
        self._stroke: float | None = None
        self._layers: Patch | None = None

    def layers(self, pose: Pose, style: VisibleStyle, levels: Levels) -> Patch:
        if self._ink is None or not self._height / _LEVEL_STEP <= pose.height <= self._height:
            self._height = pose.height * (1 + 2 * style.size_drift)
            self._ink = render(self._text, glyph=self._glyph, height=self._height, style=style, levels=levels)
            self._layers = None
        if self._layers is None or self._stroke != pose.stroke:
            self._layers = self._ink.layers(pose.stroke)
            self._stroke = pose.stroke
        return self._layers


def _inside(box: Box, width: int, height: int) -> Box:
    """Cut to the even part of the frame (plates keep clear of the border anyway)."""
    return max(box[0], 0), max(box[1], 0), min(box[2], width // 2 * 2), min(box[3], height // 2 * 2)


def choose_variant(
    frames: Sequence[TimedLuma],
    key: bytes,
    payload: int,
    label: str = DEFAULT_LABEL,
    handle: str = DEFAULT_HANDLE,
    style: VisibleStyle | None = None,
    size: tuple[int, int] | None = None,
) -> int:
    """Of the 16 paths the one that crosses most texture: hard to paint out, and it hides no flat title.

    ``frames``: a few frames of the clip (three a second are plenty), all of one size. ``size``: width and
    height of the clip, where they were `reduced`, which chooses the same. Deterministic.
    """
    if not frames:
        raise GeometryError("No frame was given to choose a path from: sample at least one.")
    width, height = size or frames[0].luma.shape[::-1]
    maps = [(frame.time, _texture(frame.luma)) for frame in frames]
    scores = []
    for variant in range(VARIANTS):
        layout = VisibleLayout(key, payload, variant, width, height, label, handle, style)
        scores.append(sum(_texture_under(layout, time, texture) for time, texture in maps))
    return int(np.argmax(scores))


def reduced(luma: Luma) -> Luma:
    """A copy of 90 lines: all that `choose_variant` looks at."""
    scale = 90 / min(luma.shape)
    return np.asarray(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _texture(luma: Luma) -> NDArray[np.float64]:
    """Integral image of saturating local contrast on a grid of 90 lines."""
    small = reduced(luma).astype(np.float32)
    mean = cv2.blur(small, (5, 5))
    spread = np.sqrt(np.maximum(cv2.blur(small * small, (5, 5)) - mean * mean, 0))
    return np.asarray(cv2.integral(spread / (spread + 12)), np.float64)


def _texture_under(layout: VisibleLayout, time: float, integral: NDArray[np.float64]) -> float:
    """Mean texture in both boxes at this time."""
    rows, columns = integral.shape[0] - 1, integral.shape[1] - 1
    total = 0.0
    for x0, y0, x1, y1 in layout.boxes(time):
        left, right = int(x0 / layout.width * columns), -int(-x1 / layout.width * columns)
        top, bottom = int(y0 / layout.height * rows), -int(-y1 / layout.height * rows)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        area = integral[bottom, right] - integral[top, right] - integral[bottom, left] + integral[top, left]
        total += float(area) / ((right - left) * (bottom - top))
    return total
