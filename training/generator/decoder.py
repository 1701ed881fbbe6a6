"""The decoder's last touch: it starts as the linear code's and learns to draw edges and to hide seams.

It sees the codes of clips whose pixels were kept: clean, and as the transformer gives them back when it
starts from the clip with noise on it; so it learns to repair what the transformer does wrong.
Goes on from DIR/decoder.pt if there is one.
"""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import AutoencoderKLLTXVideo  # noqa: E402

from training.generator import captions, data, vae  # noqa: E402
from training.generator.transformer import denoise, scales, trained  # noqa: E402

RATE = 1e-5  # the start is exact and delicate: twenty times as much destroys it within fifty steps
ADDED_RATE = 6e-4  # of the residual blocks, which start as nothing
SQUARED = 4.0  # weight of squared errors, and of how they change from frame to frame: no jump between cells
EMA = 0.98
RESTORED = 0.6  # share of steps that see codes from the transformer
LEVELS = (0.35, 0.6, 0.8)  # noise that those started with
RESTORE_STEPS = 3
RESTORED_CLIPS = 200  # so many of those whose pixels were kept
HELD_OUT = 12  # clips that only measure
CROP = 5  # latent cells a side
SAVE_SECONDS = 120.0


class Pairs:
    """Codes [n, 4, 8, 8, latents] in the code's own units, the pixels they stand for, and some frames of
    twice the size, with their numbers.
    """

    def __init__(self, folder: Path) -> None:
        self.pixels, self.high, self.moments, self.codes, self.samples = [], [], [], [], []
        for place in sorted(folder.glob("shard_*")):
            kept = np.load(place / "pixels.npy", mmap_mode="r")
            lines = (place / "said.jsonl").read_text().splitlines()[: len(kept)]
            self.pixels += [kept[index] for index in range(len(lines))]
            self.high += list(np.load(place / "high.npy", mmap_mode="r")[: len(lines)])
            self.moments += list(np.load(place / "moments.npy", mmap_mode="r")[: len(lines)])
            self.codes += list(np.load(place / "codes.npy", mmap_mode="r")[: len(lines)].astype(np.float32))
            self.samples += [data.sample_of(line) for line in lines]
        self.restored: dict[int, np.ndarray] = {}

    def target(self, index: int) -> Tensor:
        """Pixels float[1, 3, 25, 128, 128] in -1..1."""
        return data.as_tensor(np.asarray(self.pixels[index]))


def first_decoder(folder: Path) -> nn.Module:
    """The one that training starts from: DIR/vae's, else the linear code's."""
    if (folder / "vae").exists():
        return AutoencoderKLLTXVideo.from_pretrained(folder / "vae").decoder.float()
    return vae.build(data.LATENTS, data.levels(folder), data.SIDE).decoder


def decoder_of(folder: Path) -> nn.Module:
    """The decoder as far as it was trained."""
    made = first_decoder(folder)
    if (folder / "decoder.pt").exists():
        made.load_state_dict(torch.load(folder / "decoder.pt", weights_only=True)["ema"])
    return made.eval()


@torch.no_grad()
def restore(folder: Path, pairs: Pairs) -> None:
    """Codes of clips with noise, as the transformer gives them back; kept in DIR/restored.npz."""
    file = folder / "restored.npz"
    if file.exists():
        pairs.restored = {int(name): value for name, value in np.load(file).items()}
        return
    model, reader = trained(folder)
    divisor, rng = scales(folder), np.random.default_rng(5)
    for index, codes in enumerate(pairs.codes[:RESTORED_CLIPS]):
        start = LEVELS[index % len(LEVELS)]
        clean = torch.from_numpy(codes).reshape(1, -1, data.LATENTS) / divisor
        noisy = clean * (1 - start) + torch.randn_like(clean) * start
        text = reader([captions.caption(pairs.samples[index], rng)[0]])
        steps = torch.linspace(start, 0, RESTORE_STEPS + 1)
        for now, later in itertools.pairwise(steps):
            with torch.autocast("cpu", torch.bfloat16):
                velocity = denoise(model, noisy, now.expand(1, noisy.shape[1]), text).float()
            noisy = noisy + (later - now) * velocity
        pairs.restored[index] = (noisy * divisor).reshape(codes.shape).numpy()
    np.savez(file, **{str(index): value for index, value in pairs.restored.items()})


