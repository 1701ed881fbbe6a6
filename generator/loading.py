"""Loads a pipeline of diffusers onto its device, in the precision and with the memory that it is to have."""

import contextlib
import inspect
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from generator.conventions import Convention
from generator.errors import GeneratorUnusable
from generator.model_folder import INDEX, INSTALL, read_json

DEVICES: Final = ("auto", "cpu", "cuda", "mps")
# LTX's pipelines choose their own time steps, and the scheduler warns of it; the user cannot help it.
_WARNED: Final = "`timesteps` were passed without `sigmas`"
_WARNS: Final = "diffusers.schedulers.scheduling_flow_match_euler_discrete"
Precision = Literal["auto", "bfloat16", "float32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How to save memory.

    ``offload``: only the part that works just now lies on the accelerator, the others in the memory of the
    host; without an accelerator it saves nothing. ``tiling``: frames are coded and decoded in tiles that
    overlap, in less memory and more time. ``precision``: of the weights; ``auto`` is bfloat16 on CUDA and
    float32 elsewhere.
    """

    offload: bool = False
    tiling: bool = False
    precision: Precision = "auto"


def device_for(device: str) -> str:
    """The device of that name; ``auto`` is cuda where there is one, else cpu.

    Raises: GeneratorUnusable for another name, or where a library is missing.
    """
    if device not in DEVICES:
        raise GeneratorUnusable(f"there is no device {device[:20]!r}; choose one of: {', '.join(DEVICES)}")
    try:
        import torch

        from torch_compat import complete_torchvision

        complete_torchvision()
        import accelerate  # noqa: F401 - Wan's text encoder cannot be loaded without
        import diffusers  # noqa: F401
    except ImportError as error:
        raise GeneratorUnusable(f"generating needs {error.name or 'diffusers'}; {INSTALL}") from None
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def load(folder: Path, name: str, convention: Convention, device: str, memory: Memory) -> Any:
    """The pipeline of that class on `device`, as `device_for` gives it. Raises: GeneratorUnusable."""
    import diffusers

    half = memory.precision == "bfloat16" or (memory.precision == "auto" and device == "cuda")
    try:
        with quiet():
            pipeline = getattr(diffusers, name).from_pretrained(
                folder, dtype=_precisions(folder, convention, half=half), use_safetensors=True,
                local_files_only=True, trust_remote_code=False,
            )  # fmt: skip
        placed(pipeline, device, memory)
    except Exception as error:  # whatever a damaged folder makes the loaders raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise GeneratorUnusable(f"the model cannot be loaded ({reason}); download it again") from error
    if memory.tiling or convention.tiled:
        pipeline.vae.enable_tiling()
    return pipeline


def _precisions(folder: Path, convention: Convention, *, half: bool) -> dict[str, Any]:
    """The precision of the parts: bfloat16 for `half`, but for those that are kept exact."""
    import torch

    exact = [name for name in convention.exact if name in read_json(folder / INDEX)]
    kind = torch.bfloat16 if half else torch.float32
    return {"default": kind} | dict.fromkeys(exact, torch.float32)


def placed(pipeline: Any, device: str, memory: Memory) -> None:
    """Bring the pipeline to its device, or its parts as they are needed."""
    pipeline.set_progress_bar_config(disable=True)
    if memory.offload:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)


def another(pipeline: Any, name: str) -> Any:
    """The pipeline of that class with the parts and settings of `pipeline`, where they are."""
    import diffusers

    kind = getattr(diffusers, name)
    known = {**pipeline.config, **pipeline.components}
    wanted = inspect.signature(kind.__init__).parameters
    made = kind(**{part: known[part] for part in wanted if part in known})
    made.set_progress_bar_config(disable=True)
    return made


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


@contextlib.contextmanager
def unwarned() -> Iterator[None]:
    """Without what a pipeline of diffusers has a scheduler of diffusers say about itself."""
    logger = logging.getLogger(_WARNS)
    logger.addFilter(_helpful)
    try:
        yield
    finally:
        logger.removeFilter(_helpful)


def _helpful(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_WARNED)
