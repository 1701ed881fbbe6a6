"""Characters of a file of name-free descriptions, registered by words alone, and how prompts score on them.

A file has {"text", "target", "kind"} a line. A character is registered by its description of the kind
`DESCRIPTION`, whose clauses are its attributes. Prompts are the others. A *look-alike* is the prompt of a
character that is not registered while half are.
A threshold that is reported was never chosen on the character that it is tried on (`Trials.left_out`).
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.tools.plain_references import NAMES, PlainMatch, PlainReferences
from classifiers.base import Kind, Sight, TextEmbedder, Vectors
from classifiers.descriptions import look_at_texts, vectors_of_subject
from classifiers.fused import Signs, compared
from classifiers.thresholds import Calibration
from classifiers.weighing import FUSED, LISTED
from classifiers.wording import listed, without_names

DESCRIPTION: Final = "desc60"
PROSE: Final = ("desc_rewrite", "dalle")
KEYWORDS: Final = ("kw_lm20", "kw_lm10", "kw_lm5")
KINDS: Final = (*PROSE, *KEYWORDS)
LAYERS: Final = (FUSED, LISTED)
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
        self.subjects = list(words)
        self._words = words
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

    def rows_of(self, space: str, kind: str, subjects: Sequence[str]) -> tuple[list[str], Vectors, Signs]:
        """As `classifiers.fused.Rowed` says."""
        own = {who: self._words[who][Kind(kind)] for who in subjects if Kind(kind) in self._words[who]}
        owners = [who for who, rows in own.items() for _ in rows]
        return owners, np.concatenate(list(own.values())), np.ones(len(owners), np.int8)


def read(path: Path) -> list[Described]:
    """The lines of a file."""
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [
        Described(
            target=line["target"], kind=line["kind"], text=without_names(line["text"], [line["target"]])
        )
        for line in lines
    ]  # fmt: skip


def register(
    descriptions: Mapping[str, str], embedder: TextEmbedder
) -> dict[str, dict[Kind, Vectors]]:  # fmt: skip
    """The vectors of each character."""
    found: dict[str, dict[Kind, Vectors]] = {}
    for who, text in descriptions.items():
        seen = vectors_of_subject(text, (), [who], None, embedder)
        found[who] = {part.kind: part.vectors for part in seen}
    return found


def look(texts: Sequence[str], minilm: TextEmbedder) -> list[Sight]:
    """What the sentence model sees of prompts."""
    batches = (texts[at : at + BATCH] for at in range(0, len(texts), BATCH))
    return [sight for batch in batches for sight in look_at_texts([[text] for text in batch], None, minilm)]


def scores(sights: Sequence[Sight], references: WordReferences, calibration: Calibration) -> Vectors:
    """By the passages of each of `LAYERS` scores ``float32[layers, sights, subjects]``, minus infinity for
    whom a rule rules out.
    """
    found = []
    for sight in sights:
        [whole] = sight.of(Kind.PROMPT)
        parts = sight.of(Kind.CLAUSE)
        told = compared(whole, parts, references, calibration, FUSED, references.subjects)
        nothing = np.full(len(references.subjects), -np.inf, np.float32)
        found.append([told.get(layer, nothing) for layer in LAYERS])
    return np.array(found, np.float32).transpose(1, 0, 2)


def over(scores: Vectors, calibration: Calibration) -> Vectors:
    """How far over its layer's threshold each one's best passage is ``float32[sights, subjects]``."""
    return over_thresholds(
        scores, [calibration.layers[one].threshold if one in calibration.layers else np.inf for one in LAYERS]
    )


def over_thresholds(scores: Vectors, thresholds: Sequence[float]) -> Vectors:
    """The same by a threshold for each of `LAYERS`; infinity: there is none."""
    return np.asarray((scores - np.array(thresholds)[:, None, None]).max(axis=0), np.float32)


def halves(subjects: int) -> Iterator[NDArray[np.bool_]]:
    """Halves of so many characters to register."""
    rng = random.Random(SEED)
    for _ in range(SPLITS):
        chosen = np.zeros(subjects, np.bool_)
        chosen[rng.sample(range(subjects), subjects // 2)] = True
        yield chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Prompts of a file and the characters that are registered, seen once, to be scored in several ways."""

    asked: list[Described]
    sights: list[Sight]
    references: WordReferences

    @classmethod
    def of(cls, told: Sequence[Described], embedder: TextEmbedder, kinds: Sequence[str] = KINDS) -> "Looked":
        """The prompts of these kinds; the characters are registered by their descriptions."""
        registered = {one.target: one.text for one in told if one.kind == DESCRIPTION}
        references = WordReferences(embedder.space, register(registered, embedder))
        asked = [one for one in told if one.kind in kinds and one.target in registered]
        return cls(
            asked=asked, sights=look([one.text for one in asked], embedder), references=references
        )  # fmt: skip

    def trials(self, calibration: Calibration) -> "Trials":
        """The scores, by the layers that the calibration has."""
        places = {who: place for place, who in enumerate(self.references.subjects)}
        return Trials(
            scores=scores(self.sights, self.references, calibration),
            own=np.array([places[one.target] for one in self.asked]),
            layers=np.array([layer_of(one.text, calibration) for one in self.asked]),
        )


