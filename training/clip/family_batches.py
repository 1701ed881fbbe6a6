"""Batches of the second stage: families of look-alikes, several pictures of each member, and of nobody."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from training.clip.batches import VALUES, Batch, prepared
from training.clip.vocabulary import CONTEXT, other_text, surrounded, tokenizer

FAMILIES, VIEWS = 11, 3
NOBODY: Final = 24
# A picture shows a character when at least so much of it is in, and fills so much of the picture.
SEEN, AREA = 0.4, 0.015
UNSEEN: Final = 0.03
# From this share of the picture on, all that tells a character from its look-alikes can be made out.
CLEAR: Final = 0.1
TOLD_OF_NOBODY: Final = 12


@dataclass(slots=True)
class Member:
    """A design of a family: attributes as numbers, pictures, whole and in parts (or small), captions."""

    attributes: list[int]
    whole: list[tuple[int, int]] = field(default_factory=list)
    parts: list[tuple[int, int]] = field(default_factory=list)
    captions: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyBatch:
    """A batch, with the family of each picture ``int64[n]`` (-1: nobody) and whether it shows the whole
    character ``bool[n]``; ``text_families`` ``int64[m]`` likewise.
    """

    batch: Batch
    families: torch.Tensor
    whole: torch.Tensor
    text_families: torch.Tensor


class FamilyBatches:
    """Draws batches at random from folders that ``training.clip.families`` made.

    ``features``: files of `training.clip.trunk.features_of`, which a batch then holds instead of pictures.
    """

    def __init__(self, folders: list[Path], seed: int, features: Sequence[Path] = ()) -> None:
        self.rng = np.random.default_rng(seed)
        self.words = tokenizer()
        self.words.enable_truncation(CONTEXT)
        files = features or [folder / "pictures.npy" for folder in folders]
        self.stores = [np.load(file, mmap_mode="r") for file in files]
        self.by_features = bool(features)
        self.families: dict[int, dict[int, Member]] = {}
        self.nobody: list[tuple[int, int, str]] = []
        for number, folder in enumerate(folders):
            for line, text in enumerate((folder / "rows.jsonl").read_text().splitlines()):
                self._sort(number, line, json.loads(text))
        self.able = [name for name, family in self.families.items() if self._complete(family)]

    def _sort(self, number: int, line: int, row: dict[str, Any]) -> None:
        if row["kind"] != "world":
            self.nobody.append((number, line, row["captions"][0] if "captions" in row else ""))
        elif row["seen"] < UNSEEN:
            self.nobody.append((number, line, ""))
        elif row["seen"] >= SEEN and row["area"] >= AREA:
            values = [VALUES[name].index(said) for name, said in zip(VALUES, row["attributes"], strict=True)]
            family = self.families.setdefault(row["family"] + number * 1_000_000, {})
            member = family.setdefault(row["member"], Member(attributes=values))
            (member.whole if row["full"] and row["area"] >= CLEAR else member.parts).append((number, line))
            member.captions.append(row["captions"])

    @staticmethod
    def _complete(family: dict[int, Member]) -> bool:
        return len(family) > 1 and all(
            len(member.whole) + bool(member.parts) >= VIEWS for member in family.values()
        )

    def draw(self) -> FamilyBatch:
        """One batch."""
        shown: list[np.ndarray[Any, Any]] = []
        designs, families, whole, attributes = [], [], [], []
        texts, text_designs, text_families = [], [], []
        for name in self.rng.choice(self.able, size=FAMILIES, replace=False):
            for number, member in self.families[int(name)].items():
                design = int(name) * 8 + number
                for at, full in self._chosen(member):
                    shown.append(self.stores[at[0]][at[1]])
                    designs.append(design)
                    families.append(int(name))
                    whole.append(full)
                    attributes.append(member.attributes if full else [-1] * len(VALUES))
                said = member.captions[int(self.rng.integers(len(member.captions)))]
                texts.append(said[int(self.rng.integers(3))])
                text_designs.append(design)
                text_families.append(int(name))
        for index in self.rng.choice(len(self.nobody), NOBODY, replace=False):
            number, line, text = self.nobody[index]
            shown.append(self.stores[number][line])
            designs.append(-1)
            families.append(-1)
            whole.append(True)
            attributes.append([-1] * len(VALUES))
            if len(texts) < FAMILIES * 4 + TOLD_OF_NOBODY:
                texts.append(text or other_text(self.rng))
                text_designs.append(-1)
                text_families.append(-1)
        stack = np.stack(shown)
        batch = Batch(
            pictures=torch.from_numpy(stack).float() if self.by_features else prepared(stack, self.rng),
            designs=torch.tensor(designs), attributes=torch.tensor(attributes),
            text_designs=torch.tensor(text_designs),
            texts=self._numbers([surrounded(text, self.rng) for text in texts]),
        )  # fmt: skip
        return FamilyBatch(
            batch=batch, families=torch.tensor(families), whole=torch.tensor(whole),
            text_families=torch.tensor(text_families),
        )  # fmt: skip

    def _chosen(self, member: Member) -> list[tuple[tuple[int, int], bool]]:
        """Pictures of a member: the last one is a part of it, where there is one."""
        count = VIEWS - 1 if member.parts else VIEWS
        at = [
            (member.whole[int(index)], True)
            for index in self.rng.choice(len(member.whole), count, replace=False)
        ]
        if member.parts:
            at.append((member.parts[int(self.rng.integers(len(member.parts)))], False))
        return at

    def _numbers(self, texts: list[str]) -> torch.Tensor:
        coded = [self.words.encode(text).ids for text in texts]
        longest = max(map(len, coded))
        return torch.tensor([ids + [0] * (longest - len(ids)) for ids in coded])
