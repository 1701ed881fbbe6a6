"""From the cosines of a prompt's words to the score of a subject, by the weights of a calibration.

What is weighed, and why, stands in `classifiers.fused`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Passage, Seen, Vectors
from classifiers.errors import CalibrationMissing
from classifiers.passages import MAX_PASSAGE
from classifiers.similarity import Scoring, nearness
from classifiers.thresholds import HOW_PROMPTS, Calibration

FUSED: Final = "prompt_fused"
"""The layer of whole prompt and clauses together."""
LISTED: Final = "prompt_listed"
"""The same for lists of keywords, where a calibration has it."""

# Numbers of a calibration: see `Weighing`.
CLAUSE_WEIGHT: Final = "clause_weight"
LIST_CLAUSE_WEIGHT: Final = "list_clause_weight"
CLAUSE_SHARE: Final = "clause_share"
CLAUSE_FEWEST: Final = "clause_fewest"
CLAUSE_FULL: Final = "clause_full"
WHOLE_LEAST: Final = "whole_least"
LIST_LEAST: Final = "list_least"
BARE_LEAST: Final = "bare_least"
PART_LESS: Final = "{layer}_part"
"""By how much a passage that is not all that was said counts less, by layer: there are many of them."""
PASSAGES: Final = "passages"
"""The most sentences of a passage (`classifiers.passages`); thresholds without it belong to another score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """How cosines become a score.

    ``clauses``: share of the score that the clauses have. Of n of them the best ``share``, at least
    ``fewest``, count, as if they were at least ``full``. ``least``: what the whole prompt's cosine with the
    description must be at least; ``bare``: the same of the clauses' mean, for who has no description.
    """

    clauses: float
    share: float = 1.0
    fewest: int = 1
    full: int = 1
    least: float = -1.0
    bare: float = -1.0

    @classmethod
    def of(cls, calibration: Calibration, layer: str = FUSED) -> "Weighing":
        """The weighing that a layer was calibrated with. Raises: CalibrationMissing for one of old."""
        numbers = calibration.numbers
        if CLAUSE_WEIGHT not in numbers or numbers.get(PASSAGES) != MAX_PASSAGE:
            raise CalibrationMissing(
                f"the calibration of {calibration.space} is for an earlier way to compare descriptions; "
                f"take its file away, so that the one that ships counts, or make it again with {HOW_PROMPTS}"
            )
        own = LIST_CLAUSE_WEIGHT if layer == LISTED else CLAUSE_WEIGHT
        return cls(
            clauses=numbers.get(own, numbers[CLAUSE_WEIGHT]), share=numbers.get(CLAUSE_SHARE, 1.0),
            fewest=max(1, int(numbers.get(CLAUSE_FEWEST, 1))), full=max(1, int(numbers.get(CLAUSE_FULL, 1))),
            least=numbers.get(LIST_LEAST if layer == LISTED else WHOLE_LEAST, -1.0),
            bare=numbers.get(BARE_LEAST, -1.0),
        )  # fmt: skip

    def of_clauses(self, scores: Vectors) -> Vectors:
        """From ``float32[clauses, subjects]`` what the clauses say of each subject: ``float32[subjects]``."""
        count = len(scores)
        if not count:
            return np.zeros(scores.shape[1], np.float32)
        kept = min(count, max(self.fewest, math.ceil(self.share * count)))
        best = np.partition(scores, count - kept, axis=0)[count - kept :]
        return np.asarray(best.sum(axis=0) / max(kept, self.full), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A subject near a prompt: by which layer, its score, and the same without what is in quarantine."""

    layer: str
    score: float
    sound: float


@dataclass(frozen=True, slots=True)
class Table:
    """Cosines of n passages, k clauses and m subjects: ``whole[n, m]`` (NaN: undescribed), ``clauses[k, m]``.

    ``white[n, m]``: what a passage's cosine is after whitening, where that counts instead.
    """

    whole: Vectors
    clauses: Vectors
    white: Vectors | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What is scored by itself: some rows of the whole and of the clauses, by a layer."""

    whole: NDArray[np.intp]
    clauses: NDArray[np.intp]
    layer: str
    less: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A prompt: ``taken[k]`` is what is taken off each clause's cosines; ``whitened``: by rule 5."""

    whole: Vectors
    clauses: Vectors
    taken: Vectors
    parts: tuple[_Part, ...]
    whitened: bool

    @classmethod
    def of(cls, whole: Seen, parts: Sequence[Seen], calibration: Calibration, layer: str) -> "Asked":
        """A prompt's passages and clauses; `layer`: of one that was looked at as a whole.

        Raises: ValueError for passages of other clauses than were seen.
        """
        seen = np.concatenate([part.vectors for part in parts]) if parts else whole.vectors[:0]
        taken = nearness(seen, calibration.cohort, Scoring.of(calibration))
        made = _parts(whole.passages, len(whole.vectors), seen, calibration, layer)
        return cls(
            whole=whole.vectors, clauses=seen, taken=np.maximum(taken, 0), parts=made,
            whitened=len(calibration.whitening) > 0 and any(part.layer == LISTED for part in made),
        )  # fmt: skip

    @property
    def layers(self) -> set[str]:
        """By which the parts are judged."""
        return {part.layer for part in self.parts}

    def least(self, best: Vectors, calibration: Calibration) -> Vectors:
        """How near each row of the whole must be to a description for a score that is enough: ``float32[n]``.

        ``best``: the best cosine of each clause with anybody's attribute.
        """
        found = np.full(len(self.whole), np.inf, np.float32)
        for part in self.parts:
            extra = (best - self.taken)[part.clauses]
            found[part.whole] = np.minimum(found[part.whole], _least(part, extra, calibration))
        return found

    def told(
        self, subjects: Sequence[str], table: Table, calibration: Calibration, held: set[str]
    ) -> dict[str, Told]:
        """What there is to say of each of the subjects: the part that is farthest over its threshold."""
        best = {layer: calibration.layer(layer).threshold for layer in (FUSED, *self.layers)}
        margins = {layer: scores - best[layer] for layer, scores in self.scores(table, calibration).items()}
        found: dict[str, Told] = {}
        for place, subject in enumerate(subjects):
            layer = max(margins, key=lambda name: margins[name][place])
            score = float(margins[layer][place] + best[layer])
            if math.isfinite(score):
                sound = -math.inf if subject in held else score
                found[subject] = Told(layer=layer, score=score, sound=sound)
        return found

    def scores(self, table: Table, calibration: Calibration) -> dict[str, Vectors]:
        """By layer the best scores ``float32[m]`` of its parts, minus infinity for whom rule 4 rules out.

        Who has no description is judged as in sentences.
        """
        count = table.whole.shape[1]
        found = {layer: np.full(count, -np.inf, np.float32) for layer in (FUSED, *self.layers)}
        for part in self.parts:
            scores, bare = self._scores(part, table, calibration)
            for layer, mine in ((part.layer, ~bare), (FUSED, bare)):
                if mine.any():
                    np.maximum(found[layer], scores, out=found[layer], where=mine)
        return found

    def _scores(
        self, part: _Part, table: Table, calibration: Calibration
    ) -> tuple[Vectors, NDArray[np.bool_]]:
        """Scores of one part, and who has no description."""
        near, clauses = table.whole[part.whole].max(axis=0), table.clauses[part.clauses]
        bare = np.isnan(near)
        how = Weighing.of(calibration, part.layer)
        whole = np.where(bare, how.of_clauses(clauses), near)
        extra = how.of_clauses(clauses - self.taken[part.clauses, None])
        counts = whole
        if part.layer == LISTED and table.white is not None:
            counts = np.where(bare, whole, table.white[part.whole].max(axis=0))
        weight = np.where(bare, Weighing.of(calibration).clauses, how.clauses)
        scores = (1 - weight) * counts + weight * extra
        scores -= part.less
        scores[whole < np.where(bare, how.bare, how.least)] = -np.inf
        return np.asarray(scores, np.float32), bare


def _least(part: _Part, extra: Vectors, calibration: Calibration) -> float:
    how = Weighing.of(calibration, part.layer)
    if part.layer == LISTED and len(calibration.whitening):
        return how.least  # a cosine says little of what it is after whitening
    most = float(how.of_clauses(extra[:, None])[0])
    needed = (
        (calibration.layer(part.layer).threshold + part.less - how.clauses * most) / (1 - how.clauses)
        if how.clauses < 1
        else -1.0
    )
    return max(how.least, needed)


def _parts(
    passages: Sequence[Passage], rows: int, clauses: Vectors, calibration: Calibration, layer: str
) -> tuple[_Part, ...]:
    """A part for each passage; all rows and clauses together where there is none."""
    if not passages:
        return (_Part(np.arange(rows), np.arange(len(clauses)), layer),)
    if len(passages) != rows or any(not 0 <= one.first <= one.end <= len(clauses) for one in passages):
        raise ValueError("what was seen of the prompt does not belong together")
    known: dict[bytes, int] = {}
    # The same clause said twice is one.
    first = np.array([known.setdefault(row.tobytes(), place) for place, row in enumerate(clauses)], np.intp)
    lists = LISTED if LISTED in calibration.layers else FUSED
    layers = [lists if one.listed else FUSED for one in passages]
    return tuple(
        _Part(
            np.array([row]), np.unique(first[one.first : one.end]), layer,
            calibration.numbers.get(PART_LESS.format(layer=layer), 0.0) if one.part else 0.0,
        )
        for row, (one, layer) in enumerate(zip(passages, layers, strict=True))
    )  # fmt: skip
