"""Top-level boxes of an ISO base media file (MP4, MOV): does it carry C2PA, and what does its hash not cover?

c2pa's errors tell a damaged credential from a damaged video only in message text, so presence is looked up
here: a credential that is there but cannot be read is *unreadable*; a broken video without one has none.

The content hash leaves out whole kinds of top-level boxes (C2PA boxes, ``ftyp``, ``mfra``), and c2pa accepts
any number of them: bytes appended in a second one leave a credential whole. Files that we sign have one
C2PA box, framed in one way (`framing`), one ``ftyp``, no ``mfra``, and end where their last box ends.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import IO, Final

from pipeline.credentials.framing import BOX_PREFIX, regular

C2PA_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
FIRST_BOXES: Final = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"uuid", b"pnot"}
)
MAX_BOXES: Final = 100_000
HEADER: Final = 8
LARGE_HEADER: Final = 16
UUID: Final = 16
MAX_STORE_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxScan:
    """`credentials`: number of C2PA boxes. `uncovered`: whether bytes lie where no hash would see them.
    `unfinished`: there are more boxes than were looked at. `store`: where the content of the last C2PA box
    begins, behind its UUID, and where it ends.
    """

    credentials: int
    uncovered: bool
    unfinished: bool
    store: tuple[int, int] = (0, 0)

    def regular(self, file: IO[bytes], manifests: Collection[str]) -> bool:
        """Whether every byte is covered, or has the one value that it has in a file of ours.

        `manifests`: as for `framing.regular`.
        """
        start, end = self.store
        if self.uncovered or not 0 < end - start <= MAX_STORE_BYTES:
            return False
        file.seek(start)
        return regular(file.read(end - start), manifests)

    def manifest_store(self, file: IO[bytes]) -> bytes:
        """The bytes of the manifest store; none where there is not exactly one C2PA box of a usual size.

        Which of several boxes c2pa takes is left open.
        """
        start, end = self.store
        if self.credentials != 1 or not 0 < end - start <= MAX_STORE_BYTES:
            return b""
        file.seek(start + len(BOX_PREFIX))
        return file.read(max(0, end - start - len(BOX_PREFIX)))


def is_base_media(file: IO[bytes]) -> bool:
    """Whether the file starts like an MP4 or MOV."""
    file.seek(0)
    return file.read(HEADER)[4:] in FIRST_BOXES


def scan(file: IO[bytes]) -> BoxScan:
    """Walk the top-level boxes; stops quietly where they stop making sense."""
    end, position = file.seek(0, os.SEEK_END), 0
    counts = {b"ftyp": 0, b"mfra": 0, C2PA_UUID: 0}
    store = (0, 0)
    unfinished = True
    for _ in range(MAX_BOXES):
        kind, size, inner = _box(file, position, end)
        if kind in counts:
            counts[kind] += 1
        if kind == C2PA_UUID:
            store = (position + inner + UUID, position + size)
        if size == 0:
            unfinished = False
            break
        position += size
    usual = counts[b"ftyp"] == 1 and counts[b"mfra"] == 0 and counts[C2PA_UUID] == 1
    return BoxScan(
        credentials=counts[C2PA_UUID], uncovered=not usual or position != end, unfinished=unfinished,
        store=store,
    )  # fmt: skip


def _box(file: IO[bytes], position: int, end: int) -> tuple[bytes, int, int]:
    """Type (C2PA_UUID for a C2PA box), size and header of the box at `position`; size 0 ends the walk."""
    file.seek(position)
    head = file.read(LARGE_HEADER + UUID)
    if len(head) < HEADER:
        return b"", 0, 0
    size, kind, start = int.from_bytes(head[:4], "big"), head[4:8], HEADER
    if size == 1:
        size, start = int.from_bytes(head[8:16], "big"), LARGE_HEADER
    elif size == 0:
        size = end - position
    if kind == b"uuid" and head[start : start + UUID] == C2PA_UUID:
        kind = C2PA_UUID
    return kind, size if start <= size <= end - position else 0, start
