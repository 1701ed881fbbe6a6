"""Where the items of a CBOR text begin and end (RFC 8949): enough for a COSE header, without decoding it.

Only definite lengths, as C2PA demands of a COSE_Sign1. Hostile bytes may make it refuse, but not run long:
every step goes forward.
"""

from collections.abc import Iterator
from typing import Final

UNSIGNED, BYTES, TEXT, ARRAY, MAP, TAG = 0, 2, 3, 4, 5, 6
"""Major types."""
NULL: Final = b"\xf6"
MAX_DEPTH: Final = 16

Label = int | bytes | None
"""A map's key: an unsigned integer, the bytes of a text, None for anything else."""


def head(content: bytes, place: int) -> tuple[int, int, int]:
    """Major type, argument, and where the item's content begins. Raises: ValueError, IndexError."""
    major, short = content[place] >> 5, content[place] & 0x1F
    if short < 24:
        return major, short, place + 1
    if short > 27:
        raise ValueError("no definite length")
    size = 1 << (short - 24)
    return major, int.from_bytes(content[place + 1 : place + 1 + size], "big"), place + 1 + size


def end(content: bytes, place: int, depth: int = MAX_DEPTH) -> int:
    """Where the item at `place` ends. Raises: ValueError, IndexError."""
    major, argument, place = head(content, place)
    if not depth or place > len(content):
        raise ValueError("too deep, or it ends early")
    if major in (BYTES, TEXT):
        place += argument
    elif major in (ARRAY, MAP, TAG):
        for _ in range({ARRAY: argument, MAP: 2 * argument, TAG: 1}[major]):
            place = end(content, place, depth - 1)
    if place > len(content):
        raise ValueError("it ends early")
    return place


def string(content: bytes, place: int) -> bytes:
    """The byte string at `place`. Raises: ValueError when there is none, IndexError."""
    major, length, start = head(content, place)
    if major != BYTES or start + length > len(content):
        raise ValueError("no byte string")
    return content[start : start + length]


def pairs(content: bytes, place: int) -> Iterator[tuple[Label, int, int]]:
    """Of the map at `place`, each key and where its value begins and ends. Raises: ValueError, IndexError."""
    major, count, place = head(content, place)
    if major != MAP:
        raise ValueError("no map")
    for _ in range(count):
        major, argument, inner = head(content, place)
        start = end(content, place)
        place = end(content, start)
        label: Label = None
        if major in (UNSIGNED, TEXT):
            label = argument if major == UNSIGNED else content[inner : inner + argument]
        yield label, start, place
