"""How much a prompt's words say of a registered subject, in the sentence model's space.

1. The whole prompt is compared with the subject's description, each clause with its attributes.
2. What is said of many says little. A clause counts by how much nearer it is to one of the attributes than to
   a fixed cohort of words about nobody, which comes with the calibration: "blue eyes" counts for nothing, "a
   carrot for a nose" for much. It is the normalisation of speaker verification (Auckenthaler et al. 2000).
3. Of the clauses the best share counts: a prompt also says where and how. Few clauses prove little, since the
   missing ones count as nothing.
4. Nobody is meant whose description the whole prompt is not near, whatever single clauses say.
5. A list of keywords never comes as near to a description as a sentence does, nor do those of others: lists
   have a threshold of their own. What lists have in common with each other, and descriptions with
   each other, is taken out before the two are compared, where the calibration says how: by whitening, which
   makes no direction of the space weigh more than another.
6. A prompt is judged by the best of its passages (`classifiers.passages`), each with its own clauses: what
   stands around a description thins nothing out. Rules 1 to 5 are about each of them.
7. Searching says who may score enough; the scores are made from all vectors of those, so that they are the
   same among a hundred thousand subjects as alone, in the gate, in the publish fence and years later.
Exclusions of a subject are rows of polarity -1: what is nearer to one of them than to what is meant does not
count. A subject without description, as older ones are, has the mean of its clauses for it, which has to be
high, and the threshold of sentences.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Kind, Match, References, Seen, Vectors, doubted
from classifiers.errors import TooManyAlike
from classifiers.similarity import all_near, nearest_of
from classifiers.thresholds import Calibration
from classifiers.weighing import FUSED, LISTED, Asked, Table, Told, Weighing
from classifiers.wording import listed

NEIGHBOURS: Final = 128
MOST_SUBJECTS: Final = 8192
"""Subjects that are compared in full."""
AT_ONCE: Final = 512  # of them
MOST_CELLS: Final = 4_000_000
"""Pairs of a clause and a subject that are looked at."""
EXCLUDED: Final = -1.0
"""For the cosine of a description that an exclusion of its subject is nearer than."""


@runtime_checkable
class Rowed(Protocol):
    """References that give all vectors of some subjects, too."""

    def rows_of(self, space: str, kind: str, subjects: Sequence[str]) -> "tuple[list[str], Vectors, Signs]":
        """Owners, vectors ``float32[n, d]`` and polarities ``int8[n]``; each subject's rows lie together."""
        ...


Signs = NDArray[np.int8]


def layer_of(texts: Sequence[str], calibration: Calibration) -> str:
    """The layer by which a prompt is judged that is not looked at in passages."""
    return LISTED if LISTED in calibration.layers and listed(texts) else FUSED


def fused(
    whole: Seen, parts: Sequence[Seen], references: References, calibration: Calibration, layer: str
) -> dict[str, Told]:
    """The score of every subject that may reach its threshold, and of others that are near.

    ``whole``, ``parts``: passages and clauses of the prompt; `layer`: of one without passages. Raises:
    TooManyAlike where more subjects are near than are compared: then the check is not completed.
    """
    asked = Asked.of(whole, parts, calibration, layer)
    near = _Near.of(whole, parts, references, asked, calibration)
    if near.complete and not asked.whitened:
        return asked.told(near.subjects, near.table(), calibration, near.held)
    found: dict[str, Told] = {}
    hopeful = near.hopeful(asked, calibration)
    if len(hopeful) > MOST_SUBJECTS:
        raise TooManyAlike(f"more than {MOST_SUBJECTS} registered descriptions fit it; say it in other words")
    for at in range(0, len(hopeful), AT_ONCE):
        some = hopeful[at : at + AT_ONCE]
        table = _in_full(whole.space, some, references, asked, calibration, near.held)
        found |= asked.told(some, table, calibration, near.held)
    return found


def compared(
    whole: Seen, parts: Sequence[Seen], references: References, calibration: Calibration, layer: str,
    subjects: Sequence[str],
) -> dict[str, Vectors]:  # fmt: skip
    """By layer the scores ``float32[n]`` of these subjects, without a search: for measuring. Quarantine is
    ignored.
    """
    asked = Asked.of(whole, parts, calibration, layer)
    table = _in_full(whole.space, subjects, references, asked, calibration, set())
    return asked.scores(table, calibration)


