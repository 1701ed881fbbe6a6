"""How well the small CLIP tells registered characters from all others, on designs it was never trained on.

Usage: ``python -m training.clip.evaluate MODEL_FOLDER [--clips 200] [--seed 7]``. Twenty designs are
registered by six pictures each; then clips of them in other scenes, of look-alikes with one attribute
changed, of other designs, and of empty scenes are scored: the highest cosine over frames, regions and
references. Everything is drawn; the figures say nothing about other pictures.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from generator.embedded.world.design import Design, random_design, variant_of
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import STYLES, Scene, random_scene
from generator.embedded.world.words import captions, describe
from training.clip.batches import prepared
from training.clip.cache import squeezed
from training.clip.vocabulary import CONTEXT, tokenizer

if TYPE_CHECKING:
    from open_clip.model import CLIP

Picture = NDArray[np.uint8]
Vectors = NDArray[np.float32]

REFERENCES: Final = 6
SIZE: Final = (320, 180)
# The whole frame, four corners and the middle: left, top, share of the sides.
REGIONS: Final = (
    (0.0, 0.0, 1.0),
    (0.0, 0.0, 0.6),
    (0.4, 0.0, 0.6),
    (0.0, 0.4, 0.6),
    (0.4, 0.4, 0.6),
    (0.2, 0.2, 0.6),
)
RATES: Final = (0.01, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Designs and clips to be told apart: pictures ``uint8[clips, views, side, side, 3]``, whose they are."""

    registered: list[Design]
    references: Picture
    clips: Picture
    owners: NDArray[np.int64]
    kinds: list[str]
    styles: list[str]
    texts: list[tuple[int, str]]

    @classmethod
    def drawn(cls, *, seed: int, registered: int, clips: int, frames: int) -> "Trial":
        """So many registered designs, and so many clips of each kind of other."""
        rng = np.random.default_rng(seed)
        known = [random_design(rng) for _ in range(registered)]
        references = [_reference(design, rng) for design in known for _ in range(REFERENCES)]
        shown: list[Picture] = []
        owners, kinds, styles = [], [], []
        for kind, design, owner in _wanted(known, clips, rng):
            scene = random_scene(rng)
            shown.append(clip_views(design, scene, frames, rng))
            owners.append(owner)
            kinds.append(kind)
            styles.append(scene.style)
        texts = [(number, describe(design, rng)) for number, design in enumerate(known)]
        texts += [
            (number, captions(design, random_scene(rng), rng)[1]) for number, design in enumerate(known)
        ]
        texts += [(-1, captions(random_design(rng), random_scene(rng), rng)[1]) for _ in range(clips)]
        return cls(
            registered=known, references=np.stack(references), clips=np.stack(shown), owners=np.array(owners),
            kinds=kinds, styles=styles, texts=texts,
        )  # fmt: skip


def _wanted(
    known: list[Design], clips: int, rng: np.random.Generator
) -> Iterator[tuple[str, Design | None, int]]:
    for index in range(clips):
        number = index % len(known)
        yield "registered", known[number], number
        yield "look-alike", variant_of(known[number], rng), number
        yield "other", random_design(rng), -1
        if index % 4 == 0:
            yield "empty", None, -1


def _reference(design: Design, rng: np.random.Generator) -> Picture:
    frame = render_frame(design, random_scene(rng), width=240, height=240, time=float(rng.uniform(0, 3)))
    return squeezed(frame.picture)


def clip_views(design: Design | None, scene: Scene, frames: int, rng: np.random.Generator) -> Picture:
    """The regions of some frames of a clip, ``uint8[frames * regions, side, side, 3]``."""
    begin = float(rng.uniform(0, 1))
    views = []
    for index in range(frames):
        time = begin + index * 2.0 / max(1, frames)
        frame = render_frame(design, scene, width=SIZE[0], height=SIZE[1], time=time).picture
        views += [squeezed(part) for part in regions(frame)]
    return np.stack(views)


def regions(frame: Picture) -> list[Picture]:
    """The parts of a frame that are looked at."""
    height, width = frame.shape[:2]
    boxes = [
        (round(x * width), round(y * height), round(s * width), round(s * height)) for x, y, s in REGIONS
    ]
    return [frame[top : top + high, left : left + wide] for left, top, wide, high in boxes]


