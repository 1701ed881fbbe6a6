"""Prompts that describe without naming: right owners, look-alikes that nobody registered, ordinary prompts.

1. The characters of copycat.jsonl are registered by one description each, half of them at a time. The right
   owner has to score highest and over the threshold; a threshold is never made with the character it is tried
   on. It lies where a share `ALIKE` of the look-alikes it is made with would be held.
2. The same for parts of the score alone (condition ``score``), one more at a time: CLIP only (the embedded
   one, which knows few words), MiniLM only (whole prompts; clauses), both parts fused, with the cohort, with
   a threshold of their own for lists, with whitening of lists ("as shipped", which has rule 4 besides).
3. The cartoon characters of t2i_riskyprompt.jsonl are registered by one prompt each, names taken out; their
   other prompts are tried, at the threshold that one in a thousand ordinary prompts reaches.
4. Ordinary prompts of benign.jsonl that the shipped thresholds hold, without those they were made with, and
   descriptions and lists of invented subjects, with all characters registered. Both presets hold the same:
   what is found, and what is sure, does not depend on them.
5. The prompts about characters once more, among ordinary sentences that ship, at a place drawn with a seed:
   what stands around a description must not hide it. By the shipped thresholds, all characters registered.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from benchmarks.calibrate_prompts import least_of
from benchmarks.common import Conditions, Row, rate, say, wilson
from benchmarks.tools import described, invented
from benchmarks.tools.described import (
    Described,
    Looked,
    Trials,
    layer_of,
    over,
    over_thresholds,
    threshold_at,
)
from benchmarks.tools.given import Given
from classifiers import thresholds
from classifiers.base import TextEmbedder, Vectors
from classifiers.descriptions import PERHAPS, SURE
from classifiers.embed import OpenClipEmbedder
from classifiers.minilm import MiniLm
from classifiers.ordinary import ordinary_prompts
from classifiers.similarity import COHORT_WEIGHT
from classifiers.thresholds import Calibration
from classifiers.weighing import (
    CLAUSE_SHARE,
    CLAUSE_WEIGHT,
    FUSED,
    LIST_CLAUSE_WEIGHT,
    LIST_LEAST,
    LISTED,
    WHOLE_LEAST,
)
from classifiers.wording import without_names

ALIKE: Final = 0.04
SAMPLE: Final = 1000
INVENTED: Final = 1000
INVENTED_SEED: Final = 77
QUICK: Final = 200
CALIBRATED_WITH: Final = 1500
"""Ordinary prompts that the shipped thresholds were made with, as `benchmarks.calibrate_prompts` chooses."""
RARE: Final = 0.001
AROUND: Final = (0, 2, 10)
AROUND_SEED: Final = 78
REAL: Final = {"material": "real"}
CARTOON: Final = "Copyright_Infringement--Cartoon_Characters"
_TITLED: Final = re.compile(r"A photo describes .*? from (.*?)\. (.*)", re.DOTALL)


def measure(given: Given) -> list[Row]:
    """All rows of this part."""
    told = described.read(given.file("copycat.jsonl"))
    lines = given.file("benign.jsonl").read_text(encoding="utf-8").splitlines()
    used = frozenset(random.Random(0).sample(lines, min(CALIBRATED_WITH, len(lines))))
    others = [str(json.loads(line)["text"]) for line in lines if line not in used] or lines
    count = min(QUICK if given.quick else SAMPLE, len(others))
    ordinary = random.Random(1).sample(others, count)
    return [*characters(told, ordinary), *_entities(given.lines("t2i_riskyprompt.jsonl"), ordinary)]


def characters(told: Sequence[Described], ordinary: Sequence[str]) -> list[Row]:
    """Right owners, look-alikes and ordinary prompts; and what parts of the score find alone."""
    minilm = MiniLm()
    shipped = thresholds.load(minilm.space)
    say("looking at descriptions")
    looked = Looked.of(told, minilm)
    say("looking at ordinary prompts")
    usual = described.look(ordinary, minilm)
    scores = described.scores(usual, looked.references, shipped)
    rows = _found(looked, looked.trials(shipped), least_of(scores), {"score": "as shipped"})
    rows += _held("ordinary prompts", scores, shipped, REAL)
    nobody = invented.descriptions(INVENTED, INVENTED_SEED)
    of_nobody = described.scores(described.look(nobody, minilm), looked.references, shipped)
    for layer in (FUSED, LISTED):
        mine = [place for place, text in enumerate(nobody) if layer_of(text) == layer]
        rows += _held(f"invented, {layer}", of_nobody[:, mine], shipped, {"material": "written"})
    rows += _among(looked, shipped, minilm)
    for name, numbers, lists in _WITHOUT:
        other = _without(shipped, numbers, lists=lists)
        least = least_of(described.scores(usual, looked.references, other))
        rows += _found(looked, looked.trials(other), least, {"score": name})
    return [*rows, *_by_clip(told, ordinary, shipped)]


def _among(looked: Looked, shipped: Calibration, minilm: TextEmbedder) -> list[Row]:
    """The same prompts among ordinary sentences, by the shipped thresholds, all characters registered."""
    around = [text.rstrip(".") + "." for text in ordinary_prompts() if text.isascii()]
    subjects = looked.references.subjects
    own = np.array([subjects.index(one.target) for one in looked.asked])
    kinds = np.array([one.kind for one in looked.asked])
    rows: list[Row] = []
    for count in AROUND:
        rng = random.Random(AROUND_SEED)
        texts = []
        for one in looked.asked:
            kept = rng.sample(around, count)
            before = rng.randint(0, count)
            texts.append(" ".join([*kept[:before], one.text.rstrip(".") + ".", *kept[before:]]))
        lines = over(described.scores(described.look(texts, minilm), looked.references, shipped), shipped)
        found = (lines.argmax(axis=1) == own) & (lines.max(axis=1) >= 0)
        way = {**REAL, "score": "as shipped", "registered": len(subjects), "sentences around": count}
        rows += [
            rate(
                "right owner found by the shipped threshold", int(found[kinds == kind].sum()),
                int((kinds == kind).sum()), {**way, "kind": kind},
            )
            for kind in described.KINDS if (kinds == kind).any()
        ]  # fmt: skip
    return rows


def _without(shipped: Calibration, numbers: Mapping[str, float], *, lists: bool) -> Calibration:
    """The calibration with other numbers, the same for lists as for sentences, and without whitening;
    `lists`: with a threshold of their own for them.
    """
    made = {**shipped.numbers, **numbers}
    made |= {LIST_CLAUSE_WEIGHT: made[CLAUSE_WEIGHT]}
    layers = {name: layer for name, layer in shipped.layers.items() if lists or name != LISTED}
    return replace(shipped, numbers=made, layers=layers, whitening=shipped.whitening[:0])


_NO_RULE: Final = {WHOLE_LEAST: -1.0, LIST_LEAST: -1.0}
_WITHOUT: Final[Sequence[tuple[str, Mapping[str, float], bool]]] = (
    ("MiniLM only: whole prompt", _NO_RULE | {CLAUSE_WEIGHT: 0.0}, False),
    ("MiniLM only: clauses", _NO_RULE | {CLAUSE_WEIGHT: 1.0, COHORT_WEIGHT: 0.0}, False),
    ("fused: whole and all clauses", _NO_RULE | {COHORT_WEIGHT: 0.0, CLAUSE_SHARE: 1.0}, False),
    ("and the best clauses only", _NO_RULE | {COHORT_WEIGHT: 0.0}, False),
    ("and the cohort", _NO_RULE, False),
    ("and a threshold for lists", _NO_RULE, True),
)


def _by_clip(told: Sequence[Described], ordinary: Sequence[str], shipped: Calibration) -> list[Row]:
    """What the embedded CLIP's texts alone say; of most of these words it knows nothing."""
    clip = OpenClipEmbedder()
    way = {"score": "CLIP only: whole prompt"}
    alone = replace(
        _without(shipped, {**_NO_RULE, CLAUSE_WEIGHT: 0.0}, lists=False),
        space=clip.space,
        cohort=shipped.cohort[:0],
    )
    try:
        looked = Looked.of(told, clip)
        least = least_of(described.scores(described.look(ordinary, clip), looked.references, alone))
    except ValueError:  # it knows too few words of every description
        counts = Counter(one.kind for one in told if one.kind in described.KINDS)
        return [
            rate(
                "right owner found", 0, count, {**REAL, **way, "kind": kind, "why": "no description is read"}
            )
            for kind, count in counts.items()
        ]
    return _found(looked, looked.trials(alone), least, way)


