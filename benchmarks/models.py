"""What the embedded generator is worth, on the rendered world that it was trained on, and on no other.

1. Attributes: clips of prompts about characters that training never showed, judged by classifiers that were
   trained on rendered frames only; what these get right on rendered clips stands beside it.
2. Matching: each clip's own prompt among 32, by the embedded CLIP, and by what those classifiers see of it.
3. Motion: how much frames differ, beside the rendered clip of the same prompt.
4. The autoencoder: PSNR of rendered clips that training never saw, and of the upsampler behind it.
5. Time: seconds of clock and of processor for a clip of 2 s.
6. Going on: the step from the last old to the first new frame, beside the steps within the old clip; and how
   far the character drifts, by the embedded CLIP.
"""

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import Row, commit, machine, mean, median, options, present, rate, say, whole
from benchmarks.tools import world_judge
from classifiers.embed import OpenClipEmbedder
from generator.base import GenerationRequest
from generator.catalog import MODEL
from generator.diffusion import DiffusionGenerator
from training.generator import captions, small_world, vae
from training.generator.data import as_tensor
from training.generator.small_world import Sample

SUITE: Final = "models"
AMONG: Final = 32
FIVE: Final = ("species", "colour", "action", "background", "hat")
HATTED_SHARE: Final = 0.4  # of the prompts, so that hats can be counted
KINDS: Final = ("generated", "rendered")
FIRST_SEED: Final = 30_000
SECONDS: Final = small_world.FRAMES / small_world.RATE
FRAMES_EMBEDDED: Final = 6
JUDGED_BY: Final = (12_000, 4000)  # rendered frames and clips the classifiers are trained on

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is kept of a clip: five moments, an embedding ``float32[512]``, how much its frames differ."""

    moments: world_judge.Clip
    embedded: NDArray[np.float32]
    moved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A prompt, what it is about, the clip that came of it beside the rendered one, and seconds it took."""

    sample: Sample
    prompt: str
    clips: dict[str, Seen]
    clock: float
    processor: float


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, clips=False)
    add = parser.add_argument
    add("--model", type=Path, default=MODEL, metavar="DIR", help="another export of it")
    add("--judges", type=Path, metavar="FILE", help="keeps the classifiers from one run to the next")
    add("--clips", type=whole(AMONG), default=200, help="prompts that are drawn")
    add("--coded", type=whole(1), default=40, help="rendered clips for the autoencoder")
    add("--extended", type=whole(1), default=12, help="clips that are gone on with for 10 s")
    add("--long", type=whole(1), default=2, help="clips that are gone on with for 60 s")
    add("--steps", type=whole(1), help="of each clip, else the model's own")
    asked = parser.parse_args()
    at_commit, rows = commit(), machine()
    generator = DiffusionGenerator(str(asked.model))
    rows += _of_clips(generator, asked)
    rows += _of_code(generator, asked.coded)
    rows += _of_extensions(generator, asked)
    present(SUITE, rows, at_commit, as_json=asked.json)


def _of_clips(generator: DiffusionGenerator, asked: argparse.Namespace) -> list[Row]:
    say("training the classifiers on rendered frames")
    judges, embedder = world_judge.kept(asked.judges, *JUDGED_BY), OpenClipEmbedder()
    made = []
    for number, one in enumerate(_made(generator, embedder, asked.clips, asked.steps)):
        made.append(one)
        if number % 20 == 19:
            say(f"{number + 1} of {asked.clips} clips")
    return [*_attributes(judges, made), *_matching(judges, embedder, made), *_motion(made), *_times(made)]


def prompts(count: int) -> Iterator[tuple[Sample, str]]:
    """Prompts about characters that training never showed, and what they are about."""
    rng = np.random.default_rng(FIRST_SEED)
    for _ in range(count):
        sample = replace(small_world.sample(rng, unseen=True), begun=0)
        hatted = rng.random() < HATTED_SHARE
        while (sample.design is not None and sample.design.hat != "none") != hatted:
            sample = replace(small_world.sample(rng, unseen=True), begun=0)
        yield sample, captions.caption(sample, rng)[0]


def _made(
    generator: DiffusionGenerator, embedder: OpenClipEmbedder, count: int, steps: int | None
) -> Iterator[Made]:
    for number, (sample, prompt) in enumerate(prompts(count)):
        began, worked = time.monotonic(), time.process_time()
        frames = _drawn(generator, request(prompt, number, steps))
        clock, processor = time.monotonic() - began, time.process_time() - worked
        clips = {"generated": frames, "rendered": small_world.draw(sample)[0]}
        yield Made(
            sample=sample, prompt=prompt, clock=clock, processor=processor,
            clips={kind: _seen(embedder, clip) for kind, clip in clips.items()},
        )  # fmt: skip


def _seen(embedder: OpenClipEmbedder, frames: Frames) -> Seen:
    return Seen(
        moments=world_judge.moments(frames), embedded=_embedded(embedder, frames),
        moved=float(np.mean(_steps(frames))),
    )  # fmt: skip


def request(prompt: str, seed: int, steps: int | None = None, seconds: float = SECONDS) -> GenerationRequest:
    """A clip as the model makes it."""
    return GenerationRequest(
        prompt=prompt, width=small_world.HIGH, height=small_world.HIGH, seconds=seconds, seed=seed,
        frame_rate=Fraction(small_world.RATE), steps=steps,
    )  # fmt: skip


def _drawn(generator: DiffusionGenerator, asked: GenerationRequest) -> Frames:
    return np.stack(list(generator.generate(asked).frames))


