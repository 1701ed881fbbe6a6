"""Characters of a file of name-free descriptions, registered by words alone, and how prompts score on them.

A file has {"text", "target", "kind"} a line. A character is registered by its description of the kind
`DESCRIPTION`, once with the list of the kind `ATTRIBUTES` as attributes and once without any. Prompts are the
other descriptions. A *look-alike* is the prompt of a character that is not registered while half are.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.tools.plain_references import NAMES, PlainMatch, PlainReferences
from classifiers.base import Kind, Sight, TextEmbedder, Vectors
from classifiers.descriptions import fused_scores, look_at_texts, vectors_of_subject
from classifiers.wording import clauses

DESCRIPTION: Final = "desc60"
ATTRIBUTES: Final = "kw_lm20"
PROSE: Final = ("desc_rewrite", "dalle")
KEYWORDS: Final = ("kw_lm10", "kw_lm5")
SPLITS: Final = 20
SEED: Final = 5
BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A prompt of the file that describes `target`."""

    target: str
    kind: str
    text: str


class WordReferences:
    """Descriptions and attributes of some subjects in one space."""

    seq = 0
    names = NAMES

    def __init__(self, space: str, words: Mapping[str, Mapping[Kind, Vectors]]) -> None:
        self._by_kind = {
            kind: PlainReferences(space, kind, {who: own[kind] for who, own in words.items() if kind in own})
            for kind in (Kind.DESCRIPTION, Kind.ATTRIBUTE)
            if words
        }

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> Sequence[Sequence[PlainMatch]]:
        """As `classifiers.base.References` says; for one kind at a time."""
        [kind] = kinds
        return self._by_kind[Kind(kind)].search(space, kinds, vectors, neighbours)


def read(path: Path) -> list[Described]:
    """The lines of a file."""
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Described(target=line["target"], kind=line["kind"], text=line["text"]) for line in lines]


def register(
    described: Sequence[Described], minilm: TextEmbedder, *, listed: bool
) -> dict[str, dict[Kind, Vectors]]:
    """The vectors of each character; `listed`: with a list of attributes."""
    found: dict[str, dict[Kind, Vectors]] = {}
    lists = {one.target: clauses(one.text) for one in described if one.kind == ATTRIBUTES and listed}
    for one in described:
        if one.kind == DESCRIPTION:
            seen = vectors_of_subject(one.text, lists.get(one.target, []), [one.target], None, minilm)
            found[one.target] = {part.kind: part.vectors for part in seen}
    return found


def look(texts: Sequence[str], minilm: TextEmbedder) -> list[Sight]:
    """What the sentence model sees of prompts."""
    batches = (texts[at : at + BATCH] for at in range(0, len(texts), BATCH))
    return [sight for batch in batches for sight in look_at_texts([[text] for text in batch], None, minilm)]


def scores(sight: Sight, references: WordReferences, weight: float, count: int) -> dict[str, float]:
    """The fused score of each subject."""
    [whole] = sight.of(Kind.PROMPT)
    return fused_scores(whole, sight.of(Kind.CLAUSE), references, weight, count)


def halves(targets: Sequence[str]) -> Iterator[set[str]]:
    """Halves of the characters to register."""
    rng = random.Random(SEED)
    for _ in range(SPLITS):
        yield set(rng.sample(sorted(targets), len(targets) // 2))


def lookalikes(by_prompt: Sequence[tuple[str, Mapping[str, float]]]) -> list[float]:
    """The best score of each prompt whose character is not registered, over all halves.

    ``by_prompt``: target and scores for all characters.
    """
    targets = sorted({target for target, _ in by_prompt})
    return [
        max(score for subject, score in scored.items() if subject in half)
        for half in halves(targets)
        for target, scored in by_prompt
        if target not in half
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    return float(np.quantile(values, share))
