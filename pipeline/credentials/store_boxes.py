"""One manifest out of a C2PA manifest store: its bytes, as they were signed, in a store of their own.

A store is a JUMBF superbox (ISO 19566-5) whose content boxes are superboxes, one for each manifest; a
superbox begins with a description box that names it. C2PA 2.4, section 11.1: the last manifest is the active.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.errors import MediaUnreadable

SUPERBOX: Final = b"jumb"
DESCRIPTION: Final = b"jumd"
UUID_BYTES: Final = 16
REQUESTABLE: Final = 0x03  # both bits: the box has a label
MAX_BOXES: Final = 10_000
_HEAD: Final = struct.Struct(">I4s")
_LARGE: Final = struct.Struct(">Q")
_DAMAGED: Final = "this is no C2PA manifest store; fetch it again from where it is kept"


class _Box(NamedTuple):
    """Where a box lies in the bytes: its begin, that of its content, its end."""

    kind: bytes
    begin: int
    content: int
    end: int


def active_label(store: bytes) -> str:
    """The label of a store's active manifest, as ``urn:c2pa:…``. Raises: MediaUnreadable."""
    return _label(store, _manifests(store)[1][-1])


def only_active(store: bytes) -> bytes:
    """A store that holds nothing but the active manifest of this one. Raises: MediaUnreadable."""
    description, manifests = _manifests(store)
    if len(manifests) == 1:
        return store
    active = manifests[-1]
    content = store[description.begin : description.end] + store[active.begin : active.end]
    return _HEAD.pack(_HEAD.size + len(content), SUPERBOX) + content


def _manifests(store: bytes) -> tuple[_Box, list[_Box]]:
    """The description of a store, and the superboxes in it, of which there is at least one."""
    outer = [*_boxes(store, 0, len(store))]
    if len(outer) != 1 or outer[0].kind != SUPERBOX:
        raise MediaUnreadable(_DAMAGED)
    inner = [*_boxes(store, outer[0].content, outer[0].end)]
    manifests = [box for box in inner[1:] if box.kind == SUPERBOX]
    if not inner or inner[0].kind != DESCRIPTION or not manifests:
        raise MediaUnreadable(_DAMAGED)
    return inner[0], manifests


def _label(store: bytes, manifest: _Box) -> str:
    first = next(_boxes(store, manifest.content, manifest.end), None)
    if first is None or first.kind != DESCRIPTION:
        raise MediaUnreadable(_DAMAGED)
    told = store[first.content + UUID_BYTES : first.end]
    if not told or told[0] & REQUESTABLE != REQUESTABLE or b"\0" not in told[1:]:
        raise MediaUnreadable(_DAMAGED)
    try:
        return told[1 : told.index(b"\0", 1)].decode()
    except UnicodeDecodeError:
        raise MediaUnreadable(_DAMAGED) from None


def _boxes(store: bytes, begin: int, end: int) -> Iterator[_Box]:
    """The boxes one after the other, which fill the bytes from `begin` to `end`. Raises: MediaUnreadable."""
    for _ in range(MAX_BOXES):
        if begin == end:
            return
        if end - begin < _HEAD.size:
            raise MediaUnreadable(_DAMAGED)
        length, kind = _HEAD.unpack_from(store, begin)
        content = begin + _HEAD.size
        if length == 1 and end - content >= _LARGE.size:
            (length,) = _LARGE.unpack_from(store, content)
            content += _LARGE.size
        last = end if length == 0 else begin + length
        if not content <= last <= end:
            raise MediaUnreadable(_DAMAGED)
        yield _Box(kind, begin, content, last)
        begin = last
    raise MediaUnreadable(_DAMAGED)
