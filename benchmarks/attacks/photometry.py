"""Attacks that change values and leave pixels where they are. Defined on RGB as in torchvision and PIL."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.attacks.footage import (
    NEUTRAL,
    Footage,
    Frame,
    Image,
    Situation,
    from_rgb,
    luma,
    to_rgb,
    with_luma,
)

HUES: Final = 180  # OpenCV's full turn
NOISE_BANK: Final = 8  # noise fields that are drawn and then used in turn, each shifted anew


def brightness(footage: Footage, _situation: Situation, *, factor: float) -> Footage:
    """RGB times ``factor``."""
    return _in_rgb(footage, lambda rgb: cv2.convertScaleAbs(rgb, alpha=factor))


def contrast(footage: Footage, _situation: Situation, *, factor: float) -> Footage:
    """RGB pulled away from (factor over 1) or towards the frame's mean grey."""

    def change(rgb: Image) -> Image:
        mean = float(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).mean())
        table = np.clip(np.rint((np.arange(256) - mean) * factor + mean), 0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(rgb, table), dtype=np.uint8)

    return _in_rgb(footage, change)


def saturation(footage: Footage, _situation: Situation, *, factor: float) -> Footage:
    """RGB pulled away from or towards each pixel's grey."""

    def change(rgb: Image) -> Image:
        grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return np.asarray(cv2.addWeighted(rgb, factor, grey, 1 - factor, 0), dtype=np.uint8)

    return _in_rgb(footage, change)


def hue(footage: Footage, _situation: Situation, *, turns: float) -> Footage:
    """Every hue moved by a share of the colour circle (HSV)."""

    def change(rgb: Image) -> Image:
        hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + round(turns * HUES)) % HUES
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.uint8)

    return _in_rgb(footage, change)


def grayscale(footage: Footage, _situation: Situation) -> Footage:
    """No colour left."""

    def change(image: Image) -> Image:
        grey = image.copy()
        grey[luma(image).shape[0] :] = NEUTRAL
        return grey

    return footage.each(change)


def gamma(footage: Footage, _situation: Situation, *, exponent: float) -> Footage:
    """RGB, as a share of white, to a power."""
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return _in_rgb(footage, lambda rgb: np.asarray(cv2.LUT(rgb, table), dtype=np.uint8))


def jpeg(footage: Footage, _situation: Situation, *, quality: int) -> Footage:
    """Each frame through JPEG with halved chroma, at libjpeg's quality."""

    def change(rgb: Image) -> Image:
        settings = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
        _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    return _in_rgb(footage, change)


def blur(footage: Footage, _situation: Situation, *, kernel: int = 0, sigma: float = 0.0) -> Footage:
    """Gaussian blur. ``kernel`` alone: sigma = 0.3 ((kernel − 1) / 2 − 1) + 0.8, as in torchvision."""
    return _in_rgb(footage, lambda rgb: cv2.GaussianBlur(rgb, (int(kernel), int(kernel)), sigma))


def sharpen(footage: Footage, _situation: Situation, *, amount: float) -> Footage:
    """Unsharp mask of the luma with a blur of sigma 1.5."""

    def change(image: Image) -> Image:
        y = luma(image)
        soft = cv2.GaussianBlur(y, (0, 0), 1.5)
        return with_luma(image, np.asarray(cv2.addWeighted(y, 1 + amount, soft, -amount, 0), dtype=np.uint8))

    return footage.each(change)


def noise(footage: Footage, situation: Situation, *, deviation: float) -> Footage:
    """Gaussian noise on the luma, in grey levels, fresh in every frame."""
    play = footage.play

    def noisy() -> Iterator[Frame]:
        random = situation.random()
        shape = (NOISE_BANK, footage.height, footage.width)
        drawn = random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
        bank = np.rint(drawn).clip(-127, 127).astype(np.int8)
        del drawn
        for index, (time, image) in enumerate(play()):
            # Another field, rolled to another place: as good as new and far quicker than drawing it.
            field = np.roll(bank[index % NOISE_BANK], tuple(random.integers(0, shape[1:])), (0, 1))
            y = cv2.add(luma(image).astype(np.int16), field.astype(np.int16))
            yield Frame(time, with_luma(image, np.clip(y, 0, 255).astype(np.uint8)))

    return replace(footage, play=noisy)


def denoise(footage: Footage, _situation: Situation, *, strength: float) -> Footage:
    """Non-local means on the luma (7×7 patches, 21×21 search): detail is made anew from its like."""

    def change(image: Image) -> Image:
        y = np.ascontiguousarray(luma(image))
        cleaned = cv2.fastNlMeansDenoising(y, h=strength, templateWindowSize=7, searchWindowSize=21)
        return with_luma(image, np.asarray(cleaned, dtype=np.uint8))

    return footage.each(change)


def _in_rgb(footage: Footage, change: Callable[[Image], Any]) -> Footage:
    return footage.each(lambda image: from_rgb(np.ascontiguousarray(change(to_rgb(image)), dtype=np.uint8)))
