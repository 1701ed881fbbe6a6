"""Any video pipeline of diffusers, from a local folder or by hub name, as a generator.

Only safetensors are read and no code that comes with a model is run (`generator.model_folder` examines the
folder before torch is imported). The same request gives the same frames on the same machine.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from generator.base import Clip, GenerationRequest, Picture, Preview, Progress, check_request
from generator.calls import Call, call_of, window
from generator.continuing import Pass, as_argument, joined, last_frames, passes
from generator.conventions import convention_of, defaults_of, frames_for, frames_of_a_cell, pipeline_for
from generator.errors import GenerationFailed, GeneratorError
from generator.frames import as_pictures, fitted
from generator.loading import Memory, another, device_for, load, placed, unwarned
from generator.model_folder import open_folder
from generator.preview import Previewer

_NO_MEMORY: Final = "there is not enough memory for this clip; ask for a smaller or shorter one"


class DiffusionGenerator:
    """A diffusers pipeline.

    `source`: a folder that `save_pretrained` made, or ``owner/name`` on the hub (taken from the local
    cache if it is there). `revision`: on the hub. `sha256`: what `model_folder.folder_digest` gives;
    another digest is refused. `device`: auto takes cuda where there is one. `memory`: how to save it.
    Raises: GeneratorUnusable.
    """

    def __init__(
        self, source: str, *, revision: str | None = None, sha256: str | None = None, device: str = "auto",
        name: str = "diffusion", memory: Memory | None = None,
    ) -> None:  # fmt: skip
        folder = open_folder(source, revision=revision, sha256=sha256)
        convention = convention_of(folder.pipeline)
        self._defaults = defaults_of(folder.path)
        self._memory, self._device = memory or Memory(), device_for(device)
        # The pipeline of the folder, and others of the same weights as soon as they are needed.
        self._pipeline = load(folder.path, folder.pipeline, convention, self._device, self._memory)
        self._others = {folder.pipeline: self._pipeline}
        self._upsampler = self._defaults.upsampler and _upsampler(folder.path / self._defaults.upsampler)
        self._placed = folder.pipeline
        self._busy = threading.Lock()  # a pipeline keeps its noise levels in itself: one clip at a time
        self.name = name
        self.version = self._defaults.version or f"{folder.pipeline} {Path(source).name} {folder.pin}"

    def generate(
        self, request: GenerationRequest, progress: Progress | None = None, preview: Preview | None = None
    ) -> Clip:
        """Generate the whole clip; its frames are then handed out one by one. Of a clip that goes on with
        another, these are the new frames alone.

        `progress` is told each step, `preview` shown a frame on the way (`generator.preview`); what they
        raise stops the generation. Safe to call from several threads: they wait for each other.
        Raises: RequestInvalid, GenerationFailed.
        """
        import torch

        check_request(request)
        name = pipeline_for(self._pipeline, request.kind)
        with self._busy:
            call = call_of(self._as(name), convention_of(name), self._defaults, request)
            call.arguments["generator"] = torch.Generator("cpu").manual_seed(request.seed)
            watch = _Watch(progress, None if preview is None else Previewer(preview, call.arguments))
            if request.clip is not None:
                frames = self._continued(request, request.clip, call, watch)
            else:
                frames = self._begun(request, call, watch)
        watch.end()
        return Clip(
            frames=fitted(self.enlarged(frames), call.rate, request),
            width=request.width, height=request.height, frame_rate=request.frame_rate,
            generator=self.name, version=self.version,
        )  # fmt: skip

    def _as(self, name: str) -> Any:
        """The pipeline of that class, with the weights that are loaded."""
        if name not in self._others:
            self._others[name] = another(self._pipeline, name)
        if name != self._placed and self._memory.offload:
            placed(self._others[name], self._device, self._memory)  # what moves the parts belongs to one
        self._placed = name
        return self._others[name]

    @property
    def pipeline(self) -> Any:
        """The pipeline as it was loaded."""
        return self._pipeline

    def enlarged(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames ``uint8[f, h, w, 3]`` of the pipeline, through the model's upsampler if it has one."""
        if not self._upsampler:
            return frames
        from generator.upsampler import upsampled

        return upsampled(self._upsampler, frames)

    def _begun(self, request: GenerationRequest, call: Call, watch: "_Watch") -> NDArray[np.uint8]:
        """The frames of a clip that begins; a model of one length that can do it goes on with its own."""
        wanted, length = frames_for(request.seconds, call.rate), self._defaults.frames
        planned: list[Pass] = []
        if length is not None and call.convention.clip and length > frames_of_a_cell(call.pipeline):
            planned = self._planned(call, min(length, self._history(call)), wanted - length)
        told = watch.over(call.steps + len(planned) * call.steps)
        made = self._run(call.pipeline, call.arguments | told)
        call.arguments.pop(str(call.convention.image), None)
        return np.concatenate([made, *self._passed(call, list(made), planned, told)])

    def _continued(
        self, request: GenerationRequest, clip: Picture, call: Call, watch: "_Watch"
    ) -> NDArray[np.uint8]:
        """The new frames after `clip`, at the model's size and rate."""
        seen = last_frames(
            clip, rate=request.frame_rate, wanted=call.rate, count=self._history(call),
            width=call.arguments["width"], height=call.arguments["height"],
        )  # fmt: skip
        planned = self._planned(call, len(seen), frames_for(request.seconds, call.rate))
        told = watch.over(len(planned) * int(call.arguments["num_inference_steps"]))
        return np.concatenate(list(self._passed(call, seen, planned, told)))

    def _history(self, call: Call) -> int:
        return int(self._defaults.history or call.convention.history)

    def _planned(self, call: Call, seen: int, wanted: int) -> list[Pass]:
        return list(
            passes(
                seen, wanted, step=frames_of_a_cell(call.pipeline), history=self._history(call),
                fixed=self._defaults.frames, longest=call.convention.longest,
            )
        )  # fmt: skip

    def _passed(
        self, call: Call, seen: list[Picture], planned: Iterable[Pass], told: dict[str, Any]
    ) -> Iterator[NDArray[np.uint8]]:
        """The new frames of each pass, which is shown the last frames of what there is."""
        argument = str(call.convention.clip)
        for one in planned:
            past = as_argument(argument, seen[-one.past :], single=False)
            call.arguments.update({argument: past, call.convention.frames_name: one.total})
            call.arguments.update(window(call.convention, one.past))
            fresh = joined(self._run(call.pipeline, call.arguments | told), one.fresh, seen[-1])
            seen = [*seen, *fresh][-self._history(call) :]
            yield fresh

    def _run(self, pipeline: Any, arguments: dict[str, Any]) -> NDArray[np.uint8]:
        """What the pipeline makes: ``uint8[f, h, w, 3]``. Raises: GenerationFailed."""
        import torch

        try:
            with torch.inference_mode(), unwarned():
                made = np.asarray(pipeline(**arguments).frames[0], dtype=np.float32)
        except GeneratorError:
            raise
        except MemoryError:
            raise GenerationFailed(_NO_MEMORY) from None
        except (ValueError, TypeError, LookupError, AttributeError, NameError, RuntimeError) as error:
            if "memory" in str(error).lower():
                raise GenerationFailed(_NO_MEMORY) from None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise GenerationFailed(f"the model stopped ({reason}); use another size or model") from error
        return as_pictures(made)


def _upsampler(file: Path) -> Any:
    from generator.upsampler import load_upsampler

    return load_upsampler(file)


class _Watch:
    """Tells each step of a generation, whichever call it belongs to, and looks at one of them."""

    def __init__(self, progress: Progress | None, looks: Previewer | None) -> None:
        self._progress, self._looks = progress, looks
        self._total, self._done = 0, 0

    def over(self, steps: int) -> dict[str, Any]:
        """The pipelines' argument for so many steps in all; none where nobody is told."""
        self._total = steps
        unwatched = self._progress is None and self._looks is None
        return {} if unwatched else {"callback_on_step_end": self}

    def end(self) -> None:
        """Tell that nothing was seen, if it was not."""
        if self._looks is not None:
            self._looks.end()

    def __call__(self, pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self._done = min(self._done + 1, self._total)
        if self._progress is not None:
            self._progress(self._done, self._total)
        if self._looks is not None:
            self._looks(pipe, step, time, tensors)
        return tensors
