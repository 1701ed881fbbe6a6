"""Filters that draw a face: those from which the map of `classifiers.drawn` is learnt, and others."""

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np

from classifiers.base import Picture
from classifiers.drawn import inked, painted, pencilled


def _bgr(change: Callable[[Picture], object]) -> Callable[[Picture], Picture]:
    return lambda head: np.ascontiguousarray(
        np.asarray(change(np.ascontiguousarray(head[..., ::-1])), np.uint8)[..., ::-1]
    )


def _cartoon(head: Picture) -> Picture:
    """Flat colours in 32 steps and dark outlines."""
    smooth: Picture = head
    for _ in range(5):
        smooth = np.asarray(cv2.bilateralFilter(smooth, 9, 30, 7), np.uint8)
    grey = cv2.medianBlur(cv2.cvtColor(head, cv2.COLOR_RGB2GRAY), 5)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4)
    flat = (smooth // 32 * 32 + 16).astype(np.uint8)
    return np.asarray(cv2.bitwise_and(flat, flat, mask=lines), np.uint8)


def _poster(head: Picture) -> Picture:
    return (np.asarray(cv2.pyrMeanShiftFiltering(head, 8, 24)) // 43 * 43 + 21).astype(np.uint8)


def _graphite(head: Picture) -> Picture:
    """The picture divided by its own blur."""
    grey = cv2.cvtColor(head, cv2.COLOR_RGB2GRAY)
    paper = 255 - np.asarray(cv2.GaussianBlur(255 - grey, (0, 0), 8))
    return np.asarray(cv2.cvtColor(cv2.divide(grey, paper, scale=256), cv2.COLOR_GRAY2RGB), np.uint8)


def _oil(head: Picture) -> Picture:
    for _ in range(3):
        head = np.asarray(cv2.medianBlur(head, 7), np.uint8)
    return head


LEARNT: Final[Mapping[str, Callable[[Picture], Picture]]] = {
    "stylization": inked,
    "stylization, wide": _bgr(lambda bgr: cv2.stylization(bgr, sigma_s=150, sigma_r=0.25)),
    "edges kept, strongly": painted,
    "pencil": pencilled,
    "coloured pencil": _bgr(lambda bgr: cv2.pencilSketch(bgr, sigma_s=60, sigma_r=0.07)[1]),
    "graphite": _graphite,
}
KEPT_APART: Final[Mapping[str, Callable[[Picture], Picture]]] = {
    "edges kept": _bgr(lambda bgr: cv2.edgePreservingFilter(bgr, flags=1, sigma_s=60, sigma_r=0.4)),
    "cartoon": _cartoon,
    "poster": _poster,
    "oil": _oil,
}
"""Nothing was learnt from these."""
STYLES: Final[Mapping[str, Callable[[Picture], Picture]]] = {**LEARNT, **KEPT_APART}
