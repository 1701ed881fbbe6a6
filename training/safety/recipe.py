"""The recipe: what is fitted to the corpus, in which order.

1. For each part of the lines, both regressions are fitted to the other parts and asked about this one: what
   they say of words that they have not learnt.
2. How much each of them counts, and the plain signs, is fitted to those answers, category by category.
3. Both are fitted to everything; the three are added up to one line of weights for each category.
4. The conjunction for minors is fitted to logits of step 2 (`training.safety.minors`).
5. Thresholds come from step 2 as well, since what step 3 says of texts that it has learnt is too sure.
Sentences of texts are asked about and never learnt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.unsafe.features import SIGNS, Sparse
from classifiers.unsafe.model import Weights
from classifiers.unsafe.taxonomy import TRAINED, Category
from training.safety.corpus import Text, targets
from training.safety.fit import Floats, Line, apply_hashed, fit_dense, fit_hashed
from training.safety.grammar import PARTS
from training.safety.minors import fit_minors

DENSE_DECAY: Final = 3e-4
HASHED_DECAY: Final = 1e-5
FUSE_DECAY: Final = 1e-4
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The corpus with what is seen of it: unit vectors, hashed features, signs ``float32[n, signs]``."""

    texts: Sequence[Text]
    vectors: Floats
    hashed: Sequence[Sparse]
    signs: Floats

    def __post_init__(self) -> None:
        if not len(self.texts) == len(self.vectors) == len(self.hashed) == len(self.signs):
            raise ValueError("what is seen of the corpus belongs to another corpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The weights, and the logits of every text of the corpus by a fit that has not learnt its words."""

    weights: Weights
    unseen: Floats


def fit(inputs: Inputs, minilm: str, say: Say) -> Fitted:
    """Apply the recipe; `minilm`: the space of the vectors."""
    wanted, counts = targets(inputs.texts)
    part = np.array([text.part for text in inputs.texts])
    whole = np.array([text.of < 0 for text in inputs.texts])
    dense, hashed = np.zeros_like(wanted), np.zeros_like(wanted)
    for held in range(PARTS):
        say(f"part {held + 1} of {PARTS}")
        learnt, asked = np.flatnonzero((part != held) & whole), np.flatnonzero(part == held)
        lines = _lines(inputs, wanted, counts, learnt)
        dense[asked] = lines[0].of(inputs.vectors[asked])
        hashed[asked] = apply_hashed(lines[1], [inputs.hashed[at] for at in asked])
    fused = [
        fuse(dense[:, c], hashed[:, c], inputs.signs, wanted[:, c], counts[:, c]) for c in range(len(TRAINED))
    ]
    unseen = np.stack([
        line.of(_row(dense[:, c], hashed[:, c], inputs.signs))[:, 0] for c, line in enumerate(fused)
    ], axis=1)  # fmt: skip
    say("all parts")
    everything = _lines(inputs, wanted, counts, np.flatnonzero(whole))
    weights = joined(*everything, fused, minilm, _minors(unseen, inputs.texts))
    return Fitted(weights=weights, unseen=unseen)


def _lines(inputs: Inputs, wanted: Floats, counts: Floats, rows: NDArray[np.int64]) -> tuple[Line, Line]:
    dense = fit_dense(inputs.vectors[rows], wanted[rows], counts[rows], decay=DENSE_DECAY)
    hashed = fit_hashed([inputs.hashed[at] for at in rows], wanted[rows], counts[rows], decay=HASHED_DECAY)
    return dense, hashed


def _row(dense: Floats, hashed: Floats, signs: Floats) -> Floats:
    return np.concatenate([dense[:, None], hashed[:, None], signs], axis=1).astype(np.float32)


def fuse(dense: Floats, hashed: Floats, signs: Floats, wanted: Floats, counts: Floats) -> Line:
    """How much the two logits and the signs count for one category."""
    line = fit_dense(_row(dense, hashed, signs), wanted[:, None], counts[:, None], decay=FUSE_DECAY)
    return Line(weights=np.concatenate([np.maximum(line.weights[:, :2], 0), line.weights[:, 2:]], axis=1),
                bias=line.bias)  # fmt: skip


def joined(dense: Line, hashed: Line, fused: Sequence[Line], minilm: str, minors: Floats) -> Weights:
    """All three as one line for each category."""
    by = np.concatenate([line.weights for line in fused])
    bias = np.concatenate([line.bias for line in fused])
    return Weights(
        minilm=minilm, minors=minors,
        sentence=(dense.weights * by[:, :1]).astype(np.float32),
        hashed=(hashed.weights * by[:, 1:2]).astype(np.float32),
        signs=by[:, 2 : 2 + len(SIGNS)].astype(np.float32),
        bias=(bias + by[:, 0] * dense.bias + by[:, 1] * hashed.bias).astype(np.float32),
    )  # fmt: skip


def _minors(unseen: Floats, texts: Sequence[Text]) -> Floats:
    column = TRAINED.index(Category.SEXUAL)
    sexual = np.array([Category.SEXUAL in text.labels for text in texts])
    harmless = np.array([not text.labels and text.of < 0 for text in texts])
    return fit_minors(unseen[sexual, column], unseen[harmless, column])
