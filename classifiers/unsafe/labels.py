"""What the labels of a model mean: the map that an operator writes, and the categories that shares add up to.

A map is complete: each of the model's labels is named, as one of our categories or as harmless, so that none
is left out by a slip of the pen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from classifiers.errors import ModelUnusable
from classifiers.judge_forms import label_category
from classifiers.unsafe.taxonomy import Category

HARMLESS: Final = "harmless"
LEAST: Final = 1e-6
"""A share nearer to 0 or 1 says no more than this one."""
MAX_LABELS: Final = 1000


def parse_labels(told: str) -> dict[str, Category | None]:
    """The map of ``nsfw=sexual, normal=harmless``; None: harmless. Raises: ModelUnusable."""
    found: dict[str, Category | None] = {}
    for part in filter(None, (one.strip() for one in told.split(","))):
        label, sign, name = (side.strip() for side in part.rpartition("="))
        if not sign or not label or name not in (HARMLESS, *Category):
            raise ModelUnusable(
                f"{part[:60]!r} says not what a label means: write LABEL={HARMLESS}, or LABEL= and one of "
                f"{', '.join(Category)}"
            )
        found[label] = None if name == HARMLESS else Category(name)
    return found


def meanings(
    labels: Sequence[str], told: Mapping[str, Category | None], model: str
) -> tuple[Category | None, ...]:
    """What each label of a model means, by the map, or without one by the label's own words.

    Raises: ModelUnusable for a map that does not fit, or labels that name nothing unsafe.
    """
    if len(labels) > MAX_LABELS:
        raise ModelUnusable(f"{model} has {len(labels)} labels; use a model that tells harm from no harm")
    if told and set(told) != set(labels):
        odd = sorted(set(told) ^ set(labels))[0]
        raise ModelUnusable(
            f"the map of the labels of {model} does not fit it ({odd[:40]!r}): name each of "
            f"{', '.join(labels)[:200]}"
        )
    found = tuple(told[label] if told else label_category(label) for label in labels)
    if not any(found):
        raise ModelUnusable(
            f"the labels of {model} ({', '.join(labels)[:100]}) name nothing unsafe: say what they mean with "
            "a map, for example nsfw=sexual,normal=harmless"
        )
    return found


def added(labels: Sequence[Category | None], shares: Iterable[float], *, many: bool) -> dict[Category, float]:
    """The logit of each category: of the sum of its labels' shares, or with `many` of the largest.

    ``many``: labels that do not exclude each other. Raises: ValueError for a share that is no number.
    """
    told: dict[Category, float] = {}
    for category, share in zip(labels, shares, strict=True):
        if math.isnan(share):
            raise ValueError("a model answered with no number")
        if category is not None:
            before = told.get(category, 0.0)
            told[category] = max(before, share) if many else before + share
    return {category: logit(share) for category, share in told.items()}


def logit(share: float) -> float:
    """The logit of a share, within what `LEAST` allows."""
    kept = min(max(share, LEAST), 1 - LEAST)
    return math.log(kept / (1 - kept))
