"""What is known of the vectors of a segment besides their numbers, in arrays: some 35 bytes a vector.

The rows of one subject lie together, so that it is told by where they begin; a picture's digest is kept as
its 32 bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from registry.errors import RegistryDamaged
from registry.subject_types import VectorRow
from registry.vectors import Halves, halves

DIGEST_BYTES: Final = 32
OF_PICTURE: Final = 2
OF_TEXT: Final = 1
"""A row's mark is its polarity times one of these."""

Owners = NDArray[np.bytes_]
Counts = NDArray[np.int32]
Marks = NDArray[np.int8]
Digests = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Some subjects with their vectors of one space and kind, in the order of ``owners``."""

    owners: Owners
    counts: Counts
    marks: Marks
    digests: Digests
    vectors: Halves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """The labels of n rows of m subjects.

    ``owners``: their ids in the order of the rows; ``starts``: int32[m + 1], where each one's rows begin;
    ``order``: int32[m], sorts the owners; ``marks``: int8[n]; ``digests``: uint8[n, 32].
    """

    owners: Owners
    starts: Counts
    order: Counts
    marks: Marks
    digests: Digests

    def __len__(self) -> int:
        return len(self.marks)

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> "Columns":
        """The labels of these blocks, one after another; no subject may be in two of them."""
        owners = np.concatenate([block.owners for block in blocks])
        starts = np.zeros(len(owners) + 1, np.int32)
        np.cumsum(np.concatenate([block.counts for block in blocks]), out=starts[1:])
        return cls(
            owners=owners, starts=starts, order=np.argsort(owners, kind="stable").astype(np.int32),
            marks=np.concatenate([block.marks for block in blocks]),
            digests=np.concatenate([block.digests for block in blocks]),
        )  # fmt: skip

    def find(self, subjects: Sequence[str]) -> NDArray[np.intp]:
        """The places of those of these subjects that are here."""
        wanted = np.array([subject.encode() for subject in subjects], np.bytes_)
        if not len(wanted) or not len(self.owners):
            return np.zeros(0, np.intp)
        near = np.searchsorted(self.owners, wanted, sorter=self.order)
        places = self.order[np.minimum(near, len(self.owners) - 1)]
        return np.asarray(places[self.owners[places] == wanted], np.intp)

    def labels(self, rows: NDArray[np.int64]) -> list[tuple[str, str, int]]:
        """Subject, reference and polarity of each of these rows."""
        owners = self.owners[np.searchsorted(self.starts, rows, side="right") - 1].tolist()
        marks = self.marks[rows].tolist()
        return [
            (
                owner.decode(),
                self.digests[row].tobytes().hex() if abs(mark) == OF_PICTURE else "",
                1 if mark > 0 else -1,
            )
            for row, owner, mark in zip(rows.tolist(), owners, marks, strict=True)
        ]

    def parts(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a file keeps them."""
        return {
            "owners": self.owners, "starts": self.starts, "order": self.order, "marks": self.marks,
            "digests": self.digests,
        }  # fmt: skip


def block(groups: Sequence[Sequence[VectorRow]]) -> Block:
    """The rows of some subjects, each a group. Raises `RegistryDamaged` for what cannot be compared."""
    rows = [row for group in groups for row in group]
    pictures = [bool(row.reference) for row in rows]
    kinds = np.where(pictures, OF_PICTURE, OF_TEXT) * np.array([row.polarity for row in rows], np.int8)
    return Block(
        owners=np.array([group[0].subject.encode() for group in groups], np.bytes_),
        counts=np.array([len(group) for group in groups], np.int32),
        marks=kinds.astype(np.int8),
        digests=np.frombuffer(b"".join(map(_digest, rows)), np.uint8).reshape(len(rows), DIGEST_BYTES),
        vectors=halves(rows, rows[0].dimension),
    )  # fmt: skip


def same(block: Block, columns: Columns, rows: slice, vectors: Halves) -> bool:
    """Whether the rows of a block of one subject are these, in this order."""
    return bool(
        len(block.marks) == rows.stop - rows.start
        and np.array_equal(block.marks, columns.marks[rows])
        and np.array_equal(block.digests, columns.digests[rows])
        and block.vectors.shape == vectors.shape
        and np.array_equal(block.vectors.view(np.uint16), vectors.view(np.uint16))
    )


def _digest(row: VectorRow) -> bytes:
    if not row.reference:
        return bytes(DIGEST_BYTES)
    try:
        digest = bytes.fromhex(row.reference)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_BYTES or row.polarity not in (1, -1):
        raise RegistryDamaged(f"A vector of subject {row.subject} names no picture; restore a backup.")
    return digest
