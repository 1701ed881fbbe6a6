"""Building a segment of many vectors without holding them twice: in memory, or through a file.

Labels and codes are kept in memory, some 110 bytes a vector; the vectors go to the file as they come, and are
mapped from it. Where the file cannot be written, the segment is held in memory and a warning says so.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from registry import indexes
from registry.columns import Block, Columns, Owners
from registry.segment_files import About, Loaded, SegmentFiles, Spool, Stamps
from registry.segments import Segment, flat_segments
from registry.vectors import Halves

log = logging.getLogger("countermark.registry")

Stamping = Callable[[Owners], Stamps]

NEVER: Final = threading.Event()
KEPT_FROM: Final = 1_000
"""Rows. Fewer are sooner read from the database than they are worth a file."""
NO_INDEX: Final = np.zeros(0, np.uint8)


class Stopped(Exception):
    """Whoever wanted the segment wants it no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to build, of which log position, where; ``files`` None: in memory.

    ``stamps``: of the owners, asked for at the end; ``stop``: set when nobody waits for it any more.
    """

    about: About
    stamps: Stamping
    files: SegmentFiles | None = None
    stop: threading.Event = NEVER


class Builder:
    """Takes blocks, each subject once, and makes segments of them: few rows flat, more with codes."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._blocks: list[Block] = []
        self._rows = self._spilled = 0
        self._spool: Spool | None = None
        self._failed = order.files is None

    def add(self, block: Block) -> None:
        """Add some subjects."""
        check_stop(self._order.stop)
        self._blocks.append(block)
        self._rows += len(block.marks)
        if self._rows > indexes.COARSE_FROM and not self._failed:
            try:
                self._spill()
            except OSError as error:
                self._give_up(error)

    def finish(self) -> list[Segment]:
        """The segments; usually one. Raises: Stopped."""
        try:
            if self._rows > indexes.COARSE_FROM:
                return [self._coarse()]
            made = flat_segments(self._order.about.kind, self._blocks)
            return [self._kept_flat(one) for one in made] if self._rows >= KEPT_FROM else made
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file, if it was not kept."""
        if self._spool is not None:
            self._spool.__exit__()
            self._spool = None

    def _spill(self) -> None:
        """Move the vectors of the blocks that are still in memory to the file."""
        if self._spool is None and self._order.files is not None:
            self._spool = self._order.files.spool()
        assert self._spool is not None  # noqa: S101 - `_failed` is False where there are files
        for place in range(self._spilled, len(self._blocks)):
            block = self._blocks[place]
            self._spool.write(block.vectors)
            self._blocks[place] = _spilt(block)
            self._spilled = place + 1

    def _give_up(self, error: OSError) -> None:
        """Go on in memory, with what the file has so far."""
        log.warning("the index is kept in memory: its folder cannot be written (%s)", error)
        self._failed = True

    def _coarse(self) -> Segment:
        about, dimension = self._order.about, self._order.about.dimension
        labels = Columns.of(self._blocks)
        on_file = None if self._spool is None else self._spool.vectors(dimension)
        if self._failed and on_file is not None:  # the disk is full: what it took comes back to memory
            on_file = self._back(on_file)
        vectors = np.concatenate([b.vectors for b in self._blocks]) if on_file is None else on_file
        index = _index(about.kind, vectors, self._order.stop)
        name = ""
        if self._spool is not None and not self._failed:
            try:
                stamps = self._order.stamps(labels.owners)
                name, vectors, labels = self._spool.keep(about, labels, indexes.packed(index), stamps)
            except OSError as error:
                self._give_up(error)
                vectors = np.array(vectors)
        return Segment(
            kind=about.kind, index=index, stored=vectors, labels=labels, living=len(vectors), file=name
        )

    def _kept_flat(self, segment: Segment) -> Segment:
        """The same, also in a file if that can be; its index is made again from the numbers."""
        if self._failed or self._order.files is None:
            return segment
        try:
            with self._order.files.spool() as spool:
                for block in segment.blocks():
                    spool.write(block.vectors)
                stamps = self._order.stamps(segment.labels.owners)
                name, _, labels = spool.keep(self._order.about, segment.labels, NO_INDEX, stamps)
        except OSError as error:
            self._give_up(error)
            return segment
        return replace(segment, labels=labels, file=name)

    def _back(self, on_file: Halves) -> Halves:
        rest = [block.vectors for block in self._blocks if len(block.vectors)]
        written = self._rows - sum(map(len, rest))
        return np.concatenate([on_file[:written], *rest])


def opened(loaded: Loaded) -> Segment:
    """The segment of a file. Raises: RuntimeError when FAISS cannot read it."""
    coarse = bool(len(loaded.index))
    return Segment(
        kind=loaded.about.kind, labels=loaded.labels, living=len(loaded.labels), file=loaded.name,
        index=indexes.unpacked(loaded.index) if coarse else indexes.flat(loaded.about.kind, loaded.vectors),
        stored=loaded.vectors if coarse else None,
    )  # fmt: skip


def merged(order: Order, segments: Iterable[Segment]) -> list[Segment]:
    """The living part of some segments, as one. Raises: Stopped."""
    builder = Builder(order)
    try:
        for segment in segments:
            for block in segment.blocks():
                builder.add(block)
        return builder.finish()
    finally:
        builder.close()


def check_stop(stop: threading.Event) -> None:
    """Raise `Stopped` when nobody waits any more, also since the program is ending."""
    if stop.is_set() or not threading.main_thread().is_alive():
        raise Stopped


def _index(kind: str, vectors: Halves, stop: threading.Event) -> Any:
    coarse = indexes.Coarse(kind, vectors)
    while coarse.step():
        check_stop(stop)
    return coarse.index


def _spilt(block: Block) -> Block:
    empty = np.zeros((0, block.vectors.shape[1]), np.float16)
    return Block(
        owners=block.owners, counts=block.counts, marks=block.marks, digests=block.digests, vectors=empty
    )
