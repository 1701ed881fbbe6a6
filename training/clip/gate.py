"""May these weights replace those that ship? ``python -m training.clip.gate NEW_FOLDER [--old FOLDER]``.

Both are evaluated on the same held-out designs, and on more than one trial. The new ones pass when
1. more registered clips are found at the threshold that 5 % of one-attribute look-alikes pass: the lower end
   of the 95 % interval lies above the old figure; in both scorings;
2. fewer look-alikes are accepted at the threshold that 80 % of registered clips pass, or 1 % of others: the
   upper end lies below the old figure; in both scorings. How many are accepted at the threshold that 1 % of
   others pass is told and not judged: the further away the others are, the lower lies that threshold, so the
   better a model, the more look-alikes pass it;
3. nothing else is worse than the old figure by more than ``SLACK``: recall, TPR at 1 % FPR, every style,
   descriptions; what is a mistake (clips of nobody over the threshold) is not more by as much.
Exit status 0: pass; 1: the weights stay as they are.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import torch

from benchmarks.common import Row, rate
from training.clip.evaluate import DESIGNS, FOUND_RATE, FRAMES, SHIPPED, VARIANT_RATE, Judged, Trial

SEEDS: Final = (7, 1007)
SLACK: Final = 0.02
FOUND: Final = f"open-set TPR, variants accepted at most {VARIANT_RATE:.0%}"
ACCEPTED: Final = f"one-attribute variants accepted, {FOUND_RATE:.0%} found"
TOLD: Final = "one-attribute variants accepted at 1 % FPR"
MISTAKES: Final = (
    "clips of other designs in finishes over the threshold",
    "clips of empty scenes over the threshold",
)

Pooled = dict[tuple[str, str, str], Row]


def main() -> None:
    """Evaluate both, print every figure side by side, and say which stays."""
    from training.clip.load import load_folder

    parser = argparse.ArgumentParser(description="Gate a release of the small CLIP's weights.")
    parser.add_argument("new", type=Path)
    parser.add_argument("--old", type=Path, default=SHIPPED)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--finish-clips", type=int, default=25)
    given = parser.parse_args()
    torch.set_num_threads(1)
    models = [load_folder(folder) for folder in (given.old, given.new)]
    found: list[list[Row]] = [[], []]
    for seed in SEEDS:
        trial = Trial.drawn(
            seed=seed, registered=DESIGNS, clips=given.clips, frames=FRAMES, finish_clips=given.finish_clips
        )
        for rows, model in zip(found, models, strict=True):
            rows += Judged.by(model, trial).rows({})
    old, new = (pooled(rows) for rows in found)
    for name in old:
        print(f"{' · '.join(filter(None, name))}: {old[name].value:.3f} -> {_told(new[name])}")
    against = list(objections(old, new))
    print("\n".join(against) or "PASS: the new weights may replace the old ones.")
    sys.exit(1 if against else 0)


def pooled(rows: Sequence[Row]) -> Pooled:
    """Rows of several trials as one, by metric, scoring and style."""
    hits: dict[tuple[str, str, str], tuple[int, int]] = {}
    for row in rows:
        name = (row.metric, str(row.conditions.get("scoring", "")), str(row.conditions.get("style", "")))
        before = hits.get(name, (0, 0))
        hits[name] = (before[0] + round(row.value * row.n), before[1] + row.n)
    return {name: rate(name[0], good, of) for name, (good, of) in hits.items()}


def objections(old: Pooled, new: Pooled) -> Iterator[str]:
    """What speaks against the new weights, a sentence each."""
    for name, before in old.items():
        now, told = new[name], " · ".join(filter(None, name))
        change = now.value - before.value
        if name[0] == TOLD:
            continue
        if name[0] == FOUND:
            fault = "" if now.interval[0] > before.value else "NOT clearly better"
        elif name[0] == ACCEPTED:
            fault = "" if now.interval[1] < before.value else "NOT clearly better"
        else:
            fault = "WORSE" if (change if name[0] in MISTAKES else -change) > SLACK else ""
        if fault:
            yield f"{fault}: {told}: {before.value:.3f} -> {_told(now)}"


def _told(row: Row) -> str:
    return f"{row.value:.3f} [{row.interval[0]:.3f}, {row.interval[1]:.3f}] n={row.n}"


if __name__ == "__main__":
    main()
