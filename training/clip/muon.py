"""Muon for convolutions: the running mean of gradients with all singular values brought near one.

Keller Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024; his coefficients of the
Newton-Schulz iteration. Filters count as matrices of outputs by inputs.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor

STEPS: Final = 5
FIRST, SECOND, THIRD = 3.4445, -4.7750, 2.0315
MOMENTUM: Final = 0.95


class Muon(torch.optim.Optimizer):
    """For weights of two and more dimensions, none of them an embedding or the last layer."""

    def __init__(self, parts: Iterable[dict[str, Any]], lr: float, weight_decay: float = 0.01) -> None:
        super().__init__(parts, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step down the gradients that are there; what ``closure`` says, where there is one."""
        told = None if closure is None else closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, group["lr"], group["weight_decay"])
        return told

    def _step(self, weight: Tensor, rate: float, decay: float) -> None:
        kept = self.state[weight].setdefault("momentum", torch.zeros_like(weight.grad))
        kept.mul_(MOMENTUM).add_(weight.grad)
        way = orthogonal(weight.grad.add(kept, alpha=MOMENTUM).reshape(len(weight), -1))
        share = max(1.0, way.shape[0] / way.shape[1]) ** 0.5
        weight.mul_(1 - rate * decay).add_(way.reshape(weight.shape), alpha=-rate * share)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix ``float32[m, n]`` with the same singular vectors, its singular values between 0.6 and 1.3."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(STEPS):
        square = x @ x.T
        x = FIRST * x + (SECOND * square + THIRD * square @ square) @ x
    return (x.T if tall else x).float()


class Together:
    """Several optimisers as one."""

    def __init__(self, *parts: "torch.optim.Optimizer | Together") -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """As of all."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """One of each."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {str(number): part.state_dict() for number, part in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for number, part in enumerate(self.parts):
            part.load_state_dict(state[str(number)])
