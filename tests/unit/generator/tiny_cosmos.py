"""A tiny Cosmos pipeline with random weights, around a safety checker."""

from typing import Any

import tiny_models
import torch
from diffusers import (
    AutoencoderKLCosmos,
    CosmosTextToWorldPipeline,
    CosmosTransformer3DModel,
    DiffusionPipeline,
    EDMEulerScheduler,
)

__all__ = ["DiffusionPipeline", "cosmos"]


def cosmos(checker: Any) -> CosmosTextToWorldPipeline:
    """It makes 4k + 1 frames with sides in multiples of 16."""
    torch.manual_seed(0)
    transformer = CosmosTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=16, num_layers=1,
        mlp_ratio=2, text_embed_dim=tiny_models.WIDTH, adaln_lora_dim=4, max_size=(4, 32, 32),
        patch_size=(1, 2, 2), rope_scale=(2.0, 1.0, 1.0), concat_padding_mask=True,
        extra_pos_embed_type="learnable",
    )  # fmt: skip
    vae = AutoencoderKLCosmos(
        in_channels=3, out_channels=3, latent_channels=4, encoder_block_out_channels=(8, 8, 8, 8),
        decode_block_out_channels=(8, 8, 8, 8), attention_resolutions=(8,), resolution=64, num_layers=1,
        patch_size=4, patch_type="haar", scaling_factor=1.0, spatial_compression_ratio=4,
        temporal_compression_ratio=4,
    )  # fmt: skip
    pipe = CosmosTextToWorldPipeline(
        text_encoder=tiny_models.text_encoder(), tokenizer=tiny_models.tokenizer(), transformer=transformer,
        vae=vae, scheduler=EDMEulerScheduler(), safety_checker=checker,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe
