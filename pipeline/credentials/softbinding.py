"""Soft bindings: how the watermark's payload and the clip's fingerprint are written into a manifest.

Each has a namespaced algorithm name ending in a version; a changed carrier gets a new number and old
numbers stay readable. Values are base64 text inside the assertion's ``blocks`` (c2pa stores them as CBOR
text, not bytes).
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

WATERMARK_ALGORITHM: Final = "org.countermark.watermark.1"
FINGERPRINT_ALGORITHM: Final = "org.countermark.fingerprint.1"
ALGORITHMS: Final = (WATERMARK_ALGORITHM, FINGERPRINT_ALGORITHM)

PAYLOAD_BYTES: Final = 8
MAX_VALUE_CHARS: Final = 16 * 1024


def encode_payload(payload: int) -> str:
    """A 64-bit payload as base64 of 8 big-endian bytes. Raises: OverflowError outside 0 … 2^64 - 1."""
    return base64.b64encode(payload.to_bytes(PAYLOAD_BYTES, "big")).decode()


def decode_payload(value: str) -> int | None:
    """The payload of a value, None when it is not one."""
    content = decode_value(value)
    return int.from_bytes(content, "big") if content is not None and len(content) == PAYLOAD_BYTES else None


def encode_fingerprint(fingerprint: bytes) -> str:
    """A fingerprint's bytes (`Fingerprint.to_bytes`) as base64."""
    return base64.b64encode(fingerprint).decode()


def decode_value(value: object) -> bytes | None:
    """The bytes behind a base64 value from a file, None when it is something else or too long."""
    if not isinstance(value, str) or len(value) > MAX_VALUE_CHARS:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def assertion(algorithm: str, value: str) -> dict[str, Any]:
    """A ``c2pa.soft-binding`` assertion over the whole clip."""
    return {
        "label": "c2pa.soft-binding",
        "data": {"alg": algorithm, "blocks": [{"scope": {}, "value": value}]},
    }


def values(assertions: Iterable[dict[str, Any]], algorithm: str) -> tuple[str, ...]:
    """All values of one algorithm among a manifest's assertions (labels carry ``__2`` from the second on)."""
    found = []
    for row in assertions:
        data = row.get("data")
        if str(row.get("label", "")).partition("__")[0] != "c2pa.soft-binding" or not isinstance(data, dict):
            continue
        blocks = data.get("blocks")
        if data.get("alg") == algorithm and isinstance(blocks, list):
            found += [block["value"] for block in blocks if isinstance(block, dict) and "value" in block]
    return tuple(value for value in found if isinstance(value, str))
