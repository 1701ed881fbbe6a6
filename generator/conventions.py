"""How diffusers' video pipelines want to be called; a model's own defaults beside its weights.

Every class in the table is run with tiny weights in the tests, and the table is compared there with the
signatures of the installed diffusers.
"""

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from generator.base import Kind
from generator.errors import GeneratorUnusable, RequestInvalid
from generator.model_folder import read_json

DEFAULTS_FILE: Final = "countermark.json"
SCHEMA: Final = "countermark-generator/1"
CONDITIONS: Final = "conditions"
"""The argument that takes pictures and clips as `LTXVideoCondition`."""
EXPANDED: Final = "expand_timesteps"
"""The setting of Wan 2.2 TI2V-5B, whose weights take text and pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """One pipeline class.

    ``multiple``: sides are multiples of it. ``rate_name``: the argument for frames per second, if there
    is one. ``rate``: frames per second that the published weights were trained at, None for any; ``later``:
    another one, of weights with that setting. ``tokens``: of the prompt, at most. ``frames_name``: the
    argument for the number of frames. ``exact``: parts that are kept in 32 bits, as their authors run them.

    ``text``: whether a prompt alone is enough. ``image``, ``clip``: the argument for the first frame, and for
    the frames that the new clip goes on with; None where it takes none. ``history``: how many of those
    frames it is shown; ``longest``: how many it makes in one call then, these among them. ``others``:
    pipelines of the same weights that can do more; ``if_set``: only of weights with that setting.

    ``spaced``: the noise levels are given as numbers, since diffusers 0.42 makes tensors of its own, which
    numpy warns of (`continuing.noise_levels`). ``negative``: whether a negative prompt counts under the
    guidance that the pipeline takes. ``forcing``: long clips are made in windows that overlap. ``own_size``:
    it makes one size and length only, its transformer's. ``tiled``: it decodes in tiles only.
    """

    multiple: int
    rate_name: str | None = None
    rate: float | None = None
    later: tuple[str, float] | None = None
    tokens: int | None = None
    frames_name: str = "num_frames"
    exact: tuple[str, ...] = ()
    text: bool = True
    image: str | None = None
    clip: str | None = None
    history: int = 17
    longest: int = 97
    others: tuple[str, ...] = ()
    if_set: str | None = None
    spaced: bool = False
    negative: bool = True
    forcing: bool = False
    own_size: bool = False
    tiled: bool = False


_LTX: Final[dict[str, Any]] = {"multiple": 32, "rate_name": "frame_rate", "tokens": 128}
_WAN: Final[dict[str, Any]] = {
    "multiple": 16, "rate": 16.0, "later": (EXPANDED, 24.0), "tokens": 512, "exact": ("vae", "image_encoder"),
    "if_set": EXPANDED,
}  # fmt: skip
_COGVIDEOX: Final[dict[str, Any]] = {
    "multiple": 16, "rate": 8.0, "later": ("patch_size_t", 16.0), "tokens": 226
}  # fmt: skip
# Its guidance is part of the model; a negative prompt counts only with another argument, true_cfg_scale.
_HUNYUAN: Final[dict[str, Any]] = {"multiple": 16, "rate": 24.0, "tokens": 256, "negative": False}
_SKYREELS: Final[dict[str, Any]] = {"multiple": 16, "rate": 24.0, "tokens": 512, "exact": ("vae",)}
_FORCING: Final[dict[str, Any]] = _SKYREELS | {"rate_name": "fps", "forcing": True}
_FORCED: Final = "SkyReelsV2DiffusionForcing"

CONVENTIONS: Final = {
    "LTXPipeline": Convention(**_LTX, others=("LTXImageToVideoPipeline",)),
    "LTXImageToVideoPipeline": Convention(**_LTX, text=False, image="image", others=("LTXPipeline",)),
    "LTXConditionPipeline": Convention(
        **_LTX | {"tokens": 256}, spaced=True, image=CONDITIONS, clip=CONDITIONS, longest=257
    ),
    "WanPipeline": Convention(**_WAN, others=("WanImageToVideoPipeline",)),
    "WanImageToVideoPipeline": Convention(**_WAN, text=False, image="image", others=("WanPipeline",)),
    "CogVideoXPipeline": Convention(**_COGVIDEOX),
    "CogVideoXImageToVideoPipeline": Convention(**_COGVIDEOX, text=False, image="image"),
    "HunyuanVideoPipeline": Convention(**_HUNYUAN),
    "HunyuanVideoImageToVideoPipeline": Convention(**_HUNYUAN, text=False, image="image"),
    "MochiPipeline": Convention(multiple=16, rate=30.0, tokens=256),
    "SkyReelsV2Pipeline": Convention(**_SKYREELS),
    "SkyReelsV2ImageToVideoPipeline": Convention(
        **_SKYREELS | {"exact": ("vae", "image_encoder")}, text=False, image="image"
    ),
    f"{_FORCED}Pipeline": Convention(
        **_FORCING, others=(f"{_FORCED}ImageToVideoPipeline", f"{_FORCED}VideoToVideoPipeline")
    ),
    f"{_FORCED}ImageToVideoPipeline": Convention(
        **_FORCING, text=False, image="image",
        others=(f"{_FORCED}Pipeline", f"{_FORCED}VideoToVideoPipeline"),
    ),
    f"{_FORCED}VideoToVideoPipeline": Convention(
        **_FORCING, text=False, clip="video",
        others=(f"{_FORCED}Pipeline", f"{_FORCED}ImageToVideoPipeline"),
    ),
    "LattePipeline": Convention(multiple=16, rate=8.0, frames_name="video_length"),
    "AllegroPipeline": Convention(
        multiple=16, rate=15.0, tokens=512, exact=("vae",), own_size=True, tiled=True
    ),
}  # fmt: skip
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
    of an old clip that it is shown when it goes on with it. With ``steps``, `LTXConditionPipeline` takes
    evenly spaced noise levels; ``noise``: how much of it lies on first frames and old ones while that
    pipeline draws (its own: 0.15), 0 for none. ``upsampler``: a file in the folder that doubles the sides of
    what the pipeline makes (`generator.upsampler`).
    """

    width: int | None = None
    height: int | None = None
    frames: int | None = None
    rate: float | None = None
    steps: int | None = None
    guidance: float | None = None
    tokens: int | None = None
    history: int | None = None
    noise: float | None = None
    upsampler: str | None = None
    version: str | None = None


