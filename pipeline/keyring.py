"""The keys of one home besides the signing keys, and the bundle that lets somebody else verify.

``<home>/keys/marks.json`` (0600) holds the detection keys by epoch, newest first, the minting key and the
log key. Which key gives which power is docs/adr/0003-key-model.md. A *verifier bundle* carries what reading
needs and an end date; with the detection key it can read hidden marks, never issue a payload.
"""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.credentials.keyfiles import locked, read_private, write_private
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable
from watermark.detector import MAX_EPOCHS
from watermark.errors import KeyMaterialError
from watermark.keys import SECRET_BYTES, DetectionKey, MintingKey

MARKS_FILE: Final = "marks.json"
MARKS_FORMAT: Final = "countermark-marks/1"
BUNDLE_FORMAT: Final = "countermark-verifier/1"
LOG_ORIGIN: Final = "countermark.example/log"
MAX_BUNDLE_BYTES: Final = 4 * 1024 * 1024
# What reading a document that is not ours, or damaged, can raise.
_NOT_OURS: Final = (KeyError, TypeError, ValueError, OverflowError, KeyMaterialError)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKey:
    """Checks the log's checkpoints: origin of the log, name of the key, 32 raw public bytes (Ed25519)."""

    origin: str
    name: str
    public: bytes

    def verify(self, signature: bytes, text: bytes) -> bool:
        """Whether `signature` is this key's over `text`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The secrets of a home. `detection`: newest epoch first."""

    detection: tuple[DetectionKey, ...]
    minting: MintingKey
    log_secret: bytes = field(repr=False)

    @property
    def current(self) -> DetectionKey:
        """The key that new clips are marked with."""
        return self.detection[0]

    @property
    def log_key(self) -> LogKey:
        """The public half of the log key."""
        public = self._log_private().public_key().public_bytes_raw()
        name = f"countermark-{hashlib.sha256(public).hexdigest()[:8]}"
        return LogKey(origin=LOG_ORIGIN, name=name, public=public)

    def sign_log(self, text: bytes) -> bytes:
        """Sign a checkpoint's text (Ed25519)."""
        return self._log_private().sign(text)

    def _log_private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.log_secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierBundle:
    """What a verifier needs, and until when it may be used (RFC 3339). `detection` may be empty."""

    trust: TrustStore
    log_key: LogKey | None
    detection: tuple[DetectionKey, ...] = field(repr=False)
    expires_at: str

    def to_json(self) -> dict[str, Any]:
        """The document that `keys export-verifier` writes."""
        log = self.log_key and {
            "origin": self.log_key.origin, "name": self.log_key.name, "public": self.log_key.public.hex(),
        }  # fmt: skip
        return {
            "format": BUNDLE_FORMAT, "expires_at": self.expires_at, "scope": "verify",
            "trust": self.trust.to_json(), "log": log, "detection": _detection_json(self.detection),
        }  # fmt: skip


def ensure_keyring(folder: Path) -> Keyring:
    """Load the keyring in `folder`, or make it at first use; safe from several processes at once.

    Raises: KeysUnusable.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysUnusable(f"cannot make {folder} ({error.strerror}); name another home") from None
    with locked(folder / f"{MARKS_FILE}.lock"):
        if not os.path.lexists(folder / MARKS_FILE):
            write_private(folder / MARKS_FILE, json.dumps(_fresh(), indent=1).encode())
    return load_keyring(folder)


def load_keyring(folder: Path) -> Keyring:
    """Read an existing keyring. Raises: KeysUnusable when it is missing, damaged or open to others."""
    path = folder / MARKS_FILE
    document = _document(read_private(path), path)
    try:
        if document["format"] != MARKS_FORMAT:
            raise ValueError("format")
        detection = _detection(document["detection"])
        minting = MintingKey(secret=bytes.fromhex(document["minting"]))
        log_secret = bytes.fromhex(document["log"])
        if not detection or len(log_secret) != SECRET_BYTES:
            raise ValueError("keys")
    except _NOT_OURS:
        raise KeysUnusable(f"{path} is damaged or of a newer version; restore it from a backup") from None
    return Keyring(detection=detection, minting=minting, log_secret=log_secret)


def export_verifier(
    keyring: Keyring, trust: TrustStore, *, detect: bool, now: datetime, days: int
) -> VerifierBundle:
    """A bundle that ends after `days`; with `detect` it can read hidden marks."""
    return VerifierBundle(
        trust=trust, log_key=keyring.log_key, detection=keyring.detection if detect else (),
        expires_at=(now + timedelta(days=days)).isoformat(timespec="seconds"),
    )  # fmt: skip


def read_bundle(path: Path, *, now: datetime) -> VerifierBundle:
    """Read a bundle. Raises: KeysUnusable when it is damaged, of another format, or past its end."""
    try:
        with path.open("rb") as file:
            document = _document(file.read(MAX_BUNDLE_BYTES), path)
    except OSError as error:
        raise KeysUnusable(f"cannot read {path} ({error.strerror}); name a verifier bundle") from None
    try:
        if document["format"] != BUNDLE_FORMAT:
            raise ValueError("format")
        bundle = VerifierBundle(
            trust=TrustStore.from_json(document["trust"]), log_key=_log_key(document["log"]),
            detection=_detection(document["detection"]), expires_at=str(document["expires_at"]),
        )  # fmt: skip
        ended = datetime.fromisoformat(bundle.expires_at) <= now
    except _NOT_OURS:
        raise KeysUnusable(f"{path} is not a verifier bundle; export it again") from None
    if ended:
        raise KeysUnusable(f"{path} ended on {bundle.expires_at[:10]}; ask for a new one")
    return bundle


def with_tsa_roots(trust: TrustStore, path: Path | None) -> TrustStore:
    """`trust`, and the roots of somebody else's time-stamp service, a PEM file. Raises: KeysUnusable."""
    if path is None:
        return trust
    try:
        roots = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not PEM text"
        raise KeysUnusable(f"cannot read {path} ({reason}); correct the setting tsa_roots") from None
    if "-----BEGIN CERTIFICATE-----" not in roots:
        raise KeysUnusable(f"there is no certificate in {path}; correct the setting tsa_roots")
    return replace(trust, tsa_roots=f"{trust.tsa_roots}\n{roots}")


def _fresh() -> dict[str, Any]:
    return {
        "format": MARKS_FORMAT, "detection": [{"epoch": 1, "secret": secrets.token_hex(SECRET_BYTES)}],
        "minting": secrets.token_hex(SECRET_BYTES), "log": secrets.token_hex(SECRET_BYTES),
    }  # fmt: skip


def _detection_json(keys: tuple[DetectionKey, ...]) -> list[dict[str, Any]]:
    return [{"epoch": key.epoch, "secret": key.secret.hex()} for key in keys]


def _log_key(row: Any) -> LogKey | None:
    if row is None:
        return None
    return LogKey(origin=str(row["origin"]), name=str(row["name"]), public=bytes.fromhex(row["public"]))


def _detection(rows: Any) -> tuple[DetectionKey, ...]:
    keys = [DetectionKey(epoch=int(row["epoch"]), secret=bytes.fromhex(row["secret"])) for row in rows]
    if len(keys) > MAX_EPOCHS:
        raise ValueError("epochs")
    return tuple(sorted(keys, key=lambda key: -key.epoch))


def _document(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise KeysUnusable(f"{path} is damaged; restore it from a backup")
    return document
