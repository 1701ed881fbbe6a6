"""Backgrounds. One unit is the height of the frame, y points down, and the ground begins at ``GROUND``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from generator.embedded.world.canvas import CIRCLE, Canvas, Colour, mixed, moved

GROUND: Final = 0.74
# How far a background goes on beyond the frame, so that a camera may move.
MARGIN: Final = 0.6
WHITE: Final[Colour] = (255.0, 255.0, 255.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a background is drawn with: the canvas, its own random numbers, its width, and the seconds."""

    canvas: Canvas
    rng: np.random.Generator
    width: float
    time: float

    def tone(self, red: float, green: float, blue: float) -> Colour:
        """About this colour: every scene has its own."""
        shift = self.rng.uniform(-16, 16) + self.rng.uniform(-12, 12, 3)
        first, second, third = np.clip(np.array([red, green, blue]) + shift, 0, 255)
        return float(first), float(second), float(third)

    def spread(self, count: int) -> list[float]:
        """Places from left to right, evenly but for chance."""
        step = (self.width + 2 * MARGIN) / count
        return [-MARGIN + (index + self.rng.uniform(0.1, 0.9)) * step for index in range(count)]

    def ground(self, colour: Colour, top: float = GROUND) -> None:
        """Flat ground down to the bottom."""
        self.canvas.box(self.width / 2, top + 0.5, self.width / 2 + MARGIN, 0.5, colour, edge=False)

    def hill(self, top: float, height: float, colour: Colour) -> None:
        """A soft ridge across the frame, down to the bottom."""
        xs = np.linspace(-MARGIN, self.width + MARGIN, 40)
        start, pace = self.rng.uniform(0, 6.3), self.rng.uniform(2.5, 4.5)
        ys = top + height * 0.5 * (np.sin(xs * pace + start) + 0.4 * np.sin(2.3 * pace * xs + 2 * start))
        low = np.array([[self.width + MARGIN, 1.5], [-MARGIN, 1.5]])
        self.canvas.fill(np.concatenate([np.stack([xs, ys], axis=1), low]), colour, edge=False)


def draw_backdrop(name: str, place: Place) -> None:
    """Draw a background. Raises: KeyError for one that there is not."""
    _BACKDROPS[name](place)


def _sky(place: Place, top: Colour, low: Colour, end: float = GROUND) -> None:
    """A gradient from the top of the frame to ``end``, straight down whatever the camera does."""
    pixels, matrix = place.canvas.pixels, place.canvas.matrix
    rows = (np.arange(pixels.shape[0]) - matrix[1, 2]) / matrix[1, 1]
    share = np.clip(rows / end, 0, 1)[:, None]
    pixels[:] = (np.array(top) * (1 - share) + np.array(low) * share).round().astype(np.uint8)[:, None]


def _disc(place: Place, colour: Colour, size: float) -> None:
    place.canvas.oval(
        place.rng.uniform(0.05, place.width), place.rng.uniform(0.08, 0.3), size, size, colour, edge=False
    )


def _clouds(place: Place, count: int) -> None:
    for x in place.spread(count):
        y, size = place.rng.uniform(0.06, 0.3), place.rng.uniform(0.05, 0.09)
        for dx, dy, share in ((-1, 0.2, 0.7), (0, -0.1, 1.0), (1, 0.2, 0.8)):
            drift = x + 0.01 * place.time + dx * size
            place.canvas.oval(
                drift, y + dy * size, 1.2 * size * share, 0.7 * size * share, (250, 250, 252), edge=False
            )


def _city(place: Place) -> None:
    _sky(place, place.tone(120, 180, 232), place.tone(226, 232, 236))
    _clouds(place, 3)
    for x in place.spread(11):
        wide, top = place.rng.uniform(0.07, 0.13), place.rng.uniform(0.1, 0.5)
        wall = place.tone(*((168, 132, 120), (128, 140, 160), (188, 178, 150))[place.rng.integers(3)])
        place.canvas.box(x, (top + GROUND) / 2, wide, (GROUND - top) / 2, wall, edge=False)
        glass = mixed(wall, (255, 244, 190) if place.rng.random() < 0.5 else (60, 74, 96), 0.6)
        for row in np.arange(top + 0.05, GROUND - 0.04, 0.085):
            for column in (-0.5, 0.5):
                place.canvas.box(x + column * wide, row, 0.24 * wide, 0.026, glass, edge=False)
    place.ground(place.tone(150, 150, 148))
    place.canvas.box(place.width / 2, 0.93, place.width / 2 + MARGIN, 0.1, place.tone(86, 88, 94), edge=False)
    for x in np.arange(-MARGIN, place.width + MARGIN, 0.24):
        place.canvas.box(x, 0.93, 0.06, 0.008, (238, 232, 200), edge=False)


