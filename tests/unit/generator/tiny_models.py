"""Tiny text-to-video models with random weights, in the folders that diffusers makes."""

from pathlib import Path

import torch

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import (  # noqa: E402
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXImageToVideoPipeline,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel, T5Tokenizer, UMT5Config, UMT5EncoderModel  # noqa: E402

WIDTH = 32
LETTERS = [chr(code) for code in range(33, 127)]


def tokenizer() -> T5Tokenizer:
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5Tokenizer(
        vocab=special + [(letter, -3.0) for letter in LETTERS], extra_ids=0, model_max_length=32
    )


def text_encoder() -> T5EncoderModel:
    config = T5Config(vocab_size=128, d_model=WIDTH, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return T5EncoderModel(config).eval()


def ltx(kind: type[DiffusionPipeline] = LTXPipeline) -> DiffusionPipeline:
    torch.manual_seed(0)
    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8, cross_attention_dim=32,
        num_layers=1, caption_channels=WIDTH,
    )  # fmt: skip
    vae = AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False), patch_size=4, patch_size_t=1,
        encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    vae.use_framewise_encoding = vae.use_framewise_decoding = False
    return kind(
        transformer=transformer, vae=vae, scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=text_encoder(), tokenizer=tokenizer(),
    )  # fmt: skip


def ltx_condition() -> DiffusionPipeline:
    return ltx(LTXConditionPipeline)


def ltx_image() -> DiffusionPipeline:
    return ltx(LTXImageToVideoPipeline)


def wan() -> DiffusionPipeline:
    return WanPipeline(**wan_parts())


def wan_parts() -> dict[str, object]:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=WIDTH, freq_dim=256, ffn_dim=32, num_layers=1, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip
    config = UMT5Config(vocab_size=128, d_model=WIDTH, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return {
        "transformer": transformer, "vae": vae, "text_encoder": UMT5EncoderModel(config).eval(),
        "tokenizer": tokenizer(),
        "scheduler": UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    }  # fmt: skip


def cogvideox() -> DiffusionPipeline:
    return CogVideoXPipeline(**cogvideox_parts())


def cogvideox_parts(**changes: object) -> dict[str, object]:
    torch.manual_seed(0)
    settings = {
        "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 4,
        "time_embed_dim": 2, "text_embed_dim": WIDTH, "num_layers": 1, "sample_width": 8,
        "sample_height": 8, "sample_frames": 9, "patch_size": 2, "temporal_compression_ratio": 4,
        "max_text_seq_length": 226,
    } | changes  # fmt: skip
    transformer = CogVideoXTransformer3DModel(**settings)
    vae = AutoencoderKLCogVideoX(
        in_channels=3, out_channels=3, block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1,
        norm_num_groups=2, temporal_compression_ratio=4,
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": vae, "scheduler": CogVideoXDDIMScheduler(),
        "text_encoder": text_encoder(), "tokenizer": tokenizer(),
    }  # fmt: skip


MAKERS = {
    "ltx": ltx, "ltx_image": ltx_image, "ltx_condition": ltx_condition, "wan": wan, "cogvideox": cogvideox,
}  # fmt: skip


def saved(name: str, folder: Path) -> Path:
    """The model of that name, in a folder of its own."""
    MAKERS[name]().save_pretrained(folder / name, safe_serialization=True)
    return folder / name
