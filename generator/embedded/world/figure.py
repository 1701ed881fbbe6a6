"""Draws a character: one unit is its height from soles to crown, y points down, the feet at the origin."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from generator.embedded.world.canvas import CIRCLE, Canvas, Colour, Points, mixed
from generator.embedded.world.design import COLOURS, NONE, Design
from generator.embedded.world.faces import draw_ears, draw_face, draw_tail
from generator.embedded.world.patterns import pattern_parts
from generator.embedded.world.pose import Pose
from generator.embedded.world.wear import draw_behind, draw_hat, draw_in_hand, draw_on_body, draw_on_face

# Body: half-width at the shoulders, at the hips, half-height, how square; head: half-width, half-height.
_BUILDS: Final[dict[str, tuple[float, float, float, float, float, float]]] = {
    "round": (0.235, 0.25, 0.215, 2.2, 0.235, 0.205),
    "tall": (0.135, 0.15, 0.265, 2.8, 0.185, 0.18),
    "square": (0.225, 0.225, 0.205, 6.0, 0.225, 0.19),
    "pear-shaped": (0.13, 0.285, 0.225, 2.2, 0.2, 0.19),
}
LEG: Final = 0.15
NARROWEST: Final = 0.35  # a character seen from the side, of its width from the front


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The measures of a character: where its body and head are, and their outlines."""

    hips: float
    body: Points
    body_y: float
    shoulders: float
    shoulder_y: float
    head_y: float
    head: tuple[float, float]


def draw_figure(canvas: Canvas, design: Design, pose: Pose) -> None:
    """Draw a character standing at the origin of the canvas, one unit high."""
    frame = measure(design, pose)
    wide = NARROWEST + (1 - NARROWEST) * abs(pose.facing)
    lifted = canvas.within(x=0, y=-pose.rise, scale=(wide / pose.squash, pose.squash), angle=pose.lean)
    head = lifted.within(x=0, y=frame.head_y, scale=(1, 1), angle=pose.nod)
    draw_behind(lifted, design, frame.shoulders, frame.shoulder_y, frame.body_y + 0.2)
    draw_tail(lifted, design, frame.hips, frame.body_y + 0.13)
    _draw_legs(lifted, design, pose, frame)
    _draw_body(lifted, design, frame)
    draw_on_body(lifted, design, frame.hips, frame.body_y)
    _draw_arms(lifted, design, pose, frame)
    draw_ears(head, design, frame.head)
    _draw_head(head, design, frame)
    if pose.facing >= 0:
        draw_face(head, design, frame.head, pose.turn)
        draw_on_face(head, design, frame.head, pose.turn)
    draw_hat(head, design, frame.head)


def measure(design: Design, pose: Pose) -> Frame:
    """Where the parts of a character are, in a pose."""
    shoulders, hips, half, power, head_wide, head_high = _BUILDS[design.build]
    ground = 0.05 if pose.sitting else LEG
    middle = -(ground + half)
    body = _superellipse(power) * (1.0, half) + (0.0, middle)
    share = (body[:, 1] - (middle - half)) / (2 * half)
    body[:, 0] *= shoulders + (hips - shoulders) * share
    top = middle - half
    return Frame(
        hips=hips, body=body, body_y=middle, shoulders=shoulders, shoulder_y=top + 0.09,
        head_y=top - head_high + 0.05, head=(head_wide, head_high),
    )  # fmt: skip


def _superellipse(power: float) -> Points:
    return np.sign(CIRCLE) * np.abs(CIRCLE) ** (2 / power)


def _draw_legs(canvas: Canvas, design: Design, pose: Pose, frame: Frame) -> None:
    colour, second = _colours(design)
    limb = mixed(colour, (0, 0, 0), 0.12)
    for side, (swing, lift) in ((-1, pose.left_foot), (1, pose.right_foot)):
        hip = side * 0.5 * frame.hips
        if pose.sitting:
            canvas.oval(side * (0.55 * frame.hips + 0.06), -0.06, 0.11, 0.06, limb)
            canvas.oval(side * (0.55 * frame.hips + 0.15), -0.07, 0.055, 0.07, second)
            continue
        foot = (hip + swing + side * 0.02, -0.04 - lift)
        canvas.line(np.array([[hip, frame.body_y + 0.14], foot]), limb, 0.1, edge=True)
        canvas.oval(foot[0] + side * 0.025, foot[1] + 0.005, 0.085, 0.045, second)


def _draw_body(canvas: Canvas, design: Design, frame: Frame) -> None:
    colour, second = _colours(design)
    canvas.fill(frame.body, colour)
    low, high = frame.body.min(axis=0), frame.body.max(axis=0)
    canvas.fill_inside(frame.body, pattern_parts(design.pattern, low, high), second)


def _draw_arms(canvas: Canvas, design: Design, pose: Pose, frame: Frame) -> None:
    colour, second = _colours(design)
    for side, angle in ((-1, pose.left_arm), (1, pose.right_arm)):
        shoulder = np.array([side * (0.86 * frame.shoulders), frame.shoulder_y])
        hand = shoulder + 0.22 * np.array([side * np.sin(angle), np.cos(angle)])
        bend = (shoulder + hand) / 2 + (side * 0.025, 0.015)
        canvas.line(np.array([shoulder, bend, hand]), mixed(colour, (0, 0, 0), 0.07), 0.085, edge=True)
        canvas.oval(float(hand[0]), float(hand[1]), 0.055, 0.055, second)
        if side < 0:
            draw_in_hand(canvas, design, float(hand[0]), float(hand[1]))


def _draw_head(canvas: Canvas, design: Design, frame: Frame) -> None:
    colour, second = _colours(design)
    wide, high = frame.head
    shape = _superellipse(5.5 if design.species == "robot" else 2.3) * (wide, high)
    canvas.fill(shape, colour)
    if design.pattern not in (NONE, "belly"):
        parts = pattern_parts(design.pattern, shape.min(axis=0), shape.max(axis=0))
        canvas.fill_inside(shape, parts, second)


def _colours(design: Design) -> tuple[Colour, Colour]:
    return COLOURS[design.colour], COLOURS[design.second]
