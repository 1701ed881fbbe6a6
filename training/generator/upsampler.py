"""The upsampler: learns to draw at twice the size what the renderer draws, from what the decoder gives back.

It sees frames of clips whose pixels were kept, decoded from clean codes and from those that the transformer
gives back (`training.generator.decoder` makes both), so that it repairs what these do wrong.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from torch_compat import complete_torchvision

complete_torchvision()

from generator.upsampler import Upsampler  # noqa: E402
from training.generator import data, vae  # noqa: E402
from training.generator.decoder import HELD_OUT, Pairs, decoder_of, restore  # noqa: E402

FILE = "upsampler.safetensors"
WIDTH, BLOCKS = 48, 6
RATE = 1e-3
BATCH, CROP = 16, 64
EMA = 0.995
RESTORED = 0.5  # share of what it sees that the transformer gave back


@torch.no_grad()
def frames(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decoded frames uint8[n, 3, 128, 128, 3], clean and restored, and how they were drawn
    uint8[n, 3, 256, 256, 3]; kept in DIR/decoded.npz.
    """
    file = folder / "decoded.npz"
    if file.exists():
        stored = np.load(file)
        return stored["clean"], stored["restored"], stored["high"]
    pairs, decoder = Pairs(folder), decoder_of(folder)
    restore(folder, pairs)
    made: dict[str, list[np.ndarray]] = {"clean": [], "restored": []}
    for index in pairs.restored:
        for name, codes in (("clean", pairs.codes[index]), ("restored", pairs.restored[index])):
            clip = decoder(torch.from_numpy(codes).permute(3, 0, 1, 2)[None])[0].permute(1, 2, 3, 0)
            shown = ((clip + 1) * 127.5).clamp(0, 255).round().byte().numpy()
            made[name].append(shown[pairs.moments[index]])
    high = np.stack([pairs.high[index] for index in pairs.restored])
    found = np.stack(made["clean"]), np.stack(made["restored"]), high
    np.savez(file, clean=found[0], restored=found[1], high=found[2])
    return found


def _batch(
    source: tuple[np.ndarray, ...], target: np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    small, large = [], []
    for _ in range(BATCH):
        which = int(rng.random() < RESTORED)
        clip, moment = int(rng.integers(HELD_OUT, len(target))), int(rng.integers(target.shape[1]))
        top, left = (2 * int(rng.integers((data.small_world.SIDE - CROP) // 2 + 1)) for _ in range(2))
        small.append(source[which][clip, moment, top : top + CROP, left : left + CROP])
        large.append(target[clip, moment, 2 * top : 2 * (top + CROP), 2 * left : 2 * (left + CROP)])
    return _floats(np.stack(small)), _floats(np.stack(large))


def _floats(frames: np.ndarray) -> Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def _measure(model: Upsampler, source: tuple[np.ndarray, ...], target: np.ndarray) -> dict[str, float]:
    """PSNR in dB on held-out clips, beside a bilinear enlargement's."""
    found = {}
    wanted = _floats(target[:HELD_OUT].reshape(-1, *target.shape[2:]))
    for name, clips in zip(("clean", "restored"), source, strict=True):
        small = _floats(clips[:HELD_OUT].reshape(-1, *clips.shape[2:]))
        plain = torch.nn.functional.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
        found[name] = vae.psnr(2 * model(small).clamp(0, 1), 2 * wanted)
        found[name + " bilinear"] = vae.psnr(2 * plain, 2 * wanted)
    return {name: round(value, 2) for name, value in found.items()}


def train(folder: Path, steps: int) -> None:
    """Train and store DIR/upsampler.safetensors."""
    clean, restored, high = frames(folder)
    torch.manual_seed(0)
    model, rng = Upsampler(WIDTH, BLOCKS), np.random.default_rng(4)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100, (steps - step) / (0.5 * steps))
        small, large = _batch((clean, restored), high, rng)
        with torch.autocast("cpu", torch.bfloat16):
            error = model(small).float() - large
        loss = error.abs().mean() + 4 * error.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        keep = min(EMA, step / (step + 10))
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        if (step + 1) % 200 == 0:
            print(f"step {step + 1} loss {float(loss.detach()):.4f}", flush=True)
    model.load_state_dict(average)
    print(_measure(model, (clean, restored), high), flush=True)
    kept = {name: value.half().contiguous() for name, value in average.items()}
    said = {"width": str(WIDTH), "blocks": str(BLOCKS)}
    save_file(kept, folder / FILE, metadata=said)
