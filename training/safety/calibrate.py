"""Thresholds of the embedded moderator's space, from texts of the corpus by a fit that has not learnt their
words.

1. From a category's threshold on, one in so many harmless texts counts (`SHARES`): fewer where the policy
   refuses or holds, more where a name is merely noted. Two in three harmless texts are look-alikes on
   purpose, so that ordinary prompts are hit less often than that. A text's score is that of its worst part,
   as at the gate, so that long prompts are hit no more often than short ones.
2. A finding is sure from the score on that a third of that share of harmless texts reaches.
3. Texts in other languages move no threshold, since their line was moved to these (`training.safety.recipe`);
   how many of each language count is written down.
4. The two categories that are made of others have the thresholds that follow from theirs.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from classifiers.thresholds import Calibration, Layer
from classifiers.unsafe.check import SURE
from classifiers.unsafe.taxonomy import TRAINED, Category, Side, code
from training.safety.corpus import Text
from training.safety.fit import Floats, fit_dense

SHARE: Final = 0.003
SHARES: Final[Mapping[Category, float]] = {
    Category.REAL_PERSON: 0.004,
    # Ordinary prompts are nearer to these than our harmless texts are: animals, ruins, sport, news.
    Category.DISTURBING: 0.0005, Category.VIOLENCE: 0.0005, Category.MISINFORMATION: 0.0015,
    Category.HARASSMENT: 0.0015,
}  # fmt: skip
SURE_SHARE: Final = 1 / 3
FOUND_ELSEWHERE: Final = "found in other languages, of texts whose words were not learnt"
LEARNT_ELSEWHERE: Final = "found in other languages, of texts whose words were learnt"
STOPPED_ELSEWHERE: Final = "harmless texts in other languages that count"
MINORS_AT: Final = 0.0
"""The logit of the conjunction from which on it counts, and is sure: as likely as not is enough here."""


def calibrated(
    unseen: Floats,
    texts: Sequence[Text],
    space: str,
    made: Mapping[str, str],
    foreign: tuple[Floats, Floats, Sequence[Text]] | None = None,
) -> Calibration:
    """The calibration of `space` from logits ``[texts, categories]``, with the figures of the fit.

    `foreign`: logits of texts in other languages whose words were not learnt, of the same once they are, and
    the texts.
    """  # fmt: skip
    harmless = worst(unseen, texts)
    layers: dict[str, Layer] = {}
    numbers: dict[str, float] = {}
    figures: dict[str, float] = {}
    for column, category in enumerate(TRAINED):
        name, scores, quiet = code(category, Side.PROMPT), unseen[:, column], harmless[:, column]
        mine = np.array([category in text.labels for text in texts])
        share = share_of(category)
        threshold = float(np.quantile(quiet, 1 - share))
        slope, intercept = _curve(scores[mine], quiet)
        layers[name] = Layer(threshold=round(threshold, 3), slope=slope, intercept=intercept)
        numbers[SURE.format(layer=name)] = round(float(np.quantile(quiet, 1 - share * SURE_SHARE)), 3)
        figures[str(category)] = round(float((scores[mine] >= threshold).mean()), 3)
    sexual, minors = code(Category.SEXUAL, Side.PROMPT), code(Category.MINORS, Side.PROMPT)
    likeness = code(Category.SEXUAL_LIKENESS, Side.PROMPT)
    layers[likeness] = layers[sexual]
    numbers[SURE.format(layer=likeness)] = layers[sexual].threshold
    told: dict[str, dict[str, float]] = {}
    if foreign:
        strange, learnt, others = foreign
        told = by_language(layers, strange, others)
        told[LEARNT_ELSEWHERE] = by_language(layers, learnt, others)[FOUND_ELSEWHERE]
    layers[minors] = Layer(threshold=MINORS_AT, slope=1.0, intercept=0.0)
    numbers[SURE.format(layer=minors)] = MINORS_AT
    return Calibration(
        space=space, version=1, layers=layers, numbers=numbers,
        made=dict(made) | {
            "harmless texts": str(len(harmless)),
            "share of harmless texts that count": str(SHARE),
            "other shares": json.dumps({str(category): share for category, share in SHARES.items()}),
            "found of texts whose words were not learnt": json.dumps(figures),
        } | {name: json.dumps(shares) for name, shares in told.items()},
    )  # fmt: skip


def by_language(
    layers: Mapping[str, Layer], unseen: Floats, texts: Sequence[Text]
) -> dict[str, dict[str, float]]:
    """Shares of each language's texts that count: unsafe ones for their category, harmless ones for any."""
    limits = np.array([layers[code(category, Side.PROMPT)].threshold for category in TRAINED], np.float32)
    over = unseen >= limits
    right = np.array([
        any(over[at, TRAINED.index(one)] for one in text.labels) if text.labels else over[at].any()
        for at, text in enumerate(texts)
    ], bool)  # fmt: skip
    language, unsafe = (
        np.array([text.language for text in texts]),
        np.array([bool(text.labels) for text in texts]),
    )
    return {
        name: {
            str(one): round(float(right[(language == one) & (unsafe == kind)].mean()), 4)
            for one in sorted({text.language for text in texts} - {""})
        }
        for name, kind in ((FOUND_ELSEWHERE, True), (STOPPED_ELSEWHERE, False))
    }


def share_of(category: Category) -> float:
    """The share of harmless texts that counts as `category`."""
    return SHARES.get(category, SHARE)


def worst(unseen: Floats, texts: Sequence[Text]) -> Floats:
    """The highest logits of any part of each harmless text ``float32[harmless texts, categories]``."""
    worst = unseen.copy()
    for place, text in enumerate(texts):
        if text.of >= 0:
            worst[text.of] = np.maximum(worst[text.of], unseen[place])
    return worst[[not text.labels and text.of < 0 for text in texts]]


def _curve(mine: Floats, harmless: Floats) -> tuple[float, float]:
    """Slope and intercept of the logistic curve, at even prior odds."""
    scores = np.concatenate([mine, harmless])[:, None].astype(np.float32)
    wanted = np.concatenate([np.ones(len(mine)), np.zeros(len(harmless))])[:, None].astype(np.float32)
    counts = np.where(wanted > 0, len(harmless) / max(len(mine), 1), 1).astype(np.float32)
    line = fit_dense(scores, wanted, counts, decay=1e-4)
    return round(float(line.weights[0, 0]), 4), round(float(line.bias[0]), 4)
