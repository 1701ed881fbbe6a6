"""Shrinking luma fast: halve exactly while possible, then one bilinear step of less than two."""

import cv2

from watermark.base import Luma


def shrink(luma: Luma, width: int, height: int) -> Luma:
    """`luma` as ``uint8[height, width]``; samples stay pixel-centred. Enlarges by bilinear interpolation.

    An exact 2×2 mean is ten times faster than an area filter of any ratio, and the step that is left over
    is too small to alias into the carrier's band.
    """
    while (
        luma.shape[0] >= 2 * height and luma.shape[1] >= 2 * width and not (luma.shape[0] | luma.shape[1]) & 1
    ):
        half = (luma.shape[1] // 2, luma.shape[0] // 2)
        luma = cv2.resize(luma, half, interpolation=cv2.INTER_AREA).astype(luma.dtype, copy=False)
    if luma.shape == (height, width):
        return luma
    far = luma.shape[0] >= 2 * height or luma.shape[1] >= 2 * width
    mode = cv2.INTER_AREA if far else cv2.INTER_LINEAR
    small: Luma = cv2.resize(luma, (width, height), interpolation=mode).astype(luma.dtype, copy=False)
    return small
