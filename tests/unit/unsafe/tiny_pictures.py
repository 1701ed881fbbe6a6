"""Tiny image classifiers in the formats of the hub, made in the test: real weights, real image processors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import torch_compat

torch_compat.complete_torchvision()

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    CLIPConfig,
    CLIPImageProcessor,
    Gemma3ImageProcessor,
    PreTrainedTokenizerFast,
    ShieldGemma2Config,
    ShieldGemma2ForImageClassification,
    ShieldGemma2Processor,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

SIDE = 32


def save_classifier(folder: Path, labels: Sequence[str], *, many: bool = False) -> Path:
    """A ViT that takes red pictures for the first label and blue ones for the last: it has learnt that."""
    torch.manual_seed(3)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=SIDE,
        patch_size=16, id2label=dict(enumerate(labels)),
        label2id={label: at for at, label in enumerate(labels)},
        problem_type="multi_label_classification" if many else "single_label_classification",
    )  # fmt: skip
    model: Any = ViTForImageClassification(config)
    cut = ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    _learn(model, len(labels))
    model.save_pretrained(folder)
    cut.save_pretrained(folder)
    return folder


def _learn(model: Any, count: int) -> None:
    red, blue = torch.full((1, 3, SIDE, SIDE), -1.0), torch.full((1, 3, SIDE, SIDE), -1.0)
    red[:, 0], blue[:, 2] = 1.0, 1.0
    pixels, wanted = torch.cat([red, blue]), torch.zeros(2, count)
    wanted[0, 0] = wanted[1, count - 1] = 1
    search = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        search.zero_grad()
        logits = model(pixel_values=pixels).logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        loss.backward()
        search.step()


def save_checker(folder: Path) -> Any:
    """A safety checker of diffusers with random weights; the model itself comes back to compare with."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    torch.manual_seed(4)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        vision_config=small | {"image_size": SIDE, "patch_size": 16}, text_config=small, projection_dim=8
    )
    model: Any = StableDiffusionSafetyChecker(config)
    for name in ("concept_embeds", "special_care_embeds", "concept_embeds_weights"):
        getattr(model, name).data.normal_()
    model.special_care_embeds_weights.data.fill_(0.3)
    model.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE).save_pretrained(folder)
    return model.eval().requires_grad_(False)


TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<boi>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def save_shieldgemma(folder: Path) -> tuple[Any, Any]:
    """A ShieldGemma 2 with random weights, of a few letters; the model and its processor come back."""
    torch.manual_seed(7)
    signs = [chr(code) for code in range(32, 127)] + ["\n"]
    special = ["<pad>", "<unk>", "<eos>", "<boi>", "<eoi>", "<img>"]
    letters = {sign: number for number, sign in enumerate([*special, *signs])}
    words = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>",
        extra_special_tokens={"boi_token": "<boi>", "eoi_token": "<eoi>", "image_token": "<img>"},
    )  # fmt: skip
    cut = Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE})
    processor: Any = ShieldGemma2Processor(cut, tokenizer, chat_template=TEMPLATE, image_seq_length=4)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ShieldGemma2Config(
        text_config=small | {"num_key_value_heads": 1, "head_dim": 8, "vocab_size": len(letters),
                             "sliding_window": 64, "pad_token_id": 0, "eos_token_id": 2,
                             "bos_token_id": None},
        vision_config=small | {"image_size": SIDE, "patch_size": 8},
        mm_tokens_per_image=4, boi_token_index=3, eoi_token_index=4, image_token_index=5,
    )  # fmt: skip
    config.yes_token_index, config.no_token_index = letters["Y"], letters["N"]
    model: Any = ShieldGemma2ForImageClassification(config)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model.eval().requires_grad_(False), processor