def _forest(place: Place) -> None:
    _sky(place, place.tone(150, 208, 226), place.tone(214, 236, 204))
    place.hill(0.5, 0.1, place.tone(110, 168, 112))
    leaves = place.tone(48, 122, 62)
    for x in place.spread(9):
        size, foot = place.rng.uniform(0.12, 0.2), GROUND + place.rng.uniform(-0.03, 0.04)
        place.canvas.box(x, foot - 0.12, 0.022, 0.13, (104, 74, 50), edge=False)
        shade = mixed(leaves, WHITE, place.rng.uniform(0, 0.22))
        if place.rng.random() < 0.5:
            for step in range(3):
                y = foot - 0.14 - step * 0.6 * size
                tier = np.array([[-size, 0], [size, 0], [0, -1.3 * size]]) * (1 - 0.22 * step) + (x, y)
                place.canvas.fill(tier, shade, edge=False)
        else:
            place.canvas.oval(x, foot - 0.2 - size, 0.9 * size, 1.2 * size, shade, edge=False)
    place.ground(place.tone(106, 164, 78))
    for x in place.spread(16):
        y = place.rng.uniform(GROUND + 0.04, 0.98)
        blade = moved(np.array([[-0.02, 0], [-0.012, -0.04], [0, 0], [0.012, -0.045], [0.02, 0]]), x, y)
        place.canvas.fill(blade, (70, 128, 58), edge=False)


def _desert(place: Place) -> None:
    _sky(place, place.tone(118, 188, 232), place.tone(252, 226, 178))
    _disc(place, (255, 238, 150), 0.08)
    place.hill(0.58, 0.12, place.tone(222, 172, 108))
    place.hill(0.68, 0.08, place.tone(234, 190, 124))
    place.ground(place.tone(244, 208, 146), GROUND + 0.04)
    for x in place.spread(4):
        green, tall = place.tone(84, 146, 90), place.rng.uniform(0.2, 0.34)
        foot = GROUND + place.rng.uniform(0.02, 0.08)
        place.canvas.line(np.array([[x, foot], [x, foot - tall]]), green, 0.055)
        for side, level in ((-1, 0.45), (1, 0.6)):
            arm = moved(np.array([[0, 0], [0.07 * side, 0], [0.07 * side, -0.1]]), x, foot - level * tall)
            place.canvas.line(arm, green, 0.036)
    for x in place.spread(7):
        place.canvas.oval(x, place.rng.uniform(0.84, 0.98), 0.03, 0.014, (204, 164, 108), edge=False)


def _snow(place: Place) -> None:
    _sky(place, place.tone(160, 190, 220), place.tone(224, 234, 244))
    peak = place.tone(150, 168, 196)
    for x in place.spread(4):
        high, wide = place.rng.uniform(0.25, 0.45), place.rng.uniform(0.3, 0.45)
        top = np.array([x, GROUND - high])
        place.canvas.fill(np.array([[x - wide, GROUND], top, [x + wide, GROUND]]), peak, edge=False)
        side = 0.3 * np.array([wide, high])
        place.canvas.fill(np.array([top + side * (-1, 1), top, top + side]), (250, 252, 255), edge=False)
    place.hill(GROUND - 0.06, 0.06, place.tone(226, 234, 244))
    for x in place.spread(5):
        foot = GROUND + place.rng.uniform(-0.02, 0.04)
        for step in range(3):
            tier = np.array([[-0.1, 0], [0.1, 0], [0, -0.14]]) * (1 - 0.2 * step) + (x, foot - 0.075 * step)
            place.canvas.fill(tier, (64, 112, 104), edge=False)
    place.ground(place.tone(240, 244, 250), GROUND + 0.03)
    flakes = place.rng.uniform(0, 1, (40, 2)) * (place.width + 2 * MARGIN, 1.0) - (MARGIN, 0)
    for x, y in flakes:
        place.canvas.oval(x, (y + 0.15 * place.time) % 1.0, 0.008, 0.008, WHITE, edge=False)


