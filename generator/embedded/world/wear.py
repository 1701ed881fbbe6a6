"""What a character wears or holds: hats and accessories, each one short drawing."""

import numpy as np

from generator.embedded.world.canvas import CIRCLE, UPPER, Canvas, Colour, mixed, moved
from generator.embedded.world.design import COLOURS, NONE, Design

DARK: Colour = (36.0, 34.0, 44.0)


def draw_behind(canvas: Canvas, design: Design, shoulders: float, top: float, low: float) -> None:
    """A cape."""
    if design.accessory == "cape":
        corners = [[-shoulders, top - 0.07], [shoulders, top - 0.07], [0.4, low], [0.2, low + 0.05]]
        corners += [[0.0, low], [-0.2, low + 0.05], [-0.4, low]]
        canvas.fill(np.array(corners), COLOURS[design.accessory_colour])


def draw_on_body(canvas: Canvas, design: Design, hips: float, middle: float) -> None:
    """A belt, scarf or bow tie, or a cape's knot."""
    if design.accessory == "belt":
        canvas.box(0.0, middle + 0.07, 1.02 * hips, 0.045, COLOURS[design.accessory_colour])
        canvas.box(0.0, middle + 0.07, 0.05, 0.055, (236, 208, 96))


def draw_on_face(canvas: Canvas, design: Design, head: tuple[float, float], turn: float) -> None:
    """Glasses, and what sits under the chin."""
    colour: Colour = COLOURS.get(design.accessory_colour, (0, 0, 0))
    wide, high = head
    if design.accessory == "glasses":
        for side in (-1, 1):
            ring = CIRCLE * (0.48 * wide, 0.46 * high) + (side * 0.5 * wide + turn, -0.1 * high)
            canvas.line(np.concatenate([ring, ring[:2]]), colour, 0.042, edge=True)
    elif design.accessory == "scarf":
        canvas.box(0.0, 0.97 * high, 0.84 * wide, 0.06, colour)
        tail = np.array([[0.2, 0.9], [0.62, 0.9], [0.72, 2.1], [0.3, 2.15]]) * head
        canvas.fill(tail, mixed(colour, (0, 0, 0), 0.14))
    elif design.accessory == "bow tie":
        for side in (-1, 1):
            wing = moved(np.array([[0, 0.0], [0.15 * side, -0.09], [0.15 * side, 0.09]]), 0, 1.1 * high)
            canvas.fill(wing, colour)
        canvas.oval(0.0, 1.1 * high, 0.035, 0.04, mixed(colour, (0, 0, 0), 0.25))
    elif design.accessory == "cape":
        canvas.box(0.0, 0.99 * high, 0.75 * wide, 0.032, colour)


def draw_in_hand(canvas: Canvas, design: Design, x: float, y: float) -> None:
    """A balloon on a string."""
    if design.accessory == "balloon":
        colour = COLOURS[design.accessory_colour]
        at = x - 0.13, -0.82
        canvas.line(np.array([[x, y], [x - 0.1, (y + at[1]) / 2], at]), DARK, 0.012)
        canvas.oval(*at, 0.135, 0.165, colour)
        canvas.oval(at[0] - 0.045, at[1] - 0.06, 0.03, 0.045, mixed(colour, (255, 255, 255), 0.6), edge=False)


def draw_hat(canvas: Canvas, design: Design, head: tuple[float, float]) -> None:
    """The hat, on a head of these half-axes around the origin."""
    if design.hat == NONE:
        return
    at = canvas.within(x=0, y=-0.72 * head[1], scale=(head[0], head[0]))
    _HATS[design.hat](at, COLOURS[design.hat_colour])


# One unit is half the width of the head; the origin is where a brim lies.


def _tall_hat(canvas: Canvas, colour: Colour) -> None:
    canvas.fill(np.array([[-0.58, 0], [-0.64, -1.15], [0.64, -1.15], [0.58, 0]]), colour)
    canvas.box(0, -0.2, 0.6, 0.12, mixed(colour, DARK, 0.6), edge=False)
    canvas.box(0, 0.02, 1.05, 0.1, colour)


def _cap(canvas: Canvas, colour: Colour) -> None:
    canvas.fill(np.array([[0.1, 0.08], [1.55, 0.12], [1.5, -0.1], [0.6, -0.25]]), mixed(colour, DARK, 0.2))
    canvas.fill(np.concatenate([UPPER, [[1, 0.1], [-1, 0.1]]]) * (0.92, 0.72), colour)
    canvas.oval(0, -0.72, 0.1, 0.08, mixed(colour, DARK, 0.2))


def _crown(canvas: Canvas, colour: Colour) -> None:
    spikes = [[-0.75, 0.1], [-0.85, -0.75], [-0.4, -0.3], [0, -0.9], [0.4, -0.3], [0.85, -0.75], [0.75, 0.1]]
    canvas.fill(np.array(spikes), colour)
    for x, y in ((-0.85, -0.75), (0.0, -0.9), (0.85, -0.75)):
        canvas.oval(x, y, 0.11, 0.11, mixed(colour, (255, 255, 255), 0.45))


def _woolly_hat(canvas: Canvas, colour: Colour) -> None:
    canvas.oval(0, -0.92, 0.27, 0.27, mixed(colour, (255, 255, 255), 0.55))
    canvas.fill(np.concatenate([UPPER, [[1, 0.1], [-1, 0.1]]]) * (0.9, 0.8), colour)
    canvas.box(0, 0.02, 0.98, 0.16, mixed(colour, (255, 255, 255), 0.35))


def _pointed_hat(canvas: Canvas, colour: Colour) -> None:
    canvas.fill(np.array([[-0.7, 0.0], [-0.15, -1.1], [0.25, -1.75], [0.28, -1.0], [0.7, 0.0]]), colour)
    canvas.oval(0, 0.02, 1.25, 0.17, mixed(colour, DARK, 0.18))


def _headphones(canvas: Canvas, colour: Colour) -> None:
    arc = UPPER * (1.08, 0.75) + (0, 0.45)
    canvas.line(arc, colour, 0.2, edge=True)
    for side in (-1, 1):
        canvas.oval(side * 1.07, 0.7, 0.25, 0.4, colour)
        canvas.oval(side * 1.1, 0.7, 0.12, 0.22, mixed(colour, DARK, 0.45), edge=False)


_HATS = {
    "tall hat": _tall_hat,
    "cap": _cap,
    "crown": _crown,
    "woolly hat": _woolly_hat,
    "pointed hat": _pointed_hat,
    "headphones": _headphones,
}
