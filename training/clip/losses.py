"""What the small CLIP is trained for: the same design together, all else apart, in pictures and words."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.clip.batches import VALUES, Batch
from training.clip.model import DIMENSION


class Heads(nn.Module):
    """What is used while training only: attribute classifiers, temperatures and the thresholds of pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes = nn.ModuleList(nn.Linear(DIMENSION, len(values)) for values in VALUES.values())
        self.words = nn.ModuleList(nn.Linear(DIMENSION, len(values)) for values in VALUES.values())
        self.pair_scale = nn.Parameter(torch.tensor([10.0, 10.0]))
        self.pair_offset = nn.Parameter(torch.tensor([-5.0, -5.0]))


def losses(images: Tensor, texts: Tensor, scale: Tensor, heads: Heads, batch: Batch) -> dict[str, Tensor]:
    """Named losses from unit vectors ``float32[n, d]`` of pictures and ``float32[m, d]`` of texts."""
    same = _same(batch.designs, batch.designs)
    across = _same(batch.designs, batch.text_designs)
    words = _same(batch.text_designs, batch.text_designs)
    others = ~torch.eye(len(images), dtype=torch.bool)
    seen = batch.designs >= 0
    return {
        "picture": contrast(images @ images.T / 0.1, same & others, others)[seen].mean(),
        "nobody": contrast(images @ images.T / 0.1, same & others, others)[~seen].mean(),
        "clip": contrast(images @ texts.T * scale, across).mean()
        + contrast(texts @ images.T * scale, across.T).mean(),
        "words": contrast(texts @ texts.T / 0.1, words & ~_eye(texts), ~_eye(texts)).mean(),
        "pairs": _pairs(images @ images.T, same, heads, 0, others)
        + _pairs(images @ texts.T, across, heads, 1),
        "attributes": attributes_told(heads.attributes, images, batch.attributes),
        "told": attributes_told(heads.words, texts, _told(batch)),
    }


def _told(batch: Batch) -> Tensor:
    """The attributes of what the texts describe; those of a picture of the same design."""
    first = _same(batch.text_designs, batch.designs).float().argmax(dim=1)
    return batch.attributes[first]


def _same(one: Tensor, other: Tensor) -> Tensor:
    return one[:, None] == other[None, :]


def _eye(values: Tensor) -> Tensor:
    return torch.eye(len(values), dtype=torch.bool)


def contrast(logits: Tensor, positive: Tensor, among: Tensor | None = None) -> Tensor:
    """Minus the mean log share of the positives among all: one value a row."""
    if among is not None:
        logits = logits.masked_fill(~among, -1e4)
    shares = functional.log_softmax(logits, dim=1)
    return -(shares * positive).sum(dim=1) / positive.sum(dim=1).clamp_min(1)


def _pairs(cosines: Tensor, same: Tensor, heads: Heads, kind: int, among: Tensor | None = None) -> Tensor:
    """One threshold for all pairs: the same above, all others below, both sides of equal weight."""
    logits = cosines * heads.pair_scale[kind] + heads.pair_offset[kind]
    each = functional.binary_cross_entropy_with_logits(logits, same.float(), reduction="none")
    among = torch.ones_like(same) if among is None else among
    apart = each[~same & among]
    hard = apart.topk(max(1, len(apart) // 20)).values
    return each[same & among].mean() + apart.mean() + 0.5 * hard.mean()


def attributes_told(heads: nn.ModuleList, vectors: Tensor, wanted: Tensor) -> Tensor:
    """How well the classifiers of attributes read vectors; a wanted value of -1 is not asked for."""
    return read(heads, vectors * 16, wanted)


def read(heads: nn.ModuleList, values: Tensor, wanted: Tensor) -> Tensor:
    """As `attributes_told`, of values of any length."""
    told = [
        functional.cross_entropy(head(values), wanted[:, index], ignore_index=-1, label_smoothing=0.05)
        for index, head in enumerate(heads)
    ]
    return torch.stack(told).mean()
