"""More tiny models with random weights: one of each pipeline class that the adapter knows."""

import torch
from tiny_models import WIDTH, cogvideox_parts, text_encoder, tokenizer, wan_parts

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import (  # noqa: E402
    AllegroPipeline,
    AllegroTransformer3DModel,
    AutoencoderKL,
    AutoencoderKLAllegro,
    AutoencoderKLMochi,
    AutoencoderKLWan,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    DDIMScheduler,
    DiffusionPipeline,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LattePipeline,
    LatteTransformer3DModel,
    MochiPipeline,
    MochiTransformer3DModel,
    SkyReelsV2DiffusionForcingImageToVideoPipeline,
    SkyReelsV2DiffusionForcingPipeline,
    SkyReelsV2DiffusionForcingVideoToVideoPipeline,
    SkyReelsV2ImageToVideoPipeline,
    SkyReelsV2Pipeline,
    SkyReelsV2Transformer3DModel,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import (  # noqa: E402
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
)

LOOK = 32  # pixels a side that the tiny picture encoders see
FEATURES = 8


def vision_config(side: int = LOOK, patch: int = 8) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=FEATURES, projection_dim=FEATURES, num_hidden_layers=2, num_attention_heads=2,
        image_size=side, intermediate_size=16, patch_size=patch,
    )  # fmt: skip


def picture_processor(side: int = LOOK) -> CLIPImageProcessor:
    return CLIPImageProcessor(crop_size=side, size={"shortest_edge": side})


def flow_unipc(shift: float) -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, num_train_timesteps=1000
    )


def wan_transformer(channels: int, out: int, image_dim: int | None = None) -> WanTransformer3DModel:
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=channels,
        out_channels=out, text_dim=WIDTH, freq_dim=256, ffn_dim=32, num_layers=1, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32, image_dim=image_dim,
    )  # fmt: skip


def wan_image() -> DiffusionPipeline:
    """Wan 2.1: the picture is encoded for the transformer, too."""
    torch.manual_seed(0)
    parts = wan_parts() | {"transformer": wan_transformer(36, 16, FEATURES)}
    return WanImageToVideoPipeline(
        **parts, image_encoder=CLIPVisionModel(vision_config()).eval(), image_processor=picture_processor()
    )


def wan_two() -> DiffusionPipeline:
    """Wan 2.2 A14B: one transformer for much noise, another for little."""
    torch.manual_seed(0)
    return WanPipeline(**wan_parts(), transformer_2=wan_transformer(16, 16), boundary_ratio=0.5)


def wan_two_image() -> DiffusionPipeline:
    torch.manual_seed(0)
    parts = wan_parts() | {"transformer": wan_transformer(36, 16)}
    return WanImageToVideoPipeline(**parts, transformer_2=wan_transformer(36, 16), boundary_ratio=0.5)


def wan_expanded() -> DiffusionPipeline:
    """Wan 2.2 TI2V-5B: a noise level for each token, cells of 16 pixels, text and pictures."""
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=48, dim_mult=[1, 1, 1, 1], num_res_blocks=1, in_channels=12, out_channels=12,
        temperal_downsample=[False, True, True], is_residual=True, patch_size=2, latents_mean=[0.0] * 48,
        latents_std=[1.0] * 48, scale_factor_spatial=16, scale_factor_temporal=4,
    )  # fmt: skip
    parts = wan_parts() | {"vae": vae, "transformer": wan_transformer(48, 48)}
    return WanPipeline(**parts, expand_timesteps=True)


def cogvideox_later() -> DiffusionPipeline:
    """CogVideoX 1.5: two latent frames a token."""
    return CogVideoXPipeline(**cogvideox_parts(patch_size_t=2, use_rotary_positional_embeddings=True))


def cogvideox_image() -> DiffusionPipeline:
    """As CogVideoX-5b-I2V: positions are learned, so that it makes one size only, 64×64."""
    channels = {"in_channels": 8, "out_channels": 4}
    return CogVideoXImageToVideoPipeline(
        **cogvideox_parts(
            **channels, use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True
        )
    )


