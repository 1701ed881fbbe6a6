"""Tiny models in the format of the hub, made in the test: real weights, real tokenizers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import torch_compat

torch_compat.complete_torchvision()

from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }} : {{ message['content'] }}\n{% endfor %}"
    "{% if guardian_config is defined %}risk : {{ guardian_config['risk_name'] }}\n{% endif %}"
    "{% if add_generation_prompt %}assistant : {% endif %}"
)


def tokenizer(letters: Sequence[str] = ()) -> Any:
    """Letters, digits and signs, one token each, and these words whole."""
    signs = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<unk>", "<eos>", *signs, *letters])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.decoder = decoders.Fuse()
    found = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>"
    )
    found.chat_template = TEMPLATE
    return found


def save_chat(folder: Path, lessons: Sequence[tuple[str, str]], *, name: str = "") -> Path:
    """A chat model that has learnt to answer these questions with these answers, by heart."""
    words = tokenizer()
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=4096, pad_token_id=0,
        bos_token_id=None, eos_token_id=2,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config)
    _learn(model, words, lessons)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    if name:
        told = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(told | {"_name_or_path": name}))
    return folder


def _learn(model: Any, words: Any, lessons: Sequence[tuple[str, str]]) -> None:
    search = torch.optim.Adam(model.parameters(), lr=3e-3)
    rows = []
    for asked, answer in lessons:
        before = words.apply_chat_template([{"role": "user", "content": asked}], tokenize=False,
                                           add_generation_prompt=True)  # fmt: skip
        first = words(before, add_special_tokens=False)["input_ids"]
        rest = [*words(answer, add_special_tokens=False)["input_ids"], 2]
        rows.append((first + rest, [-100] * len(first) + rest))
    longest = max((len(row) for row, _ in rows), default=0)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row, _ in rows])
    wanted = torch.tensor([row + [-100] * (longest - len(row)) for _, row in rows])
    for _ in range(250 if rows else 0):
        search.zero_grad()
        loss = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=wanted).loss
        loss.backward()
        search.step()
        if loss.item() < 0.005:
            break


def save_labels(folder: Path, labels: Sequence[str], *, many: bool = False) -> Path:
    """A text classification model with these labels and random weights."""
    words = tokenizer()
    torch.manual_seed(6)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=128, pad_token_id=0,
        id2label=dict(enumerate(labels)), label2id={label: at for at, label in enumerate(labels)},
        problem_type="multi_label_classification" if many else "single_label_classification",
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
