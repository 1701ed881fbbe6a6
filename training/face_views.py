"""How a face looks otherwise: small, blurred, coded, dark, relit, leaning, turned.

What `training.drawn_faces` learns from beside drawings.
Moderate on purpose: a face that is hardly to be seen says nothing of whom it shows. Covered faces and the
strongest of the conditions of `benchmarks.tools.face_trials` are not among them, so that these stay a test.
"""

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifiers.base import Picture

Place = tuple[int, int, int, int]
"""Left, top, right, bottom of the face in pixels."""
View = Callable[[Picture, Place], Picture]
SIDE: Final = 110.0
"""Pixels of the face that a blur is told for."""
DEPTH: Final = 0.75
"""Half an ellipsoid's width, by that of the face that lies on it."""
GROUND: Final = (100, 100, 100)
SEED: Final = 1


def _small(pixels: int) -> View:
    def shrink(picture: Picture, place: Place) -> Picture:
        factor = pixels / (place[2] - place[0])
        return _picture(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))

    return shrink


def _blurred(sigma: float) -> View:
    return lambda picture, place: _picture(
        cv2.GaussianBlur(picture, (0, 0), sigma * (place[2] - place[0]) / SIDE)
    )


def _coded(quality: int) -> View:
    def code(picture: Picture, _place: Place) -> Picture:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return code


def _grainy(gain: float, grain: float) -> View:
    def darken(picture: Picture, _place: Place) -> Picture:
        noise = np.random.default_rng(SEED).normal(0, grain, picture.shape)
        return _picture(picture * gain + noise)

    return darken


def _lit(gain: tuple[float, float, float], lift: float) -> View:
    return lambda picture, _place: _picture(picture * np.array(gain) + lift)


def _side_lit(side: float) -> View:
    def light(picture: Picture, _place: Place) -> Picture:
        across = np.linspace(0, 1, picture.shape[1])[None, :, None]
        return _picture(picture * (0.25 + 1.1 * np.abs(across - side)))

    return light


def _leaning(degrees: float) -> View:
    def turn(picture: Picture, place: Place) -> Picture:
        middle = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
        matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
        size = picture.shape[1], picture.shape[0]
        return _picture(cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT_101))

    return turn


def _aside(degrees: float) -> View:
    """Turned about the upright axis of an ellipsoid on which the picture lies."""

    def turn(picture: Picture, place: Place) -> Picture:
        high, wide = picture.shape[:2]
        radius, middle = DEPTH * (place[2] - place[0]), (place[0] + place[2]) / 2
        across = (np.arange(wide) - middle) / radius
        angle = np.arcsin(np.clip(across, -1, 1)) - np.radians(degrees)
        seen = (np.abs(angle) < np.pi / 2) & (np.abs(across) < 1)
        columns = np.where(seen, np.sin(angle) * radius + middle, -1).astype(np.float32)
        rows = np.arange(high, dtype=np.float32)[:, None]
        return _picture(
            cv2.remap(
                picture, np.tile(columns, (high, 1)), np.tile(rows, (1, wide)), cv2.INTER_LINEAR,
                borderValue=GROUND,
            )
        )  # fmt: skip

    return turn


def _picture(levels: NDArray[np.generic]) -> Picture:
    return np.ascontiguousarray(np.clip(levels, 0, 255).astype(np.uint8))


VIEWS: Final[Mapping[str, View]] = {
    "mirrored": lambda picture, _place: np.ascontiguousarray(picture[:, ::-1]),
    "36 pixels": _small(36),
    "50 pixels": _small(50),
    "blurred, sigma 1.5": _blurred(1.5),
    "blurred, sigma 3": _blurred(3.0),
    "coded at quality 30": _coded(30),
    "a fifth of the light, grain 12": _grainy(0.2, 12.0),
    "warm": _lit((1.3, 1.0, 0.7), 15.0),
    "cool": _lit((0.8, 0.95, 1.3), 10.0),
    "pale": _lit((0.6, 0.6, 0.6), 90.0),
    "lit from the right": _side_lit(0.1),
    "lit from the left": _side_lit(0.9),
    "leaning by 15 degrees": _leaning(15.0),
    "aside by 25 degrees": _aside(25.0),
    "aside by -25 degrees": _aside(-25.0),
}
