"""Cross-validation of the recipe on labelled prompts: the same models, fitted to some of the lines at a time.

A labelled set has hundreds of lines where the corpus has thousands, so the regression is written in its
kernel form.
1. Two texts are near where MiniLM's inner layers say alike things of them (`classifiers.minilm.MiniLm.inner`;
   long texts are read in windows) and where they share words and letters, rare ones most (`kernel`).
2. Each label has a regression of its own, and so has "any".
3. What is found for "any" is raised by how likely it is that at least one of the labels applies.
The scale of the inputs and the rarity of words come from all lines, without their labels.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from classifiers.unsafe.features import BUCKETS, Sparse, hashed
from training.safety.fit import matrix
from training.safety.labelled import DataUnusable, Labelled

MAX_LINES: Final = 6000
"""More lines make matrices that no small machine holds."""
NEARNESS: Final = 0.3
"""Of two texts: exp(-NEARNESS · mean squared distance of what the layers say, in each number's spread)."""
SHARE: Final = 0.3
"""How much hashed letters and words count beside that."""
ANY_OF: Final = 0.5
"""How much the chance that any label applies counts for "any", as a logit."""
SPREAD: Final = 20.0
"""How freely the regression may follow its lines."""
ROUNDS: Final = 30
LEAST_STEP: Final = 1e-4
MOST: Final = 30.0  # of a logit
BLOCK: Final = 256  # texts that are compared with all others at a time
Floats = NDArray[np.float64]


class Inner(Protocol):
    """Says of texts what its inner layers make of them."""

    def inner(self, texts: Sequence[str]) -> NDArray[np.float32]: ...  # noqa: D102


def cross_validated(data: Labelled, scores: Floats, count: int) -> Iterator[dict[str, Any]]:
    """The area under the precision-recall curve of each label and of any; `scores`: of `held_out`."""
    for column, label in enumerate((*data.labels, "any")):
        wanted = data.any if label == "any" else data.wanted[:, column] > 0
        judged = np.ones(len(wanted), bool) if label == "any" else data.counts[:, column] > 0
        if not wanted[judged].any():  # nothing of this label is there to be found
            continue
        yield {
            "label": label, "auprc": round(area(wanted[judged], scores[judged, column]), 4),
            "n": int(judged.sum()), "of": int(wanted[judged].sum()), "folds": count,
        }  # fmt: skip


def held_out(data: Labelled, embedder: Inner, count: int, *, seed: int, say: Callable[[str], None]) -> Floats:
    """Logits ``[n, labels + 1]`` of each line by a fit that has not seen it; the last column is "any"."""
    if len(data.texts) > MAX_LINES:
        raise DataUnusable(f"there are more than {MAX_LINES} lines; take some of them")
    if min(int(data.any.sum()), int((~data.any).sum())) < count:
        raise DataUnusable(f"there are too few lines of one kind for {count} folds")
    say("what the sentence model says")
    near = kernel(embedder.inner(data.texts), [hashed(text) for text in data.texts])
    wanted = np.column_stack([data.wanted, data.any]).astype(float)
    judged = np.column_stack([data.counts, np.ones(len(wanted))]) > 0
    part = _dealt(data.any, count, seed)
    found = np.zeros(wanted.shape)
    for held in range(count):
        say(f"fold {held + 1} of {count}")
        asked = np.flatnonzero(part == held)
        for column in range(wanted.shape[1]):
            learnt = np.flatnonzero((part != held) & judged[:, column])
            weights, bias = fit_kernel(near[np.ix_(learnt, learnt)], wanted[learnt, column])
            found[asked, column] = near[np.ix_(asked, learnt)] @ weights + bias
    found[:, -1] += ANY_OF * any_of(found[:, :-1])
    return found


def any_of(logits: Floats) -> Floats:
    """The logit of the chance that any label of each line applies, as if they were independent."""
    none = -np.logaddexp(0, np.clip(logits, -MOST, MOST)).sum(axis=1)
    return np.asarray(np.log(-np.expm1(none)) - none)


def kernel(vectors: NDArray[np.float32], words: Sequence[Sparse]) -> Floats:
    """How near each text is to each other: what the model says, and hashed features, rare ones most."""
    scaled = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6) / np.sqrt(vectors.shape[1])
    scaled = scaled.astype(float)
    lengths = (scaled**2).sum(axis=1)
    apart = np.maximum(lengths[:, None] + lengths - 2 * scaled @ scaled.T, 0)
    return np.asarray(np.exp(-NEARNESS * apart) + SHARE * _overlap(words))


