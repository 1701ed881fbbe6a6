"""Thresholds of unsafe prompts: from the worst part of harmless texts, as the gate judges them."""

import numpy as np

from classifiers.unsafe.check import SURE
from classifiers.unsafe.taxonomy import TRAINED, Category, Side, code
from training.safety.calibrate import SHARE, SHARES, calibrated
from training.safety.corpus import Text

HARMLESS = 2000


def texts(pieces: int) -> list[Text]:
    found = [Text(text=f"harmless {at}", labels=(), unknown=(), part=0) for at in range(HARMLESS)]
    found += [Text(text=f"bad {one}", labels=(one,), unknown=(), part=0) for one in TRAINED for _ in range(4)]
    return found + [
        Text(text=f"piece {at}", labels=(), unknown=TRAINED, part=0, of=at) for at in range(pieces)
    ]


def test_a_sentence_that_stands_out_raises_the_threshold_of_its_text() -> None:
    alone, cut = texts(0), texts(HARMLESS)
    random = np.random.default_rng(3)
    logits = random.normal(-6, 1, (len(cut), len(TRAINED))).astype(np.float32)
    logits[HARMLESS : len(alone)] = 3
    logits[len(alone) :] += 1
    plain = calibrated(logits[: len(alone)], alone, "unsafe-test", {})
    worst = calibrated(logits, cut, "unsafe-test", {})
    assert plain.made["harmless texts"] == worst.made["harmless texts"] == str(HARMLESS)
    for category in set(Category) - {Category.OTHER, Category.MINORS}:
        name = code(category, Side.PROMPT)
        assert worst.layer(name).threshold > plain.layer(name).threshold
        assert worst.numbers[SURE.format(layer=name)] >= worst.layer(name).threshold


def test_no_more_harmless_texts_count_than_the_share_allows() -> None:
    cut = texts(HARMLESS)
    logits = np.random.default_rng(4).normal(-6, 1, (len(cut), len(TRAINED))).astype(np.float32)
    made = calibrated(logits, cut, "unsafe-test", {})
    whole = np.maximum(logits[:HARMLESS], logits[len(cut) - HARMLESS :])
    for column, category in enumerate(TRAINED):
        hits = (whole[:, column] >= made.layer(code(category, Side.PROMPT)).threshold).mean()
        assert hits <= SHARES.get(category, SHARE) + 1 / HARMLESS