def mochi() -> DiffusionPipeline:
    torch.manual_seed(0)
    transformer = MochiTransformer3DModel(
        patch_size=2, num_attention_heads=2, attention_head_dim=8, num_layers=2, pooled_projection_dim=16,
        in_channels=12, out_channels=None, qk_norm="rms_norm", text_embed_dim=WIDTH, time_embed_dim=4,
        activation_fn="swiglu", max_sequence_length=256,
    )  # fmt: skip
    transformer.pos_frequencies.data.normal_()  # left as they are in memory, else
    vae = AutoencoderKLMochi(
        latent_channels=12, out_channels=3, encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32), layers_per_block=(1, 1, 1, 1, 1),
    )  # fmt: skip
    return MochiPipeline(
        transformer=transformer, vae=vae, scheduler=FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
        text_encoder=text_encoder(), tokenizer=tokenizer(),
    )  # fmt: skip


def skyreels_parts(channels: int = 16, image_dim: int | None = None) -> dict[str, object]:
    torch.manual_seed(0)
    transformer = SkyReelsV2Transformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=channels,
        out_channels=16, text_dim=WIDTH, freq_dim=256, ffn_dim=32, num_layers=1, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32, image_dim=image_dim,
    )  # fmt: skip
    return wan_parts() | {"transformer": transformer, "scheduler": flow_unipc(8.0)}


def skyreels() -> DiffusionPipeline:
    return SkyReelsV2Pipeline(**skyreels_parts())


def skyreels_image() -> DiffusionPipeline:
    return SkyReelsV2ImageToVideoPipeline(
        **skyreels_parts(36, FEATURES), image_processor=picture_processor(),
        image_encoder=CLIPVisionModelWithProjection(vision_config()).eval(),
    )  # fmt: skip


def skyreels_forcing() -> DiffusionPipeline:
    return SkyReelsV2DiffusionForcingPipeline(**skyreels_parts())


def skyreels_forcing_image() -> DiffusionPipeline:
    return SkyReelsV2DiffusionForcingImageToVideoPipeline(**skyreels_parts())


def skyreels_forcing_clip() -> DiffusionPipeline:
    return SkyReelsV2DiffusionForcingVideoToVideoPipeline(**skyreels_parts())


def latte() -> DiffusionPipeline:
    torch.manual_seed(0)
    transformer = LatteTransformer3DModel(
        sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=3,
        caption_channels=WIDTH, in_channels=4, cross_attention_dim=24, out_channels=8, attention_bias=True,
        activation_fn="gelu-approximate", num_embeds_ada_norm=1000, norm_type="ada_norm_single",
        norm_elementwise_affine=False, norm_eps=1e-6, video_length=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    return LattePipeline(
        transformer=transformer, vae=vae, scheduler=DDIMScheduler(), text_encoder=text_encoder(),
        tokenizer=tokenizer(),
    )  # fmt: skip


def allegro() -> DiffusionPipeline:
    torch.manual_seed(0)
    transformer = AllegroTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, num_layers=1,
        cross_attention_dim=24, sample_width=16, sample_height=16, sample_frames=6, caption_channels=WIDTH,
    )  # fmt: skip
    vae = AutoencoderKLAllegro(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, norm_num_groups=2,
        block_out_channels=(8, 8, 8, 8), sample_size=128,
        down_block_types=("AllegroDownBlock3D",) * 4, up_block_types=("AllegroUpBlock3D",) * 4,
    )  # fmt: skip
    return AllegroPipeline(
        transformer=transformer, vae=vae, scheduler=EulerAncestralDiscreteScheduler(),
        text_encoder=text_encoder(), tokenizer=tokenizer(),
    )  # fmt: skip


FAMILIES = {
    "wan_image": wan_image, "wan_two": wan_two, "wan_two_image": wan_two_image, "wan_expanded": wan_expanded,
    "cogvideox_later": cogvideox_later, "cogvideox_image": cogvideox_image, "mochi": mochi,
    "skyreels": skyreels, "skyreels_image": skyreels_image, "skyreels_forcing": skyreels_forcing,
    "skyreels_forcing_image": skyreels_forcing_image, "skyreels_forcing_clip": skyreels_forcing_clip,
    "latte": latte, "allegro": allegro,
}  # fmt: skip
