"""Attacks by somebody who wants the marks gone: painting over, estimating, filtering, marking again."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.footage import (
    NEUTRAL,
    Box,
    CannotAttack,
    Footage,
    Frame,
    Image,
    Plane,
    Situation,
    joined,
    luma,
    planes,
    with_luma,
)

Field = NDArray[np.float32]

MARGIN: Final = 0.01  # of the short side: how much more than the plate a remover takes away
TELEA_RADIUS: Final = 5  # pixels
MEDIAN_OF: Final = 9
TRACKED: Final = 0.1  # seconds between boxes that a remover's detector gives; those between are interpolated
RESIDUAL_SIGMA: Final = 2.0  # pixels: what is finer than this counts as "not the picture"
STUDIED: Final = 48  # frames that the spectrum is taken from, spread over the clip
NEIGHBOURHOOD: Final = 31  # bins
LOWEST: Final = 0.01  # cycles per pixel: the picture's own coarse structure is left alone
SHARED_NOTCH: Final = 1  # bins around a peak that go with it


def telea(footage: Footage, situation: Situation, *, plates: int = 2) -> Footage:
    """The visible mark's boxes painted over by Telea's method, frame by frame, boxes tracked over time.

    The remover's detector is taken to be right but for a pixel or two, at ten boxes a second. ``plates`` 1:
    it sees only the label, as one that expects a single box.
    """
    boxes = _tracked(footage, situation)
    return _painted(footage, lambda time: boxes(time)[:plates], _telea)


def telea_held(footage: Footage, situation: Situation, *, seconds: float) -> Footage:
    """The same, but a box stays for ``seconds``: as large as the way of the plate in that time."""
    boxes = _tracked(footage, situation)

    def held(time: float) -> list[Box]:
        first = int(time / seconds) * seconds
        shown = np.array([boxes(first + share * seconds) for share in (0.0, 0.25, 0.5, 0.75, 1.0)])
        low, high = shown[..., :2].min(axis=0), shown[..., 2:].max(axis=0)
        return [(int(x0), int(y0), int(x1), int(y1)) for (x0, y0), (x1, y1) in zip(low, high, strict=True)]

    return _painted(footage, held, _telea)


def delogo_tracked(footage: Footage, situation: Situation) -> Footage:
    """The boxes filled as FFmpeg's delogo does: each pixel a mean of the border in four directions, by its
    distance, boxes tracked over time.
    """
    return _painted(footage, _tracked(footage, situation), _bridged)


def _painted(
    footage: Footage, boxes: Callable[[float], list[Box]], fill: Callable[[Plane, list[Box]], Plane]
) -> Footage:
    def painted() -> Iterator[Frame]:
        for time, image in footage.play():
            parts = []
            for index, plane in enumerate(planes(image)):
                scale = 1 if index == 0 else 2
                parts.append(fill(plane, [_scaled(box, scale) for box in boxes(time)]))
            yield Frame(time, joined(*parts))

    return replace(footage, play=painted)


def temporal_median(footage: Footage, situation: Situation, *, seconds: float) -> Footage:
    """The boxes filled with the median of the same place in frames up to ``seconds`` before and after.

    Works because the mark moves on: where a frame's own mark covers the place, that frame has no say; where
    no frame has, Telea's method fills in. Nine frames are kept, whatever the frame rate.
    """
    boxes = _tracked(footage, situation)

    def filled() -> Iterator[Frame]:
        ahead = _sampled(footage, 2 * seconds / (MEDIAN_OF - 1))
        near: deque[Frame] = deque(maxlen=MEDIAN_OF)
        coming = next(ahead, None)
        for time, image in footage.play():
            while coming is not None and coming.time <= time + seconds:
                near.append(coming)
                coming = next(ahead, None)
            yield Frame(time, _without(image, boxes(time), [(one.image, boxes(one.time)) for one in near]))

    return replace(footage, play=filled)


def delogo(footage: Footage, _situation: Situation, *, width: float, height: float) -> Footage:
    """A box in the lower right corner painted over in every frame: where stations put their logos."""
    w, h = round(footage.width * width), round(footage.height * height)
    right, bottom = footage.width - round(0.04 * footage.width), footage.height - round(0.04 * footage.height)
    box = (right - w, bottom - h, right, bottom)

    def painted(image: Image) -> Image:
        parts = (_telea(plane, [_scaled(box, 1 if i == 0 else 2)]) for i, plane in enumerate(planes(image)))
        return joined(*parts)

    return footage.each(painted)


def subtract_estimate(
    footage: Footage, _situation: Situation, *, gain: float, seconds: float = 0.0
) -> Footage:
    """What is common to the frames' fine detail, taken for the mark and taken away ``gain`` times.

    ``seconds``: estimated anew for every piece of this length; 0: once, over the whole clip. The estimate is
    the mean of each frame less its blurred self; where the scene stands still it takes some of that too.
    """

    def cleaned() -> Iterator[Frame]:
        estimate: Field | None = None
        piece = -1
        looking = _estimates(footage, seconds)
        for time, image in footage.play():
            now = int(time / seconds) if seconds else 0
            if now != piece:
                piece, estimate = now, next(looking)
            assert estimate is not None
            y = luma(image) - np.float32(gain) * estimate
            yield Frame(time, with_luma(image, np.clip(np.rint(y), 0, 255).astype(np.uint8)))

    return replace(footage, play=cleaned)


def _estimates(footage: Footage, seconds: float) -> Iterator[Field]:
    """The estimate of each piece, in order, by another playing of the footage."""
    total, count, piece = np.zeros((footage.height, footage.width), np.float32), 0, 0
    for time, image in footage.play():
        now = int(time / seconds) if seconds else 0
        if count and now != piece:
            yield total / np.float32(count)
            total, count = np.zeros_like(total), 0
        piece = now
        y = luma(image).astype(np.float32)
        total += y - cv2.GaussianBlur(y, (0, 0), RESIDUAL_SIGMA)
        count += 1
    if count:
        yield total / np.float32(count)


def notch(footage: Footage, _situation: Situation, *, peaks: int) -> Footage:
    """The ``peaks`` strongest lines of the clip's mean spectrum, over their surroundings, cut out of it."""

    def notched() -> Iterator[Frame]:
        keep: Field | None = None
        for time, image in footage.play():
            keep = _notches(footage, peaks) if keep is None else keep
            spectrum = np.fft.rfft2(luma(image)) * keep
            y = np.fft.irfft2(spectrum, s=(footage.height, footage.width))
            yield Frame(time, with_luma(image, np.clip(np.rint(y), 0, 255).astype(np.uint8)))

    return replace(footage, play=notched)


