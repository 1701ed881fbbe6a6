"""Makes the calibration of the sentence model: `python -m benchmarks.calibrate_prompts --prompts DIR`.

1. The cohort of words about nobody is made from the grammar of `benchmarks.tools.invented`, and the whitening
   from its descriptions and lists and from the ordinary prompts that ship (`classifiers.ordinary`).
2. The characters of DIR/copycat.jsonl are registered by one description each.
3. A prompt's score by a layer is that of its best passage (`classifiers.passages`). Passages around which
   more is said are many, so they count less, by as much as look-alikes reach more by them than by all that
   was said; thresholds account for all passages. Each layer's threshold is where the given share of the
   prompts about characters that are *not* registered would be held, while half of the others are, and at most
   `ORDINARY` of those of DIR/benign.jsonl.
4. The second threshold, from which on a finding is sure, lies `MARGIN` over the best look-alike. A judge,
   where there is one, is asked from where a share `ASKED` of the look-alikes are and at most
   `ASKED_ORDINARY` of the ordinary prompts.
5. The curve from score to probability is fitted on prompts about registered characters and look-alikes.
The weights below were chosen on the same characters, by hand from a small grid (docs/adr/0023). The figures
in the file are those of thresholds that were made without the character they are tried on. The file replaces
the one that ships. The prompts themselves are not kept.
"""

import argparse
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibrate import SHIPPED, logistic
from benchmarks.common import commit, say
from benchmarks.tools import described, invented
from benchmarks.tools.described import LAYERS, layer_of, over, threshold_at
from classifiers.base import Sight, TextEmbedder, Vectors
from classifiers.descriptions import ASKED, PERHAPS, SURE
from classifiers.minilm import MiniLm
from classifiers.ordinary import ordinary_prompts
from classifiers.passages import MAX_PASSAGE
from classifiers.similarity import COHORT_NEAREST, COHORT_WEIGHT
from classifiers.thresholds import Calibration, Layer, dump, file_name
from classifiers.weighing import (
    BARE_LEAST,
    CLAUSE_FEWEST,
    CLAUSE_FULL,
    CLAUSE_SHARE,
    CLAUSE_WEIGHT,
    LIST_CLAUSE_WEIGHT,
    LIST_LEAST,
    LISTED,
    PART_LESS,
    PASSAGES,
    WHOLE_LEAST,
)

NUMBERS: Final[Mapping[str, float]] = {
    CLAUSE_WEIGHT: 0.4, CLAUSE_SHARE: 0.4, CLAUSE_FEWEST: 2, CLAUSE_FULL: 3,
    COHORT_WEIGHT: 1.0, COHORT_NEAREST: 20,
    WHOLE_LEAST: 0.5, LIST_LEAST: 0.4, BARE_LEAST: 0.6, LIST_CLAUSE_WEIGHT: 0.5,
    PASSAGES: MAX_PASSAGE,
}  # fmt: skip
COHORT: Final = 1000
COHORT_SEED: Final = 230
WHOLES: Final = 2000
WHOLES_SEED: Final = 231
SHRUNK: Final = 3.0
"""How many times the mean variance is added to that of each direction, so that rare ones are not blown up."""
ORDINARY: Final = 0.002
MARGIN: Final = 0.02
ASKED_ORDINARY: Final = 0.01
FAR: Final = 10.0  # more than any two scores lie apart
VERSION: Final = 4


def main() -> None:
    """Measure, write the file, print what is in it."""
    parser = argparse.ArgumentParser(description="Make the calibration of the sentence model.")
    parser.add_argument("--prompts", type=Path, required=True, help="folder of benign and copycat.jsonl")
    parser.add_argument("--sample", type=int, default=1500, help="ordinary prompts to use")
    parser.add_argument(
        "--lookalikes", type=float, default=0.04, help="share of look-alikes that may be held"
    )
    given = parser.parse_args()
    minilm = MiniLm()
    lines = (given.prompts / "benign.jsonl").read_text(encoding="utf-8").splitlines()
    sampled = random.Random(0).sample(lines, min(given.sample, len(lines)))
    told = described.read(given.prompts / "copycat.jsonl")
    made = calibrated(
        told, [str(json.loads(line)["text"]) for line in sampled], minilm, given.lookalikes, NUMBERS
    )
    (SHIPPED / file_name(minilm.space)).write_bytes(dump(made))
    print(json.dumps({"made": dict(made.made), "numbers": dict(made.numbers)}, indent=1))


def draft(minilm: TextEmbedder, numbers: Mapping[str, float] = NUMBERS) -> Calibration:
    """A calibration with everything but thresholds that mean anything."""
    say("looking at the cohort")
    nothing = Layer(threshold=-1.0, slope=1.0, intercept=0.0)
    return Calibration(
        space=minilm.space, version=VERSION, made={}, layers=dict.fromkeys(LAYERS, nothing), numbers=numbers,
        cohort=_half(minilm.embed_texts(invented.attributes(COHORT, COHORT_SEED))),
        whitening=_half(whitening(minilm)),
    )  # fmt: skip


