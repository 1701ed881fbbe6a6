"""What benchmarks that need no registry compare with: references as plain rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from classifiers.base import Kind, NameEntry, Picture, Vectors

NAMES: Sequence[NameEntry] = ()


class Pictures(Protocol):
    """Turns pictures into vectors."""

    @property
    def space(self) -> str: ...  # noqa: D102
    def embed_images(self, images: Sequence[Picture]) -> Vectors: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainMatch:
    """A row near a vector."""

    subject: str
    reference: str
    kind: str
    polarity: int
    score: float


class PlainReferences:
    """Vectors of one space and kind by subject: ``float32[n, d]`` each; portraits by distance."""

    seq = 0
    names = NAMES

    def __init__(self, space: str, kind: Kind, vectors: Mapping[str, Vectors]) -> None:
        self._space, self._kind = space, kind
        self._owners = [(name, f"{name}/{n}") for name, own in vectors.items() for n in range(len(own))]
        self._rows = np.concatenate(list(vectors.values()))

    def search(
        self, space: str, kinds: Sequence[str], vectors: Vectors, neighbours: int
    ) -> Sequence[Sequence[PlainMatch]]:
        """As `classifiers.base.References` says."""
        if space != self._space or self._kind not in kinds:
            return [[] for _ in vectors]
        return [self._nearest(scores, neighbours) for scores in self._scores(vectors)]

    def _scores(self, vectors: Vectors) -> Vectors:
        if self._kind is Kind.PORTRAIT:
            apart = np.linalg.norm(vectors[:, None] - self._rows[None], axis=2)
            return np.asarray(-apart, dtype=np.float32)
        return np.asarray(vectors @ self._rows.T, dtype=np.float32)

    def _nearest(self, scores: Vectors, neighbours: int) -> list[PlainMatch]:
        return [
            PlainMatch(
                subject=self._owners[row][0], reference=self._owners[row][1], kind=str(self._kind),
                polarity=1, score=float(scores[row]),
            )
            for row in np.argsort(-scores)[:neighbours]
        ]  # fmt: skip