def _notches(footage: Footage, peaks: int) -> Field:
    """1 where a frequency stays, 0 where it goes, ``float32[h, w / 2 + 1]``."""
    height, width = footage.height, footage.width
    taper = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    power = np.zeros((height, width // 2 + 1), np.float32)
    step = max(1, round(footage.rate * footage.seconds / STUDIED))
    for index, (_, image) in enumerate(footage.play()):
        if index % step == 0:
            power += np.abs(np.fft.rfft2(luma(image) * taper)) ** 2
    around = cv2.blur(power, (NEIGHBOURHOOD, NEIGHBOURHOOD), borderType=cv2.BORDER_REFLECT)
    contrast = power / (around + 1e-9)
    coarse = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) < LOWEST
    contrast[coarse] = 0
    highest = contrast == cv2.dilate(contrast, np.ones((3, 3), np.uint8))
    order = np.argsort(np.where(highest, contrast, 0), axis=None)[::-1][:peaks]
    gone = np.zeros(power.shape, np.uint8)
    gone.reshape(-1)[order] = 1
    size = 2 * SHARED_NOTCH + 1
    return 1 - cv2.dilate(gone, np.ones((size, size), np.uint8)).astype(np.float32)


def mark_again(footage: Footage, situation: Situation, *, keys: int) -> Footage:
    """Marked once more with each of ``keys`` foreign keys, by the same scheme.

    Raises: CannotAttack when the scheme under test cannot be had.
    """
    if situation.remark is None:
        raise CannotAttack("the scheme's embedder is not at hand")
    for number in range(keys):
        footage = situation.remark(footage, number)
    return footage


def _tracked(footage: Footage, situation: Situation) -> Callable[[float], list[Box]]:
    """A remover's boxes at any time: known ten times a second but for a pixel or two, joined by lines."""
    true = footage.boxes
    if true is None:
        raise CannotAttack("the clip bears no visible mark")
    short = min(footage.width, footage.height)
    margin, spread = MARGIN * short, 0.002 * short

    def known(index: int) -> NDArray[np.float64]:
        random = np.random.default_rng([situation.seed, situation.step, index])
        exact = np.array(true(index * TRACKED), dtype=np.float64)
        return exact + random.normal(0, spread, exact.shape)

    def boxes(time: float) -> list[Box]:
        index = int(time / TRACKED)
        weight = time / TRACKED - index
        found = known(index) * (1 - weight) + known(index + 1) * weight
        grown = found + margin * np.array([-1, -1, 1, 1])
        limits = np.array([footage.width, footage.height] * 2)
        return [tuple(int(v) for v in row) for row in np.clip(np.rint(grown), 0, limits)]  # type: ignore[misc]

    return boxes


def _scaled(box: Box, scale: int) -> Box:
    x0, y0, x1, y1 = box
    return x0 // scale, y0 // scale, -(-x1 // scale), -(-y1 // scale)


def _telea(plane: Plane, boxes: list[Box]) -> Plane:
    """The plane with its boxes inpainted."""
    whole = plane.copy()
    for box in boxes:
        x0, y0, x1, y1 = box
        _inpaint(whole, box, np.full((max(0, y1 - y0), max(0, x1 - x0)), 255, np.uint8))
    return whole


def _bridged(plane: Plane, boxes: list[Box]) -> Plane:
    """The plane with its boxes filled from the pixels just outside of them."""
    whole = plane.copy()
    height, width = plane.shape
    for x0, y0, x1, y1 in boxes:
        if x1 <= x0 or y1 <= y0:
            continue
        left, right = plane[y0:y1, max(x0 - 1, 0), None], plane[y0:y1, min(x1, width - 1), None]
        above, below = plane[None, max(y0 - 1, 0), x0:x1], plane[None, min(y1, height - 1), x0:x1]
        across = (np.arange(x1 - x0) + 0.5)[None]
        down = (np.arange(y1 - y0) + 0.5)[:, None]
        weights = (1 / across, 1 / (x1 - x0 - across), 1 / down, 1 / (y1 - y0 - down))
        total = sum(weight * side for weight, side in zip(weights, (left, right, above, below), strict=True))
        whole[y0:y1, x0:x1] = np.rint(total / sum(weights))
    return whole


def _inpaint(whole: Plane, box: Box, mask: Plane) -> None:
    """Fill the part of a box that `mask` names, in place; the slow method sees only its surroundings."""
    if not mask.any():
        return
    x0, y0, x1, y1 = box
    around = 4 * TELEA_RADIUS
    top, left = max(0, y0 - around), max(0, x0 - around)
    part = np.ascontiguousarray(whole[top : y1 + around, left : x1 + around])
    missing = np.zeros(part.shape, np.uint8)
    missing[y0 - top : y1 - top, x0 - left : x1 - left] = mask
    whole[top : y1 + around, left : x1 + around] = cv2.inpaint(part, missing, TELEA_RADIUS, cv2.INPAINT_TELEA)


def _sampled(footage: Footage, every: float) -> Iterator[Frame]:
    """The first frame of each `every` seconds."""
    due = 0.0
    for frame in footage.play():
        if frame.time >= due - 1e-6:
            yield frame
            due = (int(frame.time / every + 1e-6) + 1) * every


def _without(image: Image, boxes: list[Box], near: list[tuple[Image, list[Box]]]) -> Image:
    """A copy of the image whose boxes are filled from other moments."""
    parts = []
    for index, plane in enumerate(planes(image)):
        scale = 1 if index == 0 else 2
        others = [
            (planes(other)[index], [_scaled(one, scale) for one in theirs]) for other, theirs in near
        ]  # fmt: skip
        whole = plane.copy()
        for box in boxes:
            _fill_by_median(whole, _scaled(box, scale), others)
        parts.append(whole)
    return joined(*parts)


def _fill_by_median(whole: Plane, box: Box, near: list[tuple[Plane, list[Box]]]) -> None:
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return
    stack = np.stack([plane[y0:y1, x0:x1] for plane, _ in near]).astype(np.float32)
    covered = np.zeros(stack.shape, bool)
    for own, (_, theirs) in zip(covered, near, strict=True):
        for left, top, right, bottom in theirs:
            own[max(0, top - y0) : max(0, bottom - y0), max(0, left - x0) : max(0, right - x0)] = True
    middle: Any = np.ma.median(np.ma.masked_array(stack, covered), axis=0)  # type: ignore[no-untyped-call]
    whole[y0:y1, x0:x1] = middle.filled(NEUTRAL)
    _inpaint(whole, box, np.ma.getmaskarray(middle).astype(np.uint8) * 255)
