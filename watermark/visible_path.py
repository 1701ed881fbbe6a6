"""Where the visible mark is at any time: a pure function of key, payload, variant, aspect and time.

Lengths are in short sides of the frame, so that resolution changes nothing; speeds are per second, so that
frame rate changes nothing. Two plates ("label" and "handle") move in two bands of the frame that do not
touch. Each follows its own closed keyed curve at a keyed, changing pace and never rests.

The verifier recomputes all of this: a change here needs a new ``PATH_VERSION`` and new known answers in
``tests/vectors/visible_path_v1.json``.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from watermark.errors import GeometryError, KeyMaterialError, PayloadError

PATH_VERSION = 1
KEY_BYTES = 32
VARIANTS = 16

MEAN_SPEED = 0.062  # short sides per second; with the swing below 0.041 … 0.083: 1-2 px a frame at 720p30
PACE_SWINGS = ((0.22, 3.0, 5.0), (0.12, 1.1, 1.9))  # (relative amplitude, shortest, longest period in s)
DRIFT_SWINGS = ((0.6, 1.6, 2.8), (0.4, 0.6, 1.1))  # the same for opacity, size and stroke; sums to 1

MARGIN_SIDE = 0.04  # short sides
MARGIN_TOP = 0.05  # of the frame's height
MARGIN_BOTTOM = 0.15  # of the frame's height: player controls and most subtitles lie below
BAND_GAP = 0.02  # short sides between the two bands
COLUMNS_FROM_WIDTH = 1.5  # frames this wide (in short sides) may be split left/right

WAYPOINTS = 48
CANDIDATES = 8
TURN_WEIGHT = 0.7  # how much a straight way counts against a far one; low values give hairpins
SAMPLES_PER_SEGMENT = 64
NOMINAL_SIZES = ((0.32, 0.056), (0.22, 0.045))  # the plates' usual sizes; they only set the scale of speed

_KNOWN_ASPECTS = (21 / 9, 2.39, 2.0, 1.85, 16 / 9, 1.6, 1.5, 4 / 3, 1.25, 1.0)
_ASPECT_TOLERANCE = 0.006


class Plate(IntEnum):
    """The two elements of the visible mark."""

    LABEL = 0
    HANDLE = 1


class Drift(NamedTuple):
    """Slow keyed change of the look; each value lies in -1 … 1."""

    opacity: float
    size: float
    stroke: float


@dataclass(frozen=True, slots=True)
class Band:
    """The part of the frame in which a plate stays, in short sides from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def place(self, fractions: tuple[float, float], size: tuple[float, float]) -> tuple[float, float]:
        """Centre of a plate of this size at these fractions (0 … 1) of its free room; all in short sides."""
        room = (self.right - self.left - size[0], self.bottom - self.top - size[1])
        if min(room) < 0:
            raise GeometryError("The visible mark does not fit the frame: shorten the text or the plate.")
        return (
            self.left + size[0] / 2 + fractions[0] * room[0],
            self.top + size[1] / 2 + fractions[1] * room[1],
        )


def nominal_aspect(width: int, height: int) -> float:
    """Width over height, snapped to a usual aspect within 0.6 %, so that 854x480 has the path of 1280x720."""
    aspect = width / height
    for known in _KNOWN_ASPECTS:
        for candidate in (known, 1 / known):
            if abs(aspect / candidate - 1) < _ASPECT_TOLERANCE:
                return candidate
    return aspect


