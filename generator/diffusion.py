"""Any text-to-video pipeline of diffusers, from a local folder or by hub name, as a generator.

Only safetensors are read and no code that comes with a model is run (`generator.model_folder` examines the
folder before torch is imported). The same request gives the same frames on the same machine.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from generator.base import Clip, GenerationRequest, Picture, Progress, check_request
from generator.continuing import as_argument, last_frames, noise_levels, passes
from generator.conventions import (
    Convention,
    convention_of,
    defaults_of,
    frames_for,
    frames_of_a_cell,
    frames_wanted,
    pipeline_for,
    side_wanted,
)
from generator.errors import GenerationFailed, GeneratorError, GeneratorUnusable
from generator.frames import as_pictures, covering, fitted
from generator.model_folder import INSTALL, open_folder

DEVICES: Final = ("auto", "cpu", "cuda", "mps")


class DiffusionGenerator:
    """A diffusers pipeline.

    `source`: a folder that `save_pretrained` made, or ``owner/name`` on the hub (taken from the local
    cache if it is there). `revision`: on the hub. `sha256`: what `model_folder.folder_digest` gives;
    another digest is refused. `device`: auto takes cuda where there is one.
    Raises: GeneratorUnusable.
    """

    def __init__(
        self, source: str, *, revision: str | None = None, sha256: str | None = None, device: str = "auto",
        name: str = "diffusion",
    ) -> None:  # fmt: skip
        folder = open_folder(source, revision=revision, sha256=sha256)
        convention_of(folder.pipeline)
        self._class = folder.pipeline
        self._defaults = defaults_of(folder.path)
        # The pipeline of the folder, and others of the same weights as soon as they are needed.
        self._pipelines = {self._class: _loaded(folder.path, folder.pipeline, device)}
        self._busy = threading.Lock()  # a pipeline keeps its noise levels in itself: one clip at a time
        self.name = name
        self.version = self._defaults.version or f"{folder.pipeline} {Path(source).name} {folder.pin}"

    def generate(self, request: GenerationRequest, progress: Progress | None = None) -> Clip:
        """Generate the whole clip; its frames are then handed out one by one. Of a clip that goes on with
        another, these are the new frames alone.

        `progress` is told each step; what it raises stops the generation. Safe to call from several
        threads: they wait for each other.
        Raises: RequestInvalid, GenerationFailed.
        """
        import torch

        check_request(request)
        name = pipeline_for(self._class, request.kind)
        with self._busy:
            pipeline, convention = self._pipeline(name), convention_of(name)
            arguments, rate = self._arguments(request, pipeline, convention)
            arguments["generator"] = torch.Generator("cpu").manual_seed(request.seed)
            if request.clip is not None and convention.clip is not None:
                frames = self._continued(request, pipeline, convention, arguments, rate, progress)
            else:
                frames = _run(pipeline, arguments | _told(progress, arguments["num_inference_steps"]))
        return Clip(
            frames=fitted(frames, rate, request), width=request.width, height=request.height,
            frame_rate=request.frame_rate, generator=self.name, version=self.version,
        )  # fmt: skip

    def _pipeline(self, name: str) -> Any:
        """The pipeline of that class, with the weights that are loaded."""
        if name not in self._pipelines:
            import diffusers

            self._pipelines[name] = getattr(diffusers, name).from_pipe(self._pipelines[self._class])
            self._pipelines[name].set_progress_bar_config(disable=True)
        return self._pipelines[name]

    def _continued(
        self, request: GenerationRequest, pipeline: Any, convention: Convention, arguments: dict[str, Any],
        rate: float, progress: Progress | None,
    ) -> NDArray[np.uint8]:  # fmt: skip
        """The new frames after the request's clip, at the model's size and rate."""
        own, steps, argument = self._defaults, arguments["num_inference_steps"], str(convention.clip)
        clip = np.asarray(request.clip, dtype=np.uint8)
        history = int(own.history or convention.history)
        seen: list[Picture] = last_frames(
            clip, rate=request.frame_rate, wanted=rate, count=history,
            width=arguments["width"], height=arguments["height"],
        )  # fmt: skip
        planned = list(
            passes(
                len(seen), frames_for(request.seconds, rate), step=frames_of_a_cell(pipeline),
                history=history, fixed=own.frames,
            )
        )  # fmt: skip
        made: list[Picture] = []
        for number, one in enumerate(planned):
            past = as_argument(argument, [*seen, *made][-one.past :], single=False)
            told = _told(progress, len(planned) * steps, number * steps)
            given = arguments | told | {argument: past, "num_frames": one.total}
            made.extend(_run(pipeline, given)[-one.fresh :])
        return np.stack(made)

    def _arguments(
        self, request: GenerationRequest, pipeline: Any, convention: Convention
    ) -> tuple[dict[str, Any], float]:
        """The pipeline's arguments, and the rate at which the frames will be."""
        own = self._defaults
        rate = own.rate or convention.rate or float(request.frame_rate)
        arguments: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt if convention.negative else None,
            "width": own.width or side_wanted(pipeline, convention, request.width),
            "height": own.height or side_wanted(pipeline, convention, request.height),
            "num_frames": own.frames or frames_wanted(pipeline, request.seconds, rate),
            "num_inference_steps": request.steps or own.steps or _DEFAULT_STEPS,
            "output_type": "np",
        }
        guidance = own.guidance if request.guidance is None else request.guidance
        if guidance is not None and guidance < 1:  # what is not to be drawn would be drawn
            arguments["negative_prompt"] = None
        if guidance is not None:
            arguments["guidance_scale"] = guidance
        if own.tokens is not None:
            arguments["max_sequence_length"] = own.tokens
        if convention.rate_name is not None:
            arguments[convention.rate_name] = rate
        if convention.spaced:
            even = own.steps is not None
            arguments["timesteps"] = noise_levels(arguments["num_inference_steps"], even=even)
        if request.image is not None and convention.image is not None:
            first = covering(request.image, int(arguments["width"]), int(arguments["height"]))
            arguments[convention.image] = as_argument(convention.image, [first], single=True)
        return arguments, rate


