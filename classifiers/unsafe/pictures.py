"""Image classifiers of transformers that judge whole frames, as an operator brings them.

1. A folder, or ``owner/name@commit`` on the hub with a digest (`classifiers.judge_source`): safetensors only,
   no code of its own.
2. Three forms (`classifiers.unsafe.picture_forms`): a classifier with labels, as Falconsai's, of which each
   is one of our categories or harmless; diffusers' safety checker, which knows what is sexual; ShieldGemma 2.
3. Pictures are brought to the model's size by its own image processor. Where that keeps the middle only, a
   wide frame is shown in several squares, so that nothing happens at its sides unseen.
4. Its numbers have a space of their own, named after the files and the map of labels; a calibration for it is
   made by ``python -m training concepts --classifier``.
"""

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch

from classifiers.base import Picture, Vectors
from classifiers.judge_source import JudgeSource, find_judge
from classifiers.unsafe.check import CATEGORIES, MOST, NEVER
from classifiers.unsafe.heads import JUDGED
from classifiers.unsafe.picture_forms import open_form
from classifiers.unsafe.taxonomy import Category

SETTING: Final = "frame_classifier"
BATCH: Final = 8
VERSION: Final = "1"
"""Raised whenever a picture comes out otherwise than before."""
MAX_SQUARES: Final = 8


class PictureClassifier:
    """A model that judges RGB pictures ``uint8[h, w, 3]``; safe to share between threads."""

    def __init__(self, source: JudgeSource, told: Mapping[str, Category | None]) -> None:
        """Load it; `told`: what its labels mean, if that is said. Raises: ModelUnusable."""
        self._form = open_form(source, told)
        self._lock = threading.Lock()
        self.judged = self._form.judged
        meant = [f"{label}={category or ''}" for label, category in sorted(told.items())]
        whole = hashlib.sha256("\n".join((VERSION, source.digest, *meant)).encode()).hexdigest()
        self.space = f"pictures-{whole[:16]}"

    def judge(self, pictures: Sequence[Picture]) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]``, `NEVER` for what it does not judge.

        Raises: ValueError for what is no number, and what the model raises.
        """
        shown = [(row, part) for row, picture in enumerate(pictures) for part in self._parts(picture)]
        found = np.full((len(pictures), len(CATEGORIES)), NEVER, np.float32)
        for at in range(0, len(shown), BATCH):
            batch = shown[at : at + BATCH]
            for (row, _), told in zip(batch, self._told([part for _, part in batch]), strict=True):
                for category, number in told.items():
                    column = CATEGORIES.index(category)
                    found[row, column] = max(found[row, column], _within(number))
        return found

    def _told(self, pictures: list[Picture]) -> list[dict[Category, float]]:
        with self._lock, torch.inference_mode():
            return self._form(pictures)

    def _parts(self, picture: Picture) -> list[Picture]:
        """The picture, or squares over its length where the processor would cut off its ends (rule 3)."""
        height, width = picture.shape[:2]
        side, longest = min(height, width), max(height, width)
        count = min(math.ceil(longest / side - 0.05), MAX_SQUARES)
        if not self._form.crops or count <= 1:
            return [picture]
        starts = np.linspace(0, longest - side, count).round().astype(int)
        if width > height:
            return [picture[:, start : start + side] for start in starts]
        return [picture[start : start + side] for start in starts]


def open_classifier(
    model: str, *, sha256: str = "", labels: Mapping[str, Category | None] | None = None
) -> PictureClassifier:
    """The classifier of a folder or ``owner/name@commit``. Raises: ModelUnusable."""
    return PictureClassifier(find_judge(model, sha256, SETTING), labels or {})


def _within(number: float) -> float:
    if math.isnan(number):
        raise ValueError("the image classifier answered with no number")
    return min(max(number, JUDGED), MOST)
