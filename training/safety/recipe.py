"""The recipe: what is fitted to the corpus, in which order.

1. For each part of the lines, both regressions are fitted to the other parts and asked about this one: what
   they say of words that they have not learnt.
2. How much each of them counts, and the plain signs, is fitted to those answers, category by category.
3. Both are fitted to everything; the three are added up to one line of weights for each category.
4. The conjunction for minors is fitted to logits of step 2 (`training.safety.minors`).
5. The line for other languages is fitted to hashed letters of `training.safety.languages`, with harmless
   English texts beside them, so that it says nothing of English. It is moved so that a small share of its
   harmless texts reaches what a finding needs (`training.safety.calibrate`), and speaks only where it is
   surer still.
6. Thresholds come from step 2 as well, since what step 3 says of texts that it has learnt is too sure.
Sentences of texts are asked about and never learnt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.unsafe.features import SIGNS, Sparse
from classifiers.unsafe.model import NOTHING, Weights
from classifiers.unsafe.taxonomy import TRAINED, Category
from training.safety.calibrate import SHARE, share_of, worst
from training.safety.corpus import Text, targets
from training.safety.fit import Floats, Line, apply_hashed, fit_dense, fit_hashed
from training.safety.grammar import PARTS
from training.safety.languages import JUDGED
from training.safety.minors import fit_minors

DENSE_DECAY: Final = 3e-4
HASHED_DECAY: Final = 1e-5
FUSE_DECAY: Final = 1e-4
NATIVE_DECAY: Final = 1e-5
EVERY: Final = 2
"""One in so many harmless English texts is learnt by the line for other languages."""
MARGIN: Final = 0.5
"""By how much, as a logit, the line for other languages has to be surer than a finding needs."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The corpus with what is seen of it: unit vectors, hashed features, signs ``float32[n, signs]``.

    ``foreign``: texts in other languages, and ``foreign_hashed`` their hashed features.
    """

    texts: Sequence[Text]
    vectors: Floats
    hashed: Sequence[Sparse]
    signs: Floats
    foreign: Sequence[Text]
    foreign_hashed: Sequence[Sparse]

    def __post_init__(self) -> None:
        if not len(self.texts) == len(self.vectors) == len(self.hashed) == len(self.signs):
            raise ValueError("what is seen of the corpus belongs to another corpus")
        if len(self.foreign) != len(self.foreign_hashed):
            raise ValueError("what is seen of other languages belongs to other texts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The weights, and the logits of every text by a fit that has not learnt its words; of both lines."""

    weights: Weights
    unseen: Floats
    foreign: Floats


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
    minors = _minors(unseen, inputs.texts)
    say("other languages")
    native, least, foreign, beside = _native(inputs, unseen)
    weights = joined(*everything, fused, minilm, minors, native, least)
    return Fitted(weights=weights, unseen=np.maximum(unseen, beside), foreign=foreign)


def _native(inputs: Inputs, unseen: Floats) -> tuple[Line, Floats, Floats, Floats]:
    """The line for other languages, from which logits on it says something, and what it says of texts whose
    words it has not learnt: of those in other languages, and of the whole corpus.
    """
    quiet = [at for at, text in enumerate(inputs.texts) if not text.labels and text.of < 0][::EVERY]
    texts = [*inputs.foreign, *(inputs.texts[at] for at in quiet)]
    seen = [*inputs.foreign_hashed, *(inputs.hashed[at] for at in quiet)]
    wanted, counts = targets(texts)
    part = np.array([text.part for text in texts])
    english = np.array([text.part for text in inputs.texts])
    foreign = np.zeros((len(inputs.foreign), len(TRAINED)), np.float32)
    beside = np.zeros_like(unseen)

    def fitted(rows: NDArray[np.int64]) -> Line:
        return fit_hashed([seen[at] for at in rows], wanted[rows], counts[rows], decay=NATIVE_DECAY)

    for held in range(PARTS):
        line = fitted(np.flatnonzero(part != held))
        asked = np.flatnonzero(part[: len(foreign)] == held)
        foreign[asked] = apply_hashed(line, [seen[at] for at in asked])
        places = np.flatnonzero(english == held)
        beside[places] = apply_hashed(line, [inputs.hashed[at] for at in places])
    limits = _limits(unseen, inputs)
    still = np.array([not text.labels for text in inputs.foreign])
    moved = limits - np.quantile(foreign[still], 1 - SHARE, axis=0).astype(np.float32)
    least = limits + MARGIN
    line = fitted(np.arange(len(texts)))
    silent = np.array([category not in JUDGED for category in TRAINED])
    weights, bias = (
        np.where(silent[:, None], 0, line.weights),
        np.where(silent, NOTHING, line.bias + moved),
    )
    for found in (foreign, beside):
        found += moved
        found[silent | (found < least)] = NOTHING
    return Line(weights=weights.astype(np.float32), bias=bias.astype(np.float32)), least, foreign, beside


def _limits(unseen: Floats, inputs: Inputs) -> Floats:
    """The logits from which on English texts count."""
    harmless = worst(unseen, inputs.texts)
    return np.array(
        [np.quantile(harmless[:, c], 1 - share_of(category)) for c, category in enumerate(TRAINED)],
        np.float32,
    )


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


def joined(
    dense: Line,
    hashed: Line,
    fused: Sequence[Line],
    minilm: str,
    minors: Floats,
    native: Line,
    least: Floats,
) -> Weights:
    """All three as one line for each category, and the one for other languages beside it."""
    by = np.concatenate([line.weights for line in fused])
    bias = np.concatenate([line.bias for line in fused])
    return Weights(
        minilm=minilm, minors=minors, native=native.weights, native_bias=native.bias,
        native_least=least,
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
