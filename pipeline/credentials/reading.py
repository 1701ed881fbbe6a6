"""What reading a file's content credential says. Data only; every field is safe to show."""

import base64
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from pipeline.errors import SandboxFailed

PARENT: Final = "parent"  # label of the ingredient that was opened


class CredentialState(StrEnum):
    """Whether the file (or the stored manifest) holds a credential that could be read."""

    NONE = "none"
    UNREADABLE = "unreadable"
    PRESENT = "present"


class TimestampState(StrEnum):
    """The claim's time-stamp; an untrusted one proves nothing."""

    NONE = "none"
    UNTRUSTED = "untrusted"
    TRUSTED = "trusted"


class RevocationState(StrEnum):
    """Whether it was asked if the signer was revoked (`revocation`). With NOT_CHECKED nothing is believed."""

    NOT_ASKED = "not_asked"
    GOOD = "good"
    REVOKED = "revoked"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReading:
    """One credential against one file, judged with one trust store.

    `trusted`: the signature holds and the signer is either ours (in the signer table, found under our claim
    root) or found under a foreign claim root that the trust store names; time-stamp roots never count.
    `ours`: trusted and in our table. `revoked_signer`: our table has the signer, and the revocation covers
    this claim; that stays said where a responder could not be asked, and nothing else is believed any more.
    `hash_ok`: the file's bytes are those that were signed. `failures`: c2pa codes of the active manifest,
    sorted. `content_hash_only_failure`: the content hash is all that fails (a recovered manifest on a
    re-encoded file, or a changed file). `laundered_parent`: some ingredient, at any depth, was already
    broken; `untrusted_parent`: some ingredient was signed by someone we do not trust.
    `signer_name`, `generator`, `system`, `system_version` (the agent of the action that claims a source type)
    and `made_at` (when): None unless trusted. `release`: our own assertion, None unless ours.
    `timestamp_time`: RFC 3339, set only when the time-stamp is trusted. `urn`, `payload`, `fingerprint`,
    `actions`, `digital_source_types` and `training` (the entry of each use) are claims: believe them only as
    far as `trusted` goes. A file that only points to a credential elsewhere has none: nothing is ever
    fetched.
    """

    state: CredentialState
    trusted: bool = False
    ours: bool = False
    revoked_signer: bool = False
    hash_ok: bool = False
    signature_ok: bool = False
    timestamp: TimestampState = TimestampState.NONE
    timestamp_time: str | None = None
    failures: tuple[str, ...] = ()
    content_hash_only_failure: bool = False
    laundered_parent: bool = False
    untrusted_parent: bool = False
    urn: str | None = None
    payload: int | None = None
    fingerprint: bytes | None = None
    actions: tuple[str, ...] = ()
    digital_source_types: tuple[str, ...] = ()
    training: dict[str, dict[str, str]] = field(default_factory=dict)
    signer_name: str | None = None
    signer_cert_sha256: str | None = None
    generator: str | None = None
    system: str | None = None
    system_version: str | None = None
    made_at: str | None = None
    release: dict[str, Any] | None = None
    ingredients: int = 0
    revocation: RevocationState = RevocationState.NOT_ASKED

    @property
    def intact(self) -> bool:
        """Ours, whole, time-stamped, and not revoked: rule 4 of the verdict ladder."""
        return (
            self.ours and self.hash_ok and not self.failures and not self.revoked_signer
            and self.timestamp is TimestampState.TRUSTED
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The child's answer."""
        document = asdict(self)
        document["fingerprint"] = base64.b64encode(self.fingerprint).decode() if self.fingerprint else None
        # JSON readers in other languages lose digits of a 64-bit number.
        document["payload"] = None if self.payload is None else f"{self.payload:016x}"
        return document

    @classmethod
    def from_json(cls, document: object) -> "CredentialReading":
        """Read `to_json`'s document. Raises: SandboxFailed when it is not one."""
        try:
            if not isinstance(document, dict) or set(document) != {one.name for one in fields(cls)}:
                raise ValueError("fields")
            lists = ("failures", "actions", "digital_source_types")
            changed = {name: tuple(document[name]) for name in lists}
            fingerprint, payload = document["fingerprint"], document["payload"]
            return cls(**{
                **document, **changed,
                "state": CredentialState(document["state"]),
                "timestamp": TimestampState(document["timestamp"]),
                "revocation": RevocationState(document["revocation"]),
                "fingerprint": None if fingerprint is None else base64.b64decode(fingerprint, validate=True),
                "payload": None if payload is None else int(payload, 16),
            })  # fmt: skip
        except (TypeError, ValueError, KeyError):
            raise SandboxFailed("the process that reads credentials answered nonsense; try again") from None