def _found(looked: Looked, trials: Trials, least: Mapping[str, float], way: Mapping[str, str]) -> list[Row]:
    kinds = np.array([one.kind for one in looked.asked])
    rows: list[Row] = []
    for kind in described.KINDS:
        count = int((kinds == kind).sum())
        if not count:
            continue
        owner, first, alike = trials.left_out(kinds == kind, ALIKE, least)
        conditions = {**REAL, **way, "kind": kind, "registered": len(looked.references.subjects) // 2}
        rows += [
            _share("right owner found", owner, count, conditions),
            _share("right owner first", first, count, conditions),
            _share("look-alikes held", alike, count, conditions),
        ]
    return rows


def _share(metric: str, found: Sequence[bool], prompts: int, conditions: Mapping[str, str | int]) -> Row:
    """A share over all halves; its interval is that of so many prompts, which come again in each half."""
    value = float(np.mean(found))
    return Row(
        metric=metric, value=value, unit="share", n=prompts, interval=wilson(round(value * prompts), prompts),
        conditions=conditions,
    )  # fmt: skip


def _held(what: str, scores: Vectors, shipped: Calibration, material: Mapping[str, str]) -> list[Row]:
    plain = [shipped.layer(layer).threshold for layer in described.LAYERS]
    sure = [shipped.numbers[SURE.format(layer=layer)] for layer in described.LAYERS]
    asked = [
        shipped.numbers.get(PERHAPS.format(layer=layer), least)
        for layer, least in zip(described.LAYERS, plain, strict=True)
    ]
    count = scores.shape[1]
    held, surely, perhaps = (
        int((over_thresholds(scores, least).max(axis=1) >= 0).sum()) for least in (plain, sure, asked)
    )
    way = {**material, "score": "as shipped", "registered": scores.shape[2]}
    return [
        rate(f"{what} held", held, count, way),
        rate(f"{what} surely found", surely, count, way),
        rate(f"{what} that a judge would be asked about", perhaps, count, way),
    ]


def _entities(lines: Sequence[Mapping[str, object]], ordinary: Sequence[str]) -> list[Row]:
    """Rows of the cartoon characters that are registered by a single prompt of theirs."""
    minilm: TextEmbedder = MiniLm()
    shipped = thresholds.load(minilm.space)
    by_name: dict[str, list[str]] = {}
    for line in lines:
        labels, text = line["labels"], str(line["text"])
        titled = _TITLED.match(text)
        if titled and isinstance(labels, list) and CARTOON in labels:
            who, work = str(line["entity"]), titled.group(1)
            names = [f"{who} from {work}", who, work, *(part for part in who.split() if len(part) > 3)]
            by_name.setdefault(who, []).append(without_names(titled.group(2), names))
    told = [
        Described(target=who, kind=described.DESCRIPTION if not place else "other", text=text)
        for who, texts in by_name.items() if len(texts) > 1
        for place, text in enumerate(texts)
    ]  # fmt: skip
    say("looking at cartoon characters")
    looked = Looked.of(told, minilm, ("other",))
    trials = looked.trials(shipped)
    # How far over its layer's threshold, since hardly any ordinary prompt is a list: both move by as much.
    usual = described.scores(described.look(ordinary, minilm), looked.references, shipped)
    least = threshold_at(over(usual, shipped).max(axis=1), RARE) + 1e-6
    lines_over = over(trials.scores, shipped)
    far, first = lines_over.max(axis=1) >= least, lines_over.argmax(axis=1) == trials.own
    way: Conditions = {**REAL, "registered": len(looked.references.subjects), "by": "one prompt each"}
    return [
        rate("entities, right owner first", int(first.sum()), len(first), way),
        rate("entities, right owner at 0.1 % of ordinary prompts", int((first & far).sum()), len(first), way),
    ]
