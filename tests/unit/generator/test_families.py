"""Every pipeline class of the table, tiny: made, saved, loaded through the adapter, run; and the table."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import tiny_families
import tiny_hunyuan
import tiny_models

from generator.base import GenerationRequest
from generator.calls import call_of
from generator.catalog import open_generator
from generator.continuing import FADING
from generator.conventions import (
    CONDITIONS,
    CONVENTIONS,
    Defaults,
    can,
    frames_wanted,
    only_size,
    side_wanted,
    trained_rate,
)
from generator.diffusion import DiffusionGenerator
from generator.errors import RequestInvalid
from generator.loading import Memory, another
from pipeline.release.generation import memory_of
from pipeline.settings import Settings

# Of diffusers: Mochi's decoder on a CPU, and the scheduler of Allegro.
pytestmark = [
    pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
REQUEST = GenerationRequest(
    prompt="a fox in the snow", width=64, height=64, seconds=0.16, frame_rate=Fraction(25), seed=5, steps=2,
    guidance=6.0,
)  # fmt: skip
FRAMES = 4
MAKERS: dict[str, Callable[[], Any]] = {
    **tiny_models.MAKERS, **tiny_families.FAMILIES, "hunyuan": tiny_hunyuan.hunyuan,
    "hunyuan_image": tiny_hunyuan.hunyuan_image,
    "hunyuan_image_replaced": tiny_hunyuan.hunyuan_image_replaced,
}  # fmt: skip
TEXT, IMAGE, BOTH, ALL = ("text",), ("image",), ("text", "image"), ("text", "image", "clip")
FORCED = "SkyReelsV2DiffusionForcing"
# The class of each, and what it makes clips of; classes of the same weights count.
MAKES = {
    "ltx": ("LTXPipeline", BOTH), "ltx_image": ("LTXImageToVideoPipeline", BOTH),
    "ltx_condition": ("LTXConditionPipeline", ALL), "wan": ("WanPipeline", TEXT),
    "wan_image": ("WanImageToVideoPipeline", IMAGE), "wan_two": ("WanPipeline", TEXT),
    "wan_two_image": ("WanImageToVideoPipeline", IMAGE), "wan_expanded": ("WanPipeline", BOTH),
    "cogvideox": ("CogVideoXPipeline", TEXT), "cogvideox_later": ("CogVideoXPipeline", TEXT),
    "cogvideox_image": ("CogVideoXImageToVideoPipeline", IMAGE), "mochi": ("MochiPipeline", TEXT),
    "skyreels": ("SkyReelsV2Pipeline", TEXT), "skyreels_image": ("SkyReelsV2ImageToVideoPipeline", IMAGE),
    "skyreels_forcing": (f"{FORCED}Pipeline", ALL),
    "skyreels_forcing_image": (f"{FORCED}ImageToVideoPipeline", ALL),
    "skyreels_forcing_clip": (f"{FORCED}VideoToVideoPipeline", ALL), "latte": ("LattePipeline", TEXT),
    "allegro": ("AllegroPipeline", TEXT), "hunyuan": ("HunyuanVideoPipeline", TEXT),
    "hunyuan_image": ("HunyuanVideoImageToVideoPipeline", IMAGE),
    "hunyuan_image_replaced": ("HunyuanVideoImageToVideoPipeline", IMAGE),
}  # fmt: skip


def noise(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def asked(kind: str, seed: int = 0) -> GenerationRequest:
    """A request of that kind; another seed, another prompt, picture or clip."""
    if kind == "text":
        return replace(REQUEST, prompt=("a fox in the snow", "the boat at sea")[seed])
    if kind == "image":
        return replace(REQUEST, image=noise(64, 64, seed=seed))
    return replace(REQUEST, clip=noise(6, 64, 64, seed=seed))


def frames(
    generator: Any, request: GenerationRequest, seen: list[tuple[int, int]] | None = None
) -> np.ndarray:
    told: list[tuple[int, int]] = [] if seen is None else seen
    return np.stack(list(generator.generate(request, lambda *step: told.append(step)).frames))


@pytest.mark.parametrize("name", list(MAKERS))
def test_made_saved_loaded_and_run(name: str, tmp_path: Path) -> None:
    kind_of_it, makes = MAKES[name]
    MAKERS[name]().save_pretrained(tmp_path, safe_serialization=True)
    generator = open_generator(f"diffusion:{tmp_path}")
    assert generator.version.startswith(f"{kind_of_it} ")
    for kind in ("text", "image", "clip"):
        if kind not in makes:
            with pytest.raises(RequestInvalid, match=r"makes no clip .*; take a model of \w+Pipeline"):
                generator.generate(asked(kind))
            continue
        seen: list[tuple[int, int]] = []
        made = frames(generator, asked(kind), seen)
        assert made.shape == (FRAMES, 64, 64, 3)
        assert made.std() > 1  # Allegro gives black where its tiles do not reach
        assert seen == [(1, 2), (2, 2)]
        if name != "allegro":  # takes seconds
            assert not np.array_equal(made, frames(generator, asked(kind, 1)))


def test_the_table_holds_what_is_run_here_and_nothing_else() -> None:
    assert set(MAKES) == set(MAKERS)
    assert {kind for kind, _ in MAKES.values()} == set(CONVENTIONS)


def test_the_page_says_what_the_table_says() -> None:
    """The columns: class, text, image, clip, frames, rate, sides, tokens."""
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.count("|") == 9]
    rows = {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in lines[2:]}
    assert list(rows) == list(CONVENTIONS)
    for name, (text, image, clip, _, rate, sides, tokens) in rows.items():
        convention = CONVENTIONS[name]
        more = [CONVENTIONS[other] for other in convention.others]
        for kind, told in (("text", text), ("image", image), ("clip", clip)):
            others = any(can(other, kind) for other in more)
            also = ("5B" if convention.if_set else "by weights") if others else ""
            assert told == ("yes" if can(convention, kind) else also), (name, kind)
        assert rate.split(",")[0] == ("any" if convention.rate is None else f"{convention.rate:g}")
        assert (convention.later is not None) == ("," in rate)
        assert convention.later is None or rate.endswith(f" {convention.later[1]:g}")
        assert sides.split(",")[0] == ("its own" if convention.own_size else str(convention.multiple))
        assert tokens == str(convention.tokens or 120)  # Latte's, which is no argument


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_the_table_against_the_installed_library(name: str) -> None:
    convention, kind = CONVENTIONS[name], getattr(diffusers, name)
    given = inspect.signature(kind.__call__).parameters
    wanted = {"prompt", "negative_prompt", "width", "height", "num_inference_steps", "guidance_scale"}
    wanted |= {"generator", "output_type", "callback_on_step_end", convention.frames_name}
    named = {convention.rate_name, convention.image, convention.clip} - {None}
    assert wanted | named <= set(given)
    tokens = given["max_sequence_length"].default if "max_sequence_length" in given else None
    assert convention.tokens == tokens
    assert ("fps" in given or "frame_rate" in given) == (convention.rate_name is not None)
    assert convention.forcing == ("overlap_history" in given)
    assert ("image" in given) == (convention.image is not None)
    assert set(convention.exact) <= set(inspect.signature(kind.__init__).parameters) | {"image_encoder"}
    if not convention.text and convention.image != CONDITIONS and name != "LTXImageToVideoPipeline":
        needed = given[convention.image or convention.clip or ""]
        assert needed.default is inspect.Parameter.empty
    for other in convention.others:
        more = CONVENTIONS[other]
        assert any(can(more, kind) and not can(convention, kind) for kind in ("text", "image", "clip"))


@pytest.mark.parametrize(
    ("name", "rate", "side", "count"),
    [
        ("wan", 16.0, 112, 17), ("wan_two", 16.0, 112, 17), ("wan_expanded", 24.0, 128, 25),
        ("cogvideox", 8.0, 112, 9), ("cogvideox_later", 16.0, 112, 17), ("mochi", 30.0, 112, 31),
        ("hunyuan", 24.0, 112, 25), ("skyreels", 24.0, 112, 25), ("skyreels_forcing", 24.0, 112, 25),
    ],
)  # fmt: skip
def test_rates_sizes_and_lengths(name: str, rate: float, side: int, count: int) -> None:
    pipeline = MAKERS[name]()
    convention = CONVENTIONS[type(pipeline).__name__]
    assert trained_rate(pipeline, convention) == rate
    assert side_wanted(pipeline, convention, 100) == side
    assert frames_wanted(pipeline, 1.0, rate) == count
    assert only_size(pipeline, convention) == Defaults()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("latte", Defaults(frames=8)),
        ("allegro", Defaults(width=128, height=128, frames=24)),
        ("cogvideox_image", Defaults(width=64, height=64, frames=9)),
    ],
)
def test_models_of_one_size(name: str, size: Defaults) -> None:
    pipeline = MAKERS[name]()
    convention = CONVENTIONS[type(pipeline).__name__]
    assert only_size(pipeline, convention) == size
    called = call_of(pipeline, convention, Defaults(), replace(REQUEST, width=200, height=300)).arguments
    assert called[convention.frames_name] == size.frames
    assert called["width"] == (size.width or 208)


def test_long_clips_of_skyreels_are_made_in_windows() -> None:
    pipeline = MAKERS["skyreels_forcing"]()
    pipeline.set_progress_bar_config(disable=True)
    convention = replace(CONVENTIONS[type(pipeline).__name__], longest=9, history=5)
    for seconds, windows in ((9 / 24, 1), (17 / 24, 3)):
        call = call_of(pipeline, convention, Defaults(), replace(REQUEST, seconds=seconds))
        steps: list[int] = []

        def told(_: Any, step: int, __: Any, tensors: Any, steps: list[int] = steps) -> Any:
            steps.append(step)
            return tensors

        made = pipeline(**call.arguments, callback_on_step_end=told).frames[0]
        assert len(made) == call.arguments["num_frames"] == round(seconds * 24)
        assert len(steps) == call.steps == 2 * windows


@pytest.mark.parametrize(("name", "before"), [("ltx_condition", 9), ("skyreels_forcing_clip", 18)])
def test_old_frames_do_not_come_back(name: str, before: int, tmp_path: Path) -> None:
    """LTX gives the nine old frames once, in its own copy; SkyReels as they were given, and in its copy.

    The first frames lead over from the old clip (tested with `joined`); the later ones are the pipeline's.
    """
    MAKERS[name]().save_pretrained(tmp_path, safe_serialization=True)
    generator = DiffusionGenerator(str(tmp_path), device="cpu")
    given: list[np.ndarray] = []
    run = generator._run

    def seen(pipeline: Any, arguments: dict[str, Any]) -> np.ndarray:
        given.append(run(pipeline, arguments))
        return given[-1]

    generator._run = seen  # type: ignore[method-assign]
    request = replace(asked("clip"), clip=noise(9, 64, 64, seed=3), frame_rate=Fraction(24), seconds=8 / 24)
    made = frames(generator, request)
    assert len(given) == 1
    assert len(given[0]) == before + 8
    assert np.array_equal(made[FADING:], given[0][before + FADING :])


def test_settings_go_along_to_another_class_of_the_same_weights() -> None:
    pipeline = MAKERS["wan_expanded"]()
    other = another(pipeline, "WanImageToVideoPipeline")
    assert other.config["expand_timesteps"] is True
    assert other.transformer is pipeline.transformer


def test_memory_changes_nothing_but_memory(tmp_path: Path) -> None:
    tiny_models.ltx().save_pretrained(tmp_path, safe_serialization=True)
    plain = DiffusionGenerator(str(tmp_path), device="cpu")
    saving = DiffusionGenerator(str(tmp_path), device="cpu", memory=Memory(offload=True, tiling=True))
    assert hasattr(saving._pipeline.transformer, "_hf_hook")
    assert (plain._pipeline.vae.use_tiling, saving._pipeline.vae.use_tiling) == (False, True)
    for kind in ("text", "image", "text"):  # what moves the parts goes along from class to class
        assert np.array_equal(frames(plain, asked(kind)), frames(saving, asked(kind)))
    assert saving._others["LTXImageToVideoPipeline"]._all_hooks


def test_memory_is_set_by_the_settings(tmp_path: Path) -> None:
    assert memory_of(Settings(home=tmp_path)) == Memory()
    set_so = Settings(
        home=tmp_path, generator_offload=True, generator_tiling=True, generator_precision="bfloat16"
    )
    assert memory_of(set_so) == Memory(offload=True, tiling=True, precision="bfloat16")


def test_half_precision_spares_the_parts_that_are_exact(tmp_path: Path) -> None:
    import torch

    MAKERS["wan_image"]().save_pretrained(tmp_path, safe_serialization=True)
    generator = DiffusionGenerator(str(tmp_path), device="cpu", memory=Memory(precision="bfloat16"))
    parts = generator._pipeline.components
    kinds = {name: parts[name].dtype for name in ("transformer", "text_encoder", "vae", "image_encoder")}
    assert set(kinds.items()) == {
        ("transformer", torch.bfloat16), ("text_encoder", torch.bfloat16), ("vae", torch.float32),
        ("image_encoder", torch.float32),
    }  # fmt: skip
    assert frames(generator, asked("image")).shape == (FRAMES, 64, 64, 3)
