"""The video autoencoder: diffusers' LTX class, started from a linear code in levels (`pca`).

Convolutions take the code's bases in their central taps, residual blocks start as nothing (their second
convolution is zero). Before the last convolution of either half stands a normalisation and a SiLU; around
the point 1 both are nearly linear, so the codes ride there on a constant: `h = 1 + e * code`.
"""

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor, nn

from training.generator.pca import Level

SIDE = 4  # of a patch
NARROW = 80  # channels of the encoder: the latents and some constants
SLOPE = 0.9276705  # of SiLU at 1
SWING = 0.3  # how far the codes may move from the constant 1


def build(latents: int, levels: list[Level], decoder_width: int = 64) -> AutoencoderKLLTXVideo:
    """An autoencoder whose output is the linear code's; latents have mean 0 and `latents_std` of the code."""
    down = len(levels) - 1
    narrow = max(NARROW, latents + 16)
    vae = AutoencoderKLLTXVideo(
        latent_channels=latents, block_out_channels=(narrow,) * down,
        down_block_types=("LTXVideoDownBlock3D",) * down, spatio_temporal_scaling=(True,) * down,
        layers_per_block=(0,) * down + (0,), downsample_type=("conv",) * down,
        decoder_block_out_channels=(decoder_width,) * down, decoder_spatio_temporal_scaling=(True,) * down,
        decoder_layers_per_block=(*(0, 1, 1, 1)[:down], 1), decoder_inject_noise=(False,) * (down + 1),
        upsample_residual=(False,) * down, upsample_factor=(1,) * down, patch_size=SIDE,
        patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    with torch.no_grad():
        _start_encoder(vae, levels, latents)
        _start_decoder(vae, levels, latents)
    return vae


def _start_encoder(vae: AutoencoderKLLTXVideo, levels: list[Level], latents: int) -> None:
    first = _blank(vae.encoder.conv_in.conv)
    n = len(levels[0].basis)
    first.weight[:n, :, 2, 1, 1] = levels[0].basis
    first.bias[:n] = -levels[0].basis @ levels[0].mean
    for block, level in zip(vae.encoder.down_blocks, levels[1:], strict=True):
        conv = _blank(block.downsamplers[0].conv)
        basis = level.basis.reshape(len(level.basis), -1, 2, 2, 2)
        codes, inputs = basis.shape[:2]
        conv.weight[:codes, :inputs, 1:, 1:, 1:] = basis
        conv.bias[:codes] = -level.basis @ level.mean
    last = vae.encoder.down_blocks[-1].downsamplers[0].conv
    step = SWING / (4 * levels[-1].std[:latents])
    last.weight[:latents] *= step[:, None, None, None, None]
    last.bias[:latents] *= step
    last.bias += 1.0
    out = _blank(vae.encoder.conv_out.conv)
    for i in range(latents):
        gain = 1 / (float(step[i]) * SLOPE)
        out.weight[i, i, 2, 1, 1] = gain
        out.weight[i, latents:, 2, 1, 1] = -gain / (out.weight.shape[1] - latents)
    out.bias[latents] = -30.0  # the logarithm of the variance: a point


def _start_decoder(vae: AutoencoderKLLTXVideo, levels: list[Level], latents: int) -> None:
    for module in vae.decoder.modules():
        if type(module).__name__ == "LTXVideoResnetBlock3d":
            _blank(module.conv2.conv)
    first = _blank(vae.decoder.conv_in.conv)
    width = first.weight.shape[0]
    for i in range(min(latents, width)):
        first.weight[i, i, 1, 1, 1] = 1.0
    half = width // 2
    for index, (block, level) in enumerate(zip(vae.decoder.up_blocks, reversed(levels[1:]), strict=True)):
        conv = _blank(block.upsamplers[0].conv.conv)
        codes = min(len(level.basis), width)
        below = levels[len(levels) - 2 - index]
        keep = min(len(below.basis), half if below is levels[0] else width)
        basis = level.basis[:codes].T.reshape(-1, 8, codes)[:keep]
        mean = level.mean.reshape(-1, 8)[:keep]
        weight = conv.weight.view(width, 8, width, 3, 3, 3)
        bias = conv.bias.view(width, 8)
        if below is levels[0]:
            step = SWING / (4 * below.std[:keep])
            weight[:keep, :, :codes, 1, 1, 1] = basis * step[:, None, None]
            weight[half : half + keep, :, :codes, 1, 1, 1] = -basis * step[:, None, None]
            bias[:keep] = mean * step[:, None]
            bias[half : half + keep] = -mean * step[:, None]
            bias += 1.0
        else:
            weight[:keep, :, :codes, 1, 1, 1] = basis
            bias[:keep] = mean
    out = _blank(vae.decoder.conv_out.conv)
    keep = min(len(levels[0].basis), half)
    gain = 4 * levels[0].std[:keep] / (SWING * 2 * SLOPE)
    out.weight[:, :keep, 1, 1, 1] = levels[0].basis[:keep].T * gain
    out.weight[:, half : half + keep, 1, 1, 1] = -levels[0].basis[:keep].T * gain
    out.bias.copy_(levels[0].mean)


def _blank(conv: nn.Conv3d) -> nn.Conv3d:
    conv.weight.zero_()
    conv.bias.zero_()
    return conv


def psnr(one: Tensor, other: Tensor) -> float:
    """Of clips in -1..1, the mean over clips of each clip's PSNR in dB."""
    error = (one - other).square().flatten(1).mean(1)
    return float((10 * torch.log10(4 / error.clamp_min(1e-12))).mean())
