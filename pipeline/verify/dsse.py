"""Dead Simple Signing Envelope, version 1 (secure-systems-lab/dsse): what is signed is type and bytes.

The signature covers the pre-authentication encoding (PAE), so that bytes signed as one type are never taken
for another, and no canonical form of JSON is needed: the payload travels as the bytes that were signed.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pipeline.credentials.report_key import ReportKey, ReportSigner

MAX_SIGNATURES: Final = 8


class Signed(StrEnum):
    """What a signature comes to: of a known key, of none that is known, or not what was signed."""

    HOLDS = "holds"
    UNKNOWN_KEY = "unknown-key"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A read envelope. ``signatures``: (key id, signature); the id is a hint that nothing vouches for."""

    kind: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def check(self, known: Iterable[ReportKey]) -> tuple[Signed, ReportKey | None]:
        """Whether one of the `known` keys signed it, and which (where it is broken, the one it names)."""
        keys, text = {key.id: key for key in known}, pae(self.kind, self.payload)
        for _, signature in self.signatures:
            for key in keys.values():
                if key.verify(signature, text):
                    return Signed.HOLDS, key
        named = next((keys[hint] for hint, _ in self.signatures if hint in keys), None)
        return (Signed.BROKEN if named else Signed.UNKNOWN_KEY), named


def pae(kind: str, payload: bytes) -> bytes:
    """The bytes that are signed (DSSE protocol, *Signature Definition*)."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def seal(kind: str, payload: bytes, signer: ReportSigner) -> dict[str, Any]:
    """The envelope around `payload`, as JSON."""
    signature = base64.b64encode(signer.sign(pae(kind, payload))).decode()
    return {
        "payloadType": kind, "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signer.key.id, "sig": signature}],
    }  # fmt: skip


def read(document: Any) -> Envelope:
    """Read an envelope out of JSON; nothing is checked. Raises: ValueError when it is none."""
    try:
        rows = document["signatures"]
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_SIGNATURES:
            raise ValueError("signatures")
        kind = document["payloadType"]
        if not isinstance(kind, str):
            raise TypeError("payloadType")
        kind.encode()  # half a surrogate pair has no bytes
        return Envelope(
            kind=kind, payload=_bytes(document["payload"]),
            signatures=tuple((str(row.get("keyid", "")), _bytes(row["sig"])) for row in rows),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("this is no envelope") from error


def _bytes(text: Any) -> bytes:
    """Base64 of either alphabet, as DSSE wants it read."""
    if not isinstance(text, str):
        raise TypeError("base64")
    return base64.b64decode(text.translate({ord("-"): "+", ord("_"): "/"}), validate=True)
