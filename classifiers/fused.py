"""How much a prompt's words say of a registered subject, in the sentence model's space.

1. The whole prompt is compared with the subject's description, each clause with its attributes.
2. What is said of many says little. A clause counts by how much nearer it is to one of the attributes than to
   a fixed cohort of words about nobody, which comes with the calibration: "blue eyes" counts for nothing, "a
   carrot for a nose" for much. It is the normalisation of speaker verification (Auckenthaler et al. 2000).
3. Of the clauses the best share counts: a prompt also says where and how. Few clauses prove little, since the
   missing ones count as nothing.
4. Nobody is meant whose description the whole prompt is not near, whatever single clauses say.
5. A list of keywords never comes as near to a description as a sentence does, nor do those of others: lists
   have a threshold of their own (`listed`). What lists have in common with each other, and descriptions with
   each other, is taken out before the two are compared, where the calibration says how: by whitening, which
   makes no direction of the space weigh more than another.
6. Searching says who may score enough; the scores are made from all vectors of those, so that they are the
   same among a hundred thousand subjects as alone, in the gate, in the publish fence and years later.
Exclusions of a subject are rows of polarity -1: what is nearer to one of them than to what is meant does not
count. A subject without description, as older ones are, has the mean of its clauses for it, which has to be
high, and the threshold of sentences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Kind, Match, References, Seen, Vectors, doubted
from classifiers.errors import CalibrationMissing, TooManyAlike
from classifiers.similarity import Scoring, all_near, nearest_of, nearness
from classifiers.thresholds import HOW_PROMPTS, Calibration
from classifiers.wording import items, undisguised, words

FUSED: Final = "prompt_fused"
"""The layer of whole prompt and clauses together."""
LISTED: Final = "prompt_listed"
"""The same for prompts that are lists of keywords, where a calibration has it."""
NEIGHBOURS: Final = 128
MOST_SUBJECTS: Final = 8192
"""Subjects that are compared in full."""
AT_ONCE: Final = 512  # of them
MOST_CELLS: Final = 4_000_000
"""Pairs of a clause and a subject that are looked at."""
EXCLUDED: Final = -1.0
"""For the cosine of a description that an exclusion of its subject is nearer than."""
LIST_CLAUSES: Final = 3
LIST_WORDS: Final = 3.0
"""A list has at least so many parts between points, of at most so many words on average."""

# Numbers of a calibration: see `Weighing`.
CLAUSE_WEIGHT: Final = "clause_weight"
LIST_CLAUSE_WEIGHT: Final = "list_clause_weight"
CLAUSE_SHARE: Final = "clause_share"
CLAUSE_FEWEST: Final = "clause_fewest"
CLAUSE_FULL: Final = "clause_full"
WHOLE_LEAST: Final = "whole_least"
LIST_LEAST: Final = "list_least"
BARE_LEAST: Final = "bare_least"
OUTDATED: Final = "clause_count"
"""A number that calibrations had whose thresholds belong to another score."""


@runtime_checkable
class Rowed(Protocol):
    """References that give all vectors of some subjects, too."""

    def rows_of(self, space: str, kind: str, subjects: Sequence[str]) -> "tuple[list[str], Vectors, Signs]":
        """Owners, vectors ``float32[n, d]`` and polarities ``int8[n]``; each subject's rows lie together."""
        ...


