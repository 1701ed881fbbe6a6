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
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional

from training.clip.family_batches import FamilyBatch, FamilyBatches
from training.clip.family_losses import family_losses
from training.clip.load import load_folder
from training.clip.losses import Heads
from training.clip.model import save_folder
from training.clip.train import told_vectors
from training.clip.trunk import features_of, head

if TYPE_CHECKING:
    from open_clip.model import CLIP

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


class Tuning:
    """Model, mean of its weights, optimiser and the time spent, as they are kept on disk."""

    def __init__(self, folder: Path, start: Path, seconds: float, *, head_only: bool = False) -> None:
        self.folder, self.seconds, self.head_only = folder, seconds, head_only
        self.model: CLIP = load_folder(start).to(memory_format=torch.channels_last)
        self.heads = Heads()
        self.mean = deepcopy(self.model).eval().requires_grad_(False)
        known = [part for name, part in self.model.named_parameters() if not head_only or _in_head(name)]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [part for part in known if part.ndim > 1], "weight_decay": DECAY, "most": RATE},
                {"params": [part for part in known if part.ndim <= 1], "weight_decay": 0.0, "most": RATE},
                {"params": [*self.heads.parameters()], "weight_decay": DECAY, "most": HEADS_RATE},
            ],
            lr=RATE,
            betas=(0.9, 0.98),
        )
        self.step, self.spent = 0, 0.0
        if self._state.exists():
            self._load()

    @property
    def _state(self) -> Path:
        return self.folder / "state.pt"

    def train(self, batches: FamilyBatches) -> None:
        """Until the time is spent."""
        begun, kept, sums = time.process_time() - self.spent, self.spent, dict.fromkeys(WEIGHTS, 0.0)
        while self.spent < self.seconds:
            self._set_rate()
            for name, value in self.learn(batches.draw()).items():
                sums[name] += value / LOG_STEPS
            self.step += 1
            self.spent = time.process_time() - begun
            if self.step % LOG_STEPS == 0:
                told = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
                self._log(f"step {self.step} at {self.spent:.0f} s: {told}")
                sums = dict.fromkeys(WEIGHTS, 0.0)
            if self.spent - kept >= EXPORT_SECONDS or self.spent >= self.seconds:
                kept = self.spent
                self._keep()

    def learn(self, drawn: FamilyBatch) -> dict[str, float]:
        """One step; the losses before it, by name."""
        self.model.train(not self.head_only)
        with torch.autocast("cpu", torch.bfloat16):
            seen = drawn.batch.pictures
            images = head(self.model, seen) if self.head_only else self.model.encode_image(seen)
            texts = told_vectors(self.model, drawn.batch.texts)
        images, texts = (functional.normalize(part.float(), dim=1) for part in (images, texts))
        scale = self.model.logit_scale.exp().clamp(max=30)
        parts = family_losses(images, texts, scale, self.heads, drawn)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum().backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self._average()
        return {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(KEEP, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.mean.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)

    def _set_rate(self) -> None:
        """Warm up over steps, stay, and fall in a line over the last part of the time."""
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        left = max(LEAST, min(1.0, (1 - self.spent / self.seconds) / FALL))
        for group in self.optimiser.param_groups:
            group["lr"] = group["most"] * warm * left

    def _keep(self) -> None:
        kept = {"model": self.model, "mean": self.mean, "heads": self.heads, "optimiser": self.optimiser}
        state = {name: part.state_dict() for name, part in kept.items()}
        state |= {"step": self.step, "spent": self.spent}
        torch.save(state, self._state.with_suffix(".new"))
        self._state.with_suffix(".new").replace(self._state)
        save_folder(self.mean.state_dict(), self.folder / "export")
        self._log(f"step {self.step} at {self.spent:.0f} s: kept")

    def _load(self) -> None:
        state = torch.load(self._state, weights_only=True)
        for name, part in (("model", self.model), ("mean", self.mean), ("heads", self.heads)):
            part.load_state_dict(state[name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent = state["step"], state["spent"]

    def _log(self, line: str) -> None:
        with (self.folder / "log.txt").open("a") as log:
            log.write(line + "\n")


def _in_head(name: str) -> bool:
    """Whether a weight belongs to what `--head` trains: the pooling of pictures, and the text part."""
    return not name.startswith("visual.") or name.startswith("visual.attnpool.")


if __name__ == "__main__":
    main()
