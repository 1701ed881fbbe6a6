"""Rows of the provenance benchmark in which the COSE padding is cut, and its room filled with something else.

The C2PA box keeps its length, so the content hash and the claim's signature hold, and several thousand bytes
of anybody's ride along in a file that c2pa calls whole.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.tools import jumbf
from benchmarks.trials.tampering import (
    ALTERED,
    C2PA,
    ENCYPHER,
    FRAMING,
    SMUGGLED,
    Subject,
    make_row,
    written,
)

LEAST: Final = 256  # bytes of padding, so that its length keeps the same form
CBOR_WORD: Final = b"\x59"  # a byte string whose length has two bytes
PADDING: Final = b"\x63pad" + CBOR_WORD
REASONS: Final = {C2PA: FRAMING, ENCYPHER: FRAMING}
SEALED: Final = "a parent that was changed after it was sealed in is told of the parent, not of the clip"
PARENTS: Final = {C2PA: SEALED, ENCYPHER: SEALED}


def bytes_of(content: bytes) -> bytes:
    """A CBOR byte string."""
    return CBOR_WORD + len(content).to_bytes(2, "big") + content


def box(kind: bytes, content: bytes) -> bytes:
    """A box of ISO 14496-12 and JUMBF."""
    return (jumbf.HEADER + len(content)).to_bytes(4, "big") + kind + content


def cut(given: Subject, count: int) -> bytes:
    """The clip with so many bytes of padding less, and the boxes around as long as before.

    Raises: ValueError when the padding is too short.
    """
    [padding] = given.spans["padding"]
    left = padding.end - padding.start - count
    if left < LEAST:
        raise ValueError("the padding is too short for that")
    changed = bytearray(given.content)
    changed[padding.start - 2 : padding.start] = left.to_bytes(2, "big")
    return bytes(changed[: padding.end - count] + changed[padding.end :])


def manifests(content: bytes) -> list[bytes]:
    """The boxes of the manifest store: its description, then the manifests, the active one last."""
    store = jumbf.store(content)
    inner = jumbf.boxes(content, store.start + jumbf.HEADER, store.end)
    return [content[one.start : one.end] for one in inner]


def with_manifests(content: bytes, inner: Sequence[bytes]) -> bytes:
    """The clip with these instead. Raises: ValueError unless they are as long together."""
    store, made = jumbf.store(content), b"".join(inner)
    if len(made) != store.end - store.start - jumbf.HEADER:
        raise ValueError("the C2PA box would change its length")
    return content[: store.start + jumbf.HEADER] + made + content[store.end :]


def slimmer(manifest: bytes, count: int | None = None) -> bytes:
    """A manifest with so many bytes of padding less (or more, below zero); None: with the least.

    Raises: ValueError when the padding is too short.
    """
    place = manifest.rindex(PADDING) + len(PADDING)
    length = int.from_bytes(manifest[place : place + 2], "big")
    count = length - LEAST if count is None else count
    if length - count < LEAST:
        raise ValueError("the padding is too short for that")
    changed = bytearray(manifest)
    start, end = 0, len(manifest)
    while inner := [one for one in jumbf.boxes(manifest, start, end) if one.start <= place < one.end]:
        [one] = inner
        changed[one.start : one.start + 4] = (one.end - one.start - count).to_bytes(4, "big")
        if one.name != "jumb":
            break
        start, end = one.start + jumbf.HEADER, one.end
    zeros = (length - count).to_bytes(2, "big") + bytes(length - count)
    return bytes(changed[:place]) + zeros + manifest[place + 2 + length :]


def with_box(given: Subject, added: bytes) -> bytes:
    """The clip with a box before its active manifest, in the room of its padding."""
    *before, last = manifests(given.content)
    return with_manifests(given.content, [*before, added, slimmer(last, len(added))])


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


def _stranger(given: Subject, _random: Random, folder: Path) -> Path:
    """A stranger's manifest, which nothing refers to."""
    source, target = folder / "source.mp4", folder / "tampered.mp4"
    source.write_bytes(given.content)
    given.sign_as_stranger(source, target)
    target.write_bytes(with_box(given, slimmer(manifests(target.read_bytes())[-1])))
    return target


def _recorded(given: Subject, _random: Random, folder: Path) -> Path:
    """A parent that was changed, and a stranger's manifest over it, which says that it came so."""
    if "parent's manifest" not in given.spans:
        raise KeyError("parent's manifest")
    source, target = folder / "source.mp4", folder / "tampered.mp4"
    *before, parent, last = manifests(given.content)
    changed = slimmer(parent)
    room = len(parent) - len(changed)
    source.write_bytes(with_manifests(given.content, [*before, changed, slimmer(last, -room)]))
    given.sign_over_as_stranger(source, target)
    added = slimmer(manifests(target.read_bytes())[-1])
    inner = [*before, changed, added, slimmer(last, len(added) - room)]
    target.write_bytes(with_manifests(given.content, inner))
    return target


def _changed(given: Subject, _random: Random) -> bytes:
    """A parent whose padding was cut: only the hash of the ingredient in our claim tells."""
    if "parent's manifest" not in given.spans:
        raise KeyError("parent's manifest")
    *before, parent, last = manifests(given.content)
    changed = slimmer(parent)
    room = len(parent) - len(changed)
    return with_manifests(given.content, [*before, changed, slimmer(last, -room)])


CHANGES: Final[dict[str, Callable[[Subject, Random], bytes]]] = {
    "a payload in the signature": _payload,
    "revocation values": _values,
    "a time-stamp of the old kind": _stamps,
    "a second time-stamp token": _tokens,
    "a box of no known kind": _junk,
}
STUFFED: Final = (
    *(
        make_row(f"padding cut for {name}", written(change), ALTERED, stricter=REASONS)
        for name, change in CHANGES.items()
    ),
    make_row("padding cut for a manifest that nothing refers to", _stranger, ALTERED, stricter=REASONS),
    make_row("parent changed", written(_changed), ALTERED, stricter=PARENTS),
    make_row("parent changed, and a stranger's record of it", _recorded, ALTERED, stricter=PARENTS),
)
