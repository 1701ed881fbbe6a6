"""What makes a species: ears, snout and tail; and the eyes."""

from collections.abc import Callable
from typing import Final

import numpy as np

from generator.embedded.world.canvas import UPPER, Canvas, Colour, mixed
from generator.embedded.world.design import COLOURS, Design

Draw = Callable[[Canvas, Colour, Colour], None]

WHITE: Final[Colour] = (252.0, 252.0, 250.0)
INK: Final[Colour] = (28.0, 26.0, 36.0)
HORN: Final[Colour] = (236.0, 222.0, 176.0)
BEAK: Final[Colour] = (250.0, 172.0, 40.0)

# One unit is half the width of the head, the origin its middle, for ears and snouts alike.


def draw_ears(canvas: Canvas, design: Design, head: tuple[float, float]) -> None:
    """Ears, horns or an aerial, behind the head."""
    unit = canvas.within(x=0, y=0, scale=(head[0], head[0]))
    colour, second = COLOURS[design.colour], COLOURS[design.second]
    draw, mirrored = _EARS[design.species]
    for side in (-1, 1) if mirrored else (1,):
        draw(unit.within(x=0, y=0, scale=(side, 1)), colour, second)


def draw_face(canvas: Canvas, design: Design, head: tuple[float, float], turn: float) -> None:
    """Snout and eyes, a little to the side the head is turned to."""
    unit = canvas.within(x=turn, y=0, scale=(head[0], head[0]))
    colour, second = COLOURS[design.colour], COLOURS[design.second]
    _SNOUTS[design.species](unit, colour, second)
    _draw_eyes(unit, design, colour)


def draw_tail(canvas: Canvas, design: Design, hips: float, y: float) -> None:
    """The tail, behind the body, on the right."""
    colour, second = COLOURS[design.colour], COLOURS[design.second]
    at = canvas.within(x=0.8 * hips, y=y, scale=(1, 1))
    if design.species in ("fox", "dragon"):
        at.fill(
            np.array([[-0.1, 0.05], [0.12, -0.02], [0.26, -0.3], [0.33, -0.1], [0.22, 0.08], [0, 0.13]]),
            colour,
        )
        at.fill(np.array([[0.2, -0.18], [0.26, -0.3], [0.33, -0.1], [0.27, -0.08]]), second)
    elif design.species in ("cat", "mouse", "elephant"):
        curve = np.array([[-0.1, 0.05], [0.1, 0.06], [0.2, -0.03], [0.2, -0.15], [0.27, -0.24]])
        at.line(curve, second if design.species == "mouse" else colour, 0.05, edge=True)
    elif design.species in ("rabbit", "bear"):
        at.oval(0.05, 0.0, 0.08, 0.08, second)
    elif design.species == "pig":
        turns = np.linspace(0, 4 * np.pi, 24)
        curl = np.stack([0.03 + turns * 0.012, 0.035 * np.sin(turns)], axis=1)
        at.line(curl, mixed(colour, INK, 0.15), 0.03, edge=True)


def _draw_eyes(canvas: Canvas, design: Design, colour: Colour) -> None:
    y = -0.62 if design.species == "frog" else -0.12
    if design.eyes == "single":
        canvas.oval(0, y, 0.4, 0.4, WHITE)
        canvas.oval(0.04, y + 0.02, 0.2, 0.2, INK, edge=False)
        return
    for side in (-1, 1):
        x = side * 0.42
        if design.eyes == "small":
            canvas.oval(x, y, 0.14, 0.16, WHITE, edge=False)
            canvas.oval(x, y, 0.11, 0.13, INK, edge=False)
            continue
        canvas.oval(x, y, 0.28, 0.3, WHITE)
        canvas.oval(x + 0.02, y + 0.05, 0.14, 0.16, INK, edge=False)
        if design.eyes == "sleepy":
            lid = UPPER * (0.3, 0.32) + (x, y + 0.04)
            canvas.fill(lid, mixed(colour, INK, 0.25))
        elif design.eyes == "angry":
            inner, outer = (x - side * 0.34, y - 0.08), (x + side * 0.34, y - 0.4)
            brow = np.array([inner, outer, (outer[0], outer[1] + 0.15), (inner[0], inner[1] + 0.19)])
            canvas.fill(brow, INK, edge=False)


