"""Fits the weights: one logistic regression on sentence vectors, one on hashed letters, then their sum.

They are fitted apart and not together: on text that a grammar writes the letters alone would separate
everything, and the sentence vectors, which alone understand words that the grammar does not have, would learn
nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from classifiers.unsafe.features import BUCKETS, Sparse

Floats = NDArray[np.float32]
STEPS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Weights ``[classes, inputs]`` and ``bias[classes]``."""

    weights: Floats
    bias: Floats

    def of(self, inputs: Floats) -> Floats:
        """Logits of dense inputs."""
        return np.asarray(inputs @ self.weights.T + self.bias, np.float32)


def fit_dense(inputs: Floats, wanted: Floats, counts: Floats, *, decay: float, balance: float = 1.0) -> Line:
    """A regression per class on dense inputs, by L-BFGS.

    `wanted`, `counts` ``[n, classes]``: what is so, and how much it counts; `decay`: half of it times the
    squared weights is added to the mean loss; `balance`: weight of what is so.
    """
    x, y = torch.from_numpy(inputs), torch.from_numpy(wanted)
    found = _search(
        lambda line: x @ line,
        lambda slope: x.T @ slope,
        x.shape[1],
        y,
        _weights(wanted, counts, balance),
        decay,
    )
    return Line(weights=found[0].T.copy(), bias=found[1])


def fit_hashed(
    texts: Sequence[Sparse], wanted: Floats, counts: Floats, *, decay: float, balance: float = 1.0
) -> Line:
    """A regression per class on hashed features, by L-BFGS on those that occur."""
    x = matrix(texts)
    used = x.col_indices().unique()
    narrow = torch.zeros(BUCKETS, dtype=torch.int64)
    narrow[used] = torch.arange(len(used))
    kept = torch.sparse_csr_tensor(
        x.crow_indices(), narrow[x.col_indices()], x.values(), (len(texts), len(used)), check_invariants=False
    )
    y, w = torch.from_numpy(wanted), _weights(wanted, counts, balance)
    turned = kept.to_sparse_coo().t().to_sparse_csr()
    found = _search(lambda line: kept @ line, lambda slope: turned @ slope, len(used), y, w, decay)
    line = np.zeros((y.shape[1], BUCKETS), np.float32)
    line[:, used.numpy()] = found[0].T
    return Line(weights=line, bias=found[1])


def _search(
    forward: Callable[[torch.Tensor], torch.Tensor], back: Callable[[torch.Tensor], torch.Tensor], inputs:
    int, wanted: torch.Tensor, weights: torch.Tensor, decay: float,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Minimise by L-BFGS with the gradient written out, since that of a sparse product is slow."""
    line = torch.zeros(inputs, wanted.shape[1], requires_grad=True)
    bias = torch.full((wanted.shape[1],), -2.0, requires_grad=True)
    search = torch.optim.LBFGS(
        [line, bias], max_iter=STEPS, history_size=8, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    @torch.no_grad()
    def loss() -> torch.Tensor:
        logits = forward(line) + bias
        slope = weights * (torch.sigmoid(logits) - wanted)
        line.grad = back(slope) + decay * line
        bias.grad = slope.sum(0)
        return _loss(logits, wanted, weights) + decay / 2 * (line**2).sum()

    search.step(loss)
    return line.detach().numpy(), bias.detach().numpy()


def matrix(texts: Sequence[Sparse]) -> torch.Tensor:
    """Hashed features as one sparse matrix ``[n, BUCKETS]``."""
    ends = np.cumsum([0, *(len(places) for places, _ in texts)])
    places = np.concatenate([places for places, _ in texts]) if texts else np.zeros(0, np.int64)
    values = np.concatenate([values for _, values in texts]) if texts else np.zeros(0, np.float32)
    return torch.sparse_csr_tensor(
        torch.from_numpy(ends),
        torch.from_numpy(places),
        torch.from_numpy(values),
        (len(texts), BUCKETS),
        check_invariants=False,
    )


def apply_hashed(line: Line, texts: Sequence[Sparse]) -> Floats:
    """Logits of hashed features."""
    rows = [line.weights[:, places] @ values for places, values in texts]
    return np.asarray(np.array(rows, np.float32).reshape(len(texts), len(line.bias)) + line.bias, np.float32)


def _weights(wanted: Floats, counts: Floats, balance: float) -> torch.Tensor:
    found = torch.from_numpy(counts * np.where(wanted > 0, np.float32(balance), np.float32(1)))
    return found / found.sum(0).clamp(min=1)


def _loss(logits: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (each * weights).sum()
