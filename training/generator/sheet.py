"""A contact sheet of an exported model: three moments of clips of some prompts, to look at.

python -m training.generator.sheet --model generator/embedded/model --out sheet.png
"""

import argparse
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from generator.base import GenerationRequest
from generator.diffusion import DiffusionGenerator
from training.generator import small_world

PROMPTS = (
    "a red fox walking in the snow", "Tovik Brandle waving by the sea", "a blue rabbit jumping in a forest",
    "Quillamoor standing in a city at night", "a green frog waving in the desert",
    "Nubbin Frostwick walking in space",
    "a yellow bear with a red crown standing in a room", "Ollopha jumping in the desert",
    "a pink elephant walking on the beach", "Bexel Nine waving in a room", "a white cat in space at night",
    "a purple dragon with a green wizard hat waving in a city",
)  # fmt: skip
MOMENTS = (0, 6, 12)
ACROSS = 3


def sheet(generator: DiffusionGenerator, steps: int | None, guidance: float | None) -> np.ndarray:
    """The sheet uint8[h, w, 3]; a row holds `ACROSS` prompts."""
    cells = []
    for number, prompt in enumerate(PROMPTS):
        request = GenerationRequest(
            prompt=prompt, width=small_world.SIDE, height=small_world.SIDE, seed=number,
            seconds=small_world.FRAMES / small_world.RATE, frame_rate=Fraction(8),
            steps=steps, guidance=guidance,
        )  # fmt: skip
        began = time.monotonic()
        frames = list(generator.generate(request).frames)
        print(f"{prompt}: {time.monotonic() - began:.1f} s", flush=True)
        cells.append(np.concatenate([frames[moment] for moment in MOMENTS], 1))
    rows = [np.concatenate(cells[i : i + ACROSS], 1) for i in range(0, len(cells), ACROSS)]
    return np.concatenate(rows, 0)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    given = parser.parse_args()
    picture = sheet(DiffusionGenerator(str(given.model)), given.steps, given.guidance)
    small = cv2.resize(picture[..., ::-1], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(given.out), small)


if __name__ == "__main__":
    main()
