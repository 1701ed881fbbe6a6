"""Where what lies in a signed MP4: its boxes, and the parts of its C2PA manifest store (JUMBF, COSE).

Enough of ISO 14496-12, ISO 19566-5 and RFC 9052 to know what a flipped bit hits; it trusts the file, which
is one of our own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

C2PA_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP_UUID: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
HEADER: Final = 8
UUID: Final = 16
# After the UUID: version and flags (4), the purpose "manifest" with its zero (9), the Merkle offset (8).
C2PA_PREFIX: Final = UUID + 4 + 9 + 8
LABELLED: Final = 0x02  # toggle of a description box (ISO 19566-5 B.3)
OFFSETS: Final = {b"stco": 4, b"co64": 8}  # bytes of one chunk offset
CONTAINERS: Final = ("moov", "trak", "mdia", "minf", "stbl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes `start` up to `end` of a file, by name."""

    name: str
    start: int
    end: int


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[Span]:
    """Boxes from `start` to `end`, whole, with their headers; named by type, `c2pa` and `xmp` for those."""
    end = len(content) if end is None else end
    while start + HEADER <= end:
        size, kind = int.from_bytes(content[start : start + 4], "big"), content[start + 4 : start + HEADER]
        size = int.from_bytes(content[start + 8 : start + 16], "big") if size == 1 else size or end - start
        if kind == b"uuid":
            kind = {C2PA_UUID: b"c2pa", XMP_UUID: b"xmp"}.get(
                content[start + HEADER : start + HEADER + UUID], kind
            )
        yield Span(name=kind.decode("latin-1"), start=start, end=start + size)
        start += size


def box(content: bytes, name: str) -> Span:
    """The first top-level box of a name. Raises: LookupError."""
    for one in boxes(content):
        if one.name == name:
            return one
    raise LookupError(f"the file has no box {name}")


def store(content: bytes) -> Span:
    """The manifest store inside the C2PA box: what `Builder.sign` returns."""
    outer = box(content, "c2pa")
    return Span(name="store", start=outer.start + HEADER + C2PA_PREFIX, end=outer.end)


def parts(content: bytes, start: int, end: int, path: tuple[str, ...] = ()) -> Iterator[Span]:
    """Every content box of a manifest store by the path of its labels, and each description box.

    A description's name ends in ``#description`` (type, toggles, label), a box's header's in ``#header``.
    """
    for one in boxes(content, start, end):
        inner = one.start + HEADER
        if one.name == "jumb":
            yield from parts(content, inner, one.end, path)
        else:
            path = (*path, _label(content[inner : one.end])) if one.name == "jumd" else path
            suffix = "#description" if one.name == "jumd" else ""
            yield Span(name="/".join(path) + suffix, start=inner, end=one.end)
        yield Span(name="/".join(path) + "#header", start=one.start, end=inner)


def _label(description: bytes) -> str:
    if not description[UUID] & LABELLED:
        return "?"
    return description[UUID + 1 :].partition(b"\0")[0].decode()


def cose(content: bytes, span: Span) -> dict[str, Span]:
    """Parts of a COSE_Sign1 as c2pa writes it: protected header, time-stamp, padding, signature."""
    body = content[span.start : span.end]
    length = int.from_bytes(body[3:5], "big")  # d2 84, 59 and two bytes: tag, array, the header's length
    stamp = body.index(b"sigTst", 5 + length)
    padding = body.index(b"pad", stamp)
    signature = len(body) - 64  # ES256
    found = {
        "certificate": (5, 5 + length), "time-stamp": (stamp, padding - 1),
        "padding": (padding + 6, signature - 3), "signature": (signature, len(body)),
    }  # fmt: skip
    return {
        name: Span(name=name, start=span.start + start, end=span.start + end)
        for name, (start, end) in found.items()
    }


def with_bytes(content: bytes, place: int, added: bytes, removed: int = 0) -> bytes:
    """`content` with `removed` bytes at `place` replaced by `added`, and chunk offsets that still hit.

    What an attacker does who wants the pictures to play on.
    """
    shift = len(added) - removed
    changed = bytearray(content)
    for one in boxes(content):
        if one.name == "moov":
            for kind, start, end in _tables(content, one):
                _shift(changed, start + HEADER, end, OFFSETS[kind], place, shift)
    return bytes(changed[:place]) + added + bytes(changed[place + removed :])


def _tables(content: bytes, outer: Span) -> Iterator[tuple[bytes, int, int]]:
    for one in boxes(content, outer.start + HEADER, outer.end):
        if one.name.encode("latin-1") in OFFSETS:
            yield one.name.encode("latin-1"), one.start, one.end
        elif one.name in CONTAINERS:
            yield from _tables(content, one)


def _shift(changed: bytearray, start: int, end: int, size: int, place: int, shift: int) -> None:
    for at in range(start + 8, end, size):  # behind version, flags and the number of entries
        offset = int.from_bytes(changed[at : at + size], "big")
        if offset >= place:
            changed[at : at + size] = (offset + shift).to_bytes(size, "big")
