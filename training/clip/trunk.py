"""The picture part of the small CLIP in two: a trunk of convolutions, and the head that makes vectors.

The trunk costs most of a step. What it makes of the cache is computed once, so that the head (and the text
part) can be trained on it many times as fast; the whole is trained after.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from training.clip.batches import prepared

if TYPE_CHECKING:
    from open_clip.model import CLIP

BATCH: Final = 128


def trunk(model: "CLIP", pictures: torch.Tensor) -> torch.Tensor:
    """Features ``float[n, channels, 3, 3]`` of normalised pictures."""
    visual: Any = model.visual
    x = visual.stem(pictures)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = layer(x)
    return torch.as_tensor(x)


def head(model: "CLIP", features: torch.Tensor) -> torch.Tensor:
    """Vectors ``float[n, d]`` of features."""
    visual: Any = model.visual
    return torch.as_tensor(visual.attnpool(features))


def features_of(model: "CLIP", folder: Path, seed: int) -> Path:
    """The file of the features of a folder of pictures, ``float16[n, channels, 3, 3]``; made where it lacks.

    In other brightness and contrast than the pictures, as in training.
    """
    target = folder / f"features-{_digest(model)}.npy"
    if target.exists():
        return target
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    rng, parts = np.random.default_rng(seed), []
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for at in range(0, len(pictures), BATCH):
            made = trunk(model, prepared(np.asarray(pictures[at : at + BATCH]), rng))
            parts.append(made.float().numpy().astype(np.float16))
    np.save(target.with_suffix(".new.npy"), np.concatenate(parts))
    target.with_suffix(".new.npy").replace(target)
    return target


def _digest(model: "CLIP") -> str:
    digest = hashlib.sha256()
    for name, value in model.visual.state_dict().items():
        if not name.startswith("attnpool"):
            digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
