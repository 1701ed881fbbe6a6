"""The calibration of a judge that an operator brings: thresholds in its own space, on text of the project."""

from collections.abc import Callable
from random import Random

import numpy as np

from classifiers.judges import open_judge
from classifiers.thresholds import Calibration, Layer
from classifiers.unsafe.check import CATEGORIES, NEVER, SURE
from classifiers.unsafe.taxonomy import TRAINED, Side, code
from training.safety.corpus import SEED, corpus


def calibrate_judge(
    model: str, sha256: str, form: str, count: int, date: str, say: Callable[[str], None]
) -> Calibration:
    """Ask the judge about `count` texts, half of them harmless. Raises: ModelUnusable."""
    judge = open_judge(model, sha256=sha256, form=form)
    half = max(count // 2, 4)
    each = max(4, half // len(TRAINED) // 4 * 4)
    texts = corpus(each, half // 4 * 4, SEED)
    Random(SEED).shuffle(texts)  # noqa: S311 - no secret
    say(f"asking about {len(texts)} texts")
    logits = judge.judge([text.text for text in texts])
    harmless = np.array([not text.labels for text in texts])
    layers, numbers = {}, {}
    for column, category in enumerate(CATEGORIES):
        if logits[:, column].max() <= NEVER:
            continue
        name, most = code(category, Side.PROMPT), float(logits[harmless, column].max())
        # Over every harmless text, and as likely as not at least.
        layers[name] = Layer(threshold=round(max(most + 0.01, 0.0), 3), slope=1.0, intercept=0.0)
        numbers[SURE.format(layer=name)] = layers[name].threshold
    made = {"command": "python -m training safety --judge", "date": date, "texts": str(len(texts))}
    return Calibration(space=judge.space, version=1, made=made, layers=layers, numbers=numbers)
