"""Trains the small CLIP on the drawn cache; resumes where it stopped.

Usage: ``python -m training.clip.train FOLDER --cache PART [PART ...] --minutes 65 [--seed 1]``. In FOLDER:
the state (``state.pt``), ``log.txt``, and every twenty minutes ``export/``, the folder that open_clip loads.
One thread; mixed precision.
"""

import argparse
import math
import time
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional

from training.clip.batches import Batch, Batches
from training.clip.evaluate import Trial, figures
from training.clip.losses import Heads, losses
from training.clip.model import new_model, save_folder

if TYPE_CHECKING:
    from open_clip.model import CLIP

WEIGHTS: Final = {
    "picture": 1.0, "nobody": 0.2, "clip": 0.5, "words": 0.3, "pairs": 1.0, "attributes": 4.0, "told": 2.0,
}  # fmt: skip
RATE: Final = 2e-3
DECAY: Final = 0.02
WARM_STEPS: Final = 60
EXPORT_SECONDS: Final = 1200.0
LOG_STEPS: Final = 20


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


class Run:
    """Model, mean of its weights, optimiser and the time spent, as they are kept on disk."""

    def __init__(self, folder: Path, seconds: float, export: float = EXPORT_SECONDS) -> None:
        self.folder, self.seconds, self.export_every = folder, seconds, export
        self.model, self.heads = new_model(), Heads()
        self.mean = deepcopy(self.model).eval().requires_grad_(False)
        parts = [*self.model.named_parameters(), *self.heads.named_parameters()]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [part for _, part in parts if part.ndim > 1], "weight_decay": DECAY},
                {"params": [part for _, part in parts if part.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=RATE,
            betas=(0.9, 0.98),
        )
        self.step, self.spent = 0, 0.0
        self.trial = Trial.drawn(seed=99, registered=20, clips=40, frames=1)
        if self._state.exists():
            self._load()

    @property
    def _state(self) -> Path:
        return self.folder / "state.pt"

    def train(self, batches: Batches) -> None:
        """Until the time is spent."""
        begun, exported, sums = time.monotonic() - self.spent, self.spent, dict.fromkeys(WEIGHTS, 0.0)
        while self.spent < self.seconds:
            self._set_rate()
            for name, value in self._learn(batches.draw()).items():
                sums[name] += value / LOG_STEPS
            self.step += 1
            self.spent = time.monotonic() - begun
            if self.step % LOG_STEPS == 0:
                told = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
                self._log(f"step {self.step} at {self.spent:.0f} s: {told}")
                sums = dict.fromkeys(WEIGHTS, 0.0)
            if self.spent - exported >= self.export_every or self.spent >= self.seconds:
                exported = self.spent
                self._keep()

    def _learn(self, batch: Batch) -> dict[str, float]:
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            images, texts = self.model.encode_image(batch.pictures), told_vectors(self.model, batch.texts)
        images, texts = (
            functional.normalize(images.float(), dim=1),
            functional.normalize(texts.float(), dim=1),
        )
        scale = self.model.logit_scale.exp().clamp(max=30)
        parts = losses(images, texts, scale, self.heads, batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum().backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self._average()
        return {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(0.998, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.mean.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)

    def _set_rate(self) -> None:
        """Warm up over steps, then half a cosine over the time."""
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.spent / self.seconds)))
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * warm * max(fall, 0.01)

    def _keep(self) -> None:
        kept = {"model": self.model, "mean": self.mean, "heads": self.heads, "optimiser": self.optimiser}
        state = {name: part.state_dict() for name, part in kept.items()}
        state |= {"step": self.step, "spent": self.spent}
        torch.save(state, self._state.with_suffix(".new"))
        self._state.with_suffix(".new").replace(self._state)
        save_folder(self.mean.state_dict(), self.folder / "export")
        self._log(f"step {self.step} at {self.spent:.0f} s: {figures(self.mean, self.trial)}")

    def _load(self) -> None:
        state = torch.load(self._state, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        self.heads.load_state_dict(state["heads"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent = state["step"], state["spent"]

    def _log(self, line: str) -> None:
        with (self.folder / "log.txt").open("a") as log:
            log.write(line + "\n")


def told_vectors(model: "CLIP", texts: torch.Tensor) -> torch.Tensor:
    """As ``encode_text``, for texts ``int64[m, n]`` that may be shorter than the context."""
    length = texts.shape[1]
    x = model.token_embedding(texts) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    ends = (texts == model.text_eos_id).int().argmax(dim=1)
    return torch.matmul(x[torch.arange(len(x)), ends], model.text_projection)


if __name__ == "__main__":
    main()
