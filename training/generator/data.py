"""Draws clips, fits the linear code, and keeps what training reads: codes of all, pixels of a few.

python -m training.generator.data fit --folder DIR --clips 240
python -m training.generator.data draw --folder DIR --shard 0 --clips 2400 --pixels 300
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generator.embedded.world.design import Design
from generator.embedded.world.scene import Scene
from training.generator import pca, small_world
from training.generator.pca import Level

SIDE = 4
LATENTS = 72
WIDTHS = [48, LATENTS + 16, LATENTS + 16, LATENTS]
CELLS = small_world.SIDE // 32


def as_tensor(frames: np.ndarray) -> Tensor:
    """Frames uint8[f, h, w, 3] as float32[1, 3, f, h, w] in -1..1."""
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def levels(folder: Path) -> list[Level]:
    """The fitted code."""
    stored = torch.load(folder / "levels.pt", weights_only=True)
    return [Level(**level) for level in stored]


def fit(folder: Path, clips: int) -> None:
    """Fit the code to `clips` clips."""
    rng = np.random.default_rng(1)
    frames = [small_world.draw(small_world.sample(rng))[0] for _ in range(clips)]
    found = pca.fit_levels(torch.cat([as_tensor(clip) for clip in frames]), SIDE, WIDTHS)
    torch.save([{"basis": v.basis, "mean": v.mean, "std": v.std} for v in found], folder / "levels.pt")


def draw(folder: Path, shard: int, clips: int, pixels: int) -> None:
    """Draw a shard: codes.npy float16[n, 3, 8, 8, latents], cover.npy uint8[n, 3, 8, 8], said.jsonl."""
    target = folder / f"shard_{shard}"
    target.mkdir(parents=True, exist_ok=True)
    rng, code = np.random.default_rng(1000 + shard), levels(folder)
    shape = (clips, 3, CELLS, CELLS)
    codes = np.lib.format.open_memmap(target / "codes.npy", "w+", np.float16, (*shape, LATENTS))
    cover = np.lib.format.open_memmap(target / "cover.npy", "w+", np.uint8, shape)
    kept = np.lib.format.open_memmap(
        target / "pixels.npy",
        "w+",
        np.uint8,
        (pixels, small_world.FRAMES, small_world.SIDE, small_world.SIDE, 3),
    )
    with (target / "said.jsonl").open("w") as said:
        for index in range(clips):
            sample = small_world.sample(rng)
            frames, covers = small_world.draw(sample)
            codes[index] = pca.encode(as_tensor(frames), SIDE, code)[0].numpy()
            cover[index] = _covered(covers)
            if index < pixels:
                kept[index] = frames
            said.write(json.dumps(asdict(sample)) + "\n")
            said.flush()


def _covered(covers: np.ndarray) -> np.ndarray:
    """Shares 0..255 of each latent cell that the character covers, the most over its frames."""
    cells = covers.reshape(small_world.FRAMES, CELLS, 32, CELLS, 32).mean(axis=(2, 4))
    times = np.concatenate([cells[:1], cells[1:9].max(0)[None], cells[9:].max(0)[None]])
    return times.round().astype(np.uint8)


def sample_of(line: str) -> small_world.Sample:
    """A sample of a line of said.jsonl."""
    found = json.loads(line)
    design = found["design"] and Design(**found["design"])
    return small_world.Sample(name=found["name"], design=design, scene=Scene(**found["scene"]))


def main() -> None:
    """Run a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["fit", "draw"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--pixels", type=int, default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if given.step == "fit":
        fit(given.folder, given.clips)
    else:
        draw(given.folder, given.shard, given.clips, given.pixels)


if __name__ == "__main__":
    main()
