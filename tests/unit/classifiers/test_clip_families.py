"""Families of open_clip models, each as small as its classes allow: made with random weights, loaded, used.

SigLIP2 and MobileCLIP2 take their picture part from timm and their text part from open_clip's second class;
the real sizes are timed by `countermark bench towers`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torch_compat
from benchmarks import towers
from classifiers.embed import OpenClipEmbedder

torch_compat.complete_torchvision()

SMALL_TEXT = {"width": 32, "heads": 2, "layers": 1}
# Which real configuration, what is made smaller of its picture part, and the length of its vectors.
FAMILIES: dict[str, tuple[str, dict[str, Any], int]] = {
    "ViT-B-32": ("ViT-B-32", {"width": 64, "layers": 1, "image_size": 64}, 24),
    "ViT-L-14": ("ViT-L-14", {"width": 64, "layers": 1, "image_size": 56}, 24),
    "SigLIP2": ("ViT-B-32-SigLIP2-256", {"timm_model_name": "test_vit", "image_size": 160}, 64),
    "MobileCLIP2": ("MobileCLIP2-S0", {"image_size": 64}, 24),
}


def small(family: str, folder: Path) -> tuple[Path, int]:
    name, picture, length = FAMILIES[family]
    config = towers.real(name)
    text = config["text_cfg"] | SMALL_TEXT
    if "hf_tokenizer_name" in text:
        text["vocab_size"] = len(towers.letters())
    config |= {
        "embed_dim": length, "vision_cfg": config["vision_cfg"] | picture, "text_cfg": text
    }  # fmt: skip
    towers.write(folder, config, towers.MODELS[name])
    return folder, config["vision_cfg"]["image_size"]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_made_loaded_and_used(family: str, tmp_path: Path) -> None:
    import open_clip

    folder, side = small(family, tmp_path)
    embedder = OpenClipEmbedder(folder)
    rng = np.random.default_rng(2)
    frames = list(rng.integers(0, 256, (2, side, side, 3), np.uint8))
    wide = np.full((90, 160, 3), 40, np.uint8)
    texts = ["a fox in the snow", "two owls dance"]
    shown, told = embedder.embed_images([*frames, wide]), embedder.embed_texts(texts)
    assert shown.shape == (3, FAMILIES[family][2])
    assert told.shape == (2, embedder.dimension)
    for vectors in (shown, told):
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.pieces(texts)[0] > 3
    # As open_clip itself loads the folder: its classes, its words, its way to cut pictures.
    name = f"local-dir:{folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    words = open_clip.get_tokenizer(name)
    from PIL import Image

    with torch.inference_mode():
        texts_there = model.eval().encode_text(words(texts), normalize=True).numpy()
        batch = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
        frames_there = model.encode_image(batch, normalize=True).numpy()
    assert np.allclose(texts_there, told, atol=1e-4)
    assert float((frames_there * shown[:2]).sum(axis=1).min()) > 0.99  # bfloat16 may have been chosen


def test_the_families_are_those_that_are_timed() -> None:
    for name in ("ViT-B-32", "ViT-L-14", "SigLIP2", "MobileCLIP2"):
        assert any(name in timed for timed in towers.MODELS)
    for name in towers.MODELS:
        assert {"vision_cfg", "text_cfg", "embed_dim"} <= set(towers.real(name))


def test_the_figures_of_a_model() -> None:
    taken = towers.Measured(
        dtype="bfloat16", side=224, millions=151.3, megabytes=900.0, frames=(30.0, 36.0, 33.0), texts=(9.0,)
    )
    rows = {row.metric: row for row in towers.rows("ViT-B-32", taken)}
    assert rows["frames a processor second"].value == 33.0
    assert rows["frames a processor second"].interval == (30.0, 36.0)
    assert rows["frames a processor second"].conditions["weights"] == "random"
    assert set(rows) == {
        "frames a processor second", "texts a processor second", "parameters", "most memory"
    }  # fmt: skip
