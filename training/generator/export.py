"""Puts the parts together as a diffusers folder: float16, safetensors, defaults, digest.

Takes DIR/transformer.pt, averaged over the last steps; DIR/decoder.pt or the decoder that training starts
from; DIR/upsampler.safetensors; and the linear code, which nothing but further training reads.
"""

import json
import shutil
from pathlib import Path

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import FlowMatchEulerDiscreteScheduler, LTXConditionPipeline  # noqa: E402

from generator.catalog import DIGEST_FILE  # noqa: E402
from generator.conventions import DEFAULTS_FILE, SCHEMA  # noqa: E402
from generator.model_folder import folder_digest  # noqa: E402
from training.generator import data, small_world, vae  # noqa: E402
from training.generator.decoder import decoder_of  # noqa: E402
from training.generator.text import LENGTH  # noqa: E402
from training.generator.transformer import scales, trained  # noqa: E402
from training.generator.upsampler import FILE as UPSAMPLER  # noqa: E402

STEPS, GUIDANCE = 12, 2.0
HISTORY = 9  # frames of a clip that are shown to go on with it
LARGEST_FILE = "15MB"
PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")


def pipeline(folder: Path) -> LTXConditionPipeline:
    """The pipeline in float32, from what training stored."""
    transformer, reader = trained(folder)
    codec = vae.build(data.LATENTS, data.levels(folder), data.SIDE)
    codec.decoder = decoder_of(folder)
    codec.latents_std.copy_(scales(folder))
    return LTXConditionPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0), vae=codec.eval(), text_encoder=reader.model,
        tokenizer=reader.names, transformer=transformer,
    )  # fmt: skip


def export(folder: Path, target: Path, version: str) -> None:
    """Write the parts; what else lies in `target`, such as the model card, stays."""
    made = pipeline(folder)
    for part in (made.transformer, made.vae, made.text_encoder):
        part.half()
    for name in PARTS:
        shutil.rmtree(target / name, ignore_errors=True)
    made.save_pretrained(target, safe_serialization=True, max_shard_size=LARGEST_FILE)
    for name in (UPSAMPLER, data.CODE):
        shutil.copyfile(folder / name, target / name)
    defaults = {
        "schema": SCHEMA, "version": version, "width": small_world.SIDE, "height": small_world.SIDE,
        "frames": small_world.FRAMES, "rate": small_world.RATE, "steps": STEPS, "guidance": GUIDANCE,
        "tokens": LENGTH, "history": HISTORY, "upsampler": UPSAMPLER,
    }  # fmt: skip
    (target / DEFAULTS_FILE).write_text(json.dumps(defaults, indent=1) + "\n")
    (target / DIGEST_FILE).write_text(folder_digest(target) + "\n")
    for file in target.rglob("*.safetensors"):
        file.chmod(0o644)
