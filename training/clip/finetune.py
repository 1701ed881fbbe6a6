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
from typing import Final

import torch

from training.clip.family_batches import FamilyBatch, FamilyBatches
from training.clip.family_losses import family_losses
from training.clip.learning import BETAS, Learning, scale_of, vectors_of
from training.clip.load import load_folder
from training.clip.muon import Muon, Together
from training.clip.others import material
from training.clip.trunk import features_of, head

SHIPPED: Final = Path(__file__).resolve().parents[2] / "classifiers" / "embedded"
WEIGHTS: Final = {
    "family": 6.0, "picture": 1.0, "pairs": 1.0, "clip": 0.5, "attributes": 4.0, "told": 1.0,
}  # fmt: skip
FILTERS_RATE, RATE, HEADS_RATE = 5e-3, 1e-3, 4e-3
DECAY: Final = 0.02
WARM_STEPS: Final = 40
FALL: Final = 0.4
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
    parser.add_argument(
        "--material", type=Path, nargs="*", default=[], help="folders of further pictures of things"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    run = Tuning(given.folder, given.start, given.minutes * 60, head_only=given.head)
    features = [features_of(run.model, folder, given.seed) for folder in given.cache] if given.head else []
    stock = None if given.head else material(given.material)
    run.train(FamilyBatches(given.cache, given.seed + run.step, features, stock))


class Tuning(Learning):
    """From weights that are there, over seconds of processor time."""

    weights, keep, log_steps = WEIGHTS, KEEP, LOG_STEPS

    def __init__(self, folder: Path, start: Path, seconds: float, *, head_only: bool = False) -> None:
        self.head_only = head_only
        model = load_folder(start).to(memory_format=torch.channels_last)
        super().__init__(folder, model, seconds, EXPORT_SECONDS, moving=not head_only)
        self._go_on(start)

    def _optimiser(self) -> Together:
        known = [(name, part) for name, part in self.model.named_parameters() if self._learns(name)]
        filters = [part for _, part in known if part.ndim == 4]
        return Together(
            Muon([{"params": filters, "most": FILTERS_RATE}], FILTERS_RATE) if filters else Together(),
            torch.optim.AdamW(
                [
                    {"params": [part for _, part in known if part.ndim in (2, 3)], "most": RATE},
                    {"params": [part for _, part in known if part.ndim < 2], "most": RATE, "weight_decay": 0},
                    {"params": [*self.heads.parameters()], "most": HEADS_RATE},
                ],
                lr=RATE, betas=BETAS, weight_decay=DECAY,
            ),
        )  # fmt: skip

    def _learns(self, name: str) -> bool:
        return not self.head_only or _in_head(name)

    def _clock(self) -> float:
        return time.process_time()

    def _set_rate(self) -> None:
        self._rates(WARM_STEPS, FALL, LEAST)

    def _lost(self, drawn: FamilyBatch) -> dict[str, torch.Tensor]:
        images, texts = vectors_of(self.model, lambda: self._seen(drawn.batch.pictures), drawn.batch.texts)
        return family_losses(images, texts, scale_of(self.model), self.heads, drawn)

    def _seen(self, pictures: torch.Tensor) -> torch.Tensor:
        return head(self.model, pictures) if self.head_only else self.model.encode_image(pictures)

    def _told(self) -> str:
        return "kept"


def _in_head(name: str) -> bool:
    """Whether a weight belongs to what `--head` trains: the pooling of pictures, and the text part."""
    return not name.startswith("visual.") or name.startswith("visual.attnpool.")


if __name__ == "__main__":
    main()
