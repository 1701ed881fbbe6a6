"""Scenes and characters to pictures: the camera, the light and the style of drawing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.backdrop import Place, draw_backdrop
from generator.embedded.world.canvas import Canvas, Colour, Picture
from generator.embedded.world.design import Design
from generator.embedded.world.figure import draw_figure
from generator.embedded.world.pose import pose_of
from generator.embedded.world.scene import Companion, Scene
from generator.embedded.world.weather import draw_weather

# Drawn at twice the size, then reduced: on top of OpenCV's own smoothing of edges.
OVERSAMPLE: Final = 2
FEET: Final = 0.93
# How far a camera goes within this many seconds: then it turns back.
SWEEP_SECONDS: Final = 3.0
PAN: Final = 0.14
ZOOM: Final = 0.16
# Headroom that a hat or long ears take, as shares of the character's own height.
_TALL_HEADS: Final = {"tall hat": 0.2, "pointed hat": 0.33, "woolly hat": 0.12, "crown": 0.09}
_TALL_EARS: Final = {"rabbit": 0.27, "robot": 0.15, "dragon": 0.12, "fox": 0.1, "frog": 0.07, "mouse": 0.1}
NIGHT: Final[Colour] = (0.42, 0.48, 0.72)
FOG: Final[Colour] = (204.0, 210.0, 216.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A picture ``uint8[h, w, 3]`` and how much of each pixel characters cover ``uint8[h, w]``."""

    picture: Picture
    cover: Picture


def render_clip(
    design: Design | None, scene: Scene, *, width: int, height: int, frames: int, frame_rate: float
) -> Iterator[Picture]:
    """Frames ``uint8[height, width, 3]`` (RGB) of a clip; without a design, of the empty scene.

    The same arguments give the same frames. Raises: KeyError for an unknown word in the design or scene.
    """
    for index in range(frames):
        yield render_frame(design, scene, width=width, height=height, time=index / frame_rate).picture


def render_frame(
    design: Design | None, scene: Scene, *, width: int, height: int, time: float, oversample: int = OVERSAMPLE
) -> Rendered:
    """One moment of a clip, ``time`` in seconds from its start."""
    shape = height * oversample, width * oversample
    pixels, cover = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
    aspect = width / height
    canvas = Canvas(pixels=pixels, cover=cover, matrix=_camera(scene, shape, aspect, time))
    place = Place(canvas=canvas, rng=np.random.default_rng(scene.seed), width=aspect, time=time)
    draw_backdrop(scene.background, place)
    pixels[:] = _styled_backdrop(pixels, scene)
    cover[:] = 0
    if scene.companion is not None:
        _draw_character(canvas, scene.companion.design, scene, scene.companion, time)
    if design is not None:
        _draw_character(canvas, design, scene, scene, time)
    pixels = _lit(pixels, cover, scene)
    draw_weather(pixels, scene.weather, scene.seed, time)
    size = (width, height)
    return Rendered(
        picture=np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8),
        cover=np.asarray(cv2.resize(cover, size, interpolation=cv2.INTER_AREA), dtype=np.uint8),
    )


def box_of(cover: Picture) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (exclusive) of what the character covers; None when it is not to be seen."""
    rows, columns = np.flatnonzero((cover > 127).any(axis=1)), np.flatnonzero((cover > 127).any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _camera(scene: Scene, shape: tuple[int, int], aspect: float, time: float) -> NDArray[np.float64]:
    """World to pixels, ``float64[2, 3]``."""
    share = 1 - abs((time / SWEEP_SECONDS) % 2 - 1)
    zoom, shift = 1.0, 0.0
    if scene.camera in ("zoom in", "zoom out"):
        zoom += ZOOM * (share if scene.camera == "zoom in" else 1 - share)
    elif scene.camera in ("pan left", "pan right"):
        shift = PAN * (share - 0.5) * (-1 if scene.camera == "pan left" else 1)
    scale = shape[0] * zoom
    # A zoom keeps the feet where they are.
    return np.array(
        [
            [scale, 0.0, shape[1] / 2 - scale * (aspect / 2 + shift)],
            [0.0, scale, shape[0] * FEET * (1 - zoom)],
        ]
    )


def _draw_character(
    canvas: Canvas, design: Design, scene: Scene, who: Scene | Companion, time: float
) -> None:
    """Draw a character where `who` says, in the style of the scene."""
    aspect = canvas.pixels.shape[1] / canvas.pixels.shape[0]
    height = who.size / (1 + max(_TALL_HEADS.get(design.hat, 0.0), _TALL_EARS.get(design.species, 0.0)))
    side = -1.0 if who.mirrored else 1.0
    start = (scene.seed % 628) / 100
    pose = pose_of(who.action, time, start)
    outline, ink = {
        "flat": (0.0, (30, 30, 40)),
        "line": (0.022, (26, 24, 34)),
        "dark": (0.014, (214, 214, 224)),
    }[scene.style]
    drawn = Canvas(
        pixels=canvas.pixels, cover=canvas.cover, matrix=canvas.matrix, outline=outline, ink=ink
    ).within(x=who.place * aspect, y=FEET, scale=(side * height, height))
    shadow = Canvas(pixels=canvas.pixels, cover=np.zeros_like(canvas.cover), matrix=drawn.matrix)
    ground = canvas.pixels[int(canvas.pixels.shape[0] * 0.96), canvas.pixels.shape[1] // 2]
    first, second, third = (float(value) * 0.68 for value in ground)
    shadow.oval(0.0, 0.005, 0.33, 0.035, (first, second, third), edge=False)
    draw_figure(drawn, design, pose)


def _styled_backdrop(pixels: Picture, scene: Scene) -> NDArray[np.uint8]:
    """Line drawings have pale backgrounds with drawn edges, dark ones dim and greyer backgrounds."""
    if scene.style == "line":
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        edges = cv2.dilate(cv2.Canny(grey, 30, 80), np.ones((2, 2), np.uint8))
        pale = pixels * np.float32(0.55) + np.float32(255 * 0.45)
        pale[edges > 0] *= 0.55
        return np.asarray(pale, dtype=np.uint8)
    if scene.style == "dark":
        grey = pixels.mean(axis=2, keepdims=True, dtype=np.float32)
        return np.asarray(
            (pixels * np.float32(0.6) + grey * np.float32(0.4)) * np.float32(0.45), dtype=np.uint8
        )
    return pixels


def _lit(pixels: Picture, cover: Picture, scene: Scene) -> Picture:
    """Night and fog weigh less on the character, which stands near; dark pictures dim it a little."""
    if scene.time == "day" and scene.style != "dark":
        return pixels
    near = cover.astype(np.float32)[..., None] / 255
    light = pixels.astype(np.float32)
    if scene.style == "dark":
        light *= 1 - 0.1 * near
    if scene.time == "night":
        light *= np.array(NIGHT, np.float32) * (1 - near) + (0.5 + 0.5 * np.array(NIGHT, np.float32)) * near
    elif scene.time == "fog":
        thick = 0.62 * (1 - near) + 0.24 * near
        fog = np.array(FOG, np.float32) * np.float32(0.45 if scene.style == "dark" else 1.0)
        light *= 1 - thick
        light += fog * thick
    return np.asarray(np.clip(light, 0, 255), dtype=np.uint8)