@dataclass(slots=True, kw_only=True)
class _Near:
    """What the searches found for each passage and clause: ``highest``, ``floors``: what the score of who is
    not among its neighbours cannot be over; ``complete``: everybody is among them.
    """

    subjects: list[str]
    whole: list[dict[str, float]]
    clauses: list[dict[str, float]]
    highest: Vectors
    floors: Vectors
    held: set[str]

    @classmethod
    def of(
        cls, whole: Seen, parts: Sequence[Seen], references: References, asked: Asked,
        calibration: Calibration,
    ) -> "_Near":  # fmt: skip
        """Search: the clauses first, since they say how near the whole has to be."""
        bare = max(Weighing.of(calibration).bare, calibration.layer(FUSED).threshold)
        found = [
            matches
            for part in parts
            for matches in all_near(
                # One attribute may well be that of thousands; it alone makes nobody found.
                references, part, Kind.ATTRIBUTE, NEIGHBOURS, _many(part, bare), demand=False
            )
        ]  # fmt: skip
        told = [_best(matches) for matches in found]
        best = np.array([matches[0].score if matches else 0.0 for matches in found], np.float32)
        least = asked.least(best, calibration)
        wholes = all_near(references, whole, Kind.DESCRIPTION, NEIGHBOURS, least)
        described = [
            {match.subject: near.get(match.subject, EXCLUDED) for match in matches if match.polarity > 0}
            for matches, near in ((matches, _best(matches)) for matches in wholes)
        ]
        held = {match.subject for matches in (*found, *wholes) for match in matches if doubted(match)}
        # Whose description is not near has to have none, and then a clause that is near enough alone.
        alone = {subject for one in told for subject, score in one.items() if not score < bare}
        subjects = sorted(alone.union(*described))
        if len(subjects) * (len(told) + len(described)) > MOST_CELLS:
            raise TooManyAlike("more registered descriptions fit it than are compared; say it in other words")
        return cls(
            subjects=subjects, whole=described, clauses=told, held=held,
            highest=np.array([_floor(matches) for matches in wholes], np.float32),
            floors=np.array([_floor(matches) for matches in found], np.float32),
        )  # fmt: skip

    @property
    def complete(self) -> bool:
        return bool(np.isneginf(self.highest).all() and np.isneginf(self.floors).all())

    def table(self) -> Table:
        """The cosines that are known; of who was not found, or only as what is not meant, none."""
        nowhere = np.full(len(self.whole), np.nan, np.float32)
        return Table(self._rows(self.whole, nowhere), self._rows(self.clauses, np.zeros_like(self.floors)))

    def hopeful(self, asked: Asked, calibration: Calibration) -> list[str]:
        """Those who may reach a threshold: with every cosine that is not known as high as it can be."""
        clauses = self._rows(self.clauses, np.maximum(self.floors, 0))
        known = np.maximum(self._rows(self.whole, self.highest), self.highest[:, None])
        described = set[str]().union(*self.whole)
        unknown = np.array([subject not in described for subject in self.subjects], np.bool_)
        white = np.ones_like(known) if asked.whitened else None  # no cosine is higher
        may = np.zeros(len(self.subjects), np.bool_)
        least = min(calibration.layer(layer).threshold for layer in (FUSED, *asked.layers))
        for whole, of in ((known, np.ones_like(unknown)), (np.full_like(known, np.nan), unknown)):
            for scores in asked.scores(Table(whole, clauses, white), calibration).values():
                may |= of & ~(scores < least)
        return [subject for subject, one in zip(self.subjects, may, strict=True) if one]

    def _rows(self, near: Sequence[Mapping[str, float]], otherwise: Vectors) -> Vectors:
        """What is known ``float32[near, subjects]``, or what there is `otherwise`."""
        rows = [
            [one.get(subject, other) for subject in self.subjects]
            for one, other in zip(near, otherwise.tolist(), strict=True)
        ]
        return np.array(rows, np.float32).reshape(len(rows), len(self.subjects))


def _in_full(
    space: str, subjects: Sequence[str], references: References | Rowed, asked: Asked,
    calibration: Calibration, held: set[str],
) -> Table:  # fmt: skip
    """The cosines of these subjects, from all their vectors; ``held``: whose words are in quarantine."""
    if not isinstance(references, Rowed):
        raise ValueError("the vectors of those who are registered are needed, and none are given here")
    described = references.rows_of(space, Kind.DESCRIPTION, subjects)
    whole = _nearest(described, subjects, asked.whole, held, EXCLUDED)
    attributes = references.rows_of(space, Kind.ATTRIBUTE, subjects)
    parts = _nearest(attributes, subjects, asked.clauses, held, 0.0)
    white = None
    if asked.whitened:
        owners, vectors, signs = described
        rows = owners, calibration.whitened(vectors), signs
        white = _nearest(rows, subjects, calibration.whitened(asked.whole), held, EXCLUDED)
    return Table(np.where(np.isneginf(whole), np.nan, whole), np.where(np.isneginf(parts), 0, parts), white)


def _nearest(
    rows: "tuple[list[str], Vectors, Signs]", subjects: Sequence[str], seen: Vectors, held: set[str],
    excluded: float,
) -> Vectors:  # fmt: skip
    """`_highest` of what is meant; ``excluded``: in its place where what is not meant is nearer."""
    shown, not_meant = _highest(rows, subjects, seen, held)
    return np.where((shown <= not_meant) & np.isfinite(shown), excluded, shown).astype(np.float32)


def _highest(
    rows: "tuple[list[str], Vectors, Signs]", subjects: Sequence[str], seen: Vectors, held: set[str]
) -> tuple[Vectors, Vectors]:
    """Cosines ``float32[seen, subjects]`` with each one's nearest row of what is meant, and of what is not.

    Minus infinity: there is none. What is in quarantine excludes nothing.
    """
    owners, vectors, signs = rows
    places = {subject: place for place, subject in enumerate(subjects)}
    columns = np.array([places[owner] for owner in owners], np.intp)
    counts = np.array([owner not in held for owner in owners], np.bool_)
    found = []
    for mine in (signs > 0, (signs < 0) & counts):
        table = np.full((len(subjects), len(seen)), -np.inf, np.float32)
        if mine.any():
            np.maximum.at(table, columns[mine], vectors[mine] @ seen.T)
        found.append(table.T)
    return found[0], found[1]


def _best(matches: Sequence[Match]) -> dict[str, float]:
    return {subject: match.score for subject, match in nearest_of(matches).items()}


def _floor(matches: Sequence[Match]) -> float:
    """The last match's score where there may be more; minus infinity where these are all."""
    return matches[-1].score if len(matches) >= NEIGHBOURS else -math.inf


def _many(seen: Seen, least: float) -> Vectors:
    return np.full(len(seen.vectors), least, np.float32)
