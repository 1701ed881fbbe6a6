"""What is registered for a calibration: plain rows of vectors, compared one with all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from classifiers.base import Kind, Match, NameEntry, Vectors
from classifiers.fused import Signs

NO_NAMES: Final[Sequence[NameEntry]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row near a vector."""

    subject: str
    reference: str
    kind: str
    polarity: int
    score: float


class Rows:
    """Vectors by space and kind, as `classifiers.base.References` says."""

    seq = 0
    names = NO_NAMES

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], list[str]] = {}
        self._parts: dict[tuple[str, str], list[Vectors]] = {}

    def add(self, subject: str, kind: Kind, space: str, vectors: Vectors) -> None:
        """Register ``vectors[n, d]`` of a subject."""
        if len(vectors):
            self._owners.setdefault((space, kind), []).extend([subject] * len(vectors))
            self._parts.setdefault((space, kind), []).append(vectors)

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> Sequence[Sequence[Match]]:
        """The nearest rows, best first; portraits by negative distance."""
        found: list[list[Match]] = [[] for _ in vectors]
        for kind in kinds:
            if (space, kind) not in self._owners:
                continue
            owners, rows = self._owners[space, kind], np.concatenate(self._parts[space, kind])
            for matches, scores in zip(found, _scores(kind, vectors, rows), strict=True):
                matches += [
                    Row(
                        subject=owners[at], reference=f"{owners[at]}/{at}", kind=kind, polarity=1,
                        score=float(scores[at]),
                    )
                    for at in np.argsort(-scores, kind="stable")[:neighbours]
                ]  # fmt: skip
        return [sorted(matches, key=lambda match: -match.score)[:neighbours] for matches in found]

    def rows_of(self, space: str, kind: str, subjects: Sequence[str]) -> tuple[list[str], Vectors, Signs]:
        """As `classifiers.fused.Rowed` says."""
        owners = self._owners.get((space, kind), [])
        wanted = set(subjects)
        mine = [at for at, owner in enumerate(owners) if owner in wanted]
        rows = np.concatenate(self._parts.get((space, kind), [np.zeros((0, 0), np.float32)]))
        return [owners[at] for at in mine], rows[mine], np.ones(len(mine), np.int8)


def _scores(kind: str, vectors: Vectors, rows: Vectors) -> Vectors:
    if kind == Kind.PORTRAIT:
        return np.stack([-np.linalg.norm(rows - vector, axis=1) for vector in vectors]).astype(np.float32)
    return np.asarray(vectors @ rows.T, dtype=np.float32)
