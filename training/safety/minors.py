"""The category about minors: a conjunction of features, fitted without a single sentence about it.

A row is (words about age, how sexual a text is, both multiplied). How sexual comes from the logits of other
texts: of sexual ones about adults, and of harmless ones. A row counts as this category where there are
words about age *and* the logit is that of a sexual text; words about age with a harmless text's logit do
not count, and sexual texts without words about age do not either.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.safety.fit import fit_dense

Floats = NDArray[np.float32]
DECAY: Final = 1e-4


def fit_minors(sexual: Floats, harmless: Floats) -> Floats:
    """Weights of the three features and a bias ``float32[4]``, from logits of both kinds of text."""
    logits = np.concatenate([sexual, harmless, sexual, harmless]).astype(np.float32)
    age = np.repeat(np.array([1, 1, 0, 0], np.float32),
                    [len(sexual), len(harmless), len(sexual), len(harmless)])  # fmt: skip
    wanted = np.zeros((len(logits), 1), np.float32)
    wanted[: len(sexual)] = 1
    rows = np.stack([age, logits, age * logits], axis=1)
    line = fit_dense(rows, wanted, np.ones_like(wanted), decay=DECAY)
    return np.append(line.weights[0], line.bias[0]).astype(np.float32)
