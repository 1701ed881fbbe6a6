"""Codes of many vectors, one bit a number: which of them may score enough, without reading them.

RaBitQ (faiss), turned by a stored random rotation and taken from the centre of the vectors. The codes miss
the true score by an error whose size is known for each pair but for a factor, which is measured when they
are made; a search allows for `CERTAINTY` times as much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.vectors import Vectors

CERTAINTY: Final = 4.0
"""Standard deviations of the codes' error that a search allows for: three in 100,000 are larger."""
ALIKE: Final = 0.98
"""Pairs that are more alike are given the error of such."""
MEASURED: Final = 512  # vectors of a segment on which that factor is measured, with an eighth as many queries
QUERY_BITS: Final = 8
ID_BYTES: Final = 36


class Part(NamedTuple):
    """One release's vectors in a range of the log."""

    release: str
    seq: int
    vectors: Vectors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Codes of one segment. ``starts``: the first vector of each release. Of each vector: what is ``taken``
    off, how far it is ``away`` from the centre, and its product with the centre (``along``).
    """

    codes: NDArray[np.uint8]  # a serialised FAISS index
    rotation: Vectors
    centre: Vectors
    releases: NDArray[np.bytes_]
    starts: NDArray[np.int64]
    taken: Vectors
    away: Vectors
    along: Vectors
    spread: float

    @property
    def size(self) -> int:
        """Number of vectors."""
        return len(self.taken)

    @classmethod
    def of(cls, parts: Sequence[Part], taken: Callable[[Vectors], Vectors]) -> "Segment":
        """Make the codes of these releases' vectors."""
        faiss = _faiss()
        dimension = parts[0].vectors.shape[1] if parts else 1
        lengths = [len(part.vectors) for part in parts]
        plain = np.concatenate([part.vectors for part in parts]) if parts else np.zeros((0, 1), np.float32)
        rotation = _rotation(dimension)
        turned = plain @ rotation
        index = faiss.IndexRaBitQ(dimension, faiss.METRIC_INNER_PRODUCT)
        if parts:
            index.train(turned)
            index.add(turned)
        centre = turned.mean(axis=0) if parts else np.zeros(1, np.float32)
        return cls(
            codes=faiss.serialize_index(index), rotation=rotation, centre=centre,
            releases=np.array([part.release for part in parts], f"S{ID_BYTES}"),
            starts=np.cumsum([0, *lengths[:-1]]) if parts else np.zeros(0, np.int64),
            taken=taken(plain), away=_away(turned, centre), along=turned @ centre,
            spread=_spread(index, turned, centre),
        )  # fmt: skip

    def near(self, queries: Vectors, least: float) -> set[str]:
        """Releases of which some vector may score ``least`` with some query."""
        if not self.size or not len(queries):
            return set()
        turned = np.ascontiguousarray(queries @ self.rotation, np.float32)
        away, along = _away(turned, self.centre), turned @ self.centre
        widest = CERTAINTY * self.spread * float(away.max()) * float(self.away.max())
        radius = least + float(self.taken.min()) - widest
        limits, values, rows = _range_search(self._index(), turned, radius)
        which = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
        needed = least + self.taken[rows]
        beside = self.along[rows] + along[which] - float(self.centre @ self.centre)
        errors = self.spread * _unlike(needed - beside, away[which] * self.away[rows])
        hits = rows[~(values + CERTAINTY * errors < needed)]
        owners = np.unique(np.searchsorted(self.starts, hits, side="right") - 1)
        return {bytes(one).decode() for one in self.releases[owners]}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored of it."""
        return {
            "codes": self.codes, "rotation": self.rotation, "centre": self.centre, "starts": self.starts,
            "releases": self.releases, "taken": self.taken, "away": self.away, "along": self.along,
            "spread": np.array(self.spread),
        }  # fmt: skip

    def _index(self) -> Any:
        return _faiss().deserialize_index(self.codes)


def _range_search(index: Any, turned: Vectors, radius: float) -> tuple[Any, Any, Any]:
    faiss = _faiss()
    asked = faiss.RaBitQSearchParameters()
    asked.qb = QUERY_BITS
    limits, values, rows = index.range_search(turned, radius, params=asked)
    return limits, values, rows


def _away(vectors: Vectors, centre: Vectors) -> Vectors:
    return np.asarray(np.linalg.norm(vectors - centre, axis=1), np.float32)


def _unlike(product: Vectors, lengths: Vectors) -> Vectors:
    """What the error of a code is proportional to, for a pair of this product and these lengths together.

    A code knows a vector's direction but for a part at right angles, of which a query that points another way
    sees more.
    """
    cosines = np.clip(product / np.maximum(lengths, 1e-6), 0, ALIKE)
    return np.asarray(lengths * np.sqrt(1 - cosines**2), np.float32)


def _spread(index: Any, turned: Vectors, centre: Vectors) -> float:
    """The factor between `_unlike` and the standard deviation of the codes' error, measured."""
    if len(turned) < 2:
        return 1.0
    faiss = _faiss()
    chosen = np.random.default_rng(len(turned)).permutation(len(turned))
    stored, asked = np.sort(chosen[:MEASURED]), turned[chosen[-(MEASURED // 8) :]]
    wanted = faiss.RaBitQSearchParameters()
    wanted.qb = QUERY_BITS
    wanted.sel = faiss.IDSelectorBatch(stored)
    values, rows = index.search(asked, len(stored), params=wanted)
    from_centre = turned - centre
    lengths = _away(asked, centre)[:, None] * _away(turned, centre)[rows]
    true = np.einsum("qd,qnd->qn", asked, turned[rows])
    product = np.einsum("qd,qnd->qn", asked - centre, from_centre[rows])
    cosines = np.clip(product / np.maximum(lengths, 1e-6), -ALIKE, ALIKE)
    errors = (values - true) / np.maximum(lengths * np.sqrt(1 - cosines**2), 1e-6)
    return float(np.sqrt((errors**2).mean()))


def _rotation(dimension: int) -> Vectors:
    """A random rotation, so that no number of a vector says more than others. It is stored with the codes."""
    drawn = np.random.default_rng(dimension).standard_normal((dimension, dimension))
    turned, _ = np.linalg.qr(drawn)
    return np.ascontiguousarray(turned, np.float32)


def _faiss() -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss
