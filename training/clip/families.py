"""Draws families of look-alikes, for the second stage of the small CLIP's training, into arrays on disk.

Usage: ``python -m training.clip.families FOLDER [--families 1500] [--others 3000] [--seed 1]``.

A family is a design and three look-alikes of it, each with another attribute changed. All four are drawn in
the same four scenes, so that what differs between two pictures of a scene is the attribute alone, and what
two pictures of one design share is the design alone. Frames are worn as clips are: other backgrounds and
finishes, the visible mark, coarse H.264; small characters too. Beside each whole frame, a region of it.
With ``--square`` all pictures keep their proportions, as the squares do that the product cuts out of frames
(`classifiers.sampling.regions_of`); but for some frames of 16:9, squeezed whole, that count as parts.
Several folders of different seeds can be drawn; training takes any number.
"""

import argparse
import json
import time
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from generator.embedded.world.design import Design, differing, random_design, variant_of
from generator.embedded.world.render import Rendered, box_of, render_frame
from generator.embedded.world.scene import LARGEST, random_scene
from generator.embedded.world.words import captions
from training.clip.cache import ASPECTS, SIDE, around, cell, worn
from training.clip.coded import Wear
from training.clip.others import Material, Picture, material, random_other

MEMBERS: Final = 4
SCENES: Final = 4
SMALLEST: Final = 0.38
# Where a character stands in a square of the frame's height, and how often the frame of 16:9 comes with it.
AT: Final = (0.2, 0.8)
WIDE_SHARE: Final = 0.15
# Regions are cut of so many of the frames.
REGION_SHARE: Final = 0.5
EMPTY_SHARE: Final = 0.1
# From this share of a character on, a picture shows all of it, or as good as all.
FULL: Final = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Designs of a family, scenes of each, and pictures near the character, beside whole and region.

    ``square``: whether pictures keep their proportions.
    """

    members: int = MEMBERS
    scenes: int = SCENES
    close: int = 0
    square: bool = False


PLAIN: Final = Plan()


def main() -> None:
    """Draw one folder."""
    parser = argparse.ArgumentParser(description="Draw families of look-alikes for the small CLIP.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--families", type=int, default=1500)
    parser.add_argument("--others", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--material", type=Path, nargs="*", default=[], help="folders of further pictures of nobody"
    )
    parser.add_argument("--members", type=int, default=MEMBERS, help="designs of a family")
    parser.add_argument("--scenes", type=int, default=SCENES, help="scenes that each family is drawn in")
    parser.add_argument(
        "--close", type=int, default=0, help="further pictures of a frame, near the character"
    )
    parser.add_argument("--square", action="store_true", help="keep the proportions of all pictures")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    begun = time.process_time()
    plan = Plan(members=given.members, scenes=given.scenes, close=given.close, square=given.square)
    count = draw(given.folder, given.families, given.others, given.seed, material(given.material), plan)
    print(f"{given.folder}: {count} pictures, {time.process_time() - begun:.0f} s of processor time")


def draw(folder: Path, families: int, others: int, seed: int, stock: Material, plan: Plan = PLAIN) -> int:
    """Write ``pictures.npy`` ``uint8[n, side, side, 3]`` and ``rows.jsonl``, a line each; return n."""
    rng, wear = np.random.default_rng(seed), Wear(stock)
    most = families * plan.scenes * ((2 + plan.close) * plan.members + 1) + others
    pictures = np.lib.format.open_memmap(
        folder / "pictures.new.npy", mode="w+", dtype=np.uint8, shape=(most, SIDE, SIDE, 3)
    )
    at = 0
    with (folder / "rows.jsonl").open("w") as rows:
        for number in range(families):
            for picture, row in _family(number, wear, rng, plan):
                pictures[at] = picture
                rows.write(json.dumps(row) + "\n")
                at += 1
        for _ in range(others):
            pictures[at] = worn(random_other(stock, SIDE, rng), rng)
            rows.write(json.dumps({"kind": "other", "family": -1}) + "\n")
            at += 1
    np.save(folder / "pictures.npy", pictures[:at])
    (folder / "pictures.new.npy").unlink()
    return at


def members(rng: np.random.Generator, count: int = MEMBERS) -> list[Design]:
    """A design and look-alikes of it, no two of which have the same attribute changed."""
    made = [random_design(rng)]
    while len(made) < count:
        other = variant_of(made[0], rng)
        changed = differing(made[0], other)
        if changed and all(changed != differing(made[0], known) for known in made[1:]):
            made.append(other)
    return made


def _family(
    number: int, wear: Wear, rng: np.random.Generator, plan: Plan
) -> list[tuple[Picture, dict[str, Any]]]:
    family, drawn = members(rng, plan.members), []
    for place in range(plan.scenes):
        scene = replace(random_scene(rng), size=float(rng.uniform(SMALLEST, LARGEST)))
        wide = plan.square and rng.random() < WIDE_SHARE
        if plan.square:
            aspect = 16 / 9 if wide else 1.0
            scene = scene if wide else replace(scene, place=float(rng.uniform(*AT)))
        else:
            aspect = ASPECTS[int(rng.choice(len(ASPECTS), p=(0.5, 0.2, 0.2, 0.1)))]
        height, moment = int(rng.choice([112, 144, 176])), float(rng.uniform(0, 3))
        shape, way = (round(height * aspect), height), wear.plan(rng)
        region, seed = rng.random() < REGION_SHARE, int(rng.integers(2**31))
        for member, design in enumerate(family):
            frame = render_frame(design, scene, width=shape[0], height=shape[1], time=moment)
            frame = Rendered(picture=wear.worn(frame, way), cover=frame.cover)
            row = {
                "kind": "world", "family": number, "member": member, "scene": place,
                "attributes": list(astuple(design)), "captions": captions(design, scene, rng),
            }  # fmt: skip
            cut = np.random.default_rng(seed) if region else None
            drawn += _views(frame, row, cut, rng, square=plan.square)
            drawn += [_close(frame, row, rng, square=plan.square) for _ in range(plan.close)]
        if rng.random() < EMPTY_SHARE:
            frame = render_frame(None, scene, width=shape[0], height=shape[1], time=moment)
            row = {"kind": "empty", "family": -1, "captions": captions(None, scene, rng)}
            drawn.append((worn(wear.worn(frame, way), rng), row))
    return drawn


def _views(
    frame: Rendered, row: dict[str, Any], cut: np.random.Generator | None, rng: np.random.Generator,
    *, square: bool,
) -> list[tuple[Picture, dict[str, Any]]]:  # fmt: skip
    """The whole frame, and a region of it: the same region for all members of a family."""
    measured = _measured(frame.cover, frame.cover)
    if square and frame.cover.shape[0] != frame.cover.shape[1]:
        measured["full"] = False  # squeezed, it says nothing about the build
    views = [(worn(frame.picture, rng), row | measured)]
    if cut is not None:
        views.append(_part(frame, row, _box(frame, cut, square=square), rng))
    return views


def _close(
    frame: Rendered, row: dict[str, Any], rng: np.random.Generator, *, square: bool
) -> tuple[Picture, dict[str, Any]]:
    """The frame about the character, or all of it where the character is not to be seen."""
    height, width = frame.picture.shape[:2]
    box = box_of(frame.cover) or (0, 0, width, height)
    chosen = (
        squared(around(box, width, height, rng), width, height) if square else around(box, width, height, rng)
    )
    return _part(frame, row, chosen, rng)


def _part(
    frame: Rendered, row: dict[str, Any], box: tuple[int, int, int, int], rng: np.random.Generator
) -> tuple[Picture, dict[str, Any]]:
    left, top, right, bottom = box
    cover = frame.cover[top:bottom, left:right]
    return worn(frame.picture[top:bottom, left:right], rng), row | _measured(cover, frame.cover)


def _measured(part: Picture, whole: Picture) -> dict[str, float | bool]:
    """How much of the character is in, and how much of the picture it fills."""
    seen = float(part.sum()) / max(1.0, float(whole.sum()))
    return {"seen": round(seen, 4), "area": round(float((part > 127).mean()), 4), "full": seen >= FULL}


def _box(frame: Rendered, cut: np.random.Generator, *, square: bool) -> tuple[int, int, int, int]:
    height, width = frame.picture.shape[:2]
    box = box_of(frame.cover)
    near = box is not None and cut.random() >= 0.4
    chosen = around(box, width, height, cut) if box and near else cell(width, height, cut)
    return squared(chosen, width, height) if square else chosen


def squared(box: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """The square about a box, moved into the frame where it reaches beyond it."""
    side = min(max(box[2] - box[0], box[3] - box[1]), width, height)
    left = min(max(0, (box[0] + box[2] - side) // 2), width - side)
    top = min(max(0, (box[1] + box[3] - side) // 2), height - side)
    return left, top, left + side, top + side


if __name__ == "__main__":
    main()