def layer_of(text: str, calibration: Calibration | None = None) -> str:
    """The layer that a prompt as a whole belongs to; without a calibration, as if it had both."""
    lists = calibration is None or LISTED in calibration.layers
    return LISTED if lists and listed([text]) else FUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Prompts against characters: ``scores[layers, prompts, subjects]``, ``own[prompts]`` the place of each
    one's character, ``layers[prompts]`` which layer it belongs to as a whole.

    A passage of a prompt may be of another layer; a threshold is made with the prompts of its own layer, and
    holds for all.
    """

    scores: Vectors
    own: NDArray[np.intp]
    layers: NDArray[np.str_]

    def of(self, layer: str) -> Vectors:
        """The scores of a layer's passages ``float32[prompts, subjects]``."""
        return np.asarray(self.scores[LAYERS.index(layer)], np.float32)

    def alike(self, layer: str, without: int = -1) -> Vectors:
        """The best score of each look-alike of a layer, over all halves; one character may be left out."""
        found: list[Vectors] = []
        scores = self.of(layer)
        for half in halves(scores.shape[1]):
            kept = half.copy()
            if without >= 0:
                kept[without] = False
            mine = (self.layers == layer) & ~half[self.own] & (self.own != without)
            if kept.any() and mine.any():
                found.append(scores[mine][:, kept].max(axis=1))
        return np.concatenate(found) if found else np.full(1, np.inf, np.float32)

    def left_out(
        self, chosen: NDArray[np.bool_], share: float, least: Mapping[str, float]
    ) -> tuple[list[bool], list[bool], list[bool]]:
        """Of the `chosen` prompts, over all halves: whether the right owner is found first and over the
        threshold; whether it is the first; and of look-alikes whether they are held.

        The threshold is where `share` of the look-alikes of other characters would be held, or `least`.
        """
        over = {
            who: over_thresholds(
                self.scores,
                [max(threshold_at(self.alike(one, int(who)), share), least.get(one, -1.0)) for one in LAYERS],
            )
            for who in np.unique(self.own)
        }
        found: tuple[list[bool], list[bool], list[bool]] = ([], [], [])
        for half in halves(self.scores.shape[2]):
            places = np.flatnonzero(half)
            for row in np.flatnonzero(chosen):
                who = self.own[row]
                line = over[who][row, places]
                held = bool(line.max() >= 0)
                if half[who]:
                    first = bool(places[line.argmax()] == who)
                    found[0].append(held and first)
                    found[1].append(first)
                else:
                    found[2].append(held)
        return found


def threshold_at(values: Vectors, share: float) -> float:
    """The value that `share` of the values reach."""
    return float(np.quantile(values, 1 - share, method="higher"))
