"""What looking at a clip costs, part by part, in CPU time of all processes; how fast a large CLIP embeds."""

import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.common import Row, median, once
from benchmarks.tools.drawn_trials import write_clip
from classifiers import clip_source
from classifiers.base import Picture, Vectors
from classifiers.embed import OpenClipEmbedder
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_clip
from generator.embedded.world.scene import random_scene
from pipeline import checks
from pipeline.media.types import MediaLimits

SECONDS: Final = 10.0
RATE: Final = 24.0
SIZES: Final = ((480, 272), (1280, 720))
CRF: Final = 20
REPEATS: Final = 3
LARGE: Final = "ViT-B-32"
LARGE_PICTURES: Final = 64
GOAL_RATE: Final = 50.0
SEED: Final = 31


@dataclass(slots=True)
class Clock:
    """CPU seconds by part."""

    spent: dict[str, float] = field(default_factory=dict)

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """Do some work and count it."""
        begun = time.process_time()
        try:
            return work()
        finally:
            self.spent[part] = self.spent.get(part, 0.0) + time.process_time() - begun


class TimedClip:
    """The embedder, with its time counted."""

    def __init__(self, clip: OpenClipEmbedder, clock: Clock) -> None:
        self._clip, self._clock = clip, clock
        self.space, self.dimension, self.pictures = clip.space, clip.dimension, 0

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        """As the embedder's."""
        self.pictures += len(images)
        found: Vectors = self._clock.timed("frames", lambda: self._clip.embed_images(images))
        return found

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """As the embedder's."""
        return self._clip.embed_texts(texts)


class TimedLook:
    """A finder of faces or reader of words, with its time counted."""

    def __init__(self, part: str, eye: Any, clock: Clock) -> None:
        self._part, self._eye, self._clock = part, eye, clock
        self.space = str(getattr(eye, "space", ""))
        self.looks = 0

    def look(self, picture: Picture) -> Any:
        """As the eye's."""
        self.looks += 1
        return self._clock.timed(self._part, lambda: self._eye.look(picture))


class TimedEyes:
    """All eyes, with their time counted."""

    def __init__(self, eyes: checks.Eyes, clock: Clock) -> None:
        self.clip: Any = TimedClip(eyes.clip, clock)  # type: ignore[arg-type]
        self.faces, self.words = TimedLook("faces", eyes.faces, clock), TimedLook("words", eyes.words, clock)


def cost_rows(clips: Sequence[Path], eyes: checks.Eyes) -> list[Row]:
    """CPU time of looking at drawn clips of ten seconds, and at the real ones."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            file = Path(folder) / "drawn.mp4"
            write_clip(_drawn(size), file, RATE, CRF)
            told = {"clip": f"{size[0]}x{size[1]} at {RATE:g}, {SECONDS:g} s", "material": "rendered"}
            rows += _rows(file, eyes, told)
    for clip in clips:
        rows += _rows(clip, eyes, {"clip": clip.name, "seconds": _seconds(clip), "material": "real"})
    return rows


def _drawn(size: tuple[int, int]) -> Any:
    rng = np.random.default_rng(SEED)
    design, scene = random_design(rng), random_scene(rng)
    width, height = size
    count = round(SECONDS * RATE)
    return render_clip(design, scene, width=width, height=height, frames=count, frame_rate=RATE)


def _seconds(clip: Path) -> float:
    import av

    with av.open(str(clip)) as opened:
        track = opened.streams.video[0]
        return round(float((track.duration or 0) * (track.time_base or Fraction(0))), 2)


def _rows(file: Path, eyes: checks.Eyes, told: dict[str, Any]) -> list[Row]:
    totals: list[float] = []
    parts: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        clock = Clock()
        timed = TimedEyes(eyes, clock)
        begun = cpu()
        looked = checks.look(file, timed, MediaLimits())
        totals.append(cpu() - begun)
        rest = totals[-1] - sum(clock.spent.values())
        for part, spent in {**clock.spent, "decoding and sampling": rest}.items():
            parts.setdefault(part, []).append(spent)
    if looked.unfinished:
        raise RuntimeError(f"{file.name} was not looked at in full: {looked.unfinished}")
    told |= {
        "pictures embedded": timed.clip.pictures, "searched for faces": timed.faces.looks,
        "read for words": timed.words.looks, "lines read": sum(len(seen.lines) for seen in looked.sight.seen),
    }  # fmt: skip
    return [
        median("looking at a clip: CPU time", totals, "s", told),
        *(
            median(f"looking at a clip: CPU time of {part}", spent, "s", told)
            for part, spent in parts.items()
        ),
    ]


def cpu() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def large_rows(threads: int = 2) -> list[Row]:
    """Pictures a second of a large architecture with random weights, by the clock and by CPU time.

    The second needs no quiet machine: one thread, which never waits for another.
    """
    import torch

    with tempfile.TemporaryDirectory(prefix="large-") as folder:
        model = OpenClipEmbedder(random_model(LARGE, Path(folder)))
    pictures = list(np.random.default_rng(1).integers(0, 256, (LARGE_PICTURES, 360, 640, 3), np.uint8))
    told = {"model": LARGE, "weights": "random", "precision": str(model.dtype)}
    rows = []
    for count, clock, what in (
        (threads, time.perf_counter, "a second"), (1, time.process_time, "a second of CPU time"),
    ):  # fmt: skip
        torch.set_num_threads(count)
        rates = [_rate(model, pictures, clock) for _ in range(REPEATS)]
        rows.append(median(f"pictures embedded {what}", rates, "pictures/s", told | {"threads": str(count)}))
    met, asked = float(rows[0].value >= GOAL_RATE), told | {"goal": str(GOAL_RATE)}
    return [*rows, once("pictures embedded a second: goal met", met, "yes (1) or no (0)", asked)]


def _rate(model: OpenClipEmbedder, pictures: Sequence[Picture], clock: Callable[[], float]) -> float:
    begun = clock()
    model.embed_images(pictures)
    return len(pictures) / (clock() - begun)


def random_model(name: str, folder: Path) -> Path:
    """A folder with open_clip's architecture of this name and random weights."""
    import torch_compat

    torch_compat.complete_torchvision()
    import open_clip
    import torch
    from safetensors.torch import save_file

    settings = open_clip.get_model_config(name)
    torch.manual_seed(SEED)
    save_file(open_clip.model.CLIP(**settings).state_dict(), folder / clip_source.WEIGHTS[0])
    config = {"model_cfg": settings, "preprocess_cfg": {}}
    (folder / clip_source.CONFIG).write_text(json.dumps(config))
    return folder