Signs = NDArray[np.int8]


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
        if CLAUSE_WEIGHT not in numbers or OUTDATED in numbers:
            raise CalibrationMissing(
                f"the calibration of {calibration.space} is for an earlier way to compare descriptions; "
                f"make it again with {HOW_PROMPTS}"
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


def listed(texts: Sequence[str]) -> bool:
    """Whether any turn of a prompt is a list of keywords."""
    return any(_is_list(items(undisguised(text))) for text in texts)


def layer_of(texts: Sequence[str], calibration: Calibration) -> str:
    """The layer by which a prompt is judged."""
    return LISTED if LISTED in calibration.layers and listed(texts) else FUSED


def fused(
    whole: Seen, parts: Sequence[Seen], references: References, calibration: Calibration, layer: str
) -> dict[str, Told]:
    """The score of every subject that may reach its threshold, and of others that are near.

    ``whole``, ``parts``: windows and clauses of the prompt. Raises: TooManyAlike where more subjects are near
    than are compared: then the check is not completed.
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
) -> Vectors:  # fmt: skip
    """The scores ``float32[n]`` of these subjects, without a search: for measuring. Quarantine is ignored."""
    asked = Asked.of(whole, parts, calibration, layer)
    table = _in_full(whole.space, subjects, references, asked, calibration, set())
    return asked.scores(table, calibration)[0]


@dataclass(frozen=True, slots=True)
class Table:
    """Cosines of n clauses and m subjects: ``whole[m]`` (NaN: no description), ``clauses[n, m]``.

    ``white[m]``: what the whole prompt's cosine is after whitening, where that counts instead.
    """

    whole: Vectors
    clauses: Vectors
    white: Vectors | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A prompt: ``taken[n]`` is what is taken off each clause's cosines; ``whitened``: by rule 5."""

    whole: Vectors
    clauses: Vectors
    taken: Vectors
    layer: str
    whitened: bool

    @classmethod
    def of(cls, whole: Seen, parts: Sequence[Seen], calibration: Calibration, layer: str) -> "Asked":
        """A prompt's windows and clauses."""
        seen = np.concatenate([part.vectors for part in parts]) if parts else whole.vectors[:0]
        taken = nearness(seen, calibration.cohort, Scoring.of(calibration))
        return cls(
            whole=whole.vectors, clauses=seen, taken=np.maximum(taken, 0), layer=layer,
            whitened=layer == LISTED and len(calibration.whitening) > 0,
        )  # fmt: skip

    def told(
        self, subjects: Sequence[str], table: Table, calibration: Calibration, held: set[str]
    ) -> dict[str, Told]:
        """What there is to say of each of the subjects."""
        scores, bare = self.scores(table, calibration)
        return {
            subject: Told(
                layer=FUSED if plain else self.layer, score=float(score),
                sound=-math.inf if subject in held else float(score),
            )
            for subject, score, plain in zip(subjects, scores, bare, strict=True)
            if np.isfinite(score)
        }  # fmt: skip

    def scores(self, table: Table, calibration: Calibration) -> tuple[Vectors, NDArray[np.bool_]]:
        """Scores ``float32[m]``, minus infinity for whom rule 4 rules out, and who has no description."""
        bare = np.isnan(table.whole)
        how = Weighing.of(calibration, self.layer)
        whole = np.where(bare, how.of_clauses(table.clauses), table.whole)
        extra = how.of_clauses(table.clauses - self.taken[:, None])
        counts = whole if table.white is None else np.where(bare, whole, table.white)
        weight = np.where(bare, Weighing.of(calibration).clauses, how.clauses)
        scores = (1 - weight) * counts + weight * extra
        scores[whole < np.where(bare, how.bare, how.least)] = -np.inf
        return np.asarray(scores, np.float32), bare


@dataclass(slots=True, kw_only=True)
class _Near:
    """What the searches found: ``floors``: what the score of who is not among a vector's neighbours cannot be
    over; ``complete``: everybody is among them.
    """

    subjects: list[str]
    whole: dict[str, float]
    clauses: list[dict[str, float]]
    floor: float
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
        floors = np.array([_floor(matches) for matches in found], np.float32)
        best = np.array([matches[0].score if matches else 0.0 for matches in found], np.float32)
        least = _least(asked, best, calibration)
        wholes = all_near(references, whole, Kind.DESCRIPTION, NEIGHBOURS, _many(whole, least))
        described: dict[str, float] = {}
        for matches in wholes:
            near = _best(matches)
            for match in matches:
                if match.polarity > 0:
                    known = described.get(match.subject, EXCLUDED)
                    described[match.subject] = max(near.get(match.subject, EXCLUDED), known)
        held = {match.subject for matches in (*found, *wholes) for match in matches if doubted(match)}
        # Whose description is not near has to have none, and then a clause that is near enough alone.
        alone = {subject for one in told for subject, score in one.items() if not score < bare}
        if len({*described, *alone}) * len(told) > MOST_CELLS:
            raise TooManyAlike("more registered descriptions fit it than are compared; say it in other words")
        return cls(
            subjects=sorted({*described, *alone}), whole=described, clauses=told,
            floor=max(map(_floor, wholes), default=-math.inf), floors=floors, held=held,
        )  # fmt: skip

    @property
    def complete(self) -> bool:
        return self.floor == -math.inf and bool(np.isneginf(self.floors).all())

    def table(self) -> Table:
        """The cosines that are known; of who was not found, or only as what is not meant, none."""
        whole = [self.whole.get(subject, math.nan) for subject in self.subjects]
        rows = [[near.get(subject, 0.0) for subject in self.subjects] for near in self.clauses]
        table = np.array(rows, np.float32).reshape(len(rows), len(self.subjects))
        return Table(np.array(whole, np.float32), table)

    def hopeful(self, asked: Asked, calibration: Calibration) -> list[str]:
        """Those who may reach a threshold: with every cosine that is not known as high as it can be."""
        rows = [
            [near.get(subject, floor) for subject in self.subjects]
            for near, floor in zip(self.clauses, np.maximum(self.floors, 0), strict=True)
        ]
        table = np.array(rows, np.float32).reshape(len(rows), len(self.subjects))
        known = np.array(
            [max(self.whole.get(subject, self.floor), self.floor) for subject in self.subjects], np.float32
        )
        unknown = np.array([subject not in self.whole for subject in self.subjects], np.bool_)
        most = np.full(len(known), -np.inf, np.float32)
        white = np.ones_like(known) if asked.whitened else None  # no cosine is higher
        for whole, of in ((known, None), (np.full_like(known, np.nan), unknown)):
            scores, _ = asked.scores(Table(whole, table, white), calibration)
            most = np.maximum(most, scores if of is None else np.where(of, scores, -np.inf))
        least = min(calibration.layer(layer).threshold for layer in {asked.layer, FUSED})
        return [subject for subject, score in zip(self.subjects, most, strict=True) if not score < least]


def _least(asked: Asked, best: Vectors, calibration: Calibration) -> float:
    """How near the whole must be to a description for a score that is enough, at the best clauses of all."""
    how = Weighing.of(calibration, asked.layer)
    if asked.whitened:  # a cosine says little of what it is after whitening
        return how.least
    most = float(how.of_clauses((best - asked.taken)[:, None])[0]) if len(best) else 0.0
    threshold = calibration.layer(asked.layer).threshold
    needed = (threshold - how.clauses * most) / (1 - how.clauses) if how.clauses < 1 else -1.0
    return max(how.least, needed)


def _in_full(
    space: str, subjects: Sequence[str], references: References | Rowed, asked: Asked,
    calibration: Calibration, held: set[str],
) -> Table:  # fmt: skip
    """The cosines of these subjects, from all their vectors; ``held``: whose words are in quarantine."""
    if not isinstance(references, Rowed):
        raise ValueError("the vectors of those who are registered are needed, and none are given here")
    described = references.rows_of(space, Kind.DESCRIPTION, subjects)
    whole = _nearest(described, subjects, asked.whole, held, EXCLUDED).max(axis=0)
    attributes = references.rows_of(space, Kind.ATTRIBUTE, subjects)
    parts = _nearest(attributes, subjects, asked.clauses, held, 0.0)
    white = None
    if asked.whitened:
        owners, vectors, signs = described
        rows = owners, calibration.whitened(vectors), signs
        white = _nearest(rows, subjects, calibration.whitened(asked.whole), held, EXCLUDED).max(axis=0)
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


def _is_list(parts: Sequence[str]) -> bool:
    return len(parts) >= LIST_CLAUSES and words(parts) <= LIST_WORDS * len(parts)
