"""The same attention as diffusers' LTX class has, made of plain products: half the time of a training step.

PyTorch's fused attention is slow on processors for heads as narrow as ours, most of all backwards, and it is
a wall that the compiler cannot fuse across. Only training uses this; the shipped model runs diffusers' own.
"""

import torch
from torch import Tensor

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import LTXVideoTransformer3DModel  # noqa: E402
from diffusers.models.transformers.transformer_ltx import LTXAttention  # noqa: E402


class PlainAttention:
    """In place of ``LTXVideoAttnProcessor``; takes and gives the same."""

    def __call__(
        self,
        attn: LTXAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Hidden states [b, n, dim]; the mask [b, 1, m] is added to the scores."""
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(seen), attn.to_v(seen)
        query, key = attn.norm_q(query), attn.norm_k(key)
        if image_rotary_emb is not None:
            query, key = _turned(query, image_rotary_emb), _turned(key, image_rotary_emb)
        query, key, value = (
            part.to(value.dtype).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for part in (query, key, value)
        )
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if attention_mask is not None:
            scores = scores + attention_mask[:, None].to(scores.dtype)
        mixed = torch.softmax(scores, -1, dtype=value.dtype) @ value
        out: Tensor = attn.to_out[1](attn.to_out[0](mixed.transpose(1, 2).flatten(2)))
        return out


def _turned(states: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Pairs of numbers turned by their angles; cosines and sines [b, n, dim] say each angle twice."""
    cosine, sine = (part[..., ::2].to(states.dtype) for part in turns)
    one, other = states.unflatten(2, (-1, 2)).unbind(-1)
    return torch.stack([one * cosine - other * sine, other * cosine + one * sine], dim=-1).flatten(2)


def make_plain(model: LTXVideoTransformer3DModel) -> None:
    """Use it in all blocks."""
    for block in model.transformer_blocks:
        block.attn1.processor = PlainAttention()
        block.attn2.processor = PlainAttention()
