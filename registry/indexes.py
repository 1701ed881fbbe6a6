"""FAISS: the two kinds of index that a segment has, and how they are searched.

Small segments are compared in full (fp16 numbers, `IndexScalarQuantizer`). From `COARSE_FROM` rows on, the
codes of RaBitQ (72 bytes for 512 numbers, no training but a mean) name `CANDIDATES` times as many rows as are
asked for, which the fp16 numbers then put in order. FAISS's index fields are never set after an index is
made: what a search needs beyond its vectors goes along as search parameters. One OpenMP thread: two on a
busy host were 4 to 30 times slower.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from registry.vectors import PORTRAIT, Halves, Vectors

COARSE_FROM: Final = 20_000
"""Rows. Below, comparing in full takes half a millisecond, as long as codes and re-ranking together."""
CANDIDATES: Final = 20
THREADS: Final = 1
TRAINED_ON: Final = 65_536  # rows that the mean is taken over
ADDED: Final = 16_384  # rows converted at a time

Bits = NDArray[np.uint8]
"""One bit a row, least significant first; a row whose bit is 0 is not found."""
Found = tuple[NDArray[np.int64], Vectors]
"""Rows and scores of one query, best first; scores as `VectorMatch` has them."""


def library() -> str:
    """What wrote an index: its bytes are not read by another version."""
    return f"faiss {_faiss().__version__}"


def flat(kind: str, vectors: Halves) -> Any:
    """An index that compares in full; it holds the numbers."""
    faiss = _faiss()
    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, _metric(kind))
    index.add(np.ascontiguousarray(vectors, np.float32))
    return index


def numbers(index: Any, start: int, stop: int) -> Halves:
    """Rows of a flat index, as they were added."""
    return np.asarray(index.reconstruct_n(start, stop - start), np.float16)


class Coarse:
    """Makes an index of codes, a piece at a time so that whoever waits for it can stop."""

    def __init__(self, kind: str, vectors: Halves) -> None:
        self._vectors = vectors
        self.index = _faiss().IndexRaBitQ(vectors.shape[1], _metric(kind))
        sample = vectors[:: -(-len(vectors) // TRAINED_ON)]
        self.index.train(np.ascontiguousarray(sample, np.float32))

    def step(self) -> bool:
        """Add some rows; False once all are in."""
        _faiss()
        start = self.index.ntotal
        if start < len(self._vectors):
            self.index.add(np.ascontiguousarray(self._vectors[start : start + ADDED], np.float32))
        return bool(self.index.ntotal < len(self._vectors))


def packed(index: Any) -> NDArray[np.uint8]:
    """An index as bytes."""
    return np.asarray(_faiss().serialize_index(index), np.uint8)


def unpacked(data: NDArray[np.uint8]) -> Any:
    """The index of bytes whose digest was checked. Raises: RuntimeError when FAISS cannot read them."""
    return _faiss().deserialize_index(data)


def search_flat(index: Any, kind: str, queries: Vectors, wanted: int, alive: Bits | None) -> list[Found]:
    """The best rows of a flat index for each query, of those that are alive (None: all)."""
    values, rows = index.search(queries, wanted, params=_parameters(alive))
    scores = -np.sqrt(np.maximum(values, 0)) if kind == PORTRAIT else values
    return [(line[line >= 0], told[line >= 0]) for line, told in zip(rows, scores, strict=True)]


def search_coarse(
    index: Any, stored: Halves, kind: str, queries: Vectors, wanted: int, alive: Bits | None
) -> list[Found]:
    """The same of an index of codes; ``stored``: the numbers of its rows."""
    candidates = min(CANDIDATES * wanted, len(stored))
    _, rows = index.search(queries, candidates, params=_parameters(alive))
    return [
        _ranked(stored, kind, query, np.sort(line[line >= 0]), wanted)
        for query, line in zip(queries, rows, strict=True)
    ]


def _ranked(stored: Halves, kind: str, query: Vectors, rows: NDArray[np.int64], wanted: int) -> Found:
    near = stored[rows].astype(np.float32)
    scores = -np.linalg.norm(near - query, axis=1) if kind == PORTRAIT else near @ query
    best = np.argsort(-scores, kind="stable")[:wanted]
    return rows[best], np.asarray(scores[best], np.float32)


def _parameters(alive: Bits | None) -> Any:
    if alive is None:
        return None
    faiss = _faiss()
    return faiss.SearchParameters(sel=faiss.IDSelectorBitmap(alive))


def _metric(kind: str) -> Any:
    faiss = _faiss()
    return faiss.METRIC_L2 if kind == PORTRAIT else faiss.METRIC_INNER_PRODUCT


def _faiss() -> Any:
    """FAISS, imported when there are vectors at all; each thread has its own OpenMP setting."""
    import faiss

    faiss.omp_set_num_threads(THREADS)
    return faiss
