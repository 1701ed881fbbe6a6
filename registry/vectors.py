"""Registered vectors as numbers, and what a search in them answers. numpy only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from registry.errors import RegistryDamaged
from registry.subject_types import SubjectRecord, VectorRow

Vectors = NDArray[np.float32]

PORTRAIT: Final = "portrait"
"""The kind that is compared by Euclidean distance; all others by inner product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorMatch:
    """A registered vector near one that was asked for.

    ``score``: inner product, for portraits the negative Euclidean distance; ``quarantined``: it matches too
    much, and refuses nothing any more; the rest as in `VectorRow`.
    """

    subject: str
    reference: str
    kind: str
    polarity: int
    score: float
    quarantined: bool = False


def decoded(rows: Sequence[VectorRow], dimension: int) -> Vectors:
    """Return the vectors of rows of one space as float32[n, dimension].

    Raises `RegistryDamaged` for a row that is not what was registered: a vector that cannot be compared
    must not be passed over.
    """
    for row in rows:
        if row.dimension != dimension or len(row.vector) != 2 * dimension:
            raise RegistryDamaged(f"A vector of subject {row.subject} has a wrong size; restore a backup.")
    packed = np.frombuffer(b"".join(row.vector for row in rows), "<f2")
    vectors = packed.reshape(len(rows), dimension).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise RegistryDamaged("A registered vector is not made of numbers; restore a backup.")
    return vectors


def checked(queries: Vectors, dimension: int) -> Vectors:
    """Return queries as contiguous float32[n, dimension]; ValueError for another size or no numbers."""
    asked = np.ascontiguousarray(queries, np.float32)
    if asked.ndim != 2 or asked.shape[1] != dimension:
        raise ValueError(f"vectors of {dimension} numbers are asked for here, not an array {asked.shape}")
    if not np.isfinite(asked).all():
        raise ValueError("a vector to search for is not made of numbers")
    return asked


def best(matches: Iterable[VectorMatch], neighbours: int) -> list[VectorMatch]:
    """Return the ``neighbours`` highest scores, in an order that does not depend on how they were stored."""
    ordered = sorted(matches, key=attrgetter("subject", "reference", "kind", "polarity"))
    return sorted(ordered, key=attrgetter("score"), reverse=True)[: max(neighbours, 0)]


def marked(
    found: Sequence[list[VectorMatch]], subjects: Mapping[str, SubjectRecord]
) -> list[list[VectorMatch]]:
    """The matches, of which those with references in quarantine say so."""
    return [
        [replace(match, quarantined=True) if _doubted(match, subjects) else match for match in matches]
        for matches in found
    ]


def _doubted(match: VectorMatch, subjects: Mapping[str, SubjectRecord]) -> bool:
    return match.reference in subjects[match.subject].quarantined