def whitening(minilm: TextEmbedder) -> Vectors:
    """`Calibration.whitening` ``float32[1 + d, d]``: lists, descriptions and ordinary prompts count alike."""
    told = invented.descriptions(WHOLES, WHOLES_SEED)
    lists = [text for text in told if layer_of(text) == LISTED]
    texts = (lists, [text for text in told if layer_of(text) != LISTED], ordinary_prompts())
    groups = [minilm.embed_texts(list(group)).astype(np.float64) for group in texts]
    mean = np.mean([group.mean(axis=0) for group in groups], axis=0)
    spread = sum((group - mean).T @ (group - mean) / len(group) for group in groups) / len(groups)
    spread *= len(spread) / np.trace(spread)
    values, axes = np.linalg.eigh(spread)
    matrix = (axes / np.sqrt(np.maximum(values, 0) + SHRUNK)) @ axes.T
    return np.concatenate([mean[None], matrix]).astype(np.float32)


def _half(values: Vectors) -> Vectors:
    """The numbers as a file keeps them."""
    return values.astype("<f2").astype(np.float32)


def _numbers(scores: Vectors) -> NDArray[np.float64]:
    """The scores of whom no rule rules out."""
    return scores[np.isfinite(scores)].astype(np.float64)


def least_of(scores: Vectors, share: float = ORDINARY) -> dict[str, float]:
    """By layer, the score that at most this share of the ordinary prompts reach with a passage of it."""
    best = scores.max(axis=2)
    return {
        layer: threshold_at(mine, share) + 1e-3
        for layer, mine in zip(LAYERS, best, strict=True) if np.isfinite(mine).any()
    }  # fmt: skip


def _less(
    looked: described.Looked, usual: Sequence[Sight], plain: Calibration, share: float
) -> dict[str, float]:
    """By layer, how much less a passage counts around which more is said: so that as many look-alikes, or
    ordinary prompts, reach the threshold by one as by all that was said.
    """
    reached: list[dict[str, float]] = []
    for less in (FAR, -FAR):  # all that was said alone, then the rest alone
        numbers = {**plain.numbers} | {PART_LESS.format(layer=layer): less for layer in LAYERS}
        alone = replace(plain, numbers=numbers)
        trials, least = looked.trials(alone), least_of(described.scores(usual, looked.references, alone))
        reached.append(
            {
                layer: max(threshold_at(trials.alike(layer), share), least.get(layer, -1.0)) + min(less, 0.0)
                for layer in LAYERS
            }
        )
    whole, rest = reached
    # Where too few have a passage of the kind, what is left is who has none, and lies far below.
    return {layer: round(max(0.0, rest[layer] - whole[layer]), 3) for layer in LAYERS}


def calibrated(
    told: Sequence[described.Described], ordinary: Sequence[str], minilm: TextEmbedder, share: float,
    numbers: Mapping[str, float],
) -> Calibration:  # fmt: skip
    """The calibration of a space."""
    plain = draft(minilm, numbers)
    say("looking at descriptions")
    looked = described.Looked.of(told, minilm)
    say("looking at ordinary prompts")
    seen = described.look(ordinary, minilm)
    less = {PART_LESS.format(layer=one): by for one, by in _less(looked, seen, plain, share).items()}
    numbers = {**numbers, **less}
    plain = replace(plain, numbers=numbers)
    trials = looked.trials(plain)
    usual = described.scores(seen, looked.references, plain)
    least, asked = least_of(usual), least_of(usual, ASKED_ORDINARY)
    layers: dict[str, Layer] = {}
    sure: dict[str, float] = {}
    for layer in LAYERS:
        alike = trials.alike(layer)
        threshold = max(threshold_at(alike, share), least.get(layer, -1.0))
        mine = trials.layers == layer
        own = trials.of(layer)[mine, trials.own[mine]]
        slope, intercept = logistic(_numbers(own), _numbers(alike))
        layers[layer] = Layer(
            threshold=round(threshold, 3), slope=round(slope, 3), intercept=round(intercept, 3)
        )
        sure[SURE.format(layer=layer)] = round(float(alike.max()) + MARGIN, 3)
        perhaps = max(threshold_at(alike, ASKED), asked.get(layer, -1.0))
        sure[PERHAPS.format(layer=layer)] = round(min(perhaps, threshold), 3)
    held = int((over(usual, replace(plain, layers=layers)).max(axis=1) >= 0).sum())
    kinds = np.array([one.kind for one in looked.asked])
    figures = {}
    for kind in described.KINDS:
        found, _, alike_held = trials.left_out(kinds == kind, share, least)
        figures[f"right owner, {kind}"] = f"{np.mean(found):.3f} of {sum(kinds == kind)} prompts"
        figures[f"look-alikes held, {kind}"] = f"{np.mean(alike_held):.3f}"
    return replace(
        plain, layers=layers, numbers={**numbers, **sure},
        made={
            "command": f"python -m benchmarks.calibrate_prompts --prompts DIR --lookalikes {share:g}",
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(),
            "model": "all-MiniLM-L6-v2",
            "cohort": f"{COHORT} attributes of benchmarks/tools/invented.py, seed {COHORT_SEED}",
            "whitening": f"{WHOLES} descriptions of the same, seed {WHOLES_SEED}, and ordinary prompts that "
            "ship",
            "data": "CopyCat development characters (28), registered by a description; half of them at a "
            "time, 20 times; thresholds of the figures without the character that they are tried on; "
            "ordinary video prompts",
            "held of ordinary": f"{held} of {len(ordinary)}",
        } | figures,
    )  # fmt: skip


if __name__ == "__main__":
    main()
