"""``python -m training concepts``: makes and calibrates what judges whether frames are unsafe.

    --data DIR --out DIR                          fits a head on labelled pictures and calibrates it
    --data DIR --out DIR --words                  the same with words alone, nothing fitted
    --data DIR --out DIR --convert FILE --outputs sexual     takes over a head that others trained
    --data DIR --out DIR --head FILE              calibrates a head again, on other pictures
    --data DIR --out DIR --classifier MODEL       calibrates an image classifier of transformers

DIR has a folder `harmless` and one for each category (`training.concepts.material`). Into --out (the home) go
`concepts.safetensors`, and into its folder `calibrations` the calibration, with figures and a diagram.
"""

import argparse
import datetime
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from classifiers.base import Seen
from classifiers.clip_source import EMBEDDED
from classifiers.errors import ClassifierError, ModelUnusable
from classifiers.unsafe.heads import Head, dump, load, parse, space_of
from classifiers.unsafe.labels import HARMLESS, parse_labels
from classifiers.unsafe.taxonomy import Category
from pipeline.calibrating.files import Written, write
from pipeline.errors import CountermarkError, UsageError
from pipeline.eyes import CALIBRATIONS
from pipeline.media.types import MediaLimits
from training.concepts import fit, material, words
from training.concepts.calibrate import calibrated, demand_enough
from training.concepts.convert import converted
from training.concepts.material import Item, Only

FILE: Final = "concepts.safetensors"
FALSE_POSITIVES: Final = 0.01


def main() -> int:
    """Do what the options ask for; 0 when it was done."""
    asked = _options().parse_args()
    try:
        return _classifier(asked) if asked.classifier else _head(asked)
    except (ClassifierError, CountermarkError) as error:
        print(error, file=sys.stderr)
        return 3


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled pictures and clips")
    parser.add_argument("--out", type=Path, required=True, help="the home that is to use it, or a folder")
    parser.add_argument("--model", default="", help="open_clip model, as the setting clip_model; embedded")
    parser.add_argument("--false-positives", type=float, default=FALSE_POSITIVES, help="share of harmless")
    parser.add_argument("--decay", type=float, default=fit.DECAY, help="how strongly weights are held down")
    parser.add_argument("--force", action="store_true", help="replace what --out holds already")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--words", action="store_true", help="a head of words instead of a fitted one")
    way.add_argument("--convert", type=Path, help="weights of a head that others trained")
    way.add_argument("--head", type=Path, help="a head of ours to calibrate again")
    way.add_argument("--classifier", default="", help="folder, or owner/name@commit, of an image classifier")
    parser.add_argument(
        "--outputs", default="", help="for --convert: a category, or harmless, for each output"
    )
    parser.add_argument(
        "--softmax", action="store_true", help="for --convert: its outputs are of one softmax"
    )
    parser.add_argument("--plain", action="store_true", help="for --convert: no ReLU between its layers")
    parser.add_argument("--classifier-sha256", default="", help="digest of the classifier's files")
    parser.add_argument("--labels", default="", help="what its labels mean: nsfw=sexual,normal=harmless")
    return parser


def _head(asked: argparse.Namespace) -> int:
    from classifiers.embed import OpenClipEmbedder

    items = material.read(asked.data)
    target = asked.out / FILE
    if target.exists() and not asked.force and not asked.head:
        raise UsageError(f"{target} is there already; keep it, or replace it with --force")
    clip = OpenClipEmbedder(asked.model or EMBEDDED)
    made = _made(asked, items, clip.name)
    # What can be known before pictures are looked at is asked first, so that a mistake costs no hour.
    ready = _ready(asked, clip, material.categories_of(items))
    judged = sorted(ready.judged) if ready else material.categories_of(items)
    demand_enough(items, judged, asked.false_positives)
    looks = list(material.look(items, Only(clip=clip), MediaLimits(), say))
    head, seen = ready, []
    if head is None:
        categories = material.categories_of(items)
        seen = fit.left_out(looks, categories, asked.decay)
        layer = fit.fitted(looks, categories, asked.decay)
        head = Head(space=clip.space, categories=categories, layers=(layer,))
    else:
        seen = [fit.judged(look, head) for look in looks]
    document = b"" if asked.head else dump(replace(head, made={**head.made, **made}))
    head = parse(document) if document else head
    written = _calibrate(asked, items, seen, sorted(head.judged), space_of(head), made)
    if document:
        target.write_bytes(document)
        say(f'set: frame_head = "{target}", frame_head_sha256 = "{head.digest}"')
    _report(written)
    return 0


def _ready(asked: argparse.Namespace, clip: Any, categories: Sequence[Category]) -> Head | None:
    """The head that needs no fit; None where one is to be fitted. Raises: ModelUnusable, UsageError."""
    if asked.words:
        return words.worded(clip, categories)
    if asked.head:
        head = load(asked.head)
        if head.space != clip.space:
            raise ModelUnusable(f"{asked.head.name} belongs to {head.space}; name its CLIP as --model")
        return head
    if asked.convert:
        outputs = [_output(one.strip()) for one in asked.outputs.split(",")]
        return converted(
            asked.convert, clip.space, clip.dimension, outputs, one=asked.softmax, plain=asked.plain
        )
    return None


def _output(name: str) -> Category | None:
    if name not in (HARMLESS, *Category):
        raise UsageError(f"--outputs names {name[:40]!r}; name {HARMLESS} or a category for each output")
    return None if name == HARMLESS else Category(name)


def _classifier(asked: argparse.Namespace) -> int:
    from classifiers.unsafe.pictures import open_classifier

    items = material.read(asked.data)
    judge = open_classifier(
        asked.classifier, sha256=asked.classifier_sha256, labels=parse_labels(asked.labels)
    )
    demand_enough(items, sorted(judge.judged), asked.false_positives)
    eyes = Only(classifier=judge)
    looks = list(material.look(items, eyes, MediaLimits(), say))
    made = _made(asked, items, Path(asked.classifier).name)
    seen = [look.seen for look in looks]
    _report(_calibrate(asked, items, seen, sorted(judge.judged), judge.space, made))
    return 0


def _calibrate(
    asked: argparse.Namespace, items: Sequence[Item], seen: Sequence[Seen],
    categories: Sequence[Category], space: str, made: dict[str, str],
) -> Written:  # fmt: skip
    found = calibrated(items, seen, categories, space, asked.false_positives, made)
    asked.out.mkdir(mode=0o700, parents=True, exist_ok=True)
    return write(found, asked.out / CALIBRATIONS, force=asked.force)


def _made(asked: argparse.Namespace, items: Sequence[Item], model: str) -> dict[str, str]:
    way = "words" if asked.words else "convert" if asked.convert else "head" if asked.head else "fit"
    way = "classifier" if asked.classifier else way
    counts: dict[str, int] = {}
    for item in items:
        name = "+".join(sorted(item.labels)) or HARMLESS
        counts[name] = counts.get(name, 0) + 1
    return {
        "command": f"python -m training concepts ({way})", "model": model[:120],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "data": "material of the operator's own: "
        + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())),
    }  # fmt: skip


def _report(written: Written) -> None:
    for name, found in written.calibration.reliability.items():
        layer = written.calibration.layers[name]
        print(
            f"{name}: threshold {layer.threshold:g}; found {found.found} of {found.own}; harmless held "
            f"{found.passed} of {found.strangers}; ECE {found.ece:.3f}, Brier {found.brier:.3f}"
        )
    say(f"wrote {written.file} and {written.plot.name}")


def say(text: str) -> None:
    """A line of progress for a person."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
