"""Between the two stages of the small CLIP's training: its convolutions learn to see shapes.

Usage: ``python -m training.clip.shapes FOLDER --cache PART [PART ...] --minutes 15 [--side 64]
[--start WEIGHTS]``.
After the first stage the vectors told colours and little else: of unseen designs, linear readers told 63 % of
the hats' colours and 18 % of the species. Here nothing is learnt but to read the ten attributes of single
pictures that show all of a character, from the last convolutions and from the vectors.
First for some minutes at 64 pixels, which costs less than half, and only the convolutions; then at 96.
Resumes where it stopped, as `training.clip.finetune` does, and leaves the same files.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from training.clip.batches import VALUES, prepared
from training.clip.learning import BETAS, Learning
from training.clip.load import load_folder
from training.clip.losses import attributes_told, read
from training.clip.model import SIDE
from training.clip.muon import Muon, Together
from training.clip.trunk import head, trunk

SHIPPED: Final = Path(__file__).resolve().parents[2] / "classifiers" / "embedded"
CHANNELS: Final = 768
PICTURES: Final = 128
# A picture shows all of a character, and that fills so much of it.
AREA: Final = 0.06
RATE, REST_RATE, HEADS_RATE = 0.02, 2e-3, 4e-3
DECAY: Final = 0.02
WARM_STEPS: Final = 20
FALL, LEAST = 0.3, 0.02
EXPORT_SECONDS: Final = 120.0
Drawn = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    """Train for so many minutes of processor time, counted over all runs."""
    parser = argparse.ArgumentParser(description="Train the small CLIP to read attributes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, nargs="+", required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels; below the model's own no vectors")
    parser.add_argument("--start", type=Path, default=SHIPPED, help="folder of the weights to begin with")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    run = Shapes(given.folder, given.start, given.minutes * 60, given.side)
    run.train(Pictures(given.cache, given.seed + run.step, given.side))


class Pictures:
    """Draws pictures that show all of a character, ``float32[n, 3, side, side]``, and its attributes."""

    def __init__(self, folders: list[Path], seed: int, side: int) -> None:
        self.rng, self.side = np.random.default_rng(seed), side
        self.stores = [np.load(folder / "pictures.npy", mmap_mode="r") for folder in folders]
        self.places: list[tuple[int, int]] = []
        wanted = []
        for number, folder in enumerate(folders):
            for line, text in enumerate((folder / "rows.jsonl").read_text().splitlines()):
                row = json.loads(text)
                if row["kind"] == "world" and row["full"] and row["area"] >= AREA:
                    self.places.append((number, line))
                    said = zip(VALUES, row["attributes"], strict=True)
                    wanted.append([VALUES[name].index(value) for name, value in said])
        self.wanted = torch.tensor(wanted)

    def draw(self) -> Drawn:
        """One batch, half of it mirrored."""
        chosen = self.rng.choice(len(self.places), PICTURES, replace=False)
        places = [self.places[index] for index in chosen]
        shown = prepared(np.stack([self.stores[part][line] for part, line in places]), self.rng)
        turned = torch.from_numpy(self.rng.random(len(shown)) < 0.5)[:, None, None, None]
        shown = torch.where(turned, shown.flip(3), shown)
        if self.side != SIDE:
            size = (self.side, self.side)
            shown = functional.interpolate(shown, size, mode="bilinear", antialias=True)
        return shown.contiguous(memory_format=torch.channels_last), self.wanted[chosen]


class Shapes(Learning):
    """From weights that are there, over seconds of processor time."""

    weights, keep, log_steps = {"features": 1.0, "vectors": 1.0}, 0.995, 20

    def __init__(self, folder: Path, start: Path, seconds: float, side: int) -> None:
        self.side = side
        self.features = nn.ModuleList(nn.Linear(CHANNELS, len(values)) for values in VALUES.values())
        super().__init__(
            folder, load_folder(start).to(memory_format=torch.channels_last), seconds, EXPORT_SECONDS
        )
        self._go_on(start)

    def _optimiser(self) -> Together:
        filters = [part for part in self.model.visual.parameters() if part.ndim == 4]
        rest = [part for part in self.model.visual.parameters() if part.ndim != 4]
        heads = [*self.heads.parameters(), *self.features.parameters()]
        return Together(
            Muon([{"params": filters, "most": RATE}], RATE),
            torch.optim.AdamW(
                [{"params": rest, "most": REST_RATE}, {"params": heads, "most": HEADS_RATE}],
                lr=REST_RATE, betas=BETAS, weight_decay=DECAY,
            ),
        )  # fmt: skip

    def _parts(self) -> dict[str, Any]:
        return {**super()._parts(), "features": self.features}

    def _clock(self) -> float:
        return time.process_time()

    def _set_rate(self) -> None:
        self._rates(WARM_STEPS, FALL, LEAST)

    def _lost(self, drawn: Drawn) -> dict[str, torch.Tensor]:
        shown, wanted = drawn
        with torch.autocast("cpu", torch.bfloat16):
            seen = trunk(self.model, shown)
            vectors = head(self.model, seen) if self.side == SIDE else None
        lost = {"features": read(self.features, seen.float().mean((2, 3)), wanted)}
        if vectors is not None:
            units = functional.normalize(vectors.float(), dim=1)
            lost["vectors"] = attributes_told(self.heads.attributes, units, wanted)
        return lost

    def _told(self) -> str:
        return "kept"


if __name__ == "__main__":
    main()
