"""BERT (Devlin et al., 2019) with the layers of torch, which run as one call each.

transformers spends as much time between the operations of a small model as in them, with Python's lock in its
hands: beside a service that answers requests the same weights came out half as often (docs/adr/0056).
"""

from typing import Any

import torch
from torch import nn


class Bert:
    """The embeddings and layers of a ``transformers.BertModel``, whose weights it shares."""

    def __init__(self, model: Any) -> None:
        """Raises: ValueError for a model with other layers than BERT's."""
        told = model.config
        if (told.model_type, told.hidden_act) != ("bert", "gelu") or getattr(told, "is_decoder", False):
            raise ValueError("a BERT encoder with GELU is wanted")
        self.width, self._embeddings = int(told.hidden_size), model.embeddings
        self.layers = nn.ModuleList(_layer(one, told) for one in model.encoder.layer).eval()

    def __call__(self, ids: torch.Tensor, places: torch.Tensor, sees: torch.Tensor) -> list[torch.Tensor]:
        """What goes into the first layer and what comes out of each ``float32[1, n, d]``.

        ``ids``, ``places``: pieces and their positions ``int64[1, n]``; ``sees``: ``bool[n, n]``, which
        pieces each sees.
        """
        hidden = [self._embeddings(input_ids=ids, position_ids=places)]
        for layer in self.layers:
            hidden.append(layer(hidden[-1], src_mask=~sees))
        return hidden


def _layer(theirs: Any, told: Any) -> nn.TransformerEncoderLayer:
    mine = nn.TransformerEncoderLayer(
        told.hidden_size, told.num_attention_heads, told.intermediate_size, dropout=0.0, activation="gelu",
        layer_norm_eps=told.layer_norm_eps, batch_first=True,
    )  # fmt: skip
    looks, out = theirs.attention.self, theirs.attention.output
    parts = looks.query, looks.key, looks.value
    mine.self_attn.in_proj_weight = nn.Parameter(torch.cat([one.weight for one in parts]))
    mine.self_attn.in_proj_bias = nn.Parameter(torch.cat([one.bias for one in parts]))
    mine.self_attn.out_proj.weight, mine.self_attn.out_proj.bias = out.dense.weight, out.dense.bias
    mine.norm1, mine.norm2 = out.LayerNorm, theirs.output.LayerNorm
    mine.linear1, mine.linear2 = theirs.intermediate.dense, theirs.output.dense
    return mine
