"""The keys of one home besides the signing keys, and the bundle that lets somebody else verify.

``<home>/keys/marks.json`` (0600, sealed or plain) holds the detection keys by epoch, newest first, the
minting keys and the log key. Which key gives which power is docs/adr/0003-key-model.md. A *verifier bundle*
carries what reading needs and an end date; with the detection key it can read hidden marks, never issue a
payload.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.credentials.keyfiles import Live, locked
from pipeline.credentials.report_key import ReportKey
from pipeline.credentials.safe import Safe, Secret
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable
from watermark.detector import MAX_EPOCHS
from watermark.errors import KeyMaterialError
from watermark.keys import SECRET_BYTES, DetectionKey, MintingKey
from watermark.payload import ID_COUNT, Mint

MARKS_FILE: Final[str] = Secret.MARKS
MARKS_FORMAT: Final = "countermark-marks/1"
BUNDLE_FORMAT: Final = "countermark-verifier/1"
LOG_ORIGIN: Final = "countermark.example/log"
MAX_MINTING: Final = 64  # minting keys, all together
MARGIN: Final = 1 << 12  # counters for which a minting key that was replaced still issues
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
    """The secrets of a home. `detection`: newest epoch first; ``retired``: minting keys before `minting`."""

    detection: tuple[DetectionKey, ...]
    minting: MintingKey
    log_secret: bytes = field(repr=False)
    retired: tuple[MintingKey, ...] = ()

    @property
    def current(self) -> DetectionKey:
        """The key that new clips are marked with."""
        return self.detection[0]

    @property
    def mint(self) -> Mint:
        """Issues payloads, and recognises those that were ever issued here."""
        return Mint((*self.retired, self.minting))

    def of_epoch(self, epoch: int | None) -> DetectionKey:
        """The detection key of an epoch; None: the first one, of jobs from before there could be others.

        Raises: KeysUnusable.
        """
        if epoch is None:
            return self.detection[-1]
        key = next((key for key in self.detection if key.epoch == epoch), None)
        if key is None:
            raise KeysUnusable(f"the detection key of epoch {epoch} is gone; restore it from a backup")
        return key

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
    """What a verifier needs, and until when it may be used (RFC 3339). `detection` may be empty.

    `reports`: whose signatures on reports are ours, the present key first; none in bundles from before there
    was one.
    """

    trust: TrustStore
    log_key: LogKey | None
    detection: tuple[DetectionKey, ...] = field(repr=False)
    expires_at: str
    reports: tuple[ReportKey, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document that `keys export-verifier` writes."""
        log = self.log_key and {
            "origin": self.log_key.origin, "name": self.log_key.name, "public": self.log_key.public.hex(),
        }  # fmt: skip
        return {
            "format": BUNDLE_FORMAT, "expires_at": self.expires_at, "scope": "verify",
            "trust": self.trust.to_json(), "log": log, "detection": _detection_json(self.detection),
            "report": self.reports[0].to_json() if self.reports else None,
            "reports_before": [key.to_json() for key in self.reports[1:]],
        }  # fmt: skip


class LiveKeyring:
    """The keyring of a home as it is now: a running process notices when ``marks.json`` is replaced."""

    def __init__(self, safe: Safe) -> None:
        """Raises: KeysUnusable when there is none that can be used."""
        self._live = Live(safe.folder / MARKS_FILE, partial(load_keyring, safe.folder, safe))

    def now(self) -> Keyring:
        """The keyring as it is on the disk. Raises: KeysUnusable."""
        return self._live.now()

    @property
    def latest(self) -> Keyring:
        """The last keyring that could be read: with it all goes on but what issues payloads."""
        return self._live.latest


