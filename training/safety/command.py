"""``python -m training safety``: makes the weights that judge prompts, from text the project writes itself.

    python -m training safety                         writes weights, digest, model card and calibration
    python -m training safety --folds 5 --data FILE   cross-validates the recipe on labelled prompts; writes
    nothing python -m training safety --judge FOLDER --out FOLDER    calibrates a judge of your own on that
    text

FILE holds JSON lines (`training.safety.labelled`). What ships is never fitted to such a file. With --cache,
sentence vectors are kept in a folder, and a run that was stopped goes on from them.
"""

import argparse
import datetime
import json
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from classifiers import thresholds
from classifiers.errors import ClassifierError
from classifiers.minilm import MiniLm
from classifiers.unsafe import known, model
from classifiers.unsafe.features import features, hashed
from classifiers.unsafe.known import KnownNames
from training.safety import card, folds
from training.safety.calibrate import calibrated
from training.safety.corpus import SEED, corpus, sentences
from training.safety.grammar import part_of
from training.safety.judging import calibrate_judge
from training.safety.labelled import DataUnusable, read
from training.safety.languages import foreign
from training.safety.recipe import Fitted, Inputs, fit
from training.safety.vectors import Vectors

ROOT: Final = Path(__file__).resolve().parents[2] / "classifiers"
WEIGHTS: Final = ROOT / "unsafe" / "weights"
CALIBRATIONS: Final = ROOT / "calibrations"
EACH: Final = 800
HARMLESS: Final = 10_000
EVERYDAY: Final = 5000
NATIVE_EACH: Final = 60
NATIVE_HARMLESS: Final = 1600


def main() -> int:
    """Do what the options ask for; 0 when it was done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=EACH, help="texts of each category")
    parser.add_argument("--harmless", type=int, default=HARMLESS, help="harmless texts")
    parser.add_argument("--everyday", type=int, default=EVERYDAY, help="harmless texts near unsafe ones")
    parser.add_argument(
        "--native-each", type=int, default=NATIVE_EACH, help="texts of each category and language"
    )
    parser.add_argument(
        "--native-harmless", type=int, default=NATIVE_HARMLESS, help="harmless ones of a language"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--cache", type=Path, help="folder in which sentence vectors are kept between runs")
    parser.add_argument("--out", type=Path, help="folder for the files; by default where they ship")
    parser.add_argument("--folds", type=int, default=0, help="cross-validate in so many parts")
    parser.add_argument("--data", type=Path, help="labelled prompts as JSON lines, for --folds")
    parser.add_argument("--judge", help="folder or owner/name@commit of a judge to calibrate")
    parser.add_argument("--judge-sha256", default="", help="digest that the judge must have")
    parser.add_argument("--judge-form", default="auto", help="how the judge is asked")
    parser.add_argument("--texts", type=int, default=400, help="texts that the judge is asked about")
    asked = parser.parse_args()
    if bool(asked.folds) != (asked.data is not None):
        parser.error("--folds and --data go together: --folds 5 --data FILE")
    try:
        if asked.folds:
            return _folds(asked)
        if asked.judge:
            return _judge(asked)
        return _train(asked)
    except (ClassifierError, DataUnusable) as error:
        print(error, file=sys.stderr)
        return 3


def _folds(asked: argparse.Namespace) -> int:
    if asked.folds < 2:
        print("name two folds or more", file=sys.stderr)
        return 2
    data = read(asked.data)
    scores = folds.held_out(data, MiniLm(), asked.folds, seed=0, say=say)
    for row in folds.cross_validated(data, scores, asked.folds):
        print(json.dumps(row))
    return 0


def _judge(asked: argparse.Namespace) -> int:
    if asked.out is None:
        print("name a folder for the calibration with --out: HOME/calibrations", file=sys.stderr)
        return 2
    made = calibrate_judge(asked.judge, asked.judge_sha256, asked.judge_form, asked.texts, _today(), say)
    _write(asked.out / thresholds.file_name(made.space), thresholds.dump(made))
    return 0


def _train(asked: argparse.Namespace) -> int:
    minilm = MiniLm()
    texts = corpus(asked.each, asked.harmless, asked.seed, everyday=asked.everyday)
    whole = len(texts)
    texts += sentences(texts)
    say(f"{whole} texts, and {len(texts) - whole} sentences of harmless ones")
    left_out = frozenset(
        name for which in known.LISTS for name in known.names(which) if part_of(f"sign {name}") == 0
    )
    names = KnownNames(left_out)
    seen = [features(text.text, names) for text in texts]
    say("features")
    others = foreign(asked.native_each, asked.native_harmless, asked.seed)
    vectors = Vectors(minilm, asked.cache, say).of([text.text for text in texts])
    inputs = Inputs(
        texts=texts, vectors=vectors, hashed=[one.hashed for one in seen],
        signs=np.stack([one.signs for one in seen]), foreign=others,
        foreign_hashed=[hashed(text.text) for text in others],
    )  # fmt: skip
    fitted = fit(inputs, minilm.space, say)
    if asked.cache:  # for whoever wants other thresholds without another fit
        np.savez(asked.cache / "unseen.npz", unseen=fitted.unseen, foreign=fitted.foreign)
    _ship(fitted, inputs, asked)
    return 0


def _ship(fitted: Fitted, inputs: Inputs, asked: argparse.Namespace) -> None:
    document = model.dump(fitted.weights)
    weights = model.parse(document)
    made = {
        "command": "python -m training safety", "date": _today(), "seed": str(asked.seed),
        "texts": str(sum(text.of < 0 for text in inputs.texts)),
        "texts in other languages": str(len(inputs.foreign)),
        "data": "text the project writes itself (training/safety/grammar); no other",
    }  # fmt: skip
    learnt = np.stack([weights.elsewhere(one) for one in inputs.foreign_hashed])
    calibration = calibrated(
        fitted.unseen, inputs.texts, weights.space, made, (fitted.foreign, learnt, inputs.foreign)
    )
    place, beside = asked.out or WEIGHTS, asked.out or CALIBRATIONS
    for old in beside.glob("unsafe-*.json"):
        old.unlink()
    _write(place / model.WEIGHTS, document)
    _write(place / model.DIGEST, f"{weights.digest}  {model.WEIGHTS}\n".encode())
    _write(place / "MODEL_CARD.md", card.written(calibration, inputs.texts, len(document)).encode())
    _write(beside / thresholds.file_name(weights.space), thresholds.dump(calibration))


def _write(path: Path, document: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(document)
    say(f"wrote {path.name}, {len(document):,} bytes")


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def say(text: str) -> None:
    """A line of progress for a person."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
