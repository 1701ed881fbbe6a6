"""One latent frame of a pipeline as a picture, decoded as the pipeline itself decodes a clip.

How latents lie and are scaled is read off diffusers 0.42's pipelines; one that is not named here is unknown,
since latents that are decoded at the wrong scale show something else than the clip will.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from generator.base import Picture


class Unknown(Exception):
    """There is nothing that could be shown, and why."""


def picture_of(pipe: Any, latents: Any, arguments: Mapping[str, Any]) -> Picture:
    """The middle latent frame of the clip as RGB ``uint8[h, w, 3]``.

    ``latents``: noiseless, as the pipeline's callback is given them; ``arguments``: of its call.
    Raises: Unknown, and whatever decoding raises.
    """
    decode = DECODERS.get(type(pipe).__name__)
    if decode is None:
        raise Unknown(f"how {type(pipe).__name__} decodes its latents is not known")
    video = decode(pipe, latents[:1], arguments)  # [1, c, f, h, w] in -1..1
    frame = video[0, :, video.shape[2] // 2].float().cpu().permute(1, 2, 0).numpy()
    if frame.ndim != 3 or frame.shape[-1] != 3 or not np.isfinite(frame).all():
        raise Unknown("what was decoded is no picture")
    return np.asarray(np.rint(np.clip(frame / 2 + 0.5, 0, 1) * 255), dtype=np.uint8)


def _ltx(pipe: Any, latents: Any, arguments: Mapping[str, Any]) -> Any:
    """Latents are packed as tokens, those of conditions first."""
    import torch

    frames = (int(arguments["num_frames"]) - 1) // pipe.vae_temporal_compression_ratio + 1
    high, wide = (int(arguments[side]) // pipe.vae_spatial_compression_ratio for side in ("height", "width"))
    space, time = pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
    tokens = frames * high * wide // (space * space * time)
    own = latents[:, latents.shape[1] - tokens :]
    middle = _middle(pipe._unpack_latents(own, frames, high, wide, space, time))
    vae = pipe.vae
    middle = pipe._denormalize_latents(middle, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
    moment = None
    if vae.config.timestep_conditioning:
        told = arguments.get("decode_timestep") or 0.0
        told = told[0] if isinstance(told, (list, tuple)) else told
        moment = torch.tensor([float(told)], device=middle.device, dtype=vae.dtype)
    return vae.decode(middle.to(vae.dtype), moment, return_dict=False)[0]


def _wan(pipe: Any, latents: Any, _: Mapping[str, Any]) -> Any:
    vae, middle = pipe.vae, _middle(latents)
    mean, std = (_channels(values, middle) for values in (vae.config.latents_mean, vae.config.latents_std))
    return vae.decode((middle * std + mean).to(vae.dtype), return_dict=False)[0]


def _cogvideox(pipe: Any, latents: Any, _: Mapping[str, Any]) -> Any:
    """Frames come before channels; those that pad the first latent frame are at the start."""
    place = latents.shape[1] // 2
    return pipe.decode_latents(latents[:, place : place + 1].to(pipe.vae.dtype))


def _scaled(pipe: Any, latents: Any, _: Mapping[str, Any]) -> Any:
    """Scaled by a number, and by mean and deviation where the autoencoder has them."""
    vae, middle = pipe.vae, _middle(latents)
    mean, std = (getattr(vae.config, name, None) for name in ("latents_mean", "latents_std"))
    if mean is not None and std is not None:
        middle = middle * _channels(std, middle) / vae.config.scaling_factor + _channels(mean, middle)
    else:
        middle = middle / vae.config.scaling_factor
    return vae.decode(middle.to(vae.dtype), return_dict=False)[0]


def _middle(latents: Any) -> Any:
    """One of the frames of ``[1, c, f, h, w]``."""
    place = latents.shape[2] // 2
    return latents[:, :, place : place + 1]


def _channels(values: Any, like: Any) -> Any:
    import torch

    return torch.as_tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1, 1)


DECODERS: Final[Mapping[str, Callable[[Any, Any, Mapping[str, Any]], Any]]] = {
    "LTXPipeline": _ltx,
    "LTXConditionPipeline": _ltx,
    "LTXImageToVideoPipeline": _ltx,
    "WanPipeline": _wan,
    "WanImageToVideoPipeline": _wan,
    "SkyReelsV2Pipeline": _wan,
    "SkyReelsV2ImageToVideoPipeline": _wan,
    "CogVideoXPipeline": _cogvideox,
    "CogVideoXImageToVideoPipeline": _cogvideox,
    "HunyuanVideoPipeline": _scaled,
    "MochiPipeline": _scaled,
}
