"""The small CLIP's shape, in open_clip's own classes, and the folder that open_clip loads."""

import json
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file

import torch_compat

torch_compat.complete_torchvision()

from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg  # noqa: E402 (after the operators)

from training.clip.vocabulary import CONTEXT, save_tokenizer, words  # noqa: E402

SIDE: Final = 96
DIMENSION: Final = 256
MEAN: Final = (0.5, 0.5, 0.5)
SPREAD: Final = (0.25, 0.25, 0.25)


def settings() -> dict[str, Any]:
    """open_clip's ``model_cfg``."""
    return {
        "embed_dim": DIMENSION,
        "vision_cfg": {"image_size": SIDE, "layers": [1, 2, 3, 2], "width": 24, "head_width": 64},
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": len(words()),
            "hf_tokenizer_name": "countermark-words",
            "width": 160,
            "heads": 4,
            "layers": 3,
            "pool_type": "eos",
            "eos_id": 1,
            "pad_id": 0,
        },
    }


def new_model() -> CLIP:
    """The model with random weights."""
    config = settings()
    vision, text = CLIPVisionCfg(**config["vision_cfg"]), CLIPTextCfg(**config["text_cfg"])
    return CLIP(config["embed_dim"], vision, text).to(memory_format=torch.channels_last)


def save_folder(weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write the folder: ``open_clip_config.json``, weights in 16 bits, the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = {"mean": MEAN, "std": SPREAD, "interpolation": "bilinear", "resize_mode": "squash"}
    config = {"model_cfg": settings(), "preprocess_cfg": picture}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    halves = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in weights.items()
    }
    save_file(halves, str(folder / "open_clip_model.safetensors"))
    save_tokenizer(folder)
