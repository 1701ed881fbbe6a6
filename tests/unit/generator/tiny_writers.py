"""Tiny language models that write what they were made to write, in the folders that transformers makes."""

from collections.abc import Sequence
from pathlib import Path

import torch

from torch_compat import complete_torchvision

complete_torchvision()

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

START, END = "answer:", "</s>"
TEMPLATE = "{{ messages[0]['content'] }} " + START


def tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """One piece for each word, in this order after three others."""
    vocabulary = {word: number for number, word in enumerate(("[UNK]", END, START, *words))}
    tok = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tok, unk_token="[UNK]", eos_token=END, pad_token=END, chat_template=TEMPLATE
    )


def chat(folder: Path, answer: str) -> Path:
    """A chat model that answers always the same words, each once: after a word it writes the next."""
    words = answer.split()
    tok = tokenizer(words)
    size = len(tok)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size, n_embd=64, n_layer=0, n_head=1, n_positions=512, tie_word_embeddings=False,
            bos_token_id=1, eos_token_id=1, pad_token_id=1,
        )
    ).eval()  # fmt: skip
    following = {2: 3, 1: 1, 0: 0} | {number: number + 1 for number in range(3, size)} | {size - 1: 1}
    with torch.no_grad():
        torch.manual_seed(0)
        known = torch.nn.functional.normalize(torch.randn(size, 64), dim=1)
        known -= known.mean(dim=1, keepdim=True)
        model.transformer.wte.weight.copy_(known)
        model.transformer.wpe.weight.zero_()
        model.lm_head.weight.zero_()
        for word, after in following.items():
            model.lm_head.weight[after] += known[word]
    model.save_pretrained(folder, safe_serialization=True)
    tok.save_pretrained(folder)
    return folder


def text_to_text(folder: Path) -> Path:
    """A text-to-text model with random weights."""
    torch.manual_seed(0)
    tok = tokenizer(["a", "red", "kite", "blue", "sky"])
    config = T5Config(
        vocab_size=len(tok), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=1,
        eos_token_id=1, decoder_start_token_id=2,
    )  # fmt: skip
    T5ForConditionalGeneration(config).eval().save_pretrained(folder, safe_serialization=True)
    tok.save_pretrained(folder)
    return folder
