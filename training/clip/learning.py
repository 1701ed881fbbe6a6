"""What every training of the small CLIP does: steps, a running mean of the weights, and a state on disk.

In FOLDER are the state (``state.pt``), from which a run resumes, ``log.txt``, and ``export/``, the folder
that open_clip loads. One thread; mixed precision.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch
from torch import nn
from torch.nn import functional

from training.clip.losses import Heads
from training.clip.model import save_folder

if TYPE_CHECKING:
    from open_clip.model import CLIP

BETAS: Final = (0.9, 0.98)


class Learning(ABC):
    """Model, mean of its weights, optimiser and the time spent, as they are kept on disk.

    ``weights``: of the losses, by name; ``keep``: share of the mean that a step leaves; ``log_steps``: steps
    of which a line of the log says the mean; ``moving``: whether layers adapt their statistics to a batch.
    """

    weights: ClassVar[Mapping[str, float]]
    keep: ClassVar[float]
    log_steps: ClassVar[int]

    def __init__(
        self, folder: Path, model: "CLIP", seconds: float, every: float, *, moving: bool = True
    ) -> None:
        self.folder, self.model, self.seconds, self.every = folder, model, seconds, every
        self.moving = moving
        self.heads = Heads()
        self.mean = deepcopy(model).eval().requires_grad_(False)
        self.optimiser = self._optimiser()
        self.step, self.spent = 0, 0.0
        if self._state.exists():
            self._load()

    @property
    def _state(self) -> Path:
        return self.folder / "state.pt"

    @abstractmethod
    def _optimiser(self) -> Any:
        """What changes the parameters that learn; each of its groups says in "most" its highest rate."""

    @abstractmethod
    def _clock(self) -> float:
        """Seconds, of which some are to be spent."""

    @abstractmethod
    def _set_rate(self) -> None:
        """Set the rate of the next step."""

    @abstractmethod
    def _lost(self, drawn: Any) -> dict[str, torch.Tensor]:
        """The losses of a batch, by name; `vectors_of` gives the vectors."""

    @abstractmethod
    def _told(self) -> str:
        """What the log says when the state was kept."""

    def train(self, batches: Any) -> None:
        """Until the time is spent."""
        begun, kept, sums = self._clock() - self.spent, self.spent, dict.fromkeys(self.weights, 0.0)
        while self.spent < self.seconds:
            self._set_rate()
            for name, value in self.learn(batches.draw()).items():
                sums[name] += value / self.log_steps
            self.step += 1
            self.spent = self._clock() - begun
            if self.step % self.log_steps == 0:
                self._log(" ".join(f"{name} {value:.3f}" for name, value in sums.items()))
                sums = dict.fromkeys(self.weights, 0.0)
            if self.spent - kept >= self.every or self.spent >= self.seconds:
                kept = self.spent
                self._keep()

    def learn(self, drawn: Any) -> dict[str, float]:
        """One step; the losses before it, by name."""
        self.model.train(self.moving)
        parts = self._lost(drawn)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack([self.weights[name] * value for name, value in parts.items()]).sum().backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self._average()
        return {name: float(value.detach()) for name, value in parts.items()}

    def _rates(self, warm: int, fall: float, least: float) -> None:
        """Warm up over so many steps, stay, and fall in a line over the last share of the time."""
        share = min(1.0, (self.step + 1) / warm)
        share *= max(least, min(1.0, (1 - self.spent / self.seconds) / fall))
        for group in self.optimiser.param_groups:
            group["lr"] = group["most"] * share

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.keep, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.mean.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "mean": self.mean, "heads": self.heads, "optimiser": self.optimiser}

    def _keep(self) -> None:
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"step": self.step, "spent": self.spent}
        torch.save(state, self._state.with_suffix(".new"))
        self._state.with_suffix(".new").replace(self._state)
        save_folder(self.mean.state_dict(), self.folder / "export")
        self._log(self._told())

    def _load(self) -> None:
        state = torch.load(self._state, weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step, self.spent = state["step"], state["spent"]

    def _go_on(self, start: Path) -> None:
        """Take the classifiers that lie beside the weights it starts with, when nothing is learnt yet."""
        beside = start.parent / "state.pt"
        if not self.step and start.name == "export" and beside.exists():
            state = torch.load(beside, weights_only=True)
            for name, part in self._parts().items():
                if name not in ("model", "mean", "optimiser") and name in state:
                    part.load_state_dict(state[name])

    def _log(self, told: str) -> None:
        with (self.folder / "log.txt").open("a") as log:
            log.write(f"step {self.step} at {self.spent:.0f} s: {told}\n")


def vectors_of(
    model: "CLIP", pictures: Callable[[], torch.Tensor], texts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors ``float32[n, d]`` of pictures, of which the vectors are asked for, and of texts."""
    with torch.autocast("cpu", torch.bfloat16):
        images, words = pictures(), told_vectors(model, texts)
    return functional.normalize(images.float(), dim=1), functional.normalize(words.float(), dim=1)


def scale_of(model: "CLIP") -> torch.Tensor:
    """How steep the contrast of pictures and texts is."""
    return model.logit_scale.exp().clamp(max=30)


def told_vectors(model: "CLIP", texts: torch.Tensor) -> torch.Tensor:
    """As ``encode_text``, for texts ``int64[m, n]`` that may be shorter than the context."""
    length = texts.shape[1]
    x = model.token_embedding(texts) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    ends = (texts == model.text_eos_id).int().argmax(dim=1)
    return torch.matmul(x[torch.arange(len(x)), ends], model.text_projection)
