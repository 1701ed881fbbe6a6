"""The key that verification reports are signed with: Ed25519, ``<home>/keys/report.json``, sealed as all are.

It signs nothing else, and none of the other keys signs a report (docs/adr/0062-signed-reports.md).
"""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.credentials.keyfiles import Live, locked
from pipeline.credentials.safe import Safe, Secret
from pipeline.errors import KeysUnusable

REPORT_KEY_FORMAT: Final = "countermark-report-key/1"
KEY_BYTES: Final = 32
NAME_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKey:
    """The public half: 32 raw bytes (Ed25519)."""

    public: bytes

    @property
    def id(self) -> str:
        """SHA-256 of the public half, 64 hex digits."""
        return hashlib.sha256(self.public).hexdigest()

    @property
    def name(self) -> str:
        """What people call the key."""
        return f"countermark-report-{self.id[:NAME_DIGITS]}"

    def verify(self, signature: bytes, text: bytes) -> bool:
        """Whether `signature` is this key's over `text`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True

    def to_json(self) -> dict[str, str]:
        """The key as bundles, `keys list` and the service show it."""
        return {"name": self.name, "algorithm": "ed25519", "public": self.public.hex(), "id": self.id}

    @classmethod
    def from_hex(cls, text: str) -> "ReportKey":
        """A key from 64 hex digits. Raises: ValueError."""
        public = bytes.fromhex(text)
        if len(public) != KEY_BYTES:
            raise ValueError("key")
        return cls(public=public)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSigner:
    """The whole key: 32 raw secret bytes. ``before``: the public halves that it replaced, the newest first,
    whose reports still count.
    """

    secret: bytes = field(repr=False)
    before: tuple[ReportKey, ...] = ()

    @property
    def key(self) -> ReportKey:
        """The public half."""
        return ReportKey(public=self._private().public_key().public_bytes_raw())

    @property
    def known(self) -> tuple[ReportKey, ...]:
        """Whose signatures on reports are ours, the present key first."""
        return self.key, *self.before

    def sign(self, text: bytes) -> bytes:
        """64 bytes over `text`."""
        return self._private().sign(text)

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.secret)


def ensure_report_key(safe: Safe) -> ReportSigner:
    """Load the report key of a folder (which is there), or make it; safe from several processes at once.

    Raises: KeysUnusable.
    """
    path = safe.folder / Secret.REPORT
    if not os.path.lexists(path):
        with locked(safe.folder / f"{Secret.REPORT}.lock"):
            if not os.path.lexists(path):
                _write(safe, ReportSigner(secret=secrets.token_bytes(KEY_BYTES)))
    return load_report_key(safe)


def live_report_key(safe: Safe) -> Live[ReportSigner]:
    """The report key of a folder as it is now, made where there is none. Raises: KeysUnusable."""
    ensure_report_key(safe)
    return Live(safe.folder / Secret.REPORT, partial(load_report_key, safe))


def rotate_report_key(safe: Safe, *, leaked: bool = False) -> ReportSigner:
    """A new key for reports from now on; those of the old one still count, but for one that was `leaked`.

    Raises: KeysUnusable where there is none.
    """
    with locked(safe.folder / f"{Secret.REPORT}.lock"):
        old = load_report_key(safe)
        before = old.before if leaked else old.known
        _write(safe, ReportSigner(secret=secrets.token_bytes(KEY_BYTES), before=before))
    return load_report_key(safe)


def _write(safe: Safe, signer: ReportSigner) -> None:
    document = {
        "format": REPORT_KEY_FORMAT, "secret": signer.secret.hex(),
        "before": [key.public.hex() for key in signer.before],
    }  # fmt: skip
    safe.write(safe.folder / Secret.REPORT, Secret.REPORT, json.dumps(document).encode())


def find_report_key(safe: Safe) -> ReportSigner | None:
    """The report key of a folder, None where there is none. Raises: KeysUnusable for one that is unusable."""
    return load_report_key(safe) if os.path.lexists(safe.folder / Secret.REPORT) else None


def load_report_key(safe: Safe) -> ReportSigner:
    """Read the report key. Raises: KeysUnusable when it is missing, damaged, sealed or open to others."""
    path = safe.folder / Secret.REPORT
    content = safe.read(path, Secret.REPORT)
    try:
        document: Any = json.loads(content)
        if document["format"] != REPORT_KEY_FORMAT:
            raise ValueError("format")
        secret = bytes.fromhex(document["secret"])
        if len(secret) != KEY_BYTES:
            raise ValueError("secret")
        before = tuple(ReportKey.from_hex(text) for text in document.get("before", ()))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise KeysUnusable(f"{path} is damaged or of a newer version; restore it from a backup") from None
    return ReportSigner(secret=secret, before=before)
