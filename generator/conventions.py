"""How diffusers' text-to-video pipelines want to be called; a model's own defaults beside its weights."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from generator.base import Kind
from generator.errors import GeneratorUnusable, RequestInvalid
from generator.model_folder import read_json

DEFAULTS_FILE: Final = "countermark.json"
SCHEMA: Final = "countermark-generator/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """One pipeline class.

    ``multiple``: sides are multiples of it. ``rate_name``: the argument for frames per second, if there
    is one. ``rate``: frames per second that the published weights were trained at, None for any.
    ``spaced``: the noise levels are given as numbers, since diffusers 0.42 makes tensors of its own, which
    numpy warns of (`continuing.noise_levels`). ``negative``:
    whether a negative prompt counts under the guidance that the pipeline takes.
    ``text``: whether a prompt alone is enough. ``image``, ``clip``: the argument for the first frame, and for
    the frames that the new clip goes on with; None where it takes none. ``history``: how many of those
    frames it is shown, of the form that it makes. ``others``: pipelines of the same weights that can do more.
    """

    multiple: int
    text: bool = True
    image: str | None = None
    clip: str | None = None
    history: int = 17
    others: tuple[str, ...] = ()
    rate_name: str | None = None
    rate: float | None = None
    spaced: bool = False
    negative: bool = True


CONDITIONS: Final = "conditions"
"""The argument that takes pictures and clips as `LTXVideoCondition`."""

# Tested with tiny weights: LTX, LTXCondition, Wan, CogVideoX. The others have the same arguments.
CONVENTIONS: Final = {
    "LTXPipeline": Convention(multiple=32, rate_name="frame_rate", others=("LTXImageToVideoPipeline",)),
    "LTXImageToVideoPipeline": Convention(
        multiple=32, rate_name="frame_rate", text=False, image="image", others=("LTXPipeline",)
    ),
    "LTXConditionPipeline": Convention(
        multiple=32, rate_name="frame_rate", spaced=True, image=CONDITIONS, clip=CONDITIONS
    ),
    "WanPipeline": Convention(multiple=16, rate=16.0),
    "CogVideoXPipeline": Convention(multiple=16, rate=8.0),
    # Its guidance is part of the model; a negative prompt counts only with another argument, true_cfg_scale.
    "HunyuanVideoPipeline": Convention(multiple=16, rate=24.0, negative=False),
    "MochiPipeline": Convention(multiple=16, rate=30.0),
}
# Where pipelines say how many frames and pixels one latent cell stands for.
_FRAMES_OF_A_CELL: Final = (
    "vae_temporal_compression_ratio",
    "vae_scale_factor_temporal",
    "vae_temporal_scale_factor",
)
_PIXELS_OF_A_CELL: Final = (
    "vae_spatial_compression_ratio",
    "vae_scale_factor_spatial",
    "vae_spatial_scale_factor",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a model is best called with; None where it does not say.

    With ``width``, ``height``, ``frames`` and ``rate`` it makes clips of that size only, and they are
    fitted to the request afterwards. ``tokens``: of the prompt, the rest is not read. ``history``: frames
    of an old clip that it is shown when it goes on with it.
    """

    width: int | None = None
    height: int | None = None
    frames: int | None = None
    rate: float | None = None
    steps: int | None = None
    guidance: float | None = None
    tokens: int | None = None
    history: int | None = None
    version: str | None = None


def convention_of(pipeline: str) -> Convention:
    """The conventions of a pipeline class. Raises: GeneratorUnusable when we know none."""
    if pipeline not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise GeneratorUnusable(f"{pipeline[:60]} is no text-to-video pipeline that is known here: {known}")
    return CONVENTIONS[pipeline]


def pipeline_for(pipeline: str, kind: Kind) -> str:
    """The class that makes a clip of that kind with the weights of `pipeline`, which itself comes first.

    Raises: RequestInvalid, which names what can.
    """
    for name in (pipeline, *CONVENTIONS[pipeline].others):
        if _can(CONVENTIONS[name], kind):
            return name
    able = ", ".join(name for name, convention in CONVENTIONS.items() if _can(convention, kind))
    raise RequestInvalid(f"{pipeline} makes no clip {_ASKED[kind]}; take a model of one of: {able}")


_ASKED: Final = {
    "text": "from a prompt alone",
    "image": "from a first frame",
    "clip": "that goes on with another",
}


def _can(convention: Convention, kind: Kind) -> bool:
    return convention.text if kind == "text" else getattr(convention, kind) is not None


def defaults_of(folder: Path) -> Defaults:
    """What `countermark.json` beside the model says, if it is there. Raises: GeneratorUnusable."""
    path = folder / DEFAULTS_FILE
    if not path.exists():
        return Defaults()
    document = read_json(path)
    if document.pop("schema", None) != SCHEMA:
        raise GeneratorUnusable(f"{DEFAULTS_FILE} is not of the schema {SCHEMA}; use another Countermark")
    known = {field.name: str if field.name == "version" else (int, float) for field in fields(Defaults)}
    for name, value in document.items():
        wrong = name not in known or isinstance(value, bool) or not isinstance(value, known[name])
        if wrong or (not isinstance(value, str) and not 0 < value < 1e6):
            raise GeneratorUnusable(
                f"{DEFAULTS_FILE}: {name[:40]} is unknown or out of range; mend or remove it"
            )
    return Defaults(**document)


def frames_of_a_cell(pipeline: Any) -> int:
    """How many frames one latent cell stands for."""
    return _attribute(pipeline, _FRAMES_OF_A_CELL, 4)


def frames_for(seconds: float, rate: float) -> int:
    """So many frames as fill the time."""
    return max(1, math.ceil(seconds * rate - 1e-6))


def frames_wanted(pipeline: Any, seconds: float, rate: float) -> int:
    """At least so many frames as fill the time, of the form that the pipeline makes: 4k+1, 8k+1."""
    step = frames_of_a_cell(pipeline)
    return max(1, math.ceil((frames_for(seconds, rate) - 1) / step)) * step + 1


def side_wanted(pipeline: Any, convention: Convention, side: int) -> int:
    """The next side, not smaller, that the pipeline makes."""
    sizes = getattr(getattr(pipeline, "transformer", None), "config", {}).get("patch_size", 1)
    patch = max(sizes) if isinstance(sizes, (list, tuple)) else int(sizes or 1)
    multiple = math.lcm(convention.multiple, _attribute(pipeline, _PIXELS_OF_A_CELL, 8) * patch)
    return math.ceil(side / multiple) * multiple


def _attribute(pipeline: Any, names: tuple[str, ...], fallback: int) -> int:
    found = (getattr(pipeline, name, None) for name in names)
    return next((int(value) for value in found if value), fallback)
