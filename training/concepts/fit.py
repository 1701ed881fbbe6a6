"""Fits a linear head: one logistic regression for each category, on the vectors of labelled pictures.

1. What shows a category is learnt from whole frames, since a region need not show it; of everything else each
   region is as harmless as the whole.
2. Vectors of one CLIP have a large part in common, which is taken off, and are made as wide as they are long
   on average; both are folded back into weights and bias, so that a head takes vectors as they come.
3. How good it is, and where its threshold lies, is told by heads that have not learnt the item: parts of
   neighbours are left out in turn, as `classifiers.fitting` does.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Seen, Vectors
from classifiers.unsafe.heads import Head, Linear
from classifiers.unsafe.taxonomy import Category
from training.concepts.material import Looked, whole
from training.safety.fit import fit_dense

DECAY: Final = 1e-3
FOLDS: Final = 5


def fitted(looks: Sequence[Looked], categories: Sequence[Category], decay: float = DECAY) -> Linear:
    """The layer of a head for these categories."""
    rows, shown = _rows(looks, categories)
    middle = rows.mean(axis=0)
    spread = float(np.sqrt(np.square(rows - middle).sum(axis=1).mean())) or 1.0
    wanted = shown.astype(np.float32)
    sides = wanted.sum(axis=0), (1 - wanted).sum(axis=0)
    counts = np.where(wanted > 0, 1 / np.maximum(sides[0], 1), 1 / np.maximum(sides[1], 1)).astype(np.float32)
    scale = np.float32(len(rows))  # fit_dense divides by the sum, not below one
    line = fit_dense(((rows - middle) / spread).astype(np.float32), wanted, counts * scale, decay=decay)
    weight = line.weights / np.float32(spread)
    return Linear(weight=weight, bias=np.asarray(line.bias - weight @ middle, np.float32))


def left_out(looks: Sequence[Looked], categories: Sequence[Category], decay: float = DECAY) -> list[Seen]:
    """What heads say of each look that they have not learnt, as seen by the checks."""
    found: list[Seen | None] = [None] * len(looks)
    for part in parts(looks):
        rest = [look for number, look in enumerate(looks) if number not in part]
        head = _head(looks[0], categories, fitted(rest, categories, decay))
        for number in part:
            found[number] = judged(looks[number], head)
    return [seen for seen in found if seen is not None]


def judged(look: Looked, head: Head) -> Seen:
    """What a head says of a look."""
    seen = look.seen
    return Seen(
        kind=seen.kind, space="", vectors=head.logits(seen.vectors), times=seen.times, boxes=seen.boxes
    )


def parts(looks: Sequence[Looked]) -> list[frozenset[int]]:
    """Numbers of the looks in `FOLDS` parts, each with a run of every folder's files."""
    folders: dict[str, list[int]] = {}
    for number, look in enumerate(looks):
        folders.setdefault(look.item.path.parent.name, []).append(number)
    cut = [np.array_split(np.array(numbers), FOLDS) for numbers in folders.values()]
    made = [frozenset(int(number) for runs in cut for number in runs[fold]) for fold in range(FOLDS)]
    return [part for part in made if part]


def _head(look: Looked, categories: Sequence[Category], layer: Linear) -> Head:
    return Head(space=look.seen.space, categories=tuple(categories), layers=(layer,))


def _rows(looks: Sequence[Looked], categories: Sequence[Category]) -> tuple[Vectors, NDArray[np.bool_]]:
    """All vectors that count, and what each shows ``[n, categories]`` (rule 1)."""
    vectors, shown = [], []
    for look in looks:
        kept = whole(look.seen.boxes) if look.item.labels else np.ones(len(look.seen.vectors), bool)
        vectors.append(look.seen.vectors[kept])
        shown.append(np.tile([category in look.item.labels for category in categories], (int(kept.sum()), 1)))
    return np.concatenate(vectors), np.concatenate(shown)
