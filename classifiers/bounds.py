"""What a seen and a registered vector must score at least before any check can find anything.

A search through millions of stored vectors asks these first, and the checks about what is left. Each bound
follows from how its check makes a score:
1. frames: a clip scores at most as much as its best frame, which is a cosine less what is taken off that
   frame (`classifiers.similarity`, steps 2 and 3);
2. faces: the nearest face counts (`classifiers.faces`);
3. prompts and pictures, prompts and descriptions in CLIP's space: the nearest pair counts;
4. prompts and descriptions in the sentence model's space (`classifiers.fused`): a description that is not
   near to a passage of the prompt is not meant by it, and the score is a mean of that cosine and of clauses'
   cosines with attributes, of which something is taken off; who has no description has the clauses' mean
   instead of it. A mean is no more than its largest part.
Pictures that are named as not meant only ever take away.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Kind, Vectors
from classifiers.similarity import Scoring, nearness
from classifiers.thresholds import (
    FACE_PORTRAIT,
    FRAME_PICTURE,
    PROMPT_DESCRIPTION,
    PROMPT_PICTURE,
    Calibration,
)
from classifiers.weighing import FUSED, LISTED, Weighing

MOST_SCORES: Final = 8 << 20  # in memory at a time
SLACK: Final = 2e-3
"""For what half-precision numbers and another order of sums may change in a score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A check may find something only if a ``seen`` and a ``registered`` vector score ``least`` or more."""

    seen: Kind
    registered: Kind
    least: float


def bounds_of(calibration: Calibration) -> tuple[Bound, ...]:
    """All bounds of a space. Frames: with `taken_off` taken off."""
    layers, found = calibration.layers, list[Bound]()
    if FRAME_PICTURE in layers:
        spare = min(0.0, Scoring.of(calibration).single_margin)
        least = layers[FRAME_PICTURE].threshold + spare
        found.append(_bound(Kind.FRAME, Kind.PICTURE, least))
    if FACE_PORTRAIT in layers:
        found.append(_bound(Kind.FACE, Kind.PORTRAIT, layers[FACE_PORTRAIT].threshold))
    if FUSED in layers:
        return (*found, *_words(calibration))
    if PROMPT_PICTURE in layers:
        found.append(_bound(Kind.PROMPT, Kind.PICTURE, layers[PROMPT_PICTURE].threshold))
    if PROMPT_DESCRIPTION in layers:
        found.append(_bound(Kind.PROMPT, Kind.DESCRIPTION, layers[PROMPT_DESCRIPTION].threshold))
    return tuple(found)


def taken_off(kind: Kind, vectors: Vectors, calibration: Calibration) -> Vectors:
    """What is taken off each seen vector's scores: ``float32[n]``."""
    if kind is not Kind.FRAME:
        return np.zeros(len(vectors), np.float32)
    return nearness(vectors, calibration.cohort, Scoring.of(calibration))


def basis(calibration: Calibration) -> str:
    """What `taken_off` depends on, as a digest."""
    scoring = Scoring.of(calibration)
    digest = hashlib.sha256(repr((scoring.cohort_weight, scoring.cohort_nearest)).encode())
    digest.update(calibration.cohort.astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def scores(kind: Kind, seen: Vectors, registered: Vectors) -> Vectors:
    """Scores ``float32[seen, registered]``, as an index gives them."""
    if kind is not Kind.PORTRAIT:
        return seen @ registered.T
    squares = (seen**2).sum(axis=1)[:, None] + (registered**2).sum(axis=1) - 2 * seen @ registered.T
    return np.asarray(-np.sqrt(np.maximum(squares, 0)), np.float32)


def reached(
    bound: Bound, seen: Sequence[Vectors], registered: Vectors, calibration: Calibration
) -> list[list[int]]:
    """For each group of seen vectors, which registered ones reach the bound with any of them."""
    lengths = [len(group) for group in seen]
    found: list[set[int]] = [set() for _ in seen]
    if not sum(lengths) or not len(registered):
        return [[] for _ in seen]
    whole = np.concatenate([group for group in seen if len(group)])
    owners = np.repeat(np.arange(len(seen)), lengths)
    rows = max(1, MOST_SCORES // len(registered))
    for first in range(0, len(whole), rows):
        part, mine = whole[first : first + rows], owners[first : first + rows]
        for row, column in zip(*_reaching(bound, part, registered, calibration), strict=True):
            found[mine[row]].add(int(column))
    return [sorted(columns) for columns in found]


def _reaching(
    bound: Bound, seen: Vectors, registered: Vectors, calibration: Calibration
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs that reach the bound. What is taken off is worked out only where it can decide."""
    table = scores(bound.registered, seen, registered)
    most = -Scoring.of(calibration).cohort_weight if bound.seen is Kind.FRAME else 0.0
    hopeful = np.nonzero(~(table.max(axis=1) - most < bound.least))[0]
    needed = bound.least + taken_off(bound.seen, seen[hopeful], calibration)
    rows, columns = np.nonzero(~(table[hopeful] < needed[:, None]))
    return hopeful[rows], columns


def _words(calibration: Calibration) -> tuple[Bound, ...]:
    """Rule 4: a clause alone makes somebody found without a description, or by itself where it may."""
    used = [layer for layer in (FUSED, LISTED) if layer in calibration.layers]
    hows = {layer: Weighing.of(calibration, layer) for layer in used}
    near = min(how.least for how in hows.values())
    bare = max(hows[FUSED].bare, calibration.layers[FUSED].threshold)
    lowest = min(calibration.layers[layer].threshold for layer in used)
    if near >= 0:
        return _bound(Kind.PROMPT, Kind.DESCRIPTION, near), _bound(Kind.CLAUSE, Kind.ATTRIBUTE, bare)
    return _bound(Kind.PROMPT, Kind.DESCRIPTION, lowest), _bound(Kind.CLAUSE, Kind.ATTRIBUTE, lowest)


def _bound(seen: Kind, registered: Kind, least: float) -> Bound:
    return Bound(seen=seen, registered=registered, least=least - SLACK)
