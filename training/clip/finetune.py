"""The second stage of the small CLIP's training: from the weights that ship, on families of look-alikes.

Usage: ``python -m training.clip.finetune FOLDER --cache PART [PART ...] --minutes 60 [--head]
[--start WEIGHTS]``.
First with ``--head`` for some minutes, which trains all but the convolutions on what those make of the cache;
then, into another FOLDER and with ``--start FIRST/export``, all of it.
Begins with the folder of weights (by default those that ship), and resumes where it stopped: in FOLDER are
the state (``state.pt``), ``log.txt`` and ``export/``, the folder that open_clip loads, all renewed every few
minutes. One thread; mixed precision. Minutes are of processor time, so a run may be stopped (SIGSTOP) or
share its core. The last fifth of them lowers the rate; what is exported is a running mean of the weights.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Final

import torch

from training.clip.family_batches import FamilyBatch, FamilyBatches
from training.clip.family_losses import family_losses
from training.clip.learning import Learning
from training.clip.load import load_folder
from training.clip.trunk import features_of, head

SHIPPED: Final = Path(__file__).resolve().parents[2] / "classifiers" / "embedded"
WEIGHTS: Final = {
    "family": 6.0, "picture": 1.0, "nobody": 0.2, "pairs": 1.0, "clip": 0.4, "attributes": 2.0,
}  # fmt: skip
RATE, HEADS_RATE = 5e-4, 4e-3
DECAY: Final = 0.02
WARM_STEPS: Final = 40
FALL: Final = 0.2
LEAST: Final = 0.03
KEEP: Final = 0.99
EXPORT_SECONDS: Final = 120.0
LOG_STEPS: Final = 10


def main() -> None:
    """Train for so many minutes of processor time, counted over all runs."""
    parser = argparse.ArgumentParser(description="Train the small CLIP on families of look-alikes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, nargs="+", required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--head", action="store_true", help="leave the convolutions as they are: much faster")
    parser.add_argument("--start", type=Path, default=SHIPPED, help="folder of the weights to begin with")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    run = Tuning(given.folder, given.start, given.minutes * 60, head_only=given.head)
    features = [features_of(run.model, folder, given.seed) for folder in given.cache] if given.head else []
    run.train(FamilyBatches(given.cache, given.seed + run.step, features))


class Tuning(Learning):
    """From weights that are there, over seconds of processor time."""

    weights, keep, log_steps = WEIGHTS, KEEP, LOG_STEPS

    def __init__(self, folder: Path, start: Path, seconds: float, *, head_only: bool = False) -> None:
        self.head_only = head_only
        model = load_folder(start).to(memory_format=torch.channels_last)
        super().__init__(folder, model, seconds, EXPORT_SECONDS, RATE, moving=not head_only)

    def _groups(self) -> list[dict[str, Any]]:
        known = [part for name, part in self.model.named_parameters() if not self.head_only or _in_head(name)]
        return [
            {"params": [part for part in known if part.ndim > 1], "weight_decay": DECAY, "most": RATE},
            {"params": [part for part in known if part.ndim <= 1], "weight_decay": 0.0, "most": RATE},
            {"params": [*self.heads.parameters()], "weight_decay": DECAY, "most": HEADS_RATE},
        ]

    def _clock(self) -> float:
        return time.process_time()

    def _set_rate(self) -> None:
        """Warm up over steps, stay, and fall in a line over the last part of the time."""
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        left = max(LEAST, min(1.0, (1 - self.spent / self.seconds) / FALL))
        for group in self.optimiser.param_groups:
            group["lr"] = group["most"] * warm * left

    def _pictures(self, drawn: FamilyBatch) -> torch.Tensor:
        seen = drawn.batch.pictures
        return head(self.model, seen) if self.head_only else self.model.encode_image(seen)

    def _texts(self, drawn: FamilyBatch) -> torch.Tensor:
        return drawn.batch.texts

    def _losses(
        self, images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, drawn: FamilyBatch
    ) -> dict[str, torch.Tensor]:
        return family_losses(images, texts, scale, self.heads, drawn)

    def _told(self) -> str:
        return "kept"


def _in_head(name: str) -> bool:
    """Whether a weight belongs to what `--head` trains: the pooling of pictures, and the text part."""
    return not name.startswith("visual.") or name.startswith("visual.attnpool.")


if __name__ == "__main__":
    main()
