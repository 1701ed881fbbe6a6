"""Draws the pictures that the small CLIP is trained on, once, into arrays on disk.

Usage: ``python -m training.clip.cache FOLDER [--designs 6000] [--others 6000] [--seed 1]``. Several
parts with different seeds can be drawn at the same time into different folders; training takes any number.

Per design five scenes, per scene two pictures: the whole frame, squeezed into a square, and a region of it.
Every third design is a look-alike of the one before, with one attribute changed.
"""

import argparse
import json
import time
from dataclasses import astuple
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded.world.design import Design, random_design, variant_of
from generator.embedded.world.render import Rendered, box_of, render_frame
from generator.embedded.world.scene import Scene, random_scene
from generator.embedded.world.words import captions
from training.clip.others import Material, Picture, material, random_other

SIDE: Final = 96
SCENES: Final = 5
EMPTY_SHARE: Final = 0.06
ASPECTS: Final = (16 / 9, 4 / 3, 1.0, 9 / 16)


def main() -> None:
    """Draw one folder."""
    parser = argparse.ArgumentParser(description="Draw the training pictures of the small CLIP.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--designs", type=int, default=6000)
    parser.add_argument("--others", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--material", type=Path, nargs="*", default=[], help="folders of further pictures of nobody"
    )
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    draw_cache(given.folder, given.designs, given.others, given.seed, material(given.material))
    print(f"{given.folder}: {time.monotonic() - started:.0f} s")


def draw_cache(folder: Path, designs: int, others: int, seed: int, stock: Material) -> None:
    """Write ``pictures.npy`` ``uint8[n, side, side, 3]`` and ``rows.jsonl``, one line for each picture."""
    rng = np.random.default_rng(seed)
    count = designs * SCENES * 2 + others
    shape = (count, SIDE, SIDE, 3)
    pictures = np.lib.format.open_memmap(folder / "pictures.npy", mode="w+", dtype=np.uint8, shape=shape)
    at, design = 0, random_design(rng)
    with (folder / "rows.jsonl").open("w") as rows:
        for index in range(designs):
            design = variant_of(design, rng) if index % 3 == 2 else random_design(rng)
            for _ in range(SCENES):
                shown = None if rng.random() < EMPTY_SHARE else design
                for picture, row in _views(shown, index, rng):
                    pictures[at] = picture
                    rows.write(json.dumps(row) + "\n")
                    at += 1
        for _ in range(others):
            pictures[at] = worn(random_other(stock, SIDE, rng), rng)
            rows.write(json.dumps({"design": -1, "kind": "other"}) + "\n")
            at += 1
    pictures.flush()


def _views(
    design: Design | None, index: int, rng: np.random.Generator
) -> list[tuple[Picture, dict[str, object]]]:
    """The whole frame and a region, with what is to be known of them."""
    scene = random_scene(rng)
    aspect = ASPECTS[int(rng.choice(len(ASPECTS), p=(0.45, 0.2, 0.25, 0.1)))]
    height = int(rng.choice([112, 144, 176]))
    frame = render_frame(
        design, scene, width=round(height * aspect), height=height, time=float(rng.uniform(0, 3))
    )
    row: dict[str, object] = {
        "design": index if design is not None else -1,
        "kind": "world",
        "attributes": None if design is None else list(astuple(design)),
        "scene": [scene.action, scene.background, scene.time, scene.style],
        "captions": captions(design, scene, rng),
    }
    region, seen = _region(frame, scene, rng)
    area = float((frame.cover > 127).mean())
    return [
        (worn(frame.picture, rng), {**row, "whole": True, "seen": 1.0, "area": area}),
        (worn(region, rng), {**row, "whole": False, "seen": seen[0], "area": seen[1]}),
    ]


def _region(frame: Rendered, scene: Scene, rng: np.random.Generator) -> tuple[Picture, tuple[float, float]]:
    """A part of the frame; how much of the character is in it, and how much of it the character fills."""
    height, width = frame.cover.shape
    box = box_of(frame.cover)
    if box is None or rng.random() < 0.4:
        left, top, right, bottom = cell(width, height, rng)
    else:
        left, top, right, bottom = around(box, width, height, rng)
    part = frame.cover[top:bottom, left:right]
    total = float(frame.cover.sum())
    share = float(part.sum()) / total if total else 0.0
    return frame.picture[top:bottom, left:right], (share, float((part > 127).mean()))


def cell(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A cell of a 2 x 2 or 3 x 3 grid, or one that lies between, from 1/3 to 2/3 of the sides."""
    share = float(rng.choice([1 / 3, 0.5, 0.5, 0.6, 2 / 3]))
    wide, high = max(8, round(width * share)), max(8, round(height * share))
    left, top = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
    return left, top, left + wide, top + high


def around(
    box: tuple[int, int, int, int], width: int, height: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A box about the character, loose or a little too tight, sometimes beside it."""
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    size = np.array([box[2] - box[0], box[3] - box[1]]) * rng.uniform(0.85, 1.7) * rng.uniform(0.9, 1.15, 2)
    if rng.random() < 0.5:
        size[:] = size.max()
    centre += rng.normal(0, 0.1, 2) * size
    low = np.clip(centre - size / 2, 0, (width - 8, height - 8)).astype(int)
    high = np.clip(centre + size / 2, low + 8, (width, height)).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def worn(picture: Picture, rng: np.random.Generator) -> Picture:
    """Squeezed into the square, and often somewhat worn: small before, blurred, compressed, grainy."""
    if rng.random() < 0.25:
        share = rng.uniform(0.35, 0.9)
        small = max(24, round(picture.shape[1] * share)), max(24, round(picture.shape[0] * share))
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    picture = squeezed(picture)
    if rng.random() < 0.4:
        _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    if rng.random() < 0.2:
        grain = rng.normal(0, rng.uniform(2, 12), picture.shape)
        picture = np.asarray(np.clip(picture + grain, 0, 255), dtype=np.uint8)
    return picture


def squeezed(picture: Picture) -> NDArray[np.uint8]:
    """A picture of any size as ``uint8[side, side, 3]``, as the embedder squeezes it."""
    shrinks = min(picture.shape[:2]) >= SIDE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=how), dtype=np.uint8)


if __name__ == "__main__":
    main()
