"""Tiny HunyuanVideo with random weights. Its prompts stand in a template whose first tokens are cut off by
their number, and I2V looks for marks in it: the tokenizer makes as many tokens of it, and one more.
"""

import torch
from tiny_families import picture_processor, vision_config

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import (  # noqa: E402
    AutoencoderKLHunyuanVideo,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoImageToVideoPipeline,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from diffusers.pipelines.hunyuan_video import (  # noqa: E402
    pipeline_hunyuan_video,
    pipeline_hunyuan_video_image2video,
)
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors  # noqa: E402
from transformers import (  # noqa: E402
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

TEMPLATES = [
    module.DEFAULT_PROMPT_TEMPLATE["template"]
    for module in (pipeline_hunyuan_video, pipeline_hunyuan_video_image2video)
]
MARKS = ["<|begin|>", "<|pad|>", "<|unknown|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
IMAGE = "<image>"
PIECES = r"\n\n|\n|\w{1,12}|[^\w\s]"
WORDS = ["a", "fox", "in", "the", "snow", "boat", "at", "sea"]
HIDDEN = 16
PATCHES = 24  # a side: 576 places of the picture among the tokens, as the template says


def llama_tokenizer() -> PreTrainedTokenizerFast:
    cut = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex(PIECES), "removed", invert=True),
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
        ]
    )
    words = {piece for text in TEMPLATES for piece, _ in cut.pre_tokenize_str(text)} | set(WORDS)
    numbers = {word: number for number, word in enumerate([*MARKS, IMAGE, *sorted(words)])}
    made = Tokenizer(models.WordLevel(numbers, unk_token=MARKS[2]))
    made.pre_tokenizer = cut
    made.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[(MARKS[0], 0)])
    made.add_special_tokens([*MARKS, IMAGE])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=MARKS[0], pad_token=MARKS[1], unk_token=MARKS[2],
        padding_side="right",
    )  # fmt: skip


def clip_tokenizer() -> CLIPTokenizer:
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], model_max_length=77
    )


def parts(channels: int, picture: str | None) -> dict[str, object]:
    torch.manual_seed(0)
    clip = clip_tokenizer()
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=channels, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=2, patch_size_t=1,
        guidance_embeds=picture is None,
        text_embed_dim=HIDDEN, pooled_projection_dim=8, rope_axes_dim=(2, 4, 4), image_condition_type=picture,
    )  # fmt: skip
    vae = AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4
    )
    words = CLIPTextConfig(
        hidden_size=8, intermediate_size=37, num_attention_heads=2, num_hidden_layers=2, projection_dim=8,
        vocab_size=len(clip), bos_token_id=clip.bos_token_id, eos_token_id=clip.eos_token_id,
        pad_token_id=clip.pad_token_id,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae, "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder_2": CLIPTextModel(words).eval(), "tokenizer": llama_tokenizer(), "tokenizer_2": clip,
    }  # fmt: skip


def llama_config(vocabulary: int) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=HIDDEN, intermediate_size=37, num_attention_heads=4, num_key_value_heads=4,
        num_hidden_layers=3, vocab_size=vocabulary, pad_token_id=1, bos_token_id=0, eos_token_id=5,
    )  # fmt: skip


def hunyuan() -> DiffusionPipeline:
    made = parts(4, None)
    encoder = LlamaModel(llama_config(len(llama_tokenizer()))).eval()
    return HunyuanVideoPipeline(**made, text_encoder=encoder)


def hunyuan_image(picture: str = "latent_concat") -> DiffusionPipeline:
    made = parts(9 if picture == "latent_concat" else 4, picture)
    names = llama_tokenizer()
    config = LlavaConfig(
        text_config=llama_config(len(names)), vision_config=vision_config(2 * PATCHES, 2),
        image_token_index=names.convert_tokens_to_ids(IMAGE), pad_token_id=1, image_seq_length=PATCHES**2,
    )  # fmt: skip
    return HunyuanVideoImageToVideoPipeline(
        **made, text_encoder=LlavaForConditionalGeneration(config).eval(),
        image_processor=picture_processor(2 * PATCHES),
    )  # fmt: skip


def hunyuan_image_replaced() -> DiffusionPipeline:
    """The later weights: the picture's latent stands in the place of the first."""
    return hunyuan_image("token_replace")
