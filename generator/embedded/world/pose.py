"""How a character holds itself at a moment: angles, shifts and squash from the action and the time."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Arms in radians from hanging down, outwards; feet as (sideways, up); the rest in heights or radians.

    ``facing``: how much of the width is seen of a character that turns about itself: 1 from the front, 0
    from the side, -1 from behind.
    """

    left_arm: float = 0.35
    right_arm: float = 0.35
    left_foot: tuple[float, float] = (0.0, 0.0)
    right_foot: tuple[float, float] = (0.0, 0.0)
    rise: float = 0.0
    lean: float = 0.0
    squash: float = 1.0
    nod: float = 0.0
    turn: float = 0.0
    sitting: bool = False
    facing: float = 1.0


def pose_of(action: str, time: float, start: float) -> Pose:
    """The pose after ``time`` seconds; ``start`` (radians) is where in its cycle the action began."""
    phase = 2 * math.pi * time + start
    wave, beat = math.sin(phase), math.sin(2 * phase)
    turn = 0.05 * math.sin(0.7 * phase + 2 * start)
    if action in ("walking", "running"):
        return _gait(phase, 1.0 if action == "walking" else 1.7)
    if action == "jumping":
        up = abs(wave)
        return Pose(
            left_arm=0.5 + 1.9 * up,
            right_arm=0.5 + 1.9 * up,
            rise=0.2 * up,
            squash=0.93 + 0.12 * up,
            turn=turn,
        )
    if action == "waving":
        return Pose(left_arm=0.3, right_arm=2.3 + 0.45 * beat, nod=0.06 * wave, turn=turn)
    if action == "dancing":
        return Pose(
            left_arm=1.5 + 1.0 * wave, right_arm=1.5 - 1.0 * wave, lean=0.16 * wave, nod=-0.1 * wave,
            left_foot=(0.0, max(0.0, 0.07 * wave)), right_foot=(0.0, max(0.0, -0.07 * wave)),
            rise=0.02 * abs(beat), turn=turn,
        )  # fmt: skip
    if action == "spinning":
        return Pose(left_arm=1.35, right_arm=1.35, facing=math.cos(phase), rise=0.01 * abs(beat))
    if action == "sitting":
        return Pose(left_arm=0.75, right_arm=0.75, sitting=True, nod=0.05 * wave, turn=turn)
    return Pose(squash=1 + 0.012 * wave, turn=turn)


def _gait(phase: float, pace: float) -> Pose:
    swing = math.sin(pace * phase)
    lift = 0.05 * pace
    return Pose(
        left_arm=0.25 + 0.45 * pace * max(0.0, swing), right_arm=0.25 + 0.45 * pace * max(0.0, -swing),
        left_foot=(0.07 * pace * swing, max(0.0, lift * math.cos(pace * phase))),
        right_foot=(-0.07 * pace * swing, max(0.0, -lift * math.cos(pace * phase))),
        rise=0.015 * pace * abs(swing), lean=0.05 * pace, turn=0.04,
    )  # fmt: skip