def vectors(model: "CLIP", pictures: Picture, size: int = 128) -> Vectors:
    """Unit vectors ``float32[n, d]`` of pictures ``uint8[n, side, side, 3]``."""
    with torch.inference_mode():
        parts = [
            model.encode_image(prepared(pictures[at : at + size]), normalize=True)
            for at in range(0, len(pictures), size)
        ]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def text_vectors(model: "CLIP", texts: list[str]) -> Vectors:
    """Unit vectors ``float32[n, d]`` of texts."""
    words = tokenizer()
    words.enable_truncation(CONTEXT)
    words.enable_padding(length=CONTEXT, pad_id=0, pad_token="<pad>")  # noqa: S106 (a token of text)
    coded = torch.tensor([coding.ids for coding in words.encode_batch(texts)])
    with torch.inference_mode():
        return np.asarray(model.encode_text(coded, normalize=True).numpy(), dtype=np.float32)


def figures(model: "CLIP", trial: Trial) -> str:
    """One line of the most telling figures."""
    told = judged(model, trial)
    return json.dumps({key: told[key] for key in ("open_set", "look_alikes", "texts", "scores")})


def judged(model: "CLIP", trial: Trial) -> dict[str, Any]:
    """All figures of a trial."""
    references = vectors(model, trial.references)
    count, views = trial.clips.shape[:2]
    seen = vectors(model, trial.clips.reshape(-1, *trial.clips.shape[2:])).reshape(count, views, -1)
    cosines = (seen @ references.T).max(axis=1).reshape(count, -1, REFERENCES).max(axis=2)
    best = cosines.max(axis=1)
    kinds, styles = np.array(trial.kinds), np.array(trial.styles)
    own = cosines[np.arange(count), trial.owners]
    others = best[(kinds == "other")]
    thresholds = {rate: float(np.quantile(others, 1 - rate)) for rate in RATES}
    registered, look_alike = own[kinds == "registered"], own[kinds == "look-alike"]
    first = cosines.argmax(axis=1) == trial.owners
    accepted = {}
    for rate, level in thresholds.items():
        each = {style: _share(own[(kinds == "registered") & (styles == style)] > level) for style in STYLES}
        accepted[f"fpr {rate}"] = {"threshold": round(level, 3), "tpr": _share(registered > level), **each}
    spread = {
        kind: np.quantile(best[kinds == kind], (0.05, 0.5, 0.95)) for kind in dict.fromkeys(kinds.tolist())
    }
    return {
        "open_set": accepted,
        "look_alikes": {f"fpr {rate}": _share(look_alike > level) for rate, level in thresholds.items()},
        "first": _share(first[kinds == "registered"]),
        "texts": _judged_texts(model, trial, references),
        "scores": {kind: [round(float(value), 3) for value in values] for kind, values in spread.items()},
    }


def _judged_texts(model: "CLIP", trial: Trial, references: Vectors) -> dict[str, Any]:
    owners = np.array([owner for owner, _ in trial.texts])
    cosines = text_vectors(model, [text for _, text in trial.texts]) @ references.T
    each = cosines.reshape(len(owners), -1, REFERENCES).max(axis=2)
    level = float(np.quantile(each[owners < 0].max(axis=1), 0.95))
    own = owners >= 0
    return {
        "recall": _share(each[own].argmax(axis=1) == owners[own]),
        "fpr 0.05": {"threshold": round(level, 3), "tpr": _share(each[own].max(axis=1) > level)},
    }


def _share(hits: NDArray[np.bool_]) -> float:
    return round(float(hits.mean()), 3) if hits.size else float("nan")


def main() -> None:
    """Print the figures of a folder as JSON."""
    from training.clip.load import load_folder

    parser = argparse.ArgumentParser(description="Evaluate the small CLIP.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    trial = Trial.drawn(seed=given.seed, registered=20, clips=given.clips, frames=4)
    print(json.dumps(judged(load_folder(given.folder), trial), indent=1))


if __name__ == "__main__":
    main()
