"""A look at a clip while it is generated: one latent frame, estimated and decoded at about half of the steps.

1. Along the path of a deterministic sampler the latents of two successive steps tell where it leads. Flow
   matching: x_t = (1 - s) x0 + s e, so x0 is where the straight line through both meets the last noise level.
   DDIM (Song et al. 2021, eq. 12, eta 0): x_t = a x0 + b e with the same x0 and e in both. The first is exact
   for Euler's method; along a curved path, as of multistep methods, it is an estimate.
2. One latent frame of it, the middle one, is decoded as the pipeline decodes a clip (`generator.latents`).
   Nothing of the generation is changed: neither the latents nor torch's random numbers.
3. What cannot be shown is told with the reason: an unknown pipeline or sampler, too few steps, whatever
   fails. It never stops the generation; only what `Preview.shown` raises does.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from generator.base import Peek, Preview
from generator.latents import Unknown, picture_of

FEWEST_STEPS: Final = 3  # two to estimate from, and one that can be saved
FLOW: Final = "FlowMatchEulerDiscreteScheduler"
DDIM: Final = ("CogVideoXDDIMScheduler", "DDIMScheduler")
MAX_REASON: Final = 200  # characters


class Previewer:
    """A ``callback_on_step_end`` that looks once. It needs ``latents`` and changes nothing.

    ``arguments``: those of the call, with the pipeline's defaults; they say how large the latents are.
    """

    def __init__(self, preview: Preview, arguments: Mapping[str, Any]) -> None:
        self._preview, self._arguments = preview, arguments
        self._before: Any = None
        self._done = False

    def __call__(self, pipe: Any, step: int, time: Any, tensors: Mapping[str, Any]) -> None:
        """Look, if it is time; `step` counts from 0, `time` is that of the scheduler."""
        if self._done:
            return
        steps = int(getattr(pipe, "num_timesteps", None) or self._arguments.get("num_inference_steps") or 0)
        due = due_at(steps, self._preview.share)
        if due is None:
            self.end("there are too few steps to look between them", step + 1, steps)
        elif step + 2 == due:
            self._before = tensors["latents"].detach().clone()
        elif step + 1 >= due:
            self._look(pipe, time, tensors["latents"], Peek(picture=None, step=step + 1, steps=steps))

    def end(self, why: str = "the pipeline did not tell its steps", step: int = 0, steps: int = 0) -> None:
        """Tell that nothing was seen, unless something was told before."""
        if not self._done:
            self._done = True
            self._preview.shown(Peek(picture=None, step=step, steps=steps, skipped=why))

    def _look(self, pipe: Any, time: Any, latents: Any, at: Peek) -> None:
        import torch

        try:
            with torch.no_grad(), torch.random.fork_rng(devices=_devices(latents)):
                estimate = _estimate(pipe.scheduler, self._before, latents, time, self._arguments)
                picture = picture_of(pipe, estimate, self._arguments)
        except Unknown as error:
            return self.end(str(error), at.step, at.steps)
        except Exception as error:  # noqa: BLE001 - a look that fails, for whatever reason, stops nothing
            reason = (str(error).strip().splitlines() or [""])[0][:MAX_REASON]
            return self.end(f"it failed ({type(error).__name__}: {reason})", at.step, at.steps)
        finally:
            self._before = None
        self._done = True
        try:
            self._preview.shown(Peek(picture=picture, step=at.step, steps=at.steps))
        except BaseException:
            pipe.maybe_free_model_hooks()  # as at the end of a call: what is offloaded leaves the device
            raise


def due_at(steps: int, share: float) -> int | None:
    """The step, counted from 1, after which to look; None where there are too few."""
    if steps < FEWEST_STEPS:
        return None
    return min(max(2, round(share * steps)), steps - 1)


def _devices(latents: Any) -> list[Any]:
    return [latents.device] if latents.device.type == "cuda" else []


def _estimate(scheduler: Any, before: Any, after: Any, time: Any, arguments: Mapping[str, Any]) -> Any:
    """Where the path through the latents before and after the scheduler's latest step leads (1)."""
    if before is None or before.shape != after.shape:
        raise Unknown("the latents before this step are not known")
    if _flows(scheduler):
        return _along_flow(scheduler, before.float(), after.float())
    if type(scheduler).__name__ in DDIM and not arguments.get("eta"):
        return _along_ddim(scheduler, before.float(), after.float(), int(time))
    raise Unknown(f"no way is known to see where {type(scheduler).__name__} leads")


def _flows(scheduler: Any) -> bool:
    """Whether it follows x_t = (1 - s) x0 + s e, and adds no noise on the way."""
    if type(scheduler).__name__ == FLOW:
        return not scheduler.config.get("stochastic_sampling")
    sde = "sde" in str(scheduler.config.get("algorithm_type") or scheduler.config.get("solver_type"))
    return bool(scheduler.config.get("use_flow_sigmas")) and not sde


def _along_flow(scheduler: Any, before: Any, after: Any) -> Any:
    index = scheduler.step_index  # of the next step; the last level is 1 where the scale is turned round
    here, there, last = (float(scheduler.sigmas[place]) for place in (index - 1, index, -1))
    return after + (last - there) * (after - before) / (there - here)


def _along_ddim(scheduler: Any, before: Any, after: Any, time: int) -> Any:
    earlier = time - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    known = scheduler.alphas_cumprod
    here = float(known[time])
    there = float(known[earlier] if earlier >= 0 else scheduler.final_alpha_cumprod)
    kept = math.sqrt((1 - there) / (1 - here))  # share of the noise in `before` that is still there
    return (after - kept * before) / (math.sqrt(there) - math.sqrt(here) * kept)