def _groups(decoder: nn.Module) -> list[dict[str, Any]]:
    """Its parameters, and at which rate each learns at most."""
    linear, added = [], []
    for name, part in decoder.named_parameters():
        (added if "resnets" in name else linear).append(part)
    return [{"params": linear, "full": RATE}, {"params": added, "full": ADDED_RATE}]


class Training:
    """One run, from wherever its file stands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "decoder.pt"
        self.decoder = first_decoder(folder)
        self.optimizer = torch.optim.AdamW(_groups(self.decoder), betas=(0.9, 0.98), weight_decay=0.0)
        self.ema = {name: value.clone() for name, value in self.decoder.state_dict().items()}
        self.step = 0
        if self.file.exists():
            stored = torch.load(self.file, weights_only=True)
            self.decoder.load_state_dict(stored["model"])
            self.optimizer.load_state_dict(stored["optimizer"])
            self.ema, self.step = stored["ema"], stored["step"]
        self.pairs = Pairs(folder)
        restore(folder, self.pairs)
        self.rng = np.random.default_rng(self.step + 3)

    def run(self, steps: int) -> None:
        """Train until `steps` in all were done."""
        print(f"before: {self.measure()}", flush=True)
        saved, seen = time.monotonic(), []
        while self.step < steps:
            loss = self._loss()
            loss.backward()
            nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
            share = min(1.0, (self.step + 1) / 50, (steps - self.step) / (0.4 * steps))
            for group in self.optimizer.param_groups:
                group["lr"] = group["full"] * share
            self.optimizer.step()
            self.optimizer.zero_grad()
            self._average()
            seen.append(float(loss.detach()))
            self.step += 1
            if self.step % 50 == 0:
                print(f"step {self.step} loss {np.mean(seen[-50:]):.4f}", flush=True)
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save()
                saved = time.monotonic()
        self._save()
        print(f"after: {self.measure()}", flush=True)

    def _loss(self) -> Tensor:
        index = int(self.rng.integers(HELD_OUT, len(self.pairs.codes)))
        chosen = self.pairs.codes[index]
        if self.rng.random() < RESTORED:
            index = int(self.rng.integers(HELD_OUT, len(self.pairs.restored)))
            chosen = self.pairs.restored[index]
        top, left = (int(self.rng.integers(data.CELLS - CROP + 1)) for _ in range(2))
        codes = torch.from_numpy(chosen[:, top : top + CROP, left : left + CROP]).permute(3, 0, 1, 2)[None]
        rows, columns = (slice(data.CELL * begun, data.CELL * (begun + CROP)) for begun in (top, left))
        target = self.pairs.target(index)[..., rows, columns]
        with torch.autocast("cpu", torch.bfloat16):
            made = self.decoder(codes)
        # Cells at the cut edge miss their neighbours; they count, since the picture's own edge is like that.
        error = made.float() - target
        jumps = error.diff(dim=2)
        return (error.square().mean() + jumps.square().mean()) * SQUARED + error.abs().mean()

    def _average(self) -> None:
        keep = min(EMA, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.decoder.state_dict().items():
                self.ema[name].lerp_(value, 1 - keep)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """PSNR in dB of the averaged weights on the held-out clips: clean codes, and restored ones."""
        now = {name: value.clone() for name, value in self.decoder.state_dict().items()}
        self.decoder.load_state_dict(self.ema)
        found: dict[str, list[float]] = {"clean": [], "restored": []}
        for index in range(HELD_OUT):
            for name, source in (
                ("clean", self.pairs.codes[index]),
                ("restored", self.pairs.restored[index]),
            ):
                made = self.decoder(torch.from_numpy(source).permute(3, 0, 1, 2)[None])
                found[name].append(vae.psnr(made, self.pairs.target(index)))
        self.decoder.load_state_dict(now)
        return {name: round(float(np.mean(values)), 2) for name, values in found.items()}

    def _save(self) -> None:
        stored = {
            "model": self.decoder.state_dict(), "ema": self.ema, "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }  # fmt: skip
        torch.save(stored, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)
