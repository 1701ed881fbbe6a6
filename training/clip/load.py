"""Loads an exported folder by open_clip, as everybody else does."""

from pathlib import Path

import torch_compat

torch_compat.complete_torchvision()

import open_clip  # noqa: E402
from open_clip.model import CLIP  # noqa: E402


def load_folder(folder: Path) -> CLIP:
    """The model of a folder, in 32 bits."""
    return open_clip.create_model(f"local-dir:{folder}").eval()
