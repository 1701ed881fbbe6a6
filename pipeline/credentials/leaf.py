"""The certificate that a claim was signed with, out of the manifest store's own bytes.

c2pa reports serial number and issuer of a signer, which whoever has the issuer's key can repeat. The
certificate itself stands in the COSE header ``x5chain`` of the active manifest's signature (RFC 9360, 2;
C2PA 2.4, 14.5). c2pa takes it under the label 33 or as text, from the protected header or the other. There
has to be one and no second: with two it would not be known which of them c2pa took.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from pipeline.credentials import cbor
from pipeline.credentials.framing import COSE_SIGN1, LABELS, SIGNATURE, boxes, described, label_of

CHAIN: Final = (33, b"x5chain")


def leaf_sha256(store: bytes, urn: str) -> str | None:
    """SHA-256 (hex) of the DER certificate that signed the active manifest, which is called `urn`.

    None for a store without exactly one such manifest, signature and chain. Pure; never raises.
    """
    try:
        cose = _signature(store, urn.encode())
        [leaf] = [_first(header, place) for header in _headers(cose) for place in _chains(header)]
    except (ValueError, IndexError):
        return None
    return hashlib.sha256(leaf).hexdigest()


def _signature(store: bytes, urn: bytes) -> bytes:
    """The COSE_Sign1 of the last manifest, the active one. Raises: ValueError, IndexError."""
    [(_, content)] = boxes(store)
    manifests = [manifest for _, manifest in boxes(content)[1:]]
    if [label_of(manifest) == urn for manifest in manifests] != [False] * (len(manifests) - 1) + [True]:
        raise ValueError("the active manifest is not the last, or has its name not for itself")
    parts = [boxes(part) for _, part in boxes(manifests[-1])[1:]]
    [signature] = [part for part in parts if _is_signature(part[0][1])]
    description, (kind, cose) = signature  # these two, and no more
    if kind != b"cbor" or not described(description, SIGNATURE, LABELS[SIGNATURE]):
        raise ValueError("no signature")
    return cose


def _is_signature(description: bytes) -> bool:
    return description.startswith(SIGNATURE) or LABELS[SIGNATURE] in description


def _headers(cose: bytes) -> tuple[bytes, bytes]:
    """The protected header and the other, each a map. Raises: ValueError, IndexError."""
    if not cose.startswith(COSE_SIGN1):
        raise ValueError("no COSE_Sign1")
    start = cbor.end(cose, len(COSE_SIGN1))
    return cbor.string(cose, len(COSE_SIGN1)), cose[start : cbor.end(cose, start)]


def _chains(header: bytes) -> Iterator[int]:
    return (start for name, start, _ in cbor.pairs(header, 0) if name in CHAIN)


def _first(header: bytes, place: int) -> bytes:
    """The leaf: the chain's only certificate, or the first of several. Raises: ValueError, IndexError."""
    major, count, inner = cbor.head(header, place)
    if major == cbor.ARRAY and not count:
        raise ValueError("an empty chain")
    return cbor.string(header, inner if major == cbor.ARRAY else place)
