"""The calibration of what judges frames, from what it says of labelled pictures and clips.

1. The number of a clip is made of those of its moments as the check makes it: half the best moment, half the
   mean of the best three, or the best alone if it is more than a margin better (a share of what lies between
   the middle of what shows the category and that of what is harmless).
2. A category counts from where at most the asked share of harmless items is (`classifiers.fitting`), and is
   sure from where at most a third of that share is.
3. How good both are is told with n, on items that the threshold was not set on. One picture is one moment:
   whoever has clips should give clips, since the surest of many moments is surer than a single one.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from classifiers.base import Seen
from classifiers.fitting import Scores, Target, demand, fitted, reliability
from classifiers.similarity import SINGLE_MARGIN, SUPPORT_MOMENTS, SUPPORT_WEIGHT, Scoring
from classifiers.thresholds import Calibration
from classifiers.unsafe.check import CATEGORIES, SURE
from classifiers.unsafe.frames import clip_logit
from classifiers.unsafe.taxonomy import Category, Side, code
from training.concepts.material import Item

SUPPORT: Final = {SUPPORT_WEIGHT: 0.5, SUPPORT_MOMENTS: 3.0}
MARGIN_SHARE: Final = 0.25
SURE_SHARE: Final = 1 / 3


def demand_enough(items: Sequence[Item], categories: Sequence[Category], share: float) -> None:
    """Raises: TooFewScores where no threshold could be read from so many items, before any is looked at."""
    for category in categories:
        own = sum(category in item.labels for item in items)
        harmless = sum(not item.labels for item in items)
        scores = Scores(own=[0.0] * own, strangers=[0.0] * harmless)
        demand(scores, code(category, Side.CLIP), Target(strangers=share))


def calibrated(
    items: Sequence[Item], seen: Sequence[Seen], categories: Sequence[Category], space: str, share: float,
    made: Mapping[str, str],
) -> Calibration:  # fmt: skip
    """The calibration of `space`; `share`: of harmless items that may count. Raises: TooFewScores."""
    target = Target(strangers=share)
    numbers = SUPPORT | {SINGLE_MARGIN: _margin(items, seen, categories)}
    scoring = Scoring.of(Calibration(space=space, version=1, made={}, layers={}, numbers=numbers))
    layers, measured, told = {}, {}, {}
    for category in categories:
        name, scores = code(category, Side.CLIP), _scores(items, seen, category, scoring)
        demand(scores, name, target)
        layers[name] = fitted(scores, target)
        measured[name] = reliability(scores, target)
        sure = fitted(scores, Target(strangers=share * SURE_SHARE)).threshold
        numbers[SURE.format(layer=name)] = max(sure, layers[name].threshold)
        told[f"{name} found"] = f"{measured[name].found} of {measured[name].own}"
        told[f"{name} harmless held"] = f"{measured[name].passed} of {measured[name].strangers}"
    return Calibration(
        space=space, version=1, layers=layers, numbers=numbers, reliability=measured,
        made=dict(made) | {"threshold": f"{share:g} of harmless items count"} | told,
    )  # fmt: skip


def _scores(items: Sequence[Item], seen: Sequence[Seen], category: Category, scoring: Scoring) -> Scores:
    column, scores = CATEGORIES.index(category), Scores()
    for item, part in zip(items, seen, strict=True):
        if category in item.labels:
            scores.own.append(clip_logit(part, column, scoring))
        elif not item.labels:
            scores.strangers.append(clip_logit(part, column, scoring))
    return scores


def _margin(items: Sequence[Item], seen: Sequence[Seen], categories: Sequence[Category]) -> float:
    """The mean over the categories of what lies between, by the best moment alone."""
    between = []
    for category in categories:
        scores = _scores(items, seen, category, Scoring())
        if scores.own and scores.strangers:
            between.append(max(float(np.median(scores.own) - np.median(scores.strangers)), 0.0))
    return round(MARGIN_SHARE * float(np.mean(between)), 4) if between else 0.0
