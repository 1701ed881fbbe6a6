"""A linear code of clips in levels: the starting point of the video autoencoder.

Level 0 describes each 4x4 patch of each frame; every further level describes 2x2x2 blocks of the level
below (the first frame stands alone, as causal video autoencoders have it). Each level is a principal
component analysis of the codes below, so that the whole can be copied into convolutions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """``basis`` float32[codes, inputs] of orthonormal rows; ``mean`` of the inputs; ``std`` of the codes."""

    basis: Tensor
    mean: Tensor
    std: Tensor

    def encode(self, blocks: Tensor) -> Tensor:
        """Codes [..., codes] of blocks [..., inputs]."""
        return (blocks - self.mean) @ self.basis.T

    def decode(self, codes: Tensor) -> Tensor:
        """Blocks of codes; fewer codes than the level has are allowed."""
        return codes @ self.basis[: codes.shape[-1]] + self.mean


def patches(clips: Tensor, side: int) -> Tensor:
    """Clips float[b, 3, f, h, w] as [b, f, h/side, w/side, 3*side*side], in diffusers' order (c, x, y)."""
    b, c, f, h, w = clips.shape
    cut = clips.reshape(b, c, f, h // side, side, w // side, side)
    return cut.permute(0, 2, 3, 5, 1, 6, 4).flatten(4)


def unpatch(codes: Tensor, side: int) -> Tensor:
    """The inverse of `patches`."""
    b, f, h, w, n = codes.shape
    cut = codes.reshape(b, f, h, w, n // side**2, side, side)
    return cut.permute(0, 4, 1, 2, 6, 3, 5).reshape(b, n // side**2, f, h * side, w * side)


def blocks(codes: Tensor) -> Tensor:
    """Codes [b, f, h, w, n] as blocks of 2x2x2 [b, (f+1)/2, h/2, w/2, 8n] in the order (n, time, y, x)."""
    codes = torch.cat([codes[:, :1], codes], dim=1)
    b, f, h, w, n = codes.shape
    cut = codes.reshape(b, f // 2, 2, h // 2, 2, w // 2, 2, n)
    return cut.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(4)


def unblock(found: Tensor) -> Tensor:
    """The inverse of `blocks`."""
    b, f, h, w, n = found.shape
    cut = found.reshape(b, f, h, w, n // 8, 2, 2, 2)
    codes = cut.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(b, f * 2, h * 2, w * 2, n // 8)
    return codes[:, 1:]


def fit(samples: Tensor, codes: int) -> Level:
    """The `codes` strongest components of samples [..., inputs]."""
    flat = samples.flatten(0, -2).double()
    mean = flat.mean(0)
    covariance = (flat - mean).T @ (flat - mean) / len(flat)
    values, vectors = torch.linalg.eigh(covariance)
    order = torch.arange(len(values) - 1, len(values) - 1 - codes, -1)
    return Level(
        basis=vectors[:, order].T.float().contiguous(), mean=mean.float(),
        std=values[order].clamp_min(1e-10).sqrt().float(),
    )  # fmt: skip


def fit_levels(clips: Tensor, side: int, widths: list[int]) -> list[Level]:
    """Levels of the given widths for clips float[b, 3, f, h, w] in -1..1."""
    level = fit(patches(clips, side), widths[0])
    levels, codes = [level], level.encode(patches(clips, side))
    for width in widths[1:]:
        cut = blocks(codes)
        level = fit(cut, width)
        levels.append(level)
        codes = level.encode(cut)
    return levels


def encode(clips: Tensor, side: int, levels: list[Level]) -> Tensor:
    """Codes [b, f', h', w', n] of the last level."""
    codes = levels[0].encode(patches(clips, side))
    for level in levels[1:]:
        codes = level.encode(blocks(codes))
    return codes


def decode(codes: Tensor, side: int, levels: list[Level]) -> Tensor:
    """Clips of codes of the last level."""
    for level in reversed(levels[1:]):
        codes = unblock(level.decode(codes))
    return unpatch(levels[0].decode(codes), side)
