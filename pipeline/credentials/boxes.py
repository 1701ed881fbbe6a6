"""Top-level boxes of an ISO base media file (MP4, MOV): is this such a file, and does it carry C2PA?

c2pa's errors tell a damaged credential from a damaged video only in message text, so presence is looked up
here: a credential that is there but cannot be read is *unreadable*; a broken video without one has none.
"""

import os
from typing import IO, Final

C2PA_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
FIRST_BOXES: Final = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"uuid", b"pnot"}
)
MAX_BOXES: Final = 100_000
HEADER: Final = 8


def is_base_media(file: IO[bytes]) -> bool:
    """Whether the file starts like an MP4 or MOV."""
    file.seek(0)
    return file.read(HEADER)[4:] in FIRST_BOXES


def has_c2pa_box(file: IO[bytes]) -> bool:
    """Whether a top-level C2PA box begins in the file; stops quietly where boxes stop making sense."""
    end, position = file.seek(0, os.SEEK_END), 0
    for _ in range(MAX_BOXES):
        if position + HEADER > end:
            return False
        file.seek(position)
        head = file.read(HEADER + 8 + 16)
        size, name, start = int.from_bytes(head[:4], "big"), head[4:8], HEADER
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), HEADER + 8
        if name == b"uuid" and head[start : start + 16] == C2PA_UUID:
            return True
        if size == 0 or size < start:
            return False
        position += size
    return False
