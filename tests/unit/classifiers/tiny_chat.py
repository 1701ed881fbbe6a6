"""A chat model in the format of the hub, made in the test: it knows whole words, and learns by heart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import torch_compat

torch_compat.complete_torchvision()

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402

from classifiers.judges import YES_NO  # noqa: E402

TEMPLATE = (
    "{% for message in messages %}<user> {{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %} <judge> {% endif %}"
)
MARKS = ("<pad>", "<unk>", "<user>", "<judge>")
STEPS = 400
ENOUGH = 0.03


def save(folder: Path, lessons: Sequence[tuple[str, str]]) -> Path:
    """Save a model that answers these questions (without their `YES_NO`) with these words."""
    told = [(YES_NO.format(question=question), answer) for question, answer in lessons]
    words = _words([part for pair in told for part in pair])
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=48, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=2048, pad_token_id=0,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config)
    _learn(model, words, told)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def _words(texts: Sequence[str]) -> Any:
    cut = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    known = dict.fromkeys((*MARKS, "yes", "no"))
    known |= dict.fromkeys(word for text in texts for word, _ in cut.pre_tokenize_str(text))
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(known)}, unk_token="<unk>"))
    made.pre_tokenizer = cut
    found = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>",
        additional_special_tokens=["<user>", "<judge>"],
    )  # fmt: skip
    found.chat_template = TEMPLATE
    return found


def _learn(model: Any, words: Any, lessons: Sequence[tuple[str, str]]) -> None:
    rows = []
    for asked, answer in lessons:
        before = words.apply_chat_template(
            [{"role": "user", "content": asked}], tokenize=False, add_generation_prompt=True
        )
        rows.append(
            (words(before, add_special_tokens=False)["input_ids"], words.convert_tokens_to_ids(answer))
        )
    search = torch.optim.Adam(model.parameters(), lr=3e-3)
    longest = max((len(row) for row, _ in rows), default=0)
    ids = torch.tensor([[0] * (longest - len(row)) + row for row, _ in rows])
    wanted = torch.tensor([answer for _, answer in rows])
    for _ in range(STEPS if rows else 0):
        search.zero_grad()
        mask = (ids != 0).long()
        places = (mask.cumsum(1) - 1).clamp(min=0)
        last = model(input_ids=ids, attention_mask=mask, position_ids=places).logits[:, -1]
        loss = torch.nn.functional.cross_entropy(last, wanted)
        loss.backward()
        search.step()
        if loss.item() < ENOUGH:
            break
