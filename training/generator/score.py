"""Does the model draw what the prompt says? Answered by comparison with the renderer, not by eye.

    python -m training.generator.score --model generator/embedded/model --clips 60

For each clip and attribute, the scene is rendered with every value of that attribute (at every place where
the character may stand), and the value whose pictures are nearest to the clip is what the clip shows.
"""

import argparse
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from generator.base import GenerationRequest
from generator.diffusion import DiffusionGenerator
from generator.embedded.world.design import COLOURS, NAMED_DESIGNS, SPECIES
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import BACKGROUNDS
from training.generator import captions, small_world
from training.generator.small_world import Sample

MOMENTS = (1, 5, 9, 14)  # frames that are compared
SIDE = 128
VALUES = {
    "background": BACKGROUNDS, "time": small_world.TIMES, "action": small_world.ACTIONS, "species": SPECIES,
    "colour": tuple(COLOURS), "name": tuple(NAMED_DESIGNS),
}  # fmt: skip


def variants(sample: Sample, attribute: str) -> dict[str, Sample]:
    """The sample with every value of an attribute; empty where it does not apply."""
    scene, design = sample.scene, sample.design
    if attribute in ("background", "time", "action"):
        return {v: replace(sample, scene=replace(scene, **{attribute: v})) for v in VALUES[attribute]}
    if attribute == "name":
        named = NAMED_DESIGNS if sample.name else {}
        return {name: replace(sample, name=name, design=other) for name, other in named.items()}
    if sample.name or design is None:
        return {}
    return {v: replace(sample, design=replace(design, **{attribute: v})) for v in VALUES[attribute]}


def nearest(clip: np.ndarray, found: dict[str, Sample]) -> tuple[str, float]:
    """The value whose rendering is nearest to the clip uint8[moments, side, side, 3], and its error."""
    errors = {}
    for value, sample in found.items():
        places = [replace(sample.scene, place=place) for place in small_world.PLACES]
        errors[value] = min(_error(clip, sample, scene) for scene in places)
    best = min(errors, key=errors.__getitem__)
    return best, errors[best]


def _error(clip: np.ndarray, sample: Sample, scene: object) -> float:
    made = [
        render_frame(sample.design, scene, width=SIDE, height=SIDE, time=moment / small_world.RATE).picture
        for moment in MOMENTS
    ]
    return float(np.square(clip.astype(np.float32) - np.stack(made)).mean())


def score(
    generator: DiffusionGenerator, clips: int, steps: int | None, guidance: float | None
) -> dict[str, object]:
    """Shares of clips that show what was asked, by attribute; chance; PSNR against the nearest rendering."""
    rng = np.random.default_rng(20_000)
    right: dict[str, list[bool]] = {name: [] for name in VALUES}
    errors = []
    for number in range(clips):
        sample = small_world.sample(rng)
        while sample.design is None:
            sample = small_world.sample(rng)
        text, _ = captions.caption(sample, rng)
        request = GenerationRequest(
            prompt=text, width=SIDE, height=SIDE, seconds=small_world.FRAMES / small_world.RATE,
            frame_rate=Fraction(8), seed=number, steps=steps, guidance=guidance,
        )  # fmt: skip
        frames = list(generator.generate(request).frames)
        clip = np.stack([frames[moment] for moment in MOMENTS])
        for attribute in VALUES:
            found = variants(sample, attribute)
            if found:
                shown, error = nearest(clip, found)
                truth = getattr(sample.scene, attribute, None) or (
                    sample.name if attribute == "name" else getattr(sample.design, attribute)
                )
                right[attribute].append(shown == truth)
                if attribute == "background":
                    errors.append(error)
    psnr = 10 * np.log10(255**2 / np.maximum(errors, 1e-9))
    return {
        "clips": clips,
        "right": {name: round(float(np.mean(values)), 3) for name, values in right.items() if values},
        "of": {name: len(values) for name, values in right.items()},
        "chance": {name: round(1 / len(values), 3) for name, values in VALUES.items()},
        "psnr_to_nearest_rendering": round(float(np.median(psnr)), 2),
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    given = parser.parse_args()
    found = score(DiffusionGenerator(str(given.model)), given.clips, given.steps, given.guidance)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
