"""Is the file as long as its own structure says? FFmpeg ends silently where a download broke off."""

import os
from io import FileIO
from typing import Final

from pipeline.errors import MediaUnreadable

ISO_MEDIA: Final = frozenset({b"moov", b"moof", b"mdat"})
EBML_SEGMENT: Final = 0x18538067
GIF_TRAILER: Final = b"\x3b"
GIF_TAIL_BYTES: Final = 16
MAX_BOXES: Final = 100_000


def check(file: FileIO, kind: str) -> None:
    """Compare lengths and leave `file` at its start; ``kind`` is mov, matroska or gif.

    Raises: MediaUnreadable when the end of the file is missing.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if {"mov": _iso_cut, "matroska": _ebml_cut, "gif": _gif_cut}[kind](file, size):
        raise MediaUnreadable("the end of the file is missing; get the whole file")
    file.seek(0)


def _iso_cut(file: FileIO, size: int) -> bool:
    position = 0
    for _ in range(MAX_BOXES):
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return False
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if position + length > size and head[4:8] in ISO_MEDIA:
            return True
        if length < 8:  # 0: to the end of the file; other: not a box, FFmpeg shall judge
            return False
        position += length
    return False


def _ebml_cut(file: FileIO, size: int) -> bool:
    position = 0
    for _ in range(2):  # the EBML header, then the segment
        file.seek(position)
        head = file.read(12)
        if len(head) < 2:
            return False
        identifier, id_length = _vint(head, keep_marker=True)
        length, length_length = _vint(head[id_length:], keep_marker=False)
        body = position + id_length + length_length
        unknown = length == (1 << 7 * length_length) - 1
        if identifier == EBML_SEGMENT:
            return not unknown and body + length > size
        position = body + length
    return False


def _vint(data: bytes, *, keep_marker: bool) -> tuple[int, int]:
    if not data or not data[0]:
        return 0, 1
    length = 9 - data[0].bit_length()
    value = int.from_bytes(data[:length], "big")
    return (value if keep_marker else value - (1 << 7 * length)), length


def _gif_cut(file: FileIO, size: int) -> bool:
    file.seek(max(0, size - GIF_TAIL_BYTES))
    return not file.read().rstrip(b"\0\r\n").endswith(GIF_TRAILER)