def _run(pipeline: Any, arguments: dict[str, Any]) -> NDArray[np.uint8]:
    """What the pipeline makes: ``uint8[f, h, w, 3]``. Raises: GenerationFailed."""
    import torch

    try:
        with torch.inference_mode():
            made = np.asarray(pipeline(**arguments).frames[0], dtype=np.float32)
    except GeneratorError:
        raise
    except MemoryError:
        raise GenerationFailed(_NO_MEMORY) from None
    except (ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        if "memory" in str(error).lower():
            raise GenerationFailed(_NO_MEMORY) from None
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise GenerationFailed(f"the model stopped ({reason}); use another size or model") from error
    return as_pictures(made)


_DEFAULT_STEPS: Final = 30
_NO_MEMORY: Final = "there is not enough memory for this clip; ask for a smaller or shorter one"


def _told(progress: Progress | None, steps: int, before: int = 0) -> dict[str, Any]:
    """The argument that tells each of so many steps, `before` of which are done."""
    if progress is None:
        return {}

    def after_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        progress(before + step + 1, steps)
        return tensors

    return {"callback_on_step_end": after_step}


def _loaded(folder: Path, name: str, device: str) -> Any:
    """The pipeline on its device: bfloat16 on CUDA, float32 elsewhere."""
    if device not in DEVICES:
        raise GeneratorUnusable(f"there is no device {device[:20]!r}; choose one of: {', '.join(DEVICES)}")
    try:
        import torch

        from torch_compat import complete_torchvision

        complete_torchvision()
        import accelerate  # noqa: F401 - Wan's text encoder cannot be loaded without
        import diffusers
    except ImportError as error:
        raise GeneratorUnusable(f"generating needs {error.name or 'diffusers'}; {INSTALL}") from None
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    kind = torch.bfloat16 if chosen == "cuda" else torch.float32
    try:
        with quiet():
            pipeline = getattr(diffusers, name).from_pretrained(
                folder, dtype=kind, use_safetensors=True, local_files_only=True, trust_remote_code=False
            )
        pipeline.to(chosen)
    except Exception as error:  # whatever a damaged folder makes the loaders raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise GeneratorUnusable(f"the model cannot be loaded ({reason}); download it again") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars on a terminal that is not ours."""
    from diffusers.utils import logging as one
    from transformers.utils import logging as other

    shown = [part for part in (one, other) if part.is_progress_bar_enabled()]
    for part in shown:
        part.disable_progress_bar()
    try:
        yield
    finally:
        for part in shown:
            part.enable_progress_bar()
