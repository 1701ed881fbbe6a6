"""Batches of the second stage: families of look-alikes, several pictures of each member, and of nobody."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from training.clip.batches import VALUES, Batch, prepared
from training.clip.instances import random_instance
from training.clip.others import Material
from training.clip.vocabulary import CONTEXT, other_text, surrounded, tokenizer

FAMILIES, VIEWS = 7, 3
# Designs without look-alikes, and pictures of each; things that are no characters, and pictures of each.
SINGLES, SINGLE_VIEWS = 16, 2
THINGS, THING_VIEWS = 10, 2
NOBODY: Final = 12
# Things are numbered from here on, each as a family of its own.
FIRST_THING: Final = 1 << 40
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
    character ``bool[n]``; ``text_families`` ``int64[m]`` likewise; attributes of texts ``int64[m, 10]``.
    """

    batch: Batch
    families: torch.Tensor
    whole: torch.Tensor
    text_families: torch.Tensor
    text_attributes: torch.Tensor


class FamilyBatches:
    """Draws batches at random from folders that ``training.clip.families`` made.

    ``stock``: what things are made of; without it there are none. ``features``: files of
    `training.clip.trunk.features_of`, which a batch then holds instead of pictures.
    """

    def __init__(
        self, folders: list[Path], seed: int, features: Sequence[Path] = (), stock: Material | None = None
    ) -> None:
        self.stock = stock
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
        self.singles = [name for name, family in self.families.items() if self._alone(family)]

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

    @staticmethod
    def _alone(family: dict[int, Member]) -> bool:
        only = next(iter(family.values()))
        return len(family) == 1 and len(only.whole) + bool(only.parts) >= SINGLE_VIEWS

    def draw(self) -> FamilyBatch:
        """One batch."""
        shown: list[np.ndarray[Any, Any]] = []
        designs, families, whole, attributes = [], [], [], []
        texts, text_designs, text_families, text_attributes = [], [], [], []
        chosen = [(int(name), VIEWS) for name in self.rng.choice(self.able, FAMILIES, replace=False)]
        if len(self.singles) >= SINGLES:
            alone = self.rng.choice(self.singles, SINGLES, replace=False)
            chosen += [(int(name), SINGLE_VIEWS) for name in alone]
        for name, views in chosen:
            for number, member in self.families[name].items():
                design = name * 8 + number
                for at, full in self._chosen(member, views):
                    shown.append(self.stores[at[0]][at[1]])
                    designs.append(design)
                    families.append(name)
                    whole.append(full)
                    attributes.append(member.attributes if full else [-1] * len(VALUES))
                said = member.captions[int(self.rng.integers(len(member.captions)))]
                texts.append(said[int(self.rng.integers(3))])
                text_designs.append(design)
                text_families.append(name)
                text_attributes.append(member.attributes)
        for index in self.rng.choice(len(self.nobody), NOBODY, replace=False):
            number, line, text = self.nobody[index]
            shown.append(self.stores[number][line])
            designs.append(-1)
            families.append(-1)
            whole.append(True)
            attributes.append([-1] * len(VALUES))
            if text_designs.count(-1) < TOLD_OF_NOBODY:
                texts.append(text or other_text(self.rng))
                text_designs.append(-1)
                text_families.append(-1)
                text_attributes.append([-1] * len(VALUES))
        if self.stock is not None:
            for number in range(FIRST_THING, FIRST_THING + THINGS):
                shown += random_instance(self.stock, THING_VIEWS, self.rng)
                designs += [number] * THING_VIEWS
                families += [number] * THING_VIEWS
                whole += [True] * THING_VIEWS
                attributes += [[-1] * len(VALUES)] * THING_VIEWS
        stack = np.stack(shown)
        batch = Batch(
            pictures=torch.from_numpy(stack).float() if self.by_features else self._mirrored(stack),
            designs=torch.tensor(designs), attributes=torch.tensor(attributes),
            text_designs=torch.tensor(text_designs),
            texts=self._numbers([surrounded(text, self.rng) for text in texts]),
        )  # fmt: skip
        return FamilyBatch(
            batch=batch, families=torch.tensor(families), whole=torch.tensor(whole),
            text_families=torch.tensor(text_families), text_attributes=torch.tensor(text_attributes),
        )  # fmt: skip

    def _chosen(self, member: Member, views: int) -> list[tuple[tuple[int, int], bool]]:
        """Pictures of a member: the last one is a part of it, where there is one."""
        count = views - 1 if member.parts else views
        at = [
            (member.whole[int(index)], True)
            for index in self.rng.choice(len(member.whole), count, replace=False)
        ]
        if member.parts:
            at.append((member.parts[int(self.rng.integers(len(member.parts)))], False))
        return at

    def _mirrored(self, stack: np.ndarray[Any, Any]) -> torch.Tensor:
        """Prepared, half of them mirrored."""
        shown = prepared(stack, self.rng)
        turned = torch.from_numpy(self.rng.random(len(shown)) < 0.5)[:, None, None, None]
        return torch.where(turned, shown.flip(3), shown).contiguous(memory_format=torch.channels_last)

    def _numbers(self, texts: list[str]) -> torch.Tensor:
        coded = [self.words.encode(text).ids for text in texts]
        longest = max(map(len, coded))
        return torch.tensor([ids + [0] * (longest - len(ids)) for ids in coded])
