"""Key material of the marks, and the pseudo-random function that everything keyed is drawn from.

Two separate secrets (docs/adr/0003-key-model.md): the *detection key* finds and reads marks, the *minting
key* issues payloads that the service accepts. Holding the first does not give the second.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from watermark.errors import KeyMaterialError

SECRET_BYTES = 32


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose out of `secret` (HKDF-SHA256, RFC 5869)."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"countermark/1/{purpose}".encode()).derive(secret)


def stream(key: bytes, label: str, count: int) -> NDArray[np.uint8]:
    """``uint8[count]`` pseudo-random bytes of (key, label); SHAKE256 keyed by prefix (FIPS 202)."""
    return np.frombuffer(hashlib.shake_256(key + label.encode()).digest(count), dtype=np.uint8)


def uniform(key: bytes, label: str, count: int) -> NDArray[np.float64]:
    """``float64[count]`` in [0, 1), 32 bits each."""
    return stream(key, label, 4 * count).view("<u4") / 2.0**32


def signs(key: bytes, label: str, count: int) -> NDArray[np.float32]:
    """``float32[count]`` independent fair signs ±1."""
    bits = np.unpackbits(stream(key, label, (count + 7) // 8))[:count]
    return (1 - 2 * bits.astype(np.float32)).astype(np.float32)


def permutation(key: bytes, label: str, count: int) -> NDArray[np.int64]:
    """A permutation of ``range(count)``: the order of 64-bit draws."""
    return np.argsort(stream(key, label, 8 * count).view("<u8"), kind="stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionKey:
    """Finds and reads the marks of one key epoch; `secret` is 32 bytes.

    Raises: KeyMaterialError when the secret has another length.
    """

    epoch: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check(self.secret)

    @property
    def template(self) -> bytes:
        """Places the points and phases that registration uses."""
        return derive(self.secret, "template")

    @property
    def carrier(self) -> bytes:
        """Draws the signs and the interleaving that the decision uses."""
        return derive(self.secret, "carrier")

    @property
    def visible(self) -> bytes:
        """Draws the path of the visible mark."""
        return derive(self.secret, "visible")


@dataclass(frozen=True, slots=True, kw_only=True)
class MintingKey:
    """Issues and authenticates payloads; `secret` is 32 bytes, never part of a verifier's bundle.

    ``first``: the counter from which on it issues, where other keys issued those before (`payload.Mint`).
    """

    secret: bytes = field(repr=False)
    first: int = 0

    def __post_init__(self) -> None:
        _check(self.secret)

    @property
    def mac(self) -> bytes:
        """Authenticates version and id."""
        return derive(self.secret, "payload-mac")

    @property
    def permutation(self) -> bytes:
        """Turns the counter into an opaque id."""
        return derive(self.secret, "payload-permutation")


def _check(secret: bytes) -> None:
    if len(secret) != SECRET_BYTES:
        raise KeyMaterialError(f"a mark key has {SECRET_BYTES} bytes, this one has {len(secret)}")
