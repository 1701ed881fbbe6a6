"""Attacks that move pixels: turns, sizes, crops, perspective."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.footage import (
    BLACK,
    NEUTRAL,
    Footage,
    Image,
    Plane,
    Situation,
    even,
    joined,
    planes,
    resized,
)

Matrix = NDArray[np.float64]
# Index of a chroma sample -> index of the luma at its centre.
_CHROMA: Final = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]])


def flip(footage: Footage, _situation: Situation) -> Footage:
    """Left and right swapped."""
    return footage.each(lambda image: joined(*(plane[:, ::-1] for plane in planes(image))))


def rotate(footage: Footage, _situation: Situation, *, degrees: float, nearest: bool = False) -> Footage:
    """Turned about the middle in a frame of the same size, corners black. ``nearest``: as VideoSeal does."""
    middle = ((footage.width - 1) / 2, (footage.height - 1) / 2)
    matrix = np.vstack([cv2.getRotationMatrix2D(middle, degrees, 1.0), [0, 0, 1]])
    mode = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return footage.each(lambda image: warped(image, matrix, mode))


def turn(footage: Footage, _situation: Situation) -> Footage:
    """A quarter turn clockwise, width and height swapped: a phone held the other way."""
    size = (footage.height, footage.width)
    return footage.each(lambda image: joined(*(np.rot90(plane, -1) for plane in planes(image))), size)


def resize(footage: Footage, _situation: Situation, *, side: float, stretch: float = 1.0) -> Footage:
    """Both sides times ``side``, the width times ``stretch`` too."""
    width, height = even(footage.width * side * stretch), even(footage.height * side)
    return footage.each(lambda image: resized(image, width, height), (width, height))


def long_side(footage: Footage, _situation: Situation, *, pixels: int) -> Footage:
    """Shrunk until the longer side has at most ``pixels``."""
    factor = min(1.0, pixels / max(footage.width, footage.height))
    width, height = even(footage.width * factor), even(footage.height * factor)
    return footage.each(lambda image: resized(image, width, height), (width, height))


def crop(footage: Footage, situation: Situation, *, side: float) -> Footage:
    """A part with ``side`` times both sides, anywhere in the frame, not resized back."""
    width, height = even(footage.width * side), even(footage.height * side)
    across, down = situation.random().random(2)
    left = 2 * int(across * ((footage.width - width) // 2 + 1))
    top = 2 * int(down * ((footage.height - height) // 2 + 1))

    def cut(image: Image) -> Image:
        y, u, v = planes(image)
        half = [c[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2] for c in (u, v)]
        return joined(y[top : top + height, left : left + width], *half)

    return footage.each(cut, (width, height))


def perspective(footage: Footage, situation: Situation, *, distortion: float) -> Footage:
    """Each corner pulled inwards by up to ``distortion`` of half a side; the rest is black.

    As torchvision's RandomPerspective, which VideoSeal uses, draws it.
    """
    width, height = footage.width, footage.height
    reach = np.floor(distortion * np.array([width // 2, height // 2]))
    inwards = np.floor(situation.random().random((4, 2)) * (reach + 1))
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64)
    towards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    moved = corners + towards * inwards
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    return footage.each(lambda image: warped(image, np.asarray(matrix, np.float64), cv2.INTER_LINEAR))


def warped(image: Image, matrix: Matrix, mode: int) -> Image:
    """The image under a map of luma positions (pixel centres are whole numbers), outside black."""
    y, u, v = planes(image)
    half = np.linalg.inv(_CHROMA) @ matrix @ _CHROMA
    chroma = (_plane(c, half, mode, NEUTRAL) for c in (u, v))
    return joined(_plane(y, matrix, mode, BLACK), *chroma)


def _plane(plane: Plane, matrix: Matrix, mode: int, outside: int) -> Plane:
    height, width = plane.shape
    moved = cv2.warpPerspective(
        plane, matrix, (width, height), flags=mode, borderMode=cv2.BORDER_CONSTANT, borderValue=(outside,)
    )
    return np.asarray(moved, dtype=np.uint8)
