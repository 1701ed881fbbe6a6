"""The text encoder: a tiny T5 that learns to tell from a caption who, in which colour, where, when, what.

Where DIR/text_encoder comes from a model that training goes on with, a new one is made that learns to agree
with it, too: so the transformer, which knows the former one, is not at a loss.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from torch_compat import complete_torchvision

complete_torchvision()

from transformers import T5Config, T5EncoderModel, T5Tokenizer  # noqa: E402

from training.generator import captions, small_world  # noqa: E402

LENGTH = 48
WIDTH = 160
BATCH = 64
AGREE = 3.0  # weight of the difference to the former encoder, as a share of that one's variance
DONE = "heads.safetensors"
RATE = 2e-3
NEIGHBOUR = 6.0  # in favour of a neighbour, before the softmax over all 48


def tokenizer() -> T5Tokenizer:
    """Whole words of the world, letters for the rest."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -8.0)]
    pieces = [(word, -6.0 if len(word) > 1 else -12.0) for word in captions.vocabulary()]
    return T5Tokenizer(vocab=special + pieces, extra_ids=0, model_max_length=LENGTH)


def encoder(size: int) -> T5EncoderModel:
    """A new encoder for a vocabulary of `size` pieces."""
    config = T5Config(
        vocab_size=size, d_model=WIDTH, d_kv=32, d_ff=448, num_layers=2, num_heads=5, dropout_rate=0.0,
        feed_forward_proj="gated-gelu", relative_attention_num_buckets=16, relative_attention_max_distance=32,
    )  # fmt: skip
    torch.manual_seed(0)
    return look_at_neighbours(T5EncoderModel(config))


def look_at_neighbours(model: T5EncoderModel) -> T5EncoderModel:
    """Four heads begin by looking at the next words on either side.

    Left to learn it, the encoder never did: it stayed a bag of words, which cannot tell a red fox with a
    blue hat from a blue one with a red hat.
    """
    bias = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    with torch.no_grad():
        bias.zero_()
        for head, bucket in enumerate((1, 9, 2, 10)):  # one and two before; one and two after
            bias[bucket, head] = NEIGHBOUR
    return model


class Heads(nn.Module):
    """One learned question to the encoded caption per attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = nn.Parameter(torch.randn(len(captions.HEADS), WIDTH) / WIDTH**0.5)
        self.answers = nn.ModuleList(nn.Linear(WIDTH, len(values)) for values in captions.HEADS.values())

    def forward(self, encoded: Tensor, mask: Tensor) -> list[Tensor]:
        """Logits of each head; `encoded` [b, n, width], `mask` [b, n]."""
        scores = encoded @ self.questions.T + (1 - mask[..., None].float()) * -1e4
        found = torch.einsum("bnq,bnd->bqd", scores.softmax(1), encoded)
        return [answer(found[:, index]) for index, answer in enumerate(self.answers)]


def batch(names: T5Tokenizer, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [b, n], mask [b, n] and the true classes [b, heads]."""
    texts, truth = [], []
    for _ in range(count):
        text, said = captions.caption(small_world.sample(rng), rng)
        texts.append(text)
        truth.append([values.index(said[head]) for head, values in captions.HEADS.items()])
    tokens = names(texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    return tokens.input_ids, tokens.attention_mask, torch.tensor(truth)


def former(folder: Path) -> T5EncoderModel | None:
    """The encoder of the model that training goes on with, if it does."""
    if not (folder / "text_encoder").exists():
        return None
    return T5EncoderModel.from_pretrained(folder / "text_encoder").float().eval()


def train(folder: Path, steps: int) -> None:
    """Train, say the accuracy of each head on fresh captions, and store tokenizer, encoder and heads."""
    names, old = tokenizer(), former(folder)
    model, heads = encoder(len(names)), Heads()
    weights = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.01)
    rng = np.random.default_rng(11)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100, (steps - step) / (0.4 * steps))
        tokens, mask, truth = batch(names, rng, BATCH)
        # As diffusers' pipeline calls it: without a mask.
        encoded = model(tokens)[0]
        logits = heads(encoded, mask)
        loss = sum(functional.cross_entropy(found, truth[:, i]) for i, found in enumerate(logits))
        if old is not None:
            loss = loss + AGREE * _difference(encoded, old, tokens)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1} loss {float(loss):.4f}", flush=True)
    print(_accuracy(model, heads, names), flush=True)
    model.save_pretrained(folder / "text_encoder")
    names.save_pretrained(folder / "tokenizer")
    save_file(heads.state_dict(), folder / DONE)


def _difference(encoded: Tensor, old: T5EncoderModel, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = old(tokens)[0]
    return (encoded - wanted).square().mean() / wanted.var()


def _accuracy(model: T5EncoderModel, heads: Heads, names: T5Tokenizer) -> dict[str, float]:
    tokens, mask, truth = batch(names, np.random.default_rng(99), 512)
    with torch.no_grad():
        logits = heads(model(tokens)[0], mask)
    right = [float((found.argmax(1) == truth[:, i]).float().mean()) for i, found in enumerate(logits)]
    return dict(zip(captions.HEADS, (round(value, 3) for value in right), strict=True))
