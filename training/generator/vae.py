"""The video autoencoder: diffusers' LTX class, started from a linear code in levels (`pca`).

Convolutions take the code's bases in their central taps, residual blocks start as nothing (their second
convolution is zero). Before the last convolution of either half stands a normalisation and a SiLU; around
the point 1 both are nearly linear, so the codes ride there on a constant: `h = 1 + e * code`.
"""

from typing import Any

import torch
from torch import Tensor

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import AutoencoderKLLTXVideo  # noqa: E402

from training.generator.pca import Level  # noqa: E402

SLOPE = 0.9276705  # of SiLU at 1
SWING = 0.3  # how far the codes may move from the constant 1
WIDTH = 144  # of the decoder at its two coarsest stages; halved at each finer one
SPARE = 16  # channels of the encoder beside its latents, for the constant


def build(latents: int, levels: list[Level], side: int, width: int = WIDTH) -> Any:
    """An LTX autoencoder that gives what the linear code gives; latents have mean 0 and its `latents_std`.

    `side`: of the patches of level 0. `width` is a multiple of 2 for each level but the first two.
    """
    down = len(levels) - 1
    narrow = max(latents + SPARE, *(len(level.basis) for level in levels))
    halvings = (1,) + (2,) * (down - 1)  # from the coarsest stage on
    widths = [width // 2 ** max(0, stage - 1) for stage in range(down)]
    vae: Any = AutoencoderKLLTXVideo(  # type: ignore[no-untyped-call]
        latent_channels=latents, block_out_channels=(narrow,) * down,
        down_block_types=("LTXVideoDownBlock3D",) * down, spatio_temporal_scaling=(True,) * down,
        layers_per_block=(0,) * down + (0,), downsample_type=("conv",) * down,
        decoder_block_out_channels=tuple(reversed(widths)), decoder_spatio_temporal_scaling=(True,) * down,
        decoder_layers_per_block=(*(1,) * down, 1), decoder_inject_noise=(False,) * (down + 1),
        upsample_residual=(False,) * down, upsample_factor=tuple(reversed(halvings)), patch_size=side,
        patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    with torch.no_grad():
        _start_encoder(vae, levels, latents)
        _start_decoder(vae, levels, latents)
    return vae


def _start_encoder(vae: Any, levels: list[Level], latents: int) -> None:
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


def _start_decoder(vae: Any, levels: list[Level], latents: int) -> None:
    for module in vae.decoder.modules():
        if type(module).__name__ == "LTXVideoResnetBlock3d":
            _blank(module.conv2.conv)
    first = _blank(vae.decoder.conv_in.conv)
    width = first.weight.shape[0]
    for i in range(min(latents, width)):
        first.weight[i, i, 1, 1, 1] = 1.0
    for index, (block, level) in enumerate(zip(vae.decoder.up_blocks, reversed(levels[1:]), strict=True)):
        below = levels[len(levels) - 2 - index]
        _start_upsampler(block.upsamplers[0].conv.conv, level, below, last=below is levels[0])
    out = _blank(vae.decoder.conv_out.conv)
    half = out.weight.shape[1] // 2
    keep = min(len(levels[0].basis), half)
    gain = 4 * levels[0].std[:keep] / (SWING * 2 * SLOPE)
    out.weight[:, :keep, 1, 1, 1] = levels[0].basis[:keep].T * gain
    out.weight[:, half : half + keep, 1, 1, 1] = -levels[0].basis[:keep].T * gain
    out.bias.copy_(levels[0].mean)


def _start_upsampler(conv: Any, level: Level, below: Level, *, last: bool) -> None:
    """Codes of a level to blocks of the codes below; the last ones ride on a constant, with either sign."""
    _blank(conv)
    into, made = conv.weight.shape[1], conv.weight.shape[0] // 8
    half = made // 2
    codes, keep = min(len(level.basis), into), min(len(below.basis), half if last else made)
    basis = level.basis[:codes].T.reshape(-1, 8, codes)[:keep]
    mean = level.mean.reshape(-1, 8)[:keep]
    weight, bias = conv.weight.view(made, 8, into, 3, 3, 3), conv.bias.view(made, 8)
    if not last:
        weight[:keep, :, :codes, 1, 1, 1] = basis
        bias[:keep] = mean
        return
    step = SWING / (4 * below.std[:keep])
    weight[:keep, :, :codes, 1, 1, 1] = basis * step[:, None, None]
    weight[half : half + keep, :, :codes, 1, 1, 1] = -basis * step[:, None, None]
    bias[:keep] = mean * step[:, None]
    bias[half : half + keep] = -mean * step[:, None]
    bias += 1.0


def _blank(conv: Any) -> Any:
    conv.weight.zero_()
    conv.bias.zero_()
    return conv


def psnr(one: Tensor, other: Tensor) -> float:
    """Of clips in -1..1, the mean over clips of each clip's PSNR in dB."""
    error = (one - other).square().flatten(1).mean(1)
    return float((10 * torch.log10(4 / error.clamp_min(1e-12))).mean())