_TEXTS: Final = ("version", "upsampler")
_UPSAMPLER: Final = re.compile(r"[A-Za-z0-9][\w-]{0,60}\.safetensors")


def convention_of(pipeline: str) -> Convention:
    """The conventions of a pipeline class. Raises: GeneratorUnusable when we know none."""
    if pipeline not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise GeneratorUnusable(f"{pipeline[:60]} is no text-to-video pipeline that is known here: {known}")
    return CONVENTIONS[pipeline]


def pipeline_for(pipeline: Any, kind: Kind) -> str:
    """The class that makes a clip of that kind with the weights of `pipeline`, which itself comes first.

    Raises: RequestInvalid, which names what can.
    """
    own = type(pipeline).__name__
    wanted = CONVENTIONS[own].if_set
    others = CONVENTIONS[own].others if wanted is None or setting(pipeline, wanted) else ()
    for name in (own, *others):
        if can(CONVENTIONS[name], kind):
            return name
    able = [name for name, convention in CONVENTIONS.items() if can(convention, kind)]
    kin = [name for name in able if name[:3] == own[:3]]  # LTX, Wan, Cog, Hun, Sky
    told = " or ".join(kin or able)
    raise RequestInvalid(f"this {own} makes no clip {_ASKED[kind]}; take a model of {told}")


_ASKED: Final = {
    "text": "from a prompt alone",
    "image": "from a first frame",
    "clip": "that goes on with another",
}


def can(convention: Convention, kind: Kind) -> bool:
    """Whether a pipeline makes clips of that kind."""
    return convention.text if kind == "text" else getattr(convention, kind) is not None


