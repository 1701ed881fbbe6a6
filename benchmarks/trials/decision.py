"""One decision rule for every scheme: a score above a threshold that unmarked clips hardly ever reach.

The rules:
1. The score of a reading of marked material is the scheme's own, for the message that was embedded.
2. Scores without a mark come from unmarked clips under the same attack. Where a scheme tells its evidence bit
   by bit, each reading is compared with `DRAWN` messages drawn at random: for any evidence whatsoever that is
   the exact distribution of the score of a message that has nothing to do with the clip.
3. The threshold at a rate is the smallest score above all but that share of them, where at least `ENOUGH` of
   them are expected above it: first among those of the attack, else among those of all attacks. Else it
   is the quantile of the normal distribution with their mean and deviation: a fitted tail, and it says so.
4. Our score is −log₁₀ of a proved bound over a whole search (`known`), so it has proved thresholds as well.
"""

import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.trials.cells import Result

Scores = NDArray[np.float64]

RATES: Final = (1e-3, 1e-6)
DRAWN: Final = 4000  # messages for each unmarked reading
ENOUGH: Final = 10  # scores above a threshold, for it to be read off
ATTACK: Final = "unmarked clips, this attack"
POOLED: Final = "unmarked clips, all attacks"
TAIL: Final = "normal tail fitted to unmarked clips, all attacks"
PROVED: Final = "proved bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Scores above ``value`` are detections; ``how`` it was found, from ``n`` scores (0: it is proved)."""

    value: float
    how: str
    n: int


def without_mark(result: Result) -> Scores:
    """Scores of an unmarked reading; none where the scheme refuses the pictures, which it can do to any."""
    evidence = np.asarray(result.get("evidence") or [])
    if not evidence.size:
        return np.array([float(result["score"])])
    seed = hashlib.sha256(result["digest"].encode()).digest()[:6]
    signs = np.random.default_rng(int.from_bytes(seed)).choice([-1.0, 1.0], (DRAWN, evidence.size))
    length = float(np.linalg.norm(evidence))
    return np.asarray(signs @ evidence / length) if length > 0 else np.empty(0)


def threshold(attack: Scores, pooled: Scores, rate: float) -> Threshold:
    """By rule 3; `attack` is part of `pooled`. Raises: ValueError where there are no scores."""
    if not pooled.size:
        raise ValueError("there are no scores without a mark; try unmarked clips too")
    for scores, how in ((attack, ATTACK), (pooled, POOLED)):
        above = int(scores.size * rate)
        if above >= ENOUGH:
            return Threshold(value=float(np.sort(scores)[-above - 1]), how=how, n=scores.size)
    far = statistics.NormalDist().inv_cdf(1 - rate)
    value = max(float(pooled.mean() + far * pooled.std()), 0.0)
    return Threshold(value=value, how=TAIL, n=pooled.size)


def proved(rate: float) -> Threshold:
    """Of a score that is −log₁₀ of a bound: what reaches the rate is a detection."""
    # A hair under it, since a detection lies above a threshold.
    return Threshold(value=float(np.nextafter(-np.log10(rate), 0.0)), how=PROVED, n=0)


def bit_accuracy(result: Result, message: Sequence[int]) -> float:
    """The share of bits read right; without evidence bits, 1 where the payload is exact and else a half."""
    evidence = result.get("evidence") or []
    if not evidence:
        return 1.0 if result["payload"] == "exact" else 0.5
    if not any(evidence):
        return 0.5
    return statistics.fmean((value > 0) == bool(bit) for value, bit in zip(evidence, message, strict=True))
