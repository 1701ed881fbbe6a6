"""First frames and old clips, in the form in which pipelines take them; how a clip is gone on with.

A pipeline that goes on with a clip is shown its last frames and makes these and new ones; only the new ones
are kept. A model of one length is called again and again, each time with the last frames of what there is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from generator.base import Picture
from generator.conventions import CONDITIONS
from generator.errors import RequestInvalid
from generator.frames import covering

Frames = NDArray[np.uint8]
FADING: Final = 4  # frames over which a difference at the seam fades


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One call: how many old frames it is shown, how many it makes in all, these among them."""

    past: int
    total: int

    @property
    def fresh(self) -> int:
        """How many new frames it makes."""
        return self.total - self.past


def passes(
    available: int, wanted: int, *, step: int, history: int, fixed: int | None, longest: int
) -> Iterator[Pass]:
    """The calls that make at least `wanted` frames after `available` ones.

    `step`: frames of a latent cell. `history`: the most old frames that are shown. `fixed`: the one length
    that the model makes; else `longest` is the most that it makes, of the form that it makes.
    Raises: RequestInvalid when there is no room for new frames in that length.
    """
    if fixed is not None and fixed <= step:
        raise RequestInvalid(f"a model of {fixed} frames cannot go on with a clip; take another model")
    most = min(history, (fixed or longest) - step)
    while wanted > 0:
        past = (max(1, min(available, most)) - 1) // step * step + 1
        total = fixed or min(longest, past + math.ceil(wanted / step) * step)
        planned = Pass(past=past, total=total)
        wanted, available = wanted - planned.fresh, available + planned.fresh
        yield planned


def last_frames(
    clip: Frames, *, rate: Fraction, wanted: float, count: int, width: int, height: int
) -> list[Picture]:
    """The last frames of a clip of `rate` frames per second, at `wanted` per second and the model's size.

    At most `count`, the last one among them.
    """
    every = float(rate) / wanted
    places = [len(clip) - 1 - round(index * every) for index in range(count)]
    return [covering(clip[place], width, height) for place in reversed(places) if place >= 0]


def joined(made: Frames, fresh: int, last: Picture) -> Frames:
    """The `fresh` last frames of what a pipeline made, without a jump after `last`, the last old one.

    A pipeline gives old frames back as its autoencoder sees them. What that changed in the last one is taken
    back: all of it in the first new frame, less and less in the next.
    """
    new = made[-fresh:]
    if len(made) == len(new) or made.shape[1:] != last.shape:
        return new
    changed = last.astype(np.float32) - made[-fresh - 1]
    shares = 1 - np.arange(min(fresh, FADING), dtype=np.float32) / FADING
    near = new[: len(shares)] + shares[:, None, None, None] * changed
    return np.concatenate([near.round().clip(0, 255).astype(np.uint8), new[len(shares) :]])


def noise_levels(steps: int, *, even: bool) -> list[float]:
    """Noise levels from 1000 down, one a step: evenly spaced, as a model of few steps is trained to take
    them, or those of LTX-Video 0.9.5, which begin in small steps.
    """
    if even:
        return [1000.0 * (steps - index) / steps for index in range(steps)]
    from diffusers.pipelines.ltx import pipeline_ltx_condition

    spaced: Any = pipeline_ltx_condition.linear_quadratic_schedule
    return [1000.0 * float(level) for level in spaced(steps)]


def as_argument(argument: str, frames: Sequence[Picture], *, single: bool) -> Any:
    """A first frame (`single`), or frames to go on with, as the pipeline's argument of that name takes it."""
    from PIL import Image

    shown = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    if argument != CONDITIONS:
        return shown[0] if single else shown
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

    given: dict[str, Any] = {"image": shown[0]} if single else {"video": shown}
    return [LTXVideoCondition(**given, frame_index=0, strength=1.0)]
