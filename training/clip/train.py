"""Trains the small CLIP on the drawn cache; resumes where it stopped.

Usage: ``python -m training.clip.train FOLDER --cache PART [PART ...] --minutes 65 [--seed 1]``. In FOLDER:
the state (``state.pt``), ``log.txt``, and every twenty minutes ``export/``, the folder that open_clip loads.
One thread; mixed precision.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Final

import torch

from training.clip.batches import Batch, Batches
from training.clip.evaluate import Trial, figures
from training.clip.learning import BETAS, Learning, scale_of, vectors_of
from training.clip.losses import losses
from training.clip.model import new_model

WEIGHTS: Final = {
    "picture": 1.0, "nobody": 0.2, "clip": 0.5, "words": 0.3, "pairs": 1.0, "attributes": 4.0, "told": 2.0,
}  # fmt: skip
RATE: Final = 2e-3
DECAY: Final = 0.02
WARM_STEPS: Final = 60
EXPORT_SECONDS: Final = 1200.0
LOG_STEPS: Final = 20
KEEP: Final = 0.998


def main() -> None:
    """Train for so many minutes, counted over all runs."""
    parser = argparse.ArgumentParser(description="Train the small CLIP.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, nargs="+", required=True)
    parser.add_argument("--minutes", type=float, default=65)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=float, default=EXPORT_SECONDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    run = Run(given.folder, given.minutes * 60, given.export)
    run.train(Batches(given.cache, given.seed + run.step))


class Run(Learning):
    """From random weights, over seconds of the wall clock."""

    weights, keep, log_steps = WEIGHTS, KEEP, LOG_STEPS

    def __init__(self, folder: Path, seconds: float, export: float = EXPORT_SECONDS) -> None:
        super().__init__(folder, new_model(), seconds, export)
        self.trial = Trial.drawn(seed=99, registered=20, clips=40, frames=1)

    def _optimiser(self) -> torch.optim.Optimizer:
        parts = [*self.model.parameters(), *self.heads.parameters()]
        groups = [
            {"params": [part for part in parts if part.ndim > 1], "weight_decay": DECAY},
            {"params": [part for part in parts if part.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=RATE, betas=BETAS)

    def _clock(self) -> float:
        return time.monotonic()

    def _set_rate(self) -> None:
        """Warm up over steps, then half a cosine over the time."""
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.spent / self.seconds)))
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * warm * max(fall, 0.01)

    def _lost(self, drawn: Batch) -> dict[str, torch.Tensor]:
        images, texts = vectors_of(self.model, lambda: self.model.encode_image(drawn.pictures), drawn.texts)
        return losses(images, texts, scale_of(self.model), self.heads, drawn)

    def _told(self) -> str:
        return str(figures(self.mean, self.trial))


if __name__ == "__main__":
    main()