def ensure_keyring(folder: Path, safe: Safe | None = None) -> Keyring:
    """Load the keyring in `folder`, or make it at first use; safe from several processes at once.

    ``safe``: opens sealed keys, by default one without a pass phrase. Raises: KeysUnusable.
    """
    safe = safe or Safe(folder=folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysUnusable(f"cannot make {folder} ({error.strerror}); name another home") from None
    with locked(folder / f"{MARKS_FILE}.lock"):
        if not os.path.lexists(folder / MARKS_FILE):
            _write(safe, _fresh())
    return load_keyring(folder, safe)


def load_keyring(folder: Path, safe: Safe | None = None) -> Keyring:
    """Read an existing keyring. Raises: KeysUnusable when it is missing, damaged, sealed or exposed."""
    path = folder / MARKS_FILE
    return _keyring(_read(safe or Safe(folder=folder)), path)


def rotate_detection(safe: Safe) -> Keyring:
    """Begin a new epoch: new clips get a new key, and marks of the earlier ones can still be read.

    Raises: KeysUnusable, also when there are as many epochs as a detector searches.
    """

    def changed(keyring: Keyring, document: dict[str, Any]) -> None:
        if len(keyring.detection) >= MAX_EPOCHS:
            raise KeysUnusable(
                f"there are {MAX_EPOCHS} epochs, and no detector searches more; go on with the present key"
            )
        fresh = {"epoch": keyring.current.epoch + 1, "secret": secrets.token_hex(SECRET_BYTES)}
        document["detection"].insert(0, fresh)

    return _change(safe, changed)


def rotate_minting(safe: Safe, *, last: int) -> Keyring:
    """Begin a new minting key; ``last``: the counter of the last payload that was issued.

    The key before goes on for `MARGIN` more counters: a process that has reserved one just now issues it with
    the key in whose range it lies, whether or not it knows of the new key yet. Raises: KeysUnusable.
    """

    def changed(keyring: Keyring, document: dict[str, Any]) -> None:
        before = (*keyring.retired, keyring.minting)
        if len(before) >= MAX_MINTING:
            raise KeysUnusable(f"there are {MAX_MINTING} minting keys already; go on with the present one")
        document["minting_retired"] = [{"secret": key.secret.hex(), "first": key.first} for key in before]
        document["minting"] = secrets.token_hex(SECRET_BYTES)
        document["minting_first"] = max(last + 1 + MARGIN, keyring.minting.first + 1)

    return _change(safe, changed)


def _change(safe: Safe, changed: Callable[[Keyring, dict[str, Any]], None]) -> Keyring:
    path = safe.folder / MARKS_FILE
    with locked(path.with_name(f"{MARKS_FILE}.lock")):
        document = _read(safe)
        changed(_keyring(document, path), document)
        keyring = _keyring(document, path)  # nothing is written that cannot be read
        _write(safe, document)
    return keyring


def _read(safe: Safe) -> dict[str, Any]:
    path = safe.folder / MARKS_FILE
    return _document(safe.read(path, Secret.MARKS), path)


def _write(safe: Safe, document: dict[str, Any]) -> None:
    safe.write(safe.folder / MARKS_FILE, Secret.MARKS, json.dumps(document, indent=1).encode())


def _keyring(document: dict[str, Any], path: Path) -> Keyring:
    try:
        if document["format"] != MARKS_FORMAT:
            raise ValueError("format")
        detection = _detection(document["detection"])
        minting = _minting(document["minting"], document.get("minting_first", 0))
        retired = tuple(_minting(row["secret"], row["first"]) for row in document.get("minting_retired", ()))
        firsts = [key.first for key in (*retired, minting)]
        if len(firsts) > MAX_MINTING or firsts != sorted(set(firsts)):
            raise ValueError("minting")
        log_secret = bytes.fromhex(document["log"])
        if not detection or len(log_secret) != SECRET_BYTES:
            raise ValueError("keys")
    except _NOT_OURS:
        raise KeysUnusable(f"{path} is damaged or of a newer version; restore it from a backup") from None
    return Keyring(detection=detection, minting=minting, log_secret=log_secret, retired=retired)


def export_verifier(
    keyring: Keyring, trust: TrustStore, *, detect: bool, now: datetime, days: int,
    reports: Sequence[ReportKey] = (),
) -> VerifierBundle:  # fmt: skip
    """A bundle that ends after `days`; with `detect` it can read hidden marks."""
    return VerifierBundle(
        trust=trust, log_key=keyring.log_key, detection=keyring.detection if detect else (),
        reports=tuple(reports),
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
            reports=_report_keys(document),
        )  # fmt: skip
        ended = datetime.fromisoformat(bundle.expires_at) <= now
    except _NOT_OURS:
        raise KeysUnusable(f"{path} is not a verifier bundle; export it again") from None
    if ended:
        raise KeysUnusable(f"{path} ended on {bundle.expires_at[:10]}; ask for a new one")
    return bundle


def _fresh() -> dict[str, Any]:
    return {
        "format": MARKS_FORMAT, "detection": [{"epoch": 1, "secret": secrets.token_hex(SECRET_BYTES)}],
        "minting": secrets.token_hex(SECRET_BYTES), "log": secrets.token_hex(SECRET_BYTES),
    }  # fmt: skip


def _minting(secret: str, first: Any) -> MintingKey:
    if not isinstance(first, int) or not 0 <= first < ID_COUNT:
        raise ValueError("first")
    return MintingKey(secret=bytes.fromhex(secret), first=first)


def _detection_json(keys: tuple[DetectionKey, ...]) -> list[dict[str, Any]]:
    return [{"epoch": key.epoch, "secret": key.secret.hex()} for key in keys]


def _log_key(row: Any) -> LogKey | None:
    if row is None:
        return None
    return LogKey(origin=str(row["origin"]), name=str(row["name"]), public=bytes.fromhex(row["public"]))


def _report_keys(document: Any) -> tuple[ReportKey, ...]:
    rows = [document.get("report"), *document.get("reports_before", ())]  # older bundles have neither
    return tuple(ReportKey.from_hex(row["public"]) for row in rows if row is not None)


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
