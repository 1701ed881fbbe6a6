"""A landscape that is drawn, not learned: the clip that demonstrations and tests need no model for.

It follows the seed, not the prompt, and says so in its version. Hills drift at three speeds, a sun sinks,
birds cross, and fine grain lies over all, so that a codec and a watermark meet what footage has: flat sky,
texture, edges and motion.
"""

import math
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.base import Clip, GenerationRequest, Preview, Progress, check_request, demand_text

BIRDS: Final = 5
SKY_TOP, SKY_LOW = (54, 92, 148), (236, 188, 150)
LAYERS: Final = (((126, 120, 140), 0.55, 0.02), ((84, 96, 104), 0.66, 0.05), ((44, 62, 56), 0.80, 0.11))

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]


class SceneGenerator:
    """Draws a moving landscape; the same request gives the same frames."""

    name = "scene"
    version = "1 (drawn; ignores the prompt)"

    def generate(
        self, request: GenerationRequest, progress: Progress | None = None, preview: Preview | None = None
    ) -> Clip:
        """Frames are drawn when they are asked for; no progress is told. Raises: RequestInvalid."""
        check_request(request)
        demand_text(request, self.name)
        return Clip(
            frames=_frames(request), width=request.width, height=request.height,
            frame_rate=request.frame_rate, generator=self.name, version=self.version,
        )  # fmt: skip


def _frames(request: GenerationRequest) -> Iterator[Picture]:
    random = np.random.default_rng(request.seed)
    width, height = request.width, request.height
    hills = [_ridge(random, width) for _ in LAYERS]
    grain = random.normal(0, 4.0, (height, 2 * width)).astype(np.float32)
    ground = _soil(random, width, height)
    flight = random.uniform(0, 1, (BIRDS, 3))
    for index in range(request.frame_count):
        time = index / float(request.frame_rate)
        canvas = _sky(width, height, time)
        for (colour, level, speed), ridge in zip(LAYERS, hills, strict=True):
            _draw_hill(canvas, ridge, ground, colour, level * height, time * speed * width)
        _draw_birds(canvas, flight, time)
        shift = index * 7 % width
        canvas += grain[:, shift : shift + width, None]
        yield np.clip(canvas, 0, 255).astype(np.uint8)


def _sky(width: int, height: int, time: float) -> Plane:
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = (np.array(SKY_TOP, np.float32) * (1 - fall) + np.array(SKY_LOW, np.float32) * fall) * np.ones(
        (1, width, 1), np.float32
    )
    centre = (int(width * (0.68 - 0.01 * time)), int(height * (0.3 + 0.02 * time)))
    cv2.circle(sky, centre, height // 12, (255.0, 232.0, 190.0), -1, cv2.LINE_AA)
    return sky


def _soil(random: np.random.Generator, width: int, height: int) -> Plane:
    soil = cv2.GaussianBlur(random.normal(0, 60, (height, 2 * width)).astype(np.float32), (0, 0), 1.5)
    return np.asarray(soil, dtype=np.float32)


def _ridge(random: np.random.Generator, width: int) -> Plane:
    """Heights ``float32[2 * width]`` in shares of the frame, smooth and periodic."""
    position = np.arange(2 * width, dtype=np.float32) / (2 * width) * 2 * math.pi
    waves = range(1, 12)
    ridge = sum(np.sin(k * position + random.uniform(0, 6.28)) * random.uniform(0.3, 1) / k for k in waves)
    return np.asarray(0.05 * ridge, dtype=np.float32)


def _draw_hill(
    canvas: Plane, ridge: Plane, ground: Plane, colour: tuple[int, int, int], level: float, drift: float
) -> None:
    height, width = canvas.shape[:2]
    columns = (np.arange(width) + int(drift)) % (2 * width)
    top = level + ridge[columns] * height
    inside = np.clip(np.arange(height, dtype=np.float32)[:, None] - top[None, :], 0, 1)[..., None]
    texture = np.roll(ground, -int(drift), axis=1)[:, :width, None]
    canvas *= 1 - inside
    canvas += inside * (np.array(colour, np.float32) + texture)


def _draw_birds(canvas: Plane, flight: NDArray[np.float64], time: float) -> None:
    height, width = canvas.shape[:2]
    span = height / 40
    for start, level, pace in flight:
        x = (start + time * (0.05 + 0.08 * pace)) % 1.0 * width
        y = (0.12 + 0.3 * level) * height + math.sin(time * 3 + start * 9) * span
        lift = span * 0.6 * math.sin(time * 9 + level * 9)
        wing = np.array([[x - span, y - lift], [x, y], [x + span, y - lift]]).round().astype(np.int32)
        cv2.polylines(canvas, [wing], False, (30.0, 34.0, 40.0), max(1, height // 240), cv2.LINE_AA)