def _pointed_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.fill(np.array([[0.2, -0.55], [0.82, -1.5], [0.98, -0.2]]), colour)
    canvas.fill(np.array([[0.42, -0.6], [0.77, -1.25], [0.86, -0.4]]), second, edge=False)


def _cat_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.fill(np.array([[0.3, -0.6], [0.95, -1.15], [1.0, -0.1]]), colour)
    canvas.fill(np.array([[0.52, -0.6], [0.87, -0.95], [0.9, -0.35]]), second, edge=False)


def _round_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.oval(0.72, -0.72, 0.34, 0.34, colour)
    canvas.oval(0.74, -0.74, 0.19, 0.19, second, edge=False)


def _huge_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.oval(1.0, -0.75, 0.6, 0.6, colour)
    canvas.oval(1.02, -0.76, 0.4, 0.4, second, edge=False)


def _long_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    at = canvas.within(x=0.45, y=-0.7, scale=(1, 1), angle=0.22)
    at.oval(0, -0.72, 0.24, 0.85, colour)
    at.oval(0, -0.72, 0.11, 0.62, second, edge=False)


def _tufts(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.fill(np.array([[0.25, -0.75], [1.1, -1.25], [0.95, -0.3]]), second)


def _eye_bumps(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.oval(0.44, -0.68, 0.42, 0.42, colour)


def _horns(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.fill(np.array([[0.3, -0.6], [0.6, -1.0], [0.55, -1.55], [1.0, -1.0], [0.85, -0.4]]), HORN)
    canvas.fill(np.array([[0.8, 0.0], [1.5, -0.35], [1.35, 0.0], [1.5, 0.3], [0.8, 0.35]]), second)


def _flap_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.oval(1.12, -0.05, 0.62, 0.78, mixed(colour, INK, 0.08))
    canvas.oval(1.14, -0.03, 0.42, 0.56, second, edge=False)


def _folded_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.fill(np.array([[0.3, -0.75], [0.75, -1.1], [1.2, -0.55], [0.95, -0.25]]), colour)
    canvas.fill(np.array([[0.55, -0.72], [0.8, -0.9], [1.05, -0.55]]), second, edge=False)


def _aerial(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.line(np.array([[0.0, -0.7], [0.0, -1.3]]), (120, 124, 132), 0.12, edge=True)
    canvas.oval(0.0, -1.38, 0.2, 0.2, second)
    for side in (-1, 1):
        canvas.box(side * 1.05, 0.05, 0.14, 0.3, (150, 154, 162))


def _no_ears(canvas: Canvas, colour: Colour, second: Colour) -> None:
    """Penguins show none."""


def _long_snout(canvas: Canvas, colour: Colour, second: Colour) -> None:
    pale = mixed(colour, WHITE, 0.72)
    canvas.fill(np.array([[-0.72, 0.12], [0, 0.28], [0.72, 0.12], [0.3, 0.7], [0, 0.88], [-0.3, 0.7]]), pale)
    canvas.oval(0, 0.42, 0.15, 0.12, INK, edge=False)


def _cat_snout(canvas: Canvas, colour: Colour, second: Colour) -> None:
    for side in (-1, 1):
        canvas.oval(side * 0.15, 0.42, 0.2, 0.17, mixed(colour, WHITE, 0.75), edge=False)
        for rise in (-0.1, 0.08):
            canvas.line(np.array([[side * 0.4, 0.4], [side * 1.1, 0.38 + rise]]), _against(colour), 0.05)
    canvas.fill(np.array([[-0.13, 0.24], [0.13, 0.24], [0, 0.38]]), (236, 110, 130))


def _muzzle(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.oval(0, 0.42, 0.44, 0.34, mixed(colour, WHITE, 0.6))
    canvas.oval(0, 0.27, 0.17, 0.12, INK, edge=False)
    canvas.line(np.array([[0, 0.35], [0, 0.52], [-0.14, 0.58]]), INK, 0.05)
    canvas.line(np.array([[0, 0.52], [0.14, 0.58]]), INK, 0.05)


def _teeth(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.box(0, 0.6, 0.17, 0.17, WHITE)
    canvas.line(np.array([[0, 0.45], [0, 0.75]]), INK, 0.03)
    canvas.oval(0, 0.33, 0.3, 0.16, mixed(colour, WHITE, 0.7), edge=False)
    canvas.oval(0, 0.26, 0.12, 0.09, (236, 110, 130), edge=False)


def _owl_beak(canvas: Canvas, colour: Colour, second: Colour) -> None:
    for side in (-1, 1):
        canvas.oval(side * 0.42, -0.12, 0.5, 0.5, mixed(second, WHITE, 0.35))
    canvas.fill(np.array([[-0.18, 0.16], [0.18, 0.16], [0, 0.58]]), BEAK)


def _wide_mouth(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.fill(np.array([[-0.75, 0.2], [0.75, 0.2], [0.45, 0.55], [0, 0.66], [-0.45, 0.55]]), (120, 30, 40))
    canvas.oval(0, 0.52, 0.28, 0.12, (240, 120, 130), edge=False)


def _small_nose(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.fill(np.array([[-0.4, 0.18], [0.4, 0.18], [0, 0.72]]), mixed(colour, WHITE, 0.6))
    canvas.oval(0, 0.62, 0.17, 0.16, (236, 96, 120))


def _grille(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.box(0, 0.46, 0.56, 0.22, (208, 212, 218))
    for x in (-0.36, -0.12, 0.12, 0.36):
        canvas.line(np.array([[x, 0.28], [x, 0.64]]), INK, 0.06)


def _dragon_snout(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.oval(0, 0.45, 0.66, 0.36, mixed(colour, WHITE, 0.3))
    for side in (-1, 1):
        canvas.oval(side * 0.24, 0.32, 0.09, 0.07, INK, edge=False)
        canvas.fill(np.array([[side * 0.5, 0.58], [side * 0.32, 0.6], [side * 0.4, 0.86]]), WHITE)
    canvas.line(np.array([[-0.55, 0.55], [0, 0.64], [0.55, 0.55]]), INK, 0.05)


def _wide_beak(canvas: Canvas, colour: Colour, second: Colour) -> None:
    for side in (-1, 1):
        canvas.oval(side * 0.4, 0.12, 0.45, 0.62, (250, 248, 240), edge=False)
    canvas.fill(np.array([[-0.5, 0.34], [0, 0.14], [0.5, 0.34], [0, 0.66]]), BEAK)


def _disc(canvas: Canvas, colour: Colour, second: Colour) -> None:
    canvas.oval(0, 0.38, 0.4, 0.29, mixed(colour, (250, 120, 150), 0.45))
    for side in (-1, 1):
        canvas.oval(side * 0.14, 0.38, 0.07, 0.12, INK, edge=False)


def _trunk(canvas: Canvas, colour: Colour, second: Colour) -> None:
    curve = np.array([[0, 0.25], [0.0, 0.7], [0.1, 1.1], [0.35, 1.3], [0.62, 1.2]])
    canvas.line(curve, mixed(colour, INK, 0.12), 0.36, edge=True)
    for side in (-1, 1):
        canvas.fill(np.array([[side * 0.3, 0.42], [side * 0.55, 0.4], [side * 0.62, 0.95]]), WHITE)


def _against(colour: Colour) -> Colour:
    """Dark on light, light on dark."""
    return INK if sum(colour) > 260 else (206.0, 206.0, 212.0)


# What is behind the head, and whether it is drawn on both sides.
_EARS: Final[dict[str, tuple[Draw, bool]]] = {
    "fox": (_pointed_ears, True),
    "cat": (_cat_ears, True),
    "bear": (_round_ears, True),
    "rabbit": (_long_ears, True),
    "owl": (_tufts, True),
    "frog": (_eye_bumps, True),
    "mouse": (_huge_ears, True),
    "robot": (_aerial, False),
    "dragon": (_horns, True),
    "penguin": (_no_ears, False),
    "pig": (_folded_ears, True),
    "elephant": (_flap_ears, True),
}
_SNOUTS: Final[dict[str, Draw]] = {
    "fox": _long_snout,
    "cat": _cat_snout,
    "bear": _muzzle,
    "rabbit": _teeth,
    "owl": _owl_beak,
    "frog": _wide_mouth,
    "mouse": _small_nose,
    "robot": _grille,
    "dragon": _dragon_snout,
    "penguin": _wide_beak,
    "pig": _disc,
    "elephant": _trunk,
}
