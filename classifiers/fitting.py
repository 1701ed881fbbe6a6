"""From scores of what is and what is not somebody to a threshold, a curve, and how far both can be believed.

1. A threshold is where at most the given share of what shows or describes a stranger is held or refused;
   ordinary prompts may be refused still more rarely, and of look-alikes a share of their own.
2. The curve from score to probability is a logistic regression, both sides weighing the same (Platt 1999).
3. How good both are is measured on scores that they were not fitted on: in each of `FOLDS` turns one part
   of the scores is left out. Parts are runs of neighbours, since neighbours are of the same subjects.
4. Too few scores make no threshold: at least one stranger has to be over it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import TooFewScores
from classifiers.thresholds import FACE_PORTRAIT, FRAME_PICTURE, Bin, Layer, Reliability

ORDINARY_REFUSED: Final = 0.002
"""Share of ordinary prompts that may be refused."""
FOLDS: Final = 5
BINS: Final = 10
ROUNDS, RIDGE = 50, 1e-3
STEP: Final = 1e-6
"""The least difference of scores that a threshold tells apart."""
TINY: Final = 1e-9
RESEMBLED: Final = (FRAME_PICTURE, FACE_PORTRAIT)
"""Layers of clips, of which material may show what only looks like a subject; prompts do not show."""
LEAST_OWN: Final = 10
"""Scores of registered subjects without which there is no curve."""

Numbers = NDArray[np.float64]


@dataclass(slots=True)
class Scores:
    """Scores of what shows the subject it is compared with, of strangers, of ordinary prompts, and of what
    only looks like the subject it is compared with.
    """

    own: list[float] = field(default_factory=list)
    strangers: list[float] = field(default_factory=list)
    ordinary: list[float] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a threshold is set for: shares of strangers, and of look-alikes, that may reach it.

    ``alike``: None where look-alikes do not matter.
    """

    strangers: float
    alike: float | None = None


def demand(scores: Scores, layer: str, target: Target) -> None:
    """Raises: TooFewScores where no threshold for `target` can be read from these."""
    wanted = [
        ("of registered subjects", len(scores.own), LEAST_OWN, target.strangers),
        ("of strangers", len(scores.strangers), _least(target.strangers), target.strangers),
    ]
    if target.alike is not None and layer in RESEMBLED:
        wanted.append(("of look-alikes", len(scores.alike), _least(target.alike), target.alike))
    for told, found, needed, share in wanted:
        if found < needed:
            raise TooFewScores(
                f"{layer} has {found} examples {told} and needs {needed} for a false-positive rate of "
                f"{share:g}; add material, or ask for a higher rate"
            )


def _least(share: float) -> int:
    return int(np.ceil(1 / share))


def fitted(scores: Scores, target: Target) -> Layer:
    """Threshold and curve of a layer."""
    threshold = _threshold(scores, target)
    slope, intercept = logistic(np.array(scores.own), np.array(scores.strangers))
    return Layer(threshold=round(threshold, 6), slope=round(slope, 4), intercept=round(intercept, 4))


def _threshold(scores: Scores, target: Target) -> float:
    levels = [_level(scores.strangers, target.strangers)]
    if scores.ordinary:
        levels.append(_level(scores.ordinary, ORDINARY_REFUSED))
    if target.alike is not None and scores.alike:
        levels.append(_level(scores.alike, target.alike))
    return max(levels)


def _level(values: Sequence[float], share: float) -> float:
    """The threshold that at most `share` of the values reach: half-way to those that do, where it can."""
    ordered = sorted(values, reverse=True)
    most = min(int(share * len(ordered) + TINY), len(ordered) - 1)
    refused = ordered[most]
    if most and ordered[most - 1] - refused > 2 * STEP:
        return (refused + ordered[most - 1]) / 2
    return refused + STEP


def logistic(own: Numbers, others: Numbers) -> tuple[float, float]:
    """Slope and intercept of a logistic regression, both sides weighing the same; Newton's method."""
    values = np.concatenate([own, others])
    truth = np.concatenate([np.ones(len(own)), np.zeros(len(others))])
    weights = np.where(truth == 1, 0.5 / len(own), 0.5 / len(others))
    middle, spread = float(values.mean()), float(values.std()) or 1.0
    design = np.stack([(values - middle) / spread, np.ones(len(values))], axis=1)
    solution = np.zeros(2)
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(design @ solution, -30, 30)))
        gradient = design.T @ (weights * (chance - truth)) + RIDGE * solution
        curvature = (design * (weights * chance * (1 - chance))[:, None]).T @ design + RIDGE * np.eye(2)
        solution -= np.linalg.solve(curvature, gradient)
    slope = float(solution[0] / spread)
    return slope, float(solution[1] - slope * middle)


def reliability(scores: Scores, target: Target) -> Reliability:
    """How well threshold and curve do on scores that they were not fitted on."""
    chances: list[tuple[Numbers, Numbers]] = []
    found = passed = 0
    for left, kept in _turns(scores):
        layer = fitted(kept, target)
        chances.append((_chances(layer, left.own), _chances(layer, left.strangers)))
        found += sum(score >= layer.threshold for score in left.own)
        passed += sum(score >= layer.threshold for score in left.strangers)
    own, strangers = (np.concatenate(side) for side in zip(*chances, strict=True))
    bins = tuple(_bins(own, strangers))
    mass = sum(one.weight for one in bins)
    ece = sum(one.weight * abs(one.probability - one.share) for one in bins) / mass
    brier = 0.5 * float(((1 - own) ** 2).mean()) + 0.5 * float((strangers**2).mean())
    return Reliability(
        own=len(own), strangers=len(strangers), found=found, passed=passed, ece=round(ece, 4),
        brier=round(brier, 4), bins=bins,
    )  # fmt: skip


def _turns(scores: Scores) -> Iterator[tuple[Scores, Scores]]:
    """What is left out, and what is kept, in each turn."""
    folds = min(FOLDS, len(scores.own), len(scores.strangers))
    own, strangers = (np.array_split(np.array(side), folds) for side in (scores.own, scores.strangers))
    for turn in range(folds):
        left = Scores(own=own[turn].tolist(), strangers=strangers[turn].tolist())
        yield left, Scores(
            own=_without(own, turn), strangers=_without(strangers, turn), ordinary=scores.ordinary,
            alike=scores.alike,
        )  # fmt: skip


def _without(parts: Sequence[Numbers], turn: int) -> list[float]:
    values: list[float] = np.concatenate([*parts[:turn], *parts[turn + 1 :]]).tolist()
    return values


def _chances(layer: Layer, values: Sequence[float]) -> Numbers:
    return np.array([layer.probability(value) for value in values])


def _bins(own: Numbers, strangers: Numbers) -> Iterator[Bin]:
    """Equal steps of probability that hold anything; both sides weigh the same, as in the curve."""
    chances = np.concatenate([own, strangers])
    truth = np.concatenate([np.ones(len(own)), np.zeros(len(strangers))])
    weights = np.where(truth == 1, 0.5 / len(own), 0.5 / len(strangers))
    place = np.minimum((chances * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        inside = place == number
        if inside.any():
            weight = float(weights[inside].sum())
            yield Bin(
                low=number / BINS, count=int(inside.sum()), weight=round(weight, 6),
                probability=round(float((weights * chances)[inside].sum() / weight), 4),
                share=round(float((weights * truth)[inside].sum() / weight), 4),
            )  # fmt: skip
