"""Draws clips, fits the linear code, and keeps what training reads: codes of all, pixels of a few."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from generator.embedded.world.design import Design
from generator.embedded.world.scene import Scene
from training.generator import pca, small_world
from training.generator.pca import Level

CODE = "code.safetensors"
PARTS = ("basis", "mean", "std")
SIDE = 2  # of a patch
LATENTS = 128
WIDTHS = [12, 72, 144, LATENTS]
CELL = 16  # pixels
CELLS = small_world.SIDE // CELL
TIMES = (small_world.FRAMES - 1) // 8 + 1
HIGH_FRAMES = 3  # of a clip whose pixels are kept, at the upsampler's size


def as_tensor(frames: np.ndarray) -> Tensor:
    """Frames uint8[f, h, w, 3] as float32[1, 3, f, h, w] in -1..1."""
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def levels(folder: Path) -> list[Level]:
    """The fitted code."""
    stored = load_file(folder / CODE)
    count = 1 + max(int(name.split(".")[0]) for name in stored)
    return [Level(**{part: stored[f"{n}.{part}"] for part in PARTS}) for n in range(count)]


def fit(folder: Path, clips: int) -> None:
    """Fit the code to `clips` clips."""
    rng = np.random.default_rng(1)
    frames = [small_world.smaller(small_world.draw(small_world.sample(rng))[0]) for _ in range(clips)]
    found = pca.fit_levels(torch.cat([as_tensor(clip) for clip in frames]), SIDE, WIDTHS)
    keep(found, folder)


def keep(levels: list[Level], folder: Path) -> None:
    """Store a code as DIR/code.safetensors."""
    named = {f"{n}.{part}": getattr(level, part) for n, level in enumerate(levels) for part in PARTS}
    save_file(named, folder / CODE)


def draw(folder: Path, shard: int, clips: int, pixels: int) -> None:
    """Draw a shard, or what is missing of it.

    codes.npy float16[n, 4, 8, 8, latents], cover.npy uint8[n, 4, 8, 8], said.jsonl; of the first `pixels`
    clips also pixels.npy uint8[p, 25, 128, 128, 3] and high.npy uint8[p, 3, 256, 256, 3] of the frames
    moments.npy uint8[p, 3].
    """
    target = folder / f"shard_{shard}"
    target.mkdir(parents=True, exist_ok=True)
    code, shape, side = levels(folder), (clips, TIMES, CELLS, CELLS), small_world.SIDE
    codes = _kept(target / "codes.npy", np.float16, (*shape, LATENTS))
    cover = _kept(target / "cover.npy", np.uint8, shape)
    kept = _kept(target / "pixels.npy", np.uint8, (pixels, small_world.FRAMES, side, side, 3))
    high = _kept(target / "high.npy", np.uint8, (pixels, HIGH_FRAMES, small_world.HIGH, small_world.HIGH, 3))
    moments = _kept(target / "moments.npy", np.uint8, (pixels, HIGH_FRAMES))
    said = target / "said.jsonl"
    done = len(said.read_text().splitlines()) if said.exists() else 0
    for index in range(done, clips):
        rng = np.random.default_rng([1000 + shard, index])
        sample = small_world.sample(rng)
        frames, covers = small_world.draw(sample)
        small = small_world.smaller(frames)
        codes[index] = pca.encode(as_tensor(small), SIDE, code)[0].numpy()
        cover[index] = _covered(small_world.smaller(covers))
        if index < pixels:
            kept[index] = small
            moments[index] = rng.choice(small_world.FRAMES, HIGH_FRAMES, replace=False)
            high[index] = frames[moments[index]]
        with said.open("a") as lines:
            lines.write(json.dumps(asdict(sample)) + "\n")


def _kept(file: Path, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a file, made if there is none of this shape."""
    if file.exists():
        found = np.lib.format.open_memmap(file, "r+")
        if found.shape == shape:
            return found
        raise SystemExit(f"{file} is of another shape, {found.shape}; remove its folder to begin anew")
    return np.lib.format.open_memmap(file, "w+", kind, shape)


def _covered(covers: np.ndarray) -> np.ndarray:
    """Shares 0..255 of each latent cell that the character covers, the most over its frames."""
    cells = covers.reshape(small_world.FRAMES, CELLS, CELL, CELLS, CELL).mean(axis=(2, 4))
    later = cells[1:].reshape(TIMES - 1, 8, CELLS, CELLS).max(axis=1)
    return np.concatenate([cells[:1], later]).round().astype(np.uint8)


def sample_of(line: str) -> small_world.Sample:
    """A sample of a line of said.jsonl."""
    found = json.loads(line)
    design = found["design"] and Design(**found["design"])
    return small_world.Sample(
        name=found["name"], design=design, scene=Scene(**found["scene"]), begun=found["begun"]
    )
