"""Batches from the drawn cache: designs, several pictures of each, look-alikes, and pictures of nobody."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from generator.embedded.world import design as looks
from training.clip.model import MEAN, SPREAD
from training.clip.vocabulary import CONTEXT, other_text, surrounded, tokenizer

PAIRS, SINGLES, VIEWS = 12, 28, 3
OTHERS, EMPTY = 22, 14
# A picture shows a character when at least so much of it is in, and fills so much of the picture.
SEEN, AREA = 0.5, 0.02
UNSEEN: Final = 0.03
VALUES: Final[dict[str, tuple[str, ...]]] = {
    "species": looks.SPECIES, "build": looks.BUILDS, "colour": tuple(looks.COLOURS),
    "second": tuple(looks.COLOURS), "pattern": looks.PATTERNS, "eyes": looks.EYES, "hat": looks.HATS,
    "hat_colour": (looks.NONE, *looks.COLOURS), "accessory": looks.ACCESSORIES,
    "accessory_colour": (looks.NONE, *looks.COLOURS),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pictures ``float32[n, 3, side, side]`` with design numbers ``int64[n]`` (-1: nobody) and attributes
    ``int64[n, 10]`` (-1: none); texts ``int64[m, context]`` with design numbers ``int64[m]``.
    """

    pictures: torch.Tensor
    designs: torch.Tensor
    attributes: torch.Tensor
    texts: torch.Tensor
    text_designs: torch.Tensor


class Batches:
    """Draws batches at random from folders that ``training.clip.cache`` made."""

    def __init__(self, folders: list[Path], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.words = tokenizer()
        self.words.enable_truncation(CONTEXT)
        self.stores = [np.load(folder / "pictures.npy", mmap_mode="r") for folder in folders]
        self.views: dict[int, list[tuple[int, int]]] = {}
        self.facts: dict[int, tuple[list[int], list[list[str]]]] = {}
        self.others: list[tuple[int, int, str]] = []
        self.empty: list[tuple[int, int, str]] = []
        for number, folder in enumerate(folders):
            for line, text in enumerate((folder / "rows.jsonl").read_text().splitlines()):
                self._sort(number, line, json.loads(text))
        able = [design for design, views in self.views.items() if len(views) >= VIEWS]
        ready = set(able)
        self.pairs = [design for design in able if design % 3 == 1 and design + 1 in ready]
        self.singles = able

    def _sort(self, number: int, line: int, row: dict[str, Any]) -> None:
        if row["kind"] == "other":
            self.others.append((number, line, ""))
        elif row["design"] < 0 or row["seen"] < UNSEEN:
            # A part without the character is a picture of nobody; its caption would be wrong.
            self.empty.append((number, line, row["captions"][0] if row["design"] < 0 else ""))
        elif row["seen"] >= SEEN and row["area"] >= AREA:
            design = row["design"] + number * 1_000_002
            values = [
                VALUES[name].index(value) for name, value in zip(VALUES, row["attributes"], strict=True)
            ]
            self.views.setdefault(design, []).append((number, line))
            self.facts.setdefault(design, (values, []))[1].append(row["captions"])

    def draw(self) -> Batch:
        """One batch."""
        pairs = self.rng.choice(self.pairs, size=PAIRS, replace=False)
        chosen = set(pairs) | set(pairs + 1)
        while len(chosen) < 2 * PAIRS + SINGLES:
            chosen.add(int(self.rng.choice(self.singles)))
        designs = [int(design) for design in chosen]
        shown, owners, texts, text_owners = [], [], [], []
        for design in designs:
            views = self.views[design]
            for index in self.rng.choice(len(views), size=VIEWS, replace=False):
                shown.append(self.stores[views[index][0]][views[index][1]])
                owners.append(design)
            said = self.facts[design][1][int(self.rng.integers(len(views)))]
            texts += [said[int(self.rng.integers(2))], said[2]]
            text_owners += [design, design]
        nobody = [self.others[index] for index in self.rng.choice(len(self.others), OTHERS, replace=False)]
        nobody += [self.empty[index] for index in self.rng.choice(len(self.empty), EMPTY, replace=False)]
        for number, line, text in nobody:
            shown.append(self.stores[number][line])
            owners.append(-1)
            texts.append(text or other_text(self.rng))
            text_owners.append(-1)
        attributes = [self.facts[owner][0] if owner >= 0 else [-1] * len(VALUES) for owner in owners]
        return Batch(
            pictures=prepared(np.stack(shown), self.rng), designs=torch.tensor(owners),
            attributes=torch.tensor(attributes), text_designs=torch.tensor(text_owners),
            texts=self._numbers([surrounded(text, self.rng) for text in texts]),
        )  # fmt: skip

    def _numbers(self, texts: list[str]) -> torch.Tensor:
        coded = [self.words.encode(text).ids for text in texts]
        longest = max(map(len, coded))
        return torch.tensor([ids + [0] * (longest - len(ids)) for ids in coded])


def prepared(pictures: NDArray[np.uint8], rng: np.random.Generator | None = None) -> torch.Tensor:
    """Normalised ``float32[n, 3, side, side]``; with random numbers in other brightness and contrast too."""
    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255)
    if rng is not None:
        count = (len(pictures), 1, 1, 1)
        gain = torch.from_numpy(rng.uniform(0.75, 1.25, count).astype(np.float32))
        lift = torch.from_numpy(rng.uniform(-0.08, 0.08, count).astype(np.float32))
        tint = torch.from_numpy(rng.uniform(0.93, 1.07, (len(pictures), 3, 1, 1)).astype(np.float32))
        values = values.mul_(gain * tint).add_(lift).clamp_(0, 1)
    mean, spread = (torch.tensor(value).view(1, 3, 1, 1) for value in (MEAN, SPREAD))
    return values.sub_(mean).div_(spread).contiguous(memory_format=torch.channels_last)