def _overlap(words: Sequence[Sparse]) -> Floats:
    count = np.bincount(np.concatenate([places for places, _ in words]), minlength=BUCKETS)
    rare = (np.log((1 + len(words)) / (1 + count)) + 1).astype(np.float32)
    weighed = [(places, _unit(values * rare[places])) for places, values in words]
    table = matrix(weighed)
    parts = []
    for at in range(0, len(words), BLOCK):
        block = np.zeros((len(words[at : at + BLOCK]), BUCKETS), np.float32)
        for row, (places, values) in enumerate(weighed[at : at + BLOCK]):
            block[row, places] = values
        parts.append(torch.sparse.mm(table, torch.from_numpy(block.T.copy())).numpy())
    return np.asarray(np.concatenate(parts, axis=1), float)


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(values))
    return values / np.float32(length) if length else values


def fit_kernel(near: Floats, wanted: Floats) -> tuple[Floats, float]:
    """Weights and bias of a logistic regression in kernel form, by Newton's method with shortened steps.

    A whole step can overshoot where few of many lines are wanted, and the next one farther; so a step is
    halved until what is minimised falls.
    """
    weights = np.zeros(len(wanted))
    mean = float(np.clip(wanted.mean(), 1e-3, 1 - 1e-3))
    bias = float(np.log(mean / (1 - mean)))
    reached = _loss(near @ weights, weights, bias, wanted)
    for _ in range(ROUNDS):
        logits = near @ weights + bias
        share = 1 / (1 + np.exp(-np.clip(logits, -MOST, MOST)))
        curve = np.maximum(share * (1 - share), 1e-6)
        target = logits + (wanted - share) / curve
        solved = np.linalg.solve(near + np.diag(1 / (SPREAD * curve)),
                                 np.stack([target, np.ones(len(target))], axis=1))  # fmt: skip
        aimed = float(solved[:, 0].sum() / solved[:, 1].sum())
        step = solved[:, 0] - aimed * solved[:, 1] - weights
        across = near @ step
        size, before = 1.0, reached
        while size > LEAST_STEP:
            following, moved = weights + size * step, bias + size * (aimed - bias)
            reached = _loss(near @ weights + size * across, following, moved, wanted)
            if reached < before:
                break
            size /= 2
        else:
            break
        weights, bias = following, moved
        if before - reached < 1e-6 * len(wanted):
            break
    return weights, bias


def _loss(logits: Floats, weights: Floats, bias: float, wanted: Floats) -> float:
    """What `fit_kernel` minimises; `logits` without the bias."""
    whole = logits + bias
    return float((np.logaddexp(0, whole) - wanted * whole).sum() + weights @ logits / (2 * SPREAD))


def area(wanted: NDArray[np.bool_], scores: Floats) -> float:
    """Average precision: the area under the curve of precision over recall; NaN where nothing is wanted."""
    if not wanted.any():
        return float("nan")
    ordered = wanted[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered].mean())


def _dealt(any_: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.int64]:
    """Which fold each line is in; each has its share of those that are something."""
    random = np.random.default_rng(seed)
    part = np.zeros(len(any_), np.int64)
    for kind in (False, True):
        places = np.flatnonzero(any_ == kind)
        random.shuffle(places)
        part[places] = np.arange(len(places)) % count
    return part
