"""Registered vectors as numbers, and what a search in them answers. numpy only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from registry.errors import RegistryDamaged
from registry.subject_types import SubjectRecord, VectorRow

Vectors = NDArray[np.float32]
Halves = NDArray[np.float16]
Rows = tuple[list[str], Vectors, NDArray[np.int8]]
"""Owners, vectors ``float32[n, d]`` and polarities of n rows."""

PORTRAIT: Final = "portrait"
"""The kind that is compared by Euclidean distance; all others by inner product."""


_NO_NUMBER: Final = 0x7C00  # the exponent of infinities and of what is no number


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


def halves(rows: Sequence[VectorRow], dimension: int) -> Halves:
    """Return the vectors of rows of one space as float16[n, dimension], as they were registered.

    Raises `RegistryDamaged` for a row that is not what was registered: a vector that cannot be compared
    must not be passed over.
    """
    for row in rows:
        if row.dimension != dimension or len(row.vector) != 2 * dimension:
            raise RegistryDamaged(f"A vector of subject {row.subject} has a wrong size; restore a backup.")
    bits = np.frombuffer(b"".join(row.vector for row in rows), "<u2").reshape(len(rows), dimension)
    if ((bits & _NO_NUMBER) == _NO_NUMBER).any():
        raise RegistryDamaged("A registered vector is not made of numbers; restore a backup.")
    return bits.view(np.float16)


def decoded(rows: Sequence[VectorRow], dimension: int) -> Vectors:
    """The same as float32[n, dimension]."""
    return halves(rows, dimension).astype(np.float32)


_TABLE: Final = np.arange(1 << 16, dtype=np.uint16).view("<f2").astype(np.float32)
"""Every half-precision number as a float: looking up is ten times as fast as converting."""


def unpacked(packed: bytes, dimension: int) -> Vectors:
    """Return packed float16 numbers, little endian, as float32[n, dimension]."""
    found: Vectors = _TABLE[np.frombuffer(packed, "<u2")]
    return found.reshape(-1, dimension)


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


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of several places together."""
    if not parts:
        return [], np.zeros((0, 0), np.float32), np.zeros(0, np.int8)
    owners = [owner for part in parts for owner in part[0]]
    return owners, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])


def marked(
    found: Sequence[list[VectorMatch]], subjects: Mapping[str, SubjectRecord]
) -> list[list[VectorMatch]]:
    """The matches, of which those with references in quarantine say so."""
    return [
        [_quarantined(match) if _doubted(match, subjects) else match for match in matches]
        for matches in found
    ]


def _quarantined(match: VectorMatch) -> VectorMatch:
    """`dataclasses.replace` takes thrice as long, and there may be hundreds."""
    return VectorMatch(
        subject=match.subject, reference=match.reference, kind=match.kind, polarity=match.polarity,
        score=match.score, quarantined=True,
    )  # fmt: skip


def _doubted(match: VectorMatch, subjects: Mapping[str, SubjectRecord]) -> bool:
    return match.reference in subjects[match.subject].quarantined