def _attributes(judges: world_judge.Judges, made: Sequence[Made]) -> list[Row]:
    rows = []
    for kind in KINDS:
        counts = judges.right([one.clips[kind].moments for one in made], [one.sample for one in made])
        told = {"clips": kind}
        rows += [rate("judged right", *found, told | {"attribute": name}) for name, found in counts.items()]
        shares = [counts[name][0] / counts[name][1] for name in FIVE]
        rows.append(mean("attribute accuracy, mean of five", shares, "share", told))
    return rows


def _matching(judges: world_judge.Judges, embedder: OpenClipEmbedder, made: Sequence[Made]) -> list[Row]:
    """Groups of so many clips of different prompts: is the own prompt the nearest?"""
    texts = embedder.embed_texts([one.prompt for one in made])
    samples = [one.sample for one in made]
    rows = []
    for kind in KINDS:
        embedded = np.stack([one.clips[kind].embedded for one in made])
        near = {
            "embedded CLIP": embedded @ texts.T,
            "classifiers": judges.fits([one.clips[kind].moments for one in made], samples),
        }
        for name, found in near.items():
            told: dict[str, str | int] = {"among": AMONG, "by": name, "clips": kind}
            rows.append(rate("own prompt nearest", *_nearest(found), told))
    return rows


def _nearest(near: NDArray[np.float32]) -> tuple[int, int]:
    """In how many rows of how many the own column is the nearest of its group; the rest is left out."""
    begins = range(0, len(near) - AMONG + 1, AMONG)
    groups = [near[begin : begin + AMONG, begin : begin + AMONG] for begin in begins]
    right = [int((group.argmax(1) == np.arange(AMONG)).sum()) for group in groups]
    return sum(right), AMONG * len(groups)


def _embedded(embedder: OpenClipEmbedder, frames: Frames) -> NDArray[np.float32]:
    chosen = frames[np.linspace(0, len(frames) - 1, FRAMES_EMBEDDED).round().astype(int)]
    mean_of = np.asarray(embedder.embed_images(list(chosen))).mean(axis=0)
    return np.asarray(mean_of / np.linalg.norm(mean_of), np.float32)


def _motion(made: Sequence[Made]) -> list[Row]:
    rows = []
    for action, kind in itertools.product(small_world.ACTIONS, KINDS):
        moved = [one.clips[kind].moved for one in made if one.sample.scene.action == action]
        told = {"action": action, "clips": kind}
        rows += [mean("frame to frame difference", moved, "levels", told)] if moved else []
    return rows


def _steps(frames: Frames) -> list[float]:
    """Mean absolute differences between frames that follow on one another, in levels."""
    return [
        float(np.abs(one.astype(np.float32) - other).mean()) for one, other in itertools.pairwise(frames)
    ]  # fmt: skip


def _times(made: Sequence[Made]) -> list[Row]:
    size = f"{small_world.HIGH}x{small_world.HIGH}"
    told: dict[str, str | int] = {"size": size, "frames": small_world.FRAMES}
    later = made[1:]  # the first one warms up
    return [
        median("clock for a clip", [one.clock for one in later], "s", told),
        median("processor for a clip", [one.processor for one in later], "s", told),
    ]


@torch.inference_mode()
def _of_code(generator: DiffusionGenerator, count: int) -> list[Row]:
    """Rendered clips through the autoencoder, and through the upsampler, against what was drawn."""
    codec: Any = generator.pipeline.vae
    rng = np.random.default_rng(FIRST_SEED + 1)
    coded, enlarged, plain = [], [], []
    for index in range(count):
        high = small_world.draw(small_world.sample(rng, unseen=index % 2 == 0))[0]
        small = as_tensor(small_world.smaller(high))
        back = codec.decode(codec.encode(small).latent_dist.mode()).sample
        coded.append(vae.psnr(back, small))
        shown = ((back[0].permute(1, 2, 3, 0) + 1) * 127.5).clamp(0, 255).round().byte().numpy()
        target = as_tensor(high)
        enlarged.append(vae.psnr(as_tensor(generator.enlarged(shown)), target))
        size = (small_world.HIGH, small_world.HIGH)
        bigger = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in shown])
        plain.append(vae.psnr(as_tensor(bigger), target))
    return [
        mean("PSNR of the autoencoder", coded, "dB", {"size": "128x128"}),
        mean("PSNR with the upsampler", enlarged, "dB", {"size": "256x256"}),
        mean("PSNR with cubic enlargement", plain, "dB", {"size": "256x256"}),
    ]


def _of_extensions(generator: DiffusionGenerator, asked: argparse.Namespace) -> list[Row]:
    embedder = OpenClipEmbedder()
    rows = []
    for name, count, seconds in (("10 s", asked.extended, 10.0), ("60 s", asked.long, 60.0)):
        seams, drifts = [], []
        for number, (_, prompt) in enumerate(itertools.islice(prompts(count), count)):
            old = _drawn(generator, request(prompt, number, asked.steps))
            on = replace(request(prompt, number, asked.steps, seconds - SECONDS), clip=old)
            new = _drawn(generator, on)
            within = float(np.median(_steps(old)))
            seams.append(float(np.abs(new[0].astype(np.float32) - old[-1]).mean()) / max(within, 1e-6))
            last = new[-small_world.FRAMES :]
            drifts.append(float(_embedded(embedder, old) @ _embedded(embedder, last)))
        told = {"length": name}
        rows += [
            median("seam over the median step within", seams, "ratio", told),
            mean("cosine of the last seconds to the first", drifts, "cosine", told),
        ]
    return rows


if __name__ == "__main__":
    main()
