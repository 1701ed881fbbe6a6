"""What a pipeline is called with for a request, by its conventions and the model's own defaults."""

import math
from dataclasses import dataclass
from typing import Any, Final

from generator.base import GenerationRequest
from generator.continuing import as_argument, noise_levels
from generator.conventions import (
    CONDITIONS,
    Convention,
    Defaults,
    frames_of_a_cell,
    frames_wanted,
    only_size,
    side_wanted,
    trained_rate,
)
from generator.frames import covering

DEFAULT_STEPS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A pipeline and its arguments; `rate`: frames per second that come of it; `steps`: how many are told."""

    pipeline: Any
    convention: Convention
    arguments: dict[str, Any]
    rate: float
    steps: int


def call_of(pipeline: Any, convention: Convention, own: Defaults, request: GenerationRequest) -> Call:
    """All arguments but the seed, the callback and frames to go on with."""
    only = only_size(pipeline, convention)
    rate = own.rate or trained_rate(pipeline, convention) or float(request.frame_rate)
    steps = int(request.steps or own.steps or DEFAULT_STEPS)
    frames = int(own.frames or only.frames or frames_wanted(pipeline, request.seconds, rate))
    arguments: dict[str, Any] = {
        "prompt": request.prompt,
        "width": int(own.width or only.width or side_wanted(pipeline, convention, request.width)),
        "height": int(own.height or only.height or side_wanted(pipeline, convention, request.height)),
        convention.frames_name: frames,
        "num_inference_steps": steps,
        "output_type": "np",
    }
    arguments |= _guided(convention, own, request)
    if own.tokens is not None and convention.tokens is not None:
        arguments["max_sequence_length"] = min(own.tokens, convention.tokens)
    if convention.rate_name is not None:
        arguments[convention.rate_name] = rate
    if convention.spaced:
        arguments["timesteps"] = noise_levels(steps, even=own.steps is not None)
    if own.noise is not None and CONDITIONS in (convention.image, convention.clip):
        arguments["image_cond_noise_scale"] = own.noise
    if request.image is not None and convention.image is not None:
        first = covering(request.image, arguments["width"], arguments["height"])
        arguments[convention.image] = as_argument(convention.image, [first], single=True)
    windows = 1
    if convention.forcing and frames > convention.longest:
        arguments |= window(convention, convention.history)
        windows += _windows_more(frames, convention, frames_of_a_cell(pipeline))
    return Call(
        pipeline=pipeline, convention=convention, arguments=arguments, rate=rate, steps=windows * steps
    )


def window(convention: Convention, past: int) -> dict[str, Any]:
    """How a pipeline that makes long clips in windows is to cut them; nothing for others."""
    if not convention.forcing:
        return {}
    return {"overlap_history": past, "base_num_frames": convention.longest}


def _windows_more(frames: int, convention: Convention, step: int) -> int:
    """How many windows come after the first, as the pipelines count them: in latent frames."""
    cells, base, over = (
        (count - 1) // step + 1 for count in (frames, convention.longest, convention.history)
    )
    return math.ceil((cells - base) / (base - over))


def _guided(convention: Convention, own: Defaults, request: GenerationRequest) -> dict[str, Any]:
    guidance = own.guidance if request.guidance is None else request.guidance
    arguments: dict[str, Any] = {} if guidance is None else {"guidance_scale": guidance}
    # Under a guidance of 1, what is not to be drawn would be drawn.
    if request.negative_prompt is not None and convention.negative and (guidance is None or guidance >= 1):
        arguments["negative_prompt"] = request.negative_prompt
    return arguments