def _space(place: Place) -> None:
    _sky(place, place.tone(20, 18, 46), place.tone(54, 38, 92))
    for x, y in place.rng.uniform(0, 1, (60, 2)) * (place.width + 2 * MARGIN, GROUND) - (MARGIN, 0):
        size = place.rng.uniform(0.003, 0.008)
        place.canvas.oval(x, y, size, size, (250, 248, 220), edge=False)
    for x in place.spread(3):
        y, size = place.rng.uniform(0.08, 0.45), place.rng.uniform(0.05, 0.13)
        colour = place.tone(*place.rng.uniform(90, 220, 3))
        place.canvas.oval(x, y, size, size, colour, edge=False)
        if place.rng.random() < 0.5:
            ring = CIRCLE * (1.8 * size, 0.35 * size) + (x, y)
            place.canvas.line(np.concatenate([ring, ring[:1]]), mixed(colour, WHITE, 0.5), 0.014)
        else:
            place.canvas.oval(
                x - 0.3 * size,
                y - 0.2 * size,
                0.25 * size,
                0.2 * size,
                mixed(colour, (0, 0, 0), 0.25),
                edge=False,
            )
    place.hill(GROUND, 0.03, place.tone(150, 146, 164))
    for x in place.spread(7):
        y, size = place.rng.uniform(0.82, 0.98), place.rng.uniform(0.03, 0.08)
        place.canvas.oval(x, y, size, 0.3 * size, (112, 108, 128), edge=False)


def _sea(place: Place) -> None:
    _sky(place, place.tone(96, 178, 236), place.tone(214, 238, 246), 0.48)
    _disc(place, (255, 244, 180), 0.07)
    _clouds(place, 3)
    water = place.tone(36, 132, 178)
    place.ground(water, 0.48)
    for row, level in enumerate(np.arange(0.51, GROUND, 0.05)):
        for x in place.spread(7):
            sway = 0.03 * np.sin(place.time * 2 + row)
            crest = moved(
                np.array([[-0.06, 0], [-0.03, -0.012], [0, 0], [0.03, -0.012], [0.06, 0]]), x + sway, level
            )
            place.canvas.line(crest, mixed(water, WHITE, 0.45), 0.009)
    x = place.rng.uniform(0, place.width)
    place.canvas.fill(
        moved(np.array([[-0.13, 0], [0.13, 0], [0.09, 0.05], [-0.09, 0.05]]), x, 0.47),
        (150, 84, 60),
        edge=False,
    )
    place.canvas.fill(
        moved(np.array([[0.01, -0.02], [0.01, -0.22], [0.12, -0.02]]), x, 0.47), (250, 246, 236), edge=False
    )
    place.hill(GROUND, 0.03, place.tone(240, 216, 160))
    for x in place.spread(6):
        place.canvas.oval(x, place.rng.uniform(0.84, 0.98), 0.02, 0.012, (250, 240, 220), edge=False)


def _room(place: Place) -> None:
    wall = place.tone(
        *((232, 208, 178), (190, 214, 206), (214, 196, 222), (238, 226, 170))[place.rng.integers(4)]
    )
    _sky(place, wall, mixed(wall, (0, 0, 0), 0.08))
    for x in np.arange(-MARGIN, place.width + MARGIN, 0.16):
        place.canvas.box(x, GROUND / 2, 0.012, GROUND / 2, mixed(wall, WHITE, 0.25), edge=False)
    x = place.rng.uniform(0.1, place.width * 0.4)
    place.canvas.box(x, 0.28, 0.19, 0.19, (250, 248, 244), edge=False)
    for column in (-1, 1):
        place.canvas.box(x + 0.085 * column, 0.28, 0.075, 0.165, place.tone(150, 206, 238), edge=False)
    x = place.rng.uniform(place.width * 0.7, place.width)
    place.canvas.box(x, 0.26, 0.13, 0.1, (128, 86, 56), edge=False)
    place.canvas.box(x, 0.26, 0.11, 0.08, place.tone(*place.rng.uniform(80, 230, 3)), edge=False)
    place.ground(place.tone(176, 124, 82))
    place.canvas.box(place.width / 2, GROUND, place.width / 2 + MARGIN, 0.014, (246, 240, 230), edge=False)
    rug = place.tone(*place.rng.uniform(70, 220, 3))
    place.canvas.oval(place.width / 2, 0.9, 0.55, 0.08, rug, edge=False)
    place.canvas.oval(place.width / 2, 0.9, 0.44, 0.06, mixed(rug, WHITE, 0.3), edge=False)


_BACKDROPS: Final[dict[str, Callable[[Place], None]]] = {
    "city": _city,
    "forest": _forest,
    "desert": _desert,
    "snow": _snow,
    "space": _space,
    "sea": _sea,
    "room": _room,
}
