"""What a model made, fitted to what was asked for: time, size, shape."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.base import GenerationRequest, Picture
from generator.errors import GenerationFailed

# Shapes that differ by less than this share are cropped; others get a blurred surround: nothing is lost.
CROPPED = 0.15
BLUR = 0.04
DIMMED = 0.75


def as_pictures(made: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Frames ``float32[f, h, w, 3]`` in 0..1 as ``uint8``. Raises: GenerationFailed if it is none."""
    if made.ndim != 4 or made.shape[-1] != 3 or not made.shape[0]:
        raise GenerationFailed(f"the model gave an array of shape {made.shape}, not a clip; take another")
    if not np.isfinite(made).all():
        raise GenerationFailed("the model gave values that are no numbers; take another seed or model")
    return np.asarray(np.rint(np.clip(made, 0, 1) * 255), dtype=np.uint8)


def fitted(frames: NDArray[np.uint8], rate: float, request: GenerationRequest) -> Iterator[Picture]:
    """Frames ``uint8[f, h, w, 3]`` made at `rate` per second, at the request's rate, length and size.

    The nearest earlier frame stands for each moment; a clip that is too short goes forth and back.
    """
    kept = -1
    picture: Picture = frames[0]
    for index in range(request.frame_count):
        number = _bounced(int(index * rate / float(request.frame_rate) + 1e-6), len(frames))
        if number != kept:
            picture, kept = _resized(frames[number], request.width, request.height), number
        yield picture


def covering(picture: Picture, width: int, height: int) -> Picture:
    """The picture at that size, its middle cut to these proportions: what `fitted` shows of a model's frame
    comes back whole.
    """
    if picture.shape[:2] == (height, width):
        return picture
    share = max(width / picture.shape[1], height / picture.shape[0])
    return _cropped(_scaled(picture, share), width, height)


def _bounced(number: int, count: int) -> int:
    if count == 1:
        return 0
    number %= 2 * (count - 1)
    return number if number < count else 2 * (count - 1) - number


def _resized(picture: Picture, width: int, height: int) -> Picture:
    high, wide = picture.shape[:2]
    if (wide, high) == (width, height):
        return picture
    shares = width / wide, height / high
    if min(shares) > (1 - CROPPED) * max(shares):
        return _cropped(_scaled(picture, max(shares)), width, height)
    surround = _cropped(_scaled(picture, max(shares)), width, height)
    blurred = cv2.GaussianBlur(surround, (0, 0), BLUR * max(width, height))
    canvas = np.asarray(blurred * DIMMED, dtype=np.uint8)
    inner = _cropped(_scaled(picture, min(shares)), width, height)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas


def _scaled(picture: Picture, share: float) -> Picture:
    if share == 1:
        return picture
    size = max(1, round(picture.shape[1] * share)), max(1, round(picture.shape[0] * share))
    way = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way), dtype=np.uint8)


def _cropped(picture: Picture, width: int, height: int) -> Picture:
    top, left = max(0, picture.shape[0] - height) // 2, max(0, picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
