"""A contact sheet of the model: four moments of clips of sixteen prompts, to look at.

python -m training.generator.sheet --model generator/embedded/model --out docs/pictures/embedded-generator.jpg
"""

import argparse
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.base import GenerationRequest
from generator.diffusion import DiffusionGenerator
from training.generator import small_world

# Drawn once, from seed 0 on, and shown as they came.
PROMPTS = (
    "a red fox walking in the snow", "Tovik Brandle waving by the sea", "a blue rabbit jumping in a forest",
    "Quillamoor dancing in a city at night", "a green frog waving in the desert",
    "Nubbin Frostwick walking in space", "a yellow bear with a red crown sitting in a room",
    "Ollopha jumping in the desert", "a pink elephant walking on the beach", "Bexel Nine waving in a room",
    "a white cat in space at night", "a purple dragon with a green wizard hat waving in a city",
    "Mossa Pondry sitting in a forest", "an orange robot dancing on the moon",
    "a teal owl standing in the snow",
    "a grey mouse with blue headphones dancing on a street",
)  # fmt: skip
MOMENTS = (0, 8, 16, 24)
ACROSS = 2
SHOWN = 144  # pixels of a frame's side on the sheet
LINE = 20


def sheet(generator: DiffusionGenerator, steps: int | None, guidance: float | None) -> NDArray[np.uint8]:
    """The sheet uint8[h, w, 3]; a row holds `ACROSS` prompts."""
    cells = []
    for number, prompt in enumerate(PROMPTS):
        request = GenerationRequest(
            prompt=prompt, width=small_world.HIGH, height=small_world.HIGH, seed=number,
            seconds=small_world.FRAMES / small_world.RATE, frame_rate=Fraction(small_world.RATE),
            steps=steps, guidance=guidance,
        )  # fmt: skip
        began = time.monotonic()
        frames = list(generator.generate(request).frames)
        print(f"{prompt}: {time.monotonic() - began:.1f} s", flush=True)
        cells.append(_cell(prompt, [frames[moment] for moment in MOMENTS]))
    rows = [np.concatenate(cells[i : i + ACROSS], 1) for i in range(0, len(cells), ACROSS)]
    return np.concatenate(rows, 0)


def _cell(prompt: str, frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    shown = [cv2.resize(frame, (SHOWN, SHOWN), interpolation=cv2.INTER_AREA) for frame in frames]
    line = np.full((LINE, SHOWN * len(frames), 3), 255, np.uint8)
    cv2.putText(line, prompt, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate([line, np.concatenate(shown, 1)], 0)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    given = parser.parse_args()
    picture = sheet(DiffusionGenerator(str(given.model)), given.steps, given.guidance)
    cv2.imwrite(str(given.out), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
