"""The framing of a manifest store that we signed: bytes inside the C2PA box that nothing covers.

The content hash leaves the whole C2PA box out. Inside it, the claim's signature covers the claim, the claim's
hashes cover the assertions (also those that embed parents), and c2pa ignores the rest: the box's own prefix,
the descriptions of the store, the manifest, its claim and its signature, and the padding of the COSE header,
several thousand bytes in which anybody could put what he likes. What we sign has only one form there:

1. the box's prefix names the purpose ``manifest`` and no Merkle boxes (C2PA 2.4, A.5.1);
2. the boxes fill it to the last byte, and every description has the type of its label, the toggles
   "requestable, labelled", and nothing after the label (ISO 19566-5, B.3);
3. the unprotected COSE header has time-stamp and padding, each at most once; the time-stamp is one token and
   nothing beside it, the padding is zero; the payload is null, since it is detached (C2PA 2.4, 13.2);
4. every manifest in the store is one that is reached through the active one's ingredients, once, and its
   hash stands in the active one's assertions, or in a manifest of which that holds: c2pa says nothing of a
   changed manifest whose own ingredients record the change. Links of C2PA 1.0, which hash the claim only, and
   redacted manifests do not hold here.

Nothing here looks into the time-stamp's token: what its authority's signature leaves open there (CMS: other
certificates, unsigned attributes) stays open.

Pure; runs in the child. Hostile bytes may make it say no, but not run long: every step goes forward.
"""

import hashlib
from collections.abc import Collection
from typing import Final

from pipeline.credentials import cbor

BOX_PREFIX: Final = bytes(4) + b"manifest\0" + bytes(8)  # version and flags, purpose, Merkle offset
HEADER: Final = 8
TYPE: Final = 16
TOGGLES: Final = b"\x03"  # requestable, with a label
LABELLED: Final = 0x02
ISO_TYPE: Final = bytes.fromhex("00110010800000aa00389b71")
STORE, MANIFEST, CLAIM, SIGNATURE = b"c2pa", b"c2ma", b"c2cl", b"c2cs"
ASSERTIONS: Final = b"c2as"
LABELS: Final = {
    ASSERTIONS: b"c2pa.assertions", CLAIM: b"c2pa.claim.v2", SIGNATURE: b"c2pa.signature",
}  # fmt: skip
HASHES: Final = ("sha256", "sha384", "sha512")  # C2PA 2.4, 13.1
MAX_MANIFESTS: Final = 128
COSE_SIGN1: Final = b"\xd2\x84"  # tag 18, an array of four
PADDING: Final = frozenset({b"pad", b"pad2"})
TIME_STAMP: Final = b"sigTst2"
TOKENS: Final = b"\xa1\x69tstTokens\x81\xa1\x63val"  # {"tstTokens": [{"val": …}]}


def regular(box: bytes, manifests: Collection[str]) -> bool:
    """Whether a C2PA box, from behind its UUID on, has the one form that ours have.

    `manifests`: names of those that are reached from the active one, itself included.
    """
    try:
        if not box.startswith(BOX_PREFIX):
            return False
        [(kind, store)] = boxes(box[len(BOX_PREFIX) :])
        return kind == b"jumb" and _store(store, sorted(name.encode() for name in manifests))
    except (ValueError, IndexError):
        return False


def _store(content: bytes, names: list[bytes]) -> bool:
    description, *manifests = boxes(content)
    if not described(description, STORE, b"c2pa") or {kind for kind, _ in manifests} != {b"jumb"}:
        return False
    if sorted(label_of(manifest) for _, manifest in manifests) != names:
        return False
    *others, active = (content for _, content in manifests)
    return _manifest(active) and len(others) < MAX_MANIFESTS and _sealed(others, _assertions(active))


def _assertions(manifest: bytes) -> bytes:
    """The content of its assertion store; of a manifest that has the usual parts."""
    return next(part for _, part in boxes(manifest)[1:] if boxes(part)[0][1].startswith(ASSERTIONS))


def _sealed(others: list[bytes], covered: bytes) -> bool:
    """Rule 4: whether each one's hash stands in what is covered, or in another that is so itself."""
    left = {one: [hashlib.new(name, one).digest() for name in HASHES] for one in others}
    texts = [covered]
    while texts:
        text = texts.pop()
        texts += (found := [one for one, digests in left.items() if any(each in text for each in digests)])
        for one in found:
            del left[one]
    return not left


def _manifest(content: bytes) -> bool:
    description, *parts = boxes(content)
    if not described(description, MANIFEST, None):
        return False
    seen = []
    for kind, part in parts:
        first, *rest = boxes(part)
        name = first[1][:4]
        if kind != b"jumb" or name not in LABELS or not described(first, name, LABELS[name]):
            return False
        if name == SIGNATURE and not ([kind for kind, _ in rest] == [b"cbor"] and _cose(rest[0][1])):
            return False
        if name == CLAIM and [kind for kind, _ in rest] != [b"cbor"]:
            return False
        seen.append(name)
    return sorted(seen) == sorted(LABELS)


def described(box: tuple[bytes, bytes], name: bytes, label: bytes | None) -> bool:
    """Whether a description box is exactly: type, toggles, label, zero. `label` None: whatever it is."""
    kind, content = box
    start = name + ISO_TYPE + TOGGLES
    given = content[len(start) : -1] if label is None else label
    return kind == b"jumd" and b"\0" not in given and content == start + given + b"\0"


def label_of(superbox: bytes) -> bytes:
    """The label that the description box at its begin gives. Raises: ValueError, IndexError."""
    kind, content = boxes(superbox)[0]
    name, zero, _ = content[TYPE + len(TOGGLES) :].partition(b"\0")
    if kind != b"jumd" or not zero or content[TYPE] & LABELLED != LABELLED:
        raise ValueError("no label")
    return name


def boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    """(type, content) of boxes that fill `content`. Raises: ValueError when they do not."""
    found, position = [], 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        if not HEADER <= size <= len(content) - position:
            raise ValueError("boxes do not fill their box")
        found.append(
            (content[position + 4 : position + HEADER], content[position + HEADER : position + size])
        )
        position += size
    return found


def _cose(content: bytes) -> bool:
    """Rule 3. Raises: ValueError, IndexError for what is no COSE_Sign1 of definite lengths."""
    if not content.startswith(COSE_SIGN1):
        return False
    place = cbor.end(content, len(COSE_SIGN1))
    seen = []
    for name, start, end in cbor.pairs(content, place):
        value = content[start:end]
        if not ((name in PADDING and _zeros(value)) or (name == TIME_STAMP and _one_token(value))):
            return False
        seen.append(name)
    place = cbor.end(content, place)
    if len(set(seen)) != len(seen) or content[place : place + 1] != cbor.NULL:
        return False
    cbor.string(content, place + 1)  # the signature, and then no more
    return cbor.end(content, place + 1) == len(content)


def _zeros(value: bytes) -> bool:
    """Whether the item is a byte string of zeros. Raises: ValueError, IndexError."""
    return not any(cbor.string(value, 0))


def _one_token(value: bytes) -> bool:
    """Whether the item is one time-stamp token, a byte string. Raises: ValueError, IndexError."""
    if not value.startswith(TOKENS):
        return False
    cbor.string(value, len(TOKENS))
    return cbor.end(value, len(TOKENS)) == len(value)
