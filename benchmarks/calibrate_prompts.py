"""Makes the calibration of the sentence model: `python -m benchmarks.calibrate_prompts --prompts DIR`.

1. The characters of DIR/copycat.jsonl are registered by their descriptions, with and without attributes.
2. The threshold is where the given share of the prompts about characters that are *not* registered would be
   held, and at most `ORDINARY` of those of DIR/benign.jsonl.
3. The second threshold, from which on a finding is sure, lies `MARGIN` over the best look-alike.
4. The curve from score to probability is fitted on prompts about registered characters and look-alikes.
The file replaces the one that ships. The prompts themselves are not kept.
"""

import argparse
import json
import random
import time
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.calibrate import SHIPPED, logistic
from benchmarks.common import commit, say
from benchmarks.tools import described
from classifiers.descriptions import CLAUSE_COUNT, CLAUSE_WEIGHT, FUSED, SURE
from classifiers.minilm import MiniLm
from classifiers.thresholds import Calibration, Layer, dump, file_name

WEIGHT: Final = 0.5
COUNT: Final = 5
ORDINARY: Final = 0.002
MARGIN: Final = 0.02
VERSION: Final = 1


def main() -> None:
    """Measure, write the file, print what is in it."""
    parser = argparse.ArgumentParser(description="Make the calibration of the sentence model.")
    parser.add_argument("--prompts", type=Path, required=True, help="folder of benign and copycat.jsonl")
    parser.add_argument("--sample", type=int, default=1500, help="ordinary prompts to use")
    parser.add_argument(
        "--lookalikes", type=float, default=0.05, help="share of look-alikes that may be held"
    )
    given = parser.parse_args()
    minilm = MiniLm()
    say("looking at ordinary prompts")
    lines = (given.prompts / "benign.jsonl").read_text(encoding="utf-8").splitlines()
    sampled = random.Random(0).sample(lines, min(given.sample, len(lines)))
    ordinary = described.look([json.loads(line)["text"] for line in sampled], minilm)
    told = described.read(given.prompts / "copycat.jsonl")
    say("looking at descriptions")
    prose = [one for one in told if one.kind in described.PROSE]
    sights = described.look([one.text for one in prose], minilm)
    own: list[float] = []
    others: list[float] = []
    usual: list[float] = []
    for listed in (False, True):
        references = described.WordReferences(minilm.space, described.register(told, minilm, listed=listed))
        scored = [described.scores(sight, references, WEIGHT, COUNT) for sight in sights]
        own += [found[one.target] for one, found in zip(prose, scored, strict=True)]
        others += described.lookalikes(list(zip((one.target for one in prose), scored, strict=True)))
        usual += [max(described.scores(sight, references, WEIGHT, COUNT).values()) for sight in ordinary]
    made = _calibration(minilm.space, own, others, usual, given.lookalikes)
    (SHIPPED / file_name(minilm.space)).write_bytes(dump(made))
    print(json.dumps({"made": dict(made.made), "numbers": dict(made.numbers)}, indent=1))


def _calibration(
    space: str, own: list[float], others: list[float], usual: list[float], share: float
) -> Calibration:
    threshold = max(described.quantile(others, 1 - share), described.quantile(usual, 1 - ORDINARY))
    slope, intercept = logistic(np.array(own), np.array(others))
    layer = Layer(threshold=round(threshold, 3), slope=round(slope, 3), intercept=round(intercept, 3))
    held = [sum(score >= layer.threshold for score in scores) for scores in (own, others, usual)]
    return Calibration(
        space=space, version=VERSION, layers={FUSED: layer},
        numbers={
            CLAUSE_WEIGHT: WEIGHT, CLAUSE_COUNT: COUNT,
            SURE.format(layer=FUSED): round(max(others) + MARGIN, 3),
        },
        made={
            "command": f"python -m benchmarks.calibrate_prompts --prompts DIR --lookalikes {share:g}",
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(),
            "model": "all-MiniLM-L6-v2",
            "data": "CopyCat development characters (28), registered by a description, with and without a "
            "list of attributes; ordinary video prompts",
            "held of the registered": f"{held[0]} of {len(own)}",
            "held of look-alikes": f"{held[1]} of {len(others)}, with half of the characters registered",
            "held of ordinary": f"{held[2]} of {len(usual)}",
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
