"""What judging frames costs beside the checks of a clip of ten seconds: a head, and an image classifier.

Weights are random, since none ship: CPU time does not depend on them. A head of LAION's size reads vectors of
LAION's dimension, as many as the clip has; the classifier has the architecture of Falconsai's (ViT-B/16).
What such a model finds depends on the model: nothing of that is measured here.
"""

import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

import torch_compat
from benchmarks.common import Row, commit, machine, median, once, options, present
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.look_cost import CRF, RATE, SECONDS, SEED, cpu
from classifiers.base import Kind, Picture, Seen
from classifiers.embed import OpenClipEmbedder
from classifiers.faces_dlib import DlibFaces
from classifiers.reader import WordReader
from classifiers.unsafe.frames import FrameJudges, seen_unsafe
from classifiers.unsafe.heads import ConceptHead, Head, Linear, dump
from classifiers.unsafe.pictures import PictureClassifier, open_classifier
from classifiers.unsafe.taxonomy import Category
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_clip
from generator.embedded.world.scene import random_scene
from pipeline import checks
from pipeline.media.types import MediaLimits

SIZE: Final = (480, 272)
REPEATS: Final = 3
HEAD_REPEATS: Final = 50
GOAL: Final = 0.01
"""Share of the checks that a head may add."""
JUDGED: Final = (
    Category.SEXUAL, Category.VIOLENCE, Category.GORE, Category.DISTURBING, Category.SELF_HARM, Category.HATE,
    Category.ILLEGAL,
)  # fmt: skip
LAION: Final = (1024, 1024, 2048, 1024, 256, 128, 16, 1)
"""Widths of h14_nsfw.pth."""
PICTURES: Final = 8


class Eyes:
    """All eyes, with or without what judges."""

    def __init__(self, judges: FrameJudges | None = None) -> None:
        self.clip, self.faces, self.words = OpenClipEmbedder(), DlibFaces(), WordReader()
        self._judges = judges or FrameJudges()

    def frame_judges(self) -> FrameJudges:
        """What judges."""
        return self._judges


def main() -> None:
    """Measure and print."""
    given = options(__doc__, clips=False).parse_args()
    at_commit = commit()
    with tempfile.TemporaryDirectory(prefix="judges-") as folder:
        rows = [*machine(), *_rows(Path(folder))]
    present("unsafe_frames", rows, at_commit, as_json=given.json)


def _rows(folder: Path) -> list[Row]:
    eyes, clip = Eyes(), folder / "drawn.mp4"
    write_clip(_drawn(), clip, RATE, CRF)
    told = {"clip": f"{SIZE[0]}x{SIZE[1]} at {RATE:g}, {SECONDS:g} s", "material": "rendered"}
    totals, frames = [], None
    for _ in range(REPEATS):
        begun = cpu()
        looked = checks.look(clip, eyes, MediaLimits())
        totals.append(cpu() - begun)
        [frames] = looked.sight.of(Kind.FRAME)
    assert frames is not None
    rows = [median("looking at a clip: CPU time", totals, "s", told)]
    least = min(totals)
    rows += _head_rows(_linear(eyes.clip, folder), frames, least, told | {"head": "linear, seven categories"})
    wide = np.random.default_rng(2).normal(size=(len(frames.vectors), LAION[0])).astype(np.float32)
    as_wide = Seen(kind=frames.kind, space="wide", vectors=wide, times=frames.times, boxes=frames.boxes)
    rows += _head_rows(_laion(folder), as_wide, least, told | {"head": "as LAION's for ViT-H-14"})
    return [*rows, *_classifier_rows(folder)]


def _head_rows(head: ConceptHead, frames: Seen, looking: float, told: dict[str, Any]) -> list[Row]:
    spent = []
    for _ in range(HEAD_REPEATS):
        begun = time.process_time()
        seen_unsafe(head.space, head.judge(frames.vectors), frames.times, frames.boxes)
        spent.append(time.process_time() - begun)
    told |= {"vectors": len(frames.vectors)}
    shares = [one / looking for one in spent]
    return [
        median("judging a clip by a head: CPU time", [1000 * one for one in spent], "ms", told),
        median("judging a clip by a head: share of looking", shares, "share", told),
        once("judging a clip by a head: goal met", float(np.median(shares) <= GOAL), "yes (1) or no (0)",
             told | {"goal": f"{GOAL:g} of looking"}),
    ]  # fmt: skip


def _classifier_rows(folder: Path) -> list[Row]:
    judge = _classifier(folder / "classifier")
    pictures: Sequence[Picture] = list(
        np.random.default_rng(1).integers(0, 256, (PICTURES, SIZE[1], SIZE[0], 3), np.uint8)
    )
    judge.judge(pictures[:1])
    rates = []
    for _ in range(REPEATS):
        begun = time.process_time()
        judge.judge(pictures)
        rates.append(PICTURES / (time.process_time() - begun))
    told = {"model": "ViT-B/16, as Falconsai's", "weights": "random"}
    return [median("frames judged by a classifier a second of CPU time", rates, "frames/s", told)]


def _linear(clip: OpenClipEmbedder, folder: Path) -> ConceptHead:
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(len(JUDGED), clip.dimension)).astype(np.float32)
    layer = Linear(weight=weight, bias=np.zeros(len(JUDGED), np.float32))
    return _saved(Head(space=clip.space, categories=JUDGED, layers=(layer,)), folder / "linear.safetensors")


def _laion(folder: Path) -> ConceptHead:
    rng = np.random.default_rng(4)
    layers = [
        Linear(weight=(rng.normal(size=(high, low)) / low**0.5).astype(np.float32),
               bias=np.zeros(high, np.float32), relu=high > LAION[-2])
        for low, high in pairwise(LAION)
    ]  # fmt: skip
    head = Head(space="wide", categories=(Category.SEXUAL,), layers=tuple(layers))
    return _saved(head, folder / "laion.safetensors")


def _saved(head: Head, path: Path) -> ConceptHead:
    path.write_bytes(dump(head))
    return ConceptHead(path, head.space)


def _classifier(folder: Path) -> PictureClassifier:
    torch_compat.complete_torchvision()
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(id2label={0: "normal", 1: "nsfw"}, label2id={"normal": 0, "nsfw": 1})
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor().save_pretrained(folder)
    return open_classifier(str(folder))


def _drawn() -> Any:
    rng = np.random.default_rng(SEED)
    design, scene = random_design(rng), random_scene(rng)
    return render_clip(
        design, scene, width=SIZE[0], height=SIZE[1], frames=round(SECONDS * RATE), frame_rate=RATE
    )


if __name__ == "__main__":
    main()
