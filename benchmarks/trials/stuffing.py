"""Rows of the provenance benchmark in which the COSE padding is cut, and its room filled with something else.

The C2PA box keeps its length, so the content hash and the claim's signature hold, and several thousand bytes
of anybody's ride along in a file that c2pa calls whole.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from benchmarks.tools import jumbf
from benchmarks.tools.jumbf import Span
from benchmarks.trials.tampering import (
    ALTERED,
    C2PA,
    ENCYPHER,
    FRAMING,
    SMUGGLED,
    Subject,
    make_row,
    subject,
    written,
)

LEAST: Final = 256  # bytes of padding, so that its length keeps the same form
CBOR_WORD: Final = b"\x59"  # a byte string whose length has two bytes
REASONS: Final = {C2PA: FRAMING, ENCYPHER: FRAMING}


def bytes_of(content: bytes) -> bytes:
    """A CBOR byte string."""
    return CBOR_WORD + len(content).to_bytes(2, "big") + content


def box(kind: bytes, content: bytes) -> bytes:
    """A box of ISO 14496-12 and JUMBF."""
    return (jumbf.HEADER + len(content)).to_bytes(4, "big") + kind + content


def around(content: bytes, place: int) -> list[Span]:
    """The boxes of the manifest store in which a place lies, from the store inwards."""
    outer, found = jumbf.store(content), list[Span]()
    start, end = outer.start, outer.end
    while inner := [one for one in jumbf.boxes(content, start, end) if one.start <= place < one.end]:
        found += inner
        start, end = inner[0].start + jumbf.HEADER, inner[0].end
        if inner[0].name != "jumb":
            break
    return found


def cut(given: Subject, count: int, content: bytes | None = None) -> bytes:
    """The clip with so many bytes of padding less; the boxes around keep their sizes.

    Raises: ValueError when the padding is too short.
    """
    [padding] = given.spans["padding"]
    left = padding.end - padding.start - count
    if left < LEAST:
        raise ValueError("the padding is too short for that")
    changed = bytearray(given.content if content is None else content)
    changed[padding.start - 2 : padding.start] = left.to_bytes(2, "big")
    return bytes(changed[: padding.end - count] + changed[padding.end :])


def shrunk(given: Subject, count: int) -> bytes:
    """The same, with the boxes around it shorter too, all but the store."""
    changed = bytearray(given.content)
    for one in around(given.content, given.spans["padding"][0].start)[1:]:
        changed[one.start : one.start + 4] = (one.end - one.start - count).to_bytes(4, "big")
    return cut(given, count, bytes(changed))


def active(given: Subject) -> Span:
    """The active manifest's box."""
    return around(given.content, given.spans["padding"][0].start)[1]


def with_box(given: Subject, added: bytes) -> bytes:
    """The clip with a box before its active manifest, in the room of its padding."""
    changed, place = shrunk(given, len(added)), active(given).start
    return changed[:place] + added + changed[place:]


def small_manifest(given: Subject) -> bytes:
    """The active manifest with the least padding."""
    [padding] = given.spans["padding"]
    count = padding.end - padding.start - LEAST
    changed, place = shrunk(given, count), active(given)
    return changed[place.start : place.end - count]


def _payload(given: Subject, _random: Random) -> bytes:
    added = bytes_of(SMUGGLED)
    [padding] = given.spans["padding"]
    count = len(added) - 1
    changed, place = cut(given, count), padding.end - count
    return changed[:place] + added + changed[place + 1 :]  # instead of null


def _values(given: Subject, _random: Random) -> bytes:
    """Revocation values of no use, as one more header."""
    added = b"\x65rVals\xa1\x68ocspVals\x81" + bytes_of(SMUGGLED)
    return _header(given, added)


def _stamps(given: Subject, _random: Random) -> bytes:
    """The time-stamp's header as of version 1 claims, which c2pa does not read in ours."""
    return _header(given, b"\x66sigTst\xa1\x69tstTokens\x81\xa1\x63val" + bytes_of(SMUGGLED))


def _header(given: Subject, added: bytes) -> bytes:
    changed, [protected] = bytearray(cut(given, len(added))), given.spans["certificate"]
    changed[protected.end] += 1  # a map of one more
    return bytes(changed[: protected.end + 1]) + added + bytes(changed[protected.end + 1 :])


def _tokens(given: Subject, _random: Random) -> bytes:
    """A second token in the time-stamp's header."""
    added, [stamp] = b"\xa1\x63val" + bytes_of(SMUGGLED), given.spans["time-stamp"]
    changed = bytearray(cut(given, len(added)))
    changed[changed.index(b"tstTokens\x81", stamp.start) + 9] += 1
    return bytes(changed[: stamp.end]) + added + bytes(changed[stamp.end :])


def _junk(given: Subject, _random: Random) -> bytes:
    described = box(b"jumd", b"SMUG" + bytes.fromhex("00110010800000aa00389b71") + b"\x03junk\0")
    return with_box(given, box(b"jumb", described + box(b"free", SMUGGLED)))


def _stranger(given: Subject, _random: Random) -> bytes:
    """Another release's manifest, which nothing refers to."""
    return with_box(given, small_manifest(subject(given.other, given.content, given.sign_as_stranger)))


CHANGES: Final[dict[str, Callable[[Subject, Random], bytes]]] = {
    "a payload in the signature": _payload,
    "revocation values": _values,
    "a time-stamp of the old kind": _stamps,
    "a second time-stamp token": _tokens,
    "a box of no known kind": _junk,
    "a manifest that nothing refers to": _stranger,
}
STUFFED: Final = tuple(
    make_row(f"padding cut for {name}", written(change), ALTERED, stricter=REASONS)
    for name, change in CHANGES.items()
)
