"""From a prompt to a clip in the job's folder. The generator's frames are kept nearly without loss."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from generator.base import Clip, GenerationRequest, Generator, Preview
from generator.catalog import open_enhancer, open_generator
from generator.enhance import PromptEnhancer
from generator.loading import Memory
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo, MediaLimits
from pipeline.media.writer import ClipWriter
from pipeline.release import beginnings
from pipeline.settings import Settings

FRAME_RATE: Final = Fraction(16)

_LOCK = threading.Lock()
_loaded: dict[tuple[str, Memory], Generator] = {}
_enhancers: dict[tuple[str, str | None], PromptEnhancer] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOrder:
    """What is to be drawn; sizes in pixels, 0 for the default; ``negative``: what is not to be drawn;
    ``memory``: how a diffusion model saves it. ``image``: a picture that the clip begins with; ``extends``: a
    clip that it goes on with, which keeps its sound with ``sound``; ``limits``: for reading that.
    """

    prompt: str
    generator: str
    seconds: float
    seed: int
    width: int
    height: int
    negative: str = ""
    memory: Memory = field(default_factory=Memory)
    image: Path | None = None
    extends: Path | None = None
    sound: bool = False
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Who made the clip."""

    generator: str
    version: str


def generate(
    order: GenerationOrder, target: Path, progress: Callable[[float], None], preview: Preview | None = None
) -> Made:
    """Draw the clip of `order` into `target`, an MP4; `progress` is told seconds of clip, `preview` shown a
    frame on the way, where the generator can. What goes on with a clip holds that one, then the new part.

    Raises: `generator.errors.GeneratorError`, StorageFailed, as `pipeline.release.beginnings` for the files
    of `order`, and what `preview` raises.
    """
    request = _request(order)

    def drawn(done: int, total: int) -> None:
        progress(order.seconds * done / max(total, 1))

    clip = _opened(order.generator, order.memory).generate(request, drawn, preview)
    if order.extends is not None:
        beginnings.join(order.extends, clip, target, order.limits, sound=order.sound)
    else:
        _write(clip, target)
    return Made(generator=clip.generator, version=clip.version)


def _request(order: GenerationOrder) -> GenerationRequest:
    wanted: dict[str, Any] = {
        "prompt": order.prompt, "width": order.width or beginnings.SIDE,
        "height": order.height or beginnings.SIDE, "seconds": order.seconds, "frame_rate": FRAME_RATE,
        "seed": order.seed, "negative_prompt": order.negative or None,
    }  # fmt: skip
    if order.image is not None:
        picture = beginnings.picture(order.image)
        width, height = beginnings.size_of(picture)
        wanted |= {"image": picture, "width": order.width or width, "height": order.height or height}
    if order.extends is not None:
        old = beginnings.ending(order.extends, order.seconds, order.limits)
        wanted |= {
            "clip": old.frames, "frame_rate": old.rate, "width": old.frames.shape[2],
            "height": old.frames.shape[1],
        }  # fmt: skip
    return GenerationRequest(**wanted)


def _write(clip: Clip, target: Path) -> None:
    rate = clip.frame_rate
    info = ClipInfo(
        width=clip.width, height=clip.height, time_base=1 / rate, frame_rate=rate, variable=False,
        colour=BT601_LIMITED,
    )  # fmt: skip
    with ClipWriter(target, info, crf=beginnings.CRF, preset=beginnings.PRESET) as writer:
        for index, picture in enumerate(clip.frames):
            writer.write(frame_from_rgb(picture, index, index / float(rate)))


def memory_of(settings: Settings) -> Memory:
    """How a diffusion model saves memory, by the settings."""
    return Memory(
        offload=settings.generator_offload, tiling=settings.generator_tiling,
        precision=settings.generator_precision,
    )  # fmt: skip


def enhanced(prompt: str, name: str, sha256: str | None) -> str:
    """The prompt as the enhancer of that name writes it. Raises: `generator.errors.GeneratorError`."""
    return opened_enhancer(name, sha256)(prompt)


def opened_enhancer(name: str, sha256: str | None) -> PromptEnhancer:
    """The enhancer of that name, loaded once in a process. Raises: GeneratorUnusable."""
    with _LOCK:
        if (name, sha256) not in _enhancers:
            _enhancers[name, sha256] = open_enhancer(name, sha256=sha256)
        return _enhancers[name, sha256]


def _opened(name: str, memory: Memory) -> Generator:
    """The generator of that name, loaded once in a process: a model takes seconds and gigabytes."""
    with _LOCK:
        if (name, memory) not in _loaded:
            _loaded[name, memory] = open_generator(name, memory=memory)
        return _loaded[name, memory]
