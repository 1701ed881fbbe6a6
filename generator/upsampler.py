"""A small network that doubles the sides of frames: for models that draw small pictures of flat shapes.

One file of safetensors whose header says its size; it works frame by frame, on the CPU. Pixels are
taken together in squares before and set free after (Shi et al. 2016), around a bilinear enlargement.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import GeneratorUnusable

FACTOR: Final = 2
MAX_WIDTH, MAX_BLOCKS = 256, 32
FRAMES_AT_ONCE: Final = 8


class Upsampler(nn.Module):
    """RGB ``float[b, 3, h, w]`` in 0..1 to ``float[b, 3, 2h, 2w]``; sides are even."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3 * FACTOR**2, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
            )
            for _ in range(blocks)
        )
        self.leave = nn.Conv2d(width, 3 * FACTOR**4, 3, padding=1)
        for weight in self.leave.parameters():
            nn.init.zeros_(weight)

    def forward(self, frames: Tensor) -> Tensor:
        """Enlarge."""
        plain = functional.interpolate(frames, scale_factor=FACTOR, mode="bilinear", align_corners=False)
        found = self.enter(functional.pixel_unshuffle(frames, FACTOR))
        for block in self.blocks:
            found = found + block(functional.silu(found))
        out: Tensor = plain + functional.pixel_shuffle(self.leave(functional.silu(found)), FACTOR**2)
        return out


def load_upsampler(file: Path) -> Upsampler:
    """The network of a file. Raises: GeneratorUnusable."""
    try:
        with safe_open(file, "pt") as stored:
            said = stored.metadata() or {}
            width, blocks = int(said["width"]), int(said["blocks"])
            if not (0 < width <= MAX_WIDTH and 0 < blocks <= MAX_BLOCKS):
                raise ValueError("too large")
            made = Upsampler(width, blocks)
            made.load_state_dict({name: stored.get_tensor(name).float() for name in stored.keys()})  # noqa: SIM118
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise GeneratorUnusable(
            f"the upsampler {file.name} cannot be loaded ({type(error).__name__}); get the model again"
        ) from error
    return made.eval()


def upsampled(upsampler: Upsampler, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames ``uint8[f, h, w, 3]`` at twice the sides, which are even."""
    parts = []
    for begin in range(0, len(frames), FRAMES_AT_ONCE):
        part = torch.from_numpy(frames[begin : begin + FRAMES_AT_ONCE]).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            made = upsampler(part).clamp(0, 1).permute(0, 2, 3, 1)
        parts.append((made * 255).round().byte().numpy())
    return np.concatenate(parts)
