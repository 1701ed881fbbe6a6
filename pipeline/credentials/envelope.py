"""Sealed files: authenticated encryption under a data key, which a pass phrase unlocks. No files here.

A pass phrase and a salt give a key-encryption key (scrypt, RFC 7914); that wraps the data key; the data key
seals every secret file of a home (AES-256-GCM, NIST SP 800-38D, a fresh nonce of 96 bits each time). What a
file is for and what it is called are associated data: a sealed file in the place of another does not open.
"""

import functools
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

RECORD_FORMAT: Final = "countermark-seal/1"
MARKER: Final = b"countermark-sealed/1\n"  # how every sealed file begins
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
SALT_BYTES: Final = 16
TAG_BYTES: Final = 16
# Memory is 128 · n · r bytes: 128 MiB, and a third of a second; OWASP's first choice for scrypt.
SCRYPT_N: Final = 1 << 17
SCRYPT_N_MAX: Final = 1 << 20
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1


class State(StrEnum):
    """How far the files of a home are sealed; only while it changes may some be plain and others not."""

    SEALING = "sealing"
    SEALED = "sealed"
    UNSEALING = "unsealing"


class DoesNotOpen(Exception):
    """Another pass phrase or key, or bytes that were changed: the two cannot be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A key that seals files: 16 hexadecimal digits that name it, and 32 secret bytes."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> "DataKey":
        """A new one."""
        return cls(id=secrets.token_hex(KEY_ID_BYTES), secret=secrets.token_bytes(KEY_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A data key under the key-encryption key."""

    id: str
    nonce: bytes
    wrapped: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRecord:
    """What ``seal.json`` says: scrypt's salt and cost, and the data keys, of which the first seals."""

    state: State
    salt: bytes
    n: int
    keys: tuple[WrappedKey, ...]

    def to_json(self) -> dict[str, Any]:
        """The document; it holds no secret in the clear."""
        return {
            "format": RECORD_FORMAT, "state": str(self.state),
            "kdf": {"name": "scrypt", "salt": self.salt.hex(), "n": self.n, "r": SCRYPT_R, "p": SCRYPT_P},
            "keys": [
                {"id": key.id, "nonce": key.nonce.hex(), "wrapped": key.wrapped.hex()} for key in self.keys
            ],
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: bytes) -> "SealRecord":
        """Read `to_json`'s document. Raises: ValueError when it is of another format or damaged."""
        try:
            told = json.loads(content)
            kdf = told["kdf"]
            known = (told["format"], kdf["name"], kdf["r"], kdf["p"])
            if known != (RECORD_FORMAT, "scrypt", SCRYPT_R, SCRYPT_P):
                raise ValueError("format")
            record = cls(
                state=State(told["state"]), salt=bytes.fromhex(kdf["salt"]), n=int(kdf["n"]),
                keys=tuple(_wrapped_key(row) for row in told["keys"]),
            )  # fmt: skip
        except (KeyError, TypeError, RecursionError, OverflowError):
            raise ValueError("damaged") from None
        if not record.keys or not 2 <= record.n <= SCRYPT_N_MAX or record.n & (record.n - 1):
            raise ValueError("keys or cost")
        return record


def record_of(
    keys: Sequence[DataKey], passphrase: bytes, state: State, *, n: int = SCRYPT_N, salt: bytes | None = None
) -> SealRecord:
    """A record of these data keys under a pass phrase; ``n``: scrypt's cost; ``salt``: fresh by default."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    cipher = AESGCM(_encryption_key(passphrase, salt, n))
    wrapped = []
    for key in keys:
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = cipher.encrypt(nonce, key.secret, _about_key(key.id, state))
        wrapped.append(WrappedKey(id=key.id, nonce=nonce, wrapped=sealed))
    return SealRecord(state=state, salt=salt, n=n, keys=tuple(wrapped))


def open_record(record: SealRecord, passphrase: bytes) -> tuple[DataKey, ...]:
    """The data keys of a record. Raises: DoesNotOpen."""
    cipher = AESGCM(_encryption_key(passphrase, record.salt, record.n))
    try:
        return tuple(
            DataKey(
                id=key.id, secret=cipher.decrypt(key.nonce, key.wrapped, _about_key(key.id, record.state))
            )
            for key in record.keys
        )
    except InvalidTag:
        raise DoesNotOpen from None


def is_sealed(content: bytes) -> bool:
    """Whether these are the bytes of a sealed file, of this version or another."""
    return content.startswith(b"countermark-sealed/")


def sealed_by(content: bytes) -> str:
    """The id of the data key that sealed a file."""
    return content[len(MARKER) : len(MARKER) + KEY_ID_BYTES].hex()


def seal(key: DataKey, name: str, purpose: str, content: bytes) -> bytes:
    """The bytes of a sealed file: marker, id of the data key, nonce, ciphertext with its tag."""
    nonce, named = secrets.token_bytes(NONCE_BYTES), bytes.fromhex(key.id)
    about = _about_file(key.id, name, purpose)
    return MARKER + named + nonce + AESGCM(key.secret).encrypt(nonce, content, about)


def unseal(keys: Sequence[DataKey], name: str, purpose: str, sealed: bytes) -> bytes:
    """What `seal` was given. Raises: DoesNotOpen for another name, purpose or key, or for changed bytes."""
    id = sealed_by(sealed)
    key = next((key for key in keys if key.id == id), None)
    rest = sealed[len(MARKER) + KEY_ID_BYTES :]
    if not sealed.startswith(MARKER) or key is None or len(rest) < NONCE_BYTES + TAG_BYTES:
        raise DoesNotOpen
    try:
        return AESGCM(key.secret).decrypt(
            rest[:NONCE_BYTES], rest[NONCE_BYTES:], _about_file(key.id, name, purpose)
        )
    except InvalidTag:
        raise DoesNotOpen from None


@functools.lru_cache(maxsize=4)
def _encryption_key(passphrase: bytes, salt: bytes, n: int) -> bytes:
    """scrypt, once for each pass phrase and salt: keys are read again and again in a running service."""
    return Scrypt(salt=salt, length=KEY_BYTES, n=n, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase)


def _about_key(id: str, state: State) -> bytes:
    return "\n".join((RECORD_FORMAT, "data key", id, state)).encode()


def _about_file(id: str, name: str, purpose: str) -> bytes:
    return MARKER + "\n".join((id, purpose, name)).encode()


def _wrapped_key(row: Any) -> WrappedKey:
    key = WrappedKey(
        id=str(row["id"]), nonce=bytes.fromhex(row["nonce"]), wrapped=bytes.fromhex(row["wrapped"])
    )
    lengths = (len(bytes.fromhex(key.id)), len(key.nonce), len(key.wrapped))
    if lengths != (KEY_ID_BYTES, NONCE_BYTES, KEY_BYTES + TAG_BYTES):
        raise ValueError("key")
    return key