class VisiblePath:
    """The keyed way of both plates.

    ``key``: 32 secret bytes; ``payload``: the 64 bits that the hidden mark carries; ``variant``: 0 … 15;
    ``aspect``: width over height, 0.2 … 5. Raises KeyMaterialError, PayloadError or GeometryError.
    """

    def __init__(self, key: bytes, payload: int, variant: int, aspect: float) -> None:
        _check(key, payload, variant, aspect)
        self.variant = variant
        self.frame = (aspect, 1.0) if aspect >= 1 else (1.0, 1 / aspect)
        source = _Source(key, payload, variant)
        self.bands = _bands(source.uniforms(b"bands", 4), self.frame)
        self._curves = tuple(_Curve(source, plate, self.bands[plate]) for plate in Plate)
        self._paces = tuple(_Swing(source.uniforms(b"pace%d" % p, 4), PACE_SWINGS) for p in Plate)
        self._drifts = tuple(
            tuple(_Swing(source.uniforms(b"drift%d%d" % (p, kind), 4), DRIFT_SWINGS) for kind in range(3))
            for p in Plate
        )

    def fractions(self, plate: Plate, time: float) -> tuple[float, float]:
        """Position within the plate's free room, each 0 … 1, at ``time`` seconds (any finite value)."""
        _check_time(time)
        return self._curves[plate].at(MEAN_SPEED * (time + self._paces[plate].integral(time)))

    def centre(self, plate: Plate, time: float, size: tuple[float, float]) -> tuple[float, float]:
        """Centre of a plate of ``size`` (width, height); all in short sides from the upper left corner."""
        return self.bands[plate].place(self.fractions(plate, time), size)

    def drift(self, plate: Plate, time: float) -> Drift:
        """How opacity, size and stroke of the plate deviate at this time."""
        _check_time(time)
        return Drift(*(swing.value(time) for swing in self._drifts[plate]))


def _check(key: bytes, payload: int, variant: int, aspect: float) -> None:
    if len(key) != KEY_BYTES:
        raise KeyMaterialError(f"The key of the visible mark has {len(key)} bytes: give {KEY_BYTES}.")
    if not 0 <= payload < 2**64:
        raise PayloadError("A payload is a whole number of 64 bits: give one between 0 and 2^64 - 1.")
    if not 0 <= variant < VARIANTS:
        raise GeometryError(f"Path variant {variant} does not exist: give one between 0 and {VARIANTS - 1}.")
    if not 0.2 <= aspect <= 5:
        raise GeometryError("The frame is longer than five times its width: crop it before marking.")


def _check_time(time: float) -> None:
    if not math.isfinite(time):
        raise GeometryError("A frame has no usable time stamp: rewrite the clip with regular time stamps.")


class _Source:
    """Keyed uniform numbers by purpose (HKDF-SHA256)."""

    def __init__(self, key: bytes, payload: int, variant: int) -> None:
        self._key = key
        self._identity = payload.to_bytes(8, "big") + bytes([variant])

    def uniforms(self, purpose: bytes, count: int) -> NDArray[np.float64]:
        """``count`` numbers in 0 … 1 (1 excluded)."""
        salt = b"countermark/visible-path/v%d" % PATH_VERSION
        info = self._identity + purpose
        stream = HKDF(algorithm=SHA256(), length=4 * count, salt=salt, info=info).derive(self._key)
        return np.frombuffer(stream, ">u4").astype(np.float64) / 2**32


class _Swing:
    """A sum of sines with keyed periods and phases, bounded by the sum of its amplitudes."""

    def __init__(self, uniforms: NDArray[np.float64], swings: tuple[tuple[float, float, float], ...]) -> None:
        self._terms = [
            (amplitude, 2 * math.pi / (low + (high - low) * float(u)), 2 * math.pi * float(phase))
            for (amplitude, low, high), (u, phase) in zip(swings, uniforms.reshape(-1, 2), strict=True)
        ]

    def value(self, time: float) -> float:
        return sum(a * math.sin(omega * time + phase) for a, omega, phase in self._terms)

    def integral(self, time: float) -> float:
        """The integral of ``value`` from 0 to ``time``."""
        return sum(a / w * (math.cos(phase) - math.cos(w * time + phase)) for a, w, phase in self._terms)


