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

from generator.base import Clip, GenerationRequest, Preview, Progress, check_request
from generator.conventions import convention_of, defaults_of, frames_wanted, side_wanted
from generator.errors import GenerationFailed, GeneratorError, GeneratorUnusable
from generator.frames import as_pictures, fitted
from generator.model_folder import INSTALL, open_folder
from generator.preview import Previewer

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
        self._convention = convention_of(folder.pipeline)
        self._defaults = defaults_of(folder.path)
        self._pipeline = _loaded(folder.path, folder.pipeline, device)
        self._busy = threading.Lock()  # a pipeline keeps its noise levels in itself: one clip at a time
        self.name = name
        self.version = self._defaults.version or f"{folder.pipeline} {Path(source).name} {folder.pin}"

    def generate(
        self, request: GenerationRequest, progress: Progress | None = None, preview: Preview | None = None
    ) -> Clip:
        """Generate the whole clip; its frames are then handed out one by one.

        `progress` is told each step, `preview` shown a frame on the way (`generator.preview`); what they
        raise stops the generation. Safe to call from several threads: they wait for each other.
        Raises: RequestInvalid, GenerationFailed.
        """
        import torch

        check_request(request)
        arguments, rate = self._arguments(request)
        arguments["generator"] = torch.Generator("cpu").manual_seed(request.seed)
        looks = None if preview is None else Previewer(preview, arguments)
        if progress is not None or looks is not None:
            steps = arguments["num_inference_steps"]
            arguments = arguments | {"callback_on_step_end": _told(progress, steps, looks)}
        with self._busy:
            frames = as_pictures(self._run(arguments))
        if looks is not None:
            looks.end()
        return Clip(
            frames=fitted(frames, rate, request), width=request.width, height=request.height,
            frame_rate=request.frame_rate, generator=self.name, version=self.version,
        )  # fmt: skip

    def _arguments(self, request: GenerationRequest) -> tuple[dict[str, Any], float]:
        """The pipeline's arguments, and the rate at which the frames will be."""
        convention, own, pipeline = self._convention, self._defaults, self._pipeline
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
            steps = arguments["num_inference_steps"]
            arguments["timesteps"] = [1000.0 * (steps - index) / steps for index in range(steps)]
        return arguments, rate

    def _run(self, arguments: dict[str, Any]) -> Any:
        import torch

        try:
            with torch.inference_mode():
                return np.asarray(self._pipeline(**arguments).frames[0], dtype=np.float32)
        except GeneratorError:
            raise
        except MemoryError:
            raise GenerationFailed(_NO_MEMORY) from None
        except (ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
            if "memory" in str(error).lower():
                raise GenerationFailed(_NO_MEMORY) from None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise GenerationFailed(f"the model stopped ({reason}); use another size or model") from error


_DEFAULT_STEPS: Final = 30
_NO_MEMORY: Final = "there is not enough memory for this clip; ask for a smaller or shorter one"


def _told(progress: Progress | None, steps: int, looks: Previewer | None) -> Any:
    def after_step(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if progress is not None:
            progress(step + 1, steps)
        if looks is not None:
            looks(pipe, step, time, tensors)
        return tensors

    return after_step


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
