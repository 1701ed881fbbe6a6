"""The moderator that ships: the embedded weights, the two categories made of others, and what to quote.

1. A sexual scene with a likeness is as likely as the less likely of the two: a sexual scene, a known person.
2. Somebody under age in a sexual context: words about age together with how sexual the text is. It was
   fitted to that conjunction of features alone; nobody wrote a sentence for it (training/safety/minors.py).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from classifiers.base import TextEmbedder, Vectors
from classifiers.unsafe import known
from classifiers.unsafe.check import CATEGORIES, NEVER
from classifiers.unsafe.features import Features, ages, features, hashed, word_spans
from classifiers.unsafe.model import PromptModel, Weights, shipped
from classifiers.unsafe.taxonomy import TRAINED, Category

MAX_QUOTED: Final = 6
"""Words that are quoted at most."""
SHARE: Final = 0.3
"""A word beside the weightiest is quoted too where it weighs at least this share of it."""
_PERSONS: Final = frozenset((known.POLITICIANS, known.CELEBRITIES))
_COLUMN: Final = {category: column for column, category in enumerate(CATEGORIES)}
_TRAINED: Final = {category: column for column, category in enumerate(TRAINED)}


class EmbeddedModerator:
    """Judges texts with the weights that ship; safe to share between threads."""

    sentences: Final = True

    def __init__(self, minilm: TextEmbedder, weights: Weights | None = None) -> None:
        """Raises: ModelUnusable, also where the lists of known names are not there."""
        known.demand()
        self._model = PromptModel(minilm, weights)
        self.space = self._model.space

    def judge(self, texts: Sequence[str]) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]``."""
        seen = [features(text) for text in texts]
        return complete(self._model.logits(texts, seen), seen, self._model.weights)


def complete(logits: Vectors, seen: Sequence[Features], weights: Weights) -> Vectors:
    """Logits of all categories from those of `TRAINED`."""
    found = np.full((len(logits), len(CATEGORIES)), NEVER, np.float32)
    for category, column in _TRAINED.items():
        found[:, _COLUMN[category]] = logits[:, column]
    sexual = logits[:, _TRAINED[Category.SEXUAL]] if len(logits) else np.zeros(0, np.float32)
    person = np.array([any(one.list in _PERSONS for one in each.known) for each in seen], bool)
    young = np.array([bool(each.ages) for each in seen], np.float32)
    found[:, _COLUMN[Category.SEXUAL_LIKENESS]] = np.where(person, sexual, NEVER)
    row = np.stack([young, sexual, young * sexual], axis=1) if len(logits) else np.zeros((0, 3), np.float32)
    found[:, _COLUMN[Category.MINORS]] = row @ weights.minors[:3] + weights.minors[3]
    return found


def quoted(text: str, category: Category) -> tuple[int, int]:
    """The words of `text` that speak most for `category`, by the weights that ship."""
    if category is Category.MINORS:
        return next(ages(text), (0, len(text)))
    if category in (Category.REAL_PERSON, Category.SEXUAL_LIKENESS, Category.KNOWN_WORK, Category.POLITICAL):
        lists = {known.WORKS, known.BRANDS} if category is Category.KNOWN_WORK else _PERSONS
        for one in known.default().find(text):
            if one.list in lists:
                return one.start, one.end
    if category not in _TRAINED:
        return 0, len(text)
    return _weightiest(text, _TRAINED[category])


def _weightiest(text: str, column: int) -> tuple[int, int]:
    spans = word_spans(text)
    weights = shipped()
    weighs = [weights.words(column, hashed(text[start:end])) for start, end in spans]
    if not weighs or max(weighs) <= 0:
        return 0, len(text)
    first = last = int(np.argmax(weighs))
    least = SHARE * weighs[first]
    while first > 0 and weighs[first - 1] >= least and last - first + 1 < MAX_QUOTED:
        first -= 1
    while last + 1 < len(weighs) and weighs[last + 1] >= least and last - first + 1 < MAX_QUOTED:
        last += 1
    return spans[first][0], spans[last][1]