class _Curve:
    """A closed cubic B-spline through the free room of one band, addressed by arc length in short sides."""

    def __init__(self, source: _Source, plate: Plate, band: Band) -> None:
        uniforms = source.uniforms(b"curve%d" % plate, WAYPOINTS * CANDIDATES * 2)
        points = _spline(_waypoints(uniforms.reshape(WAYPOINTS, CANDIDATES, 2)))
        size = NOMINAL_SIZES[plate]
        room = (band.right - band.left - size[0], band.bottom - band.top - size[1])
        steps = np.hypot(*(np.diff(points, axis=0) * room).T)
        self._x, self._y = np.ascontiguousarray(points.T)
        self._along = np.concatenate([[0.0], np.cumsum(steps)])

    def at(self, along: float) -> tuple[float, float]:
        wrapped = along % float(self._along[-1])
        x, y = (float(np.interp(wrapped, self._along, axis)) for axis in (self._x, self._y))
        return x, y


def _waypoints(candidates: NDArray[np.float64]) -> NDArray[np.float64]:
    """From each row of candidates the one far from the last waypoints that needs no sharp turn.

    In fractions of the room, so that the choice never depends on the aspect.
    """
    candidates = candidates**2 * (3 - 2 * candidates)  # towards the edges: a B-spline pulls to the middle
    chosen = [candidates[0, 0], candidates[1, 0]]
    for row in candidates[2:]:
        away = np.min([np.hypot(*(row - old).T) for old in chosen[-3:]], axis=0)
        before, after = chosen[-1] - chosen[-2], row - chosen[-1]
        cosine = (after @ before) / (np.hypot(*before) * np.hypot(*after.T) + 1e-9)
        chosen.append(row[int(np.argmax(away + TURN_WEIGHT * cosine))])
    return np.stack(chosen)


def _spline(waypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points ``float64[n, 2]`` on the closed uniform cubic B-spline; it stays in the waypoints' hull."""
    t = (np.arange(SAMPLES_PER_SEGMENT) / SAMPLES_PER_SEGMENT)[None, :, None]
    p0, p1, p2, p3 = (np.roll(waypoints, -shift, axis=0)[:, None, :] for shift in range(4))
    w0, w1 = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4
    w2, w3 = -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3
    points = ((w0 * p0 + w1 * p1 + w2 * p2 + w3 * p3) / 6).reshape(-1, 2)
    return np.concatenate([points, points[:1]])


def _bands(uniforms: NDArray[np.float64], frame: tuple[float, float]) -> tuple[Band, Band]:
    """The label's and the handle's band: above each other, or in wide frames perhaps side by side."""
    width, height = frame
    whole = Band(MARGIN_SIDE, MARGIN_TOP * height, width - MARGIN_SIDE, (1 - MARGIN_BOTTOM) * height)
    axis, share, order = float(uniforms[0]), float(uniforms[1]), float(uniforms[2])
    if width >= COLUMNS_FROM_WIDTH and axis < 0.5:
        return _columns(whole, 0.52 + 0.10 * share, label_first=order < 0.5)
    return _rows(whole, 0.42 + 0.16 * share, label_first=order < 0.5)


def _columns(whole: Band, share: float, *, label_first: bool) -> tuple[Band, Band]:
    first = share if label_first else 1 - share
    cut = whole.left + first * (whole.right - whole.left)
    left = Band(whole.left, whole.top, cut - BAND_GAP / 2, whole.bottom)
    right = Band(cut + BAND_GAP / 2, whole.top, whole.right, whole.bottom)
    return (left, right) if label_first else (right, left)


def _rows(whole: Band, share: float, *, label_first: bool) -> tuple[Band, Band]:
    cut = whole.top + share * (whole.bottom - whole.top)
    upper = Band(whole.left, whole.top, whole.right, cut - BAND_GAP / 2)
    lower = Band(whole.left, cut + BAND_GAP / 2, whole.right, whole.bottom)
    return (upper, lower) if label_first else (lower, upper)