def defaults_of(folder: Path) -> Defaults:
    """What `countermark.json` beside the model says, if it is there. Raises: GeneratorUnusable."""
    path = folder / DEFAULTS_FILE
    if not path.exists():
        return Defaults()
    document = read_json(path)
    if document.pop("schema", None) != SCHEMA:
        raise GeneratorUnusable(f"{DEFAULTS_FILE} is not of the schema {SCHEMA}; use another Countermark")
    known = {field.name: str if field.name in _TEXTS else (int, float) for field in fields(Defaults)}
    for name, value in document.items():
        wrong = name not in known or isinstance(value, bool) or not isinstance(value, known[name])
        nothing = name == "noise" and value == 0
        if wrong or (not isinstance(value, str) and not nothing and not 0 < value < 1e6):
            raise GeneratorUnusable(
                f"{DEFAULTS_FILE}: {name[:40]} is unknown or out of range; mend or remove it"
            )
    found = Defaults(**document)
    if found.upsampler is not None and not _UPSAMPLER.fullmatch(found.upsampler):
        raise GeneratorUnusable(
            f"{DEFAULTS_FILE}: upsampler names no .safetensors beside it; mend or remove it"
        )
    return found


def setting(pipeline: Any, name: str) -> Any:
    """What the pipeline's configuration, or its transformer's, says of it; None where neither does."""
    parts = (pipeline, getattr(pipeline, "transformer", None))
    found = (getattr(part, "config", {}).get(name) for part in parts)
    return next((value for value in found if value is not None), None)


def trained_rate(pipeline: Any, convention: Convention) -> float | None:
    """Frames per second that weights like these were trained at; None for any."""
    if convention.later is not None and setting(pipeline, convention.later[0]):
        return convention.later[1]
    return convention.rate


def only_size(pipeline: Any, convention: Convention) -> Defaults:
    """The size and length that the pipeline alone makes, in pixels and frames; nothing where it makes any."""
    if convention.frames_name == "video_length":
        return Defaults(frames=setting(pipeline, "video_length"))
    learned = setting(pipeline, "use_learned_positional_embeddings")
    if not (convention.own_size or learned):
        return Defaults()
    pixels, cells = _attribute(pipeline, _PIXELS_OF_A_CELL, 8), setting(pipeline, "sample_frames")
    # CogVideoX gives its length in frames, Allegro in latent ones.
    frames = cells if learned else cells * frames_of_a_cell(pipeline)
    return Defaults(
        width=setting(pipeline, "sample_width") * pixels, height=setting(pipeline, "sample_height") * pixels,
        frames=frames,
    )  # fmt: skip


def frames_of_a_cell(pipeline: Any) -> int:
    """How many frames one latent cell stands for."""
    return _attribute(pipeline, _FRAMES_OF_A_CELL, 4)


def frames_for(seconds: float, rate: float) -> int:
    """So many frames as fill the time."""
    return max(1, math.ceil(seconds * rate - 1e-6))


def frames_wanted(pipeline: Any, seconds: float, rate: float) -> int:
    """At least so many frames as fill the time, of the form that the pipeline makes: 4k+1, 6k+1, 8k+1."""
    step = frames_of_a_cell(pipeline)
    return max(1, math.ceil((frames_for(seconds, rate) - 1) / step)) * step + 1


def side_wanted(pipeline: Any, convention: Convention, side: int) -> int:
    """The next side, not smaller, that the pipeline makes."""
    sizes = setting(pipeline, "patch_size")
    patch = max(sizes) if isinstance(sizes, (list, tuple)) else int(sizes or 1)
    multiple = math.lcm(convention.multiple, _attribute(pipeline, _PIXELS_OF_A_CELL, 8) * patch)
    return math.ceil(side / multiple) * multiple


def _attribute(pipeline: Any, names: tuple[str, ...], fallback: int) -> int:
    found = (getattr(pipeline, name, None) for name in names)
    return next((int(value) for value in found if value), fallback)
