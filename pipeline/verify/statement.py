"""A verification as a statement that others can check: what was found in which bytes, by whom, with what.

The rules: (1) one statement speaks about the bytes of one file, by SHA-256 and size; a file that could not
be read, or changed meanwhile, gets none; (2) it holds nothing that the report does not hold, so the report is
cut down for strangers before; (3) what the checker had at hand is told, as it was before the check, since
*not found* means little without it; (4) the name of the file is what somebody called it, and nobody vouches
for it.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.credentials.report_key import ReportKey, ReportSigner
from pipeline.verify import dsse
from pipeline.verify.document import document
from pipeline.verify.local import Verifier
from pipeline.verify.types import VerificationReport
from registry.canonical import canonical
from registry.errors import RegistryError

FORMAT: Final = "countermark-report/1"
TYPE: Final = "application/vnd.countermark.report+json"
PRODUCT: Final = "countermark"
DIGEST: Final = r"^[0-9a-f]{64}$"

Audience = Literal["everybody", "key holders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigest:
    """Which bytes were verified: SHA-256 in 64 hex digits, and their number."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHand:
    """What the verifier could look with; nothing of it is secret.

    ``epochs``: of the detection keys. ``mints``: whether payloads were checked with their MAC. ``trust``:
    SHA-256 of the trust store's canonical JSON. ``log_key``: name. ``registry``: read, none or failed; if
    read, ``head`` is the number of log entries and ``checkpoint`` the latest signed note.
    """

    epochs: tuple[int, ...]
    mints: bool
    trust: str
    log_key: str | None
    registry: Literal["read", "none", "failed"]
    head: int | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Who checked: name of the service, version of the product, and the key, where the checker has one."""

    service: str
    version: str
    signer: ReportSigner | None = None


class FilePart(BaseModel):
    """The file that a statement speaks about; ``name``: as somebody called it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    sha256: str = Field(pattern=DIGEST)
    bytes: int = Field(ge=0)


class KeyPart(BaseModel):
    """A report key by name and SHA-256."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    sha256: str = Field(pattern=DIGEST)


class CheckerPart(BaseModel):
    """Who checked, and for whom the report was written: strangers are not told scores."""

    model_config = ConfigDict(extra="forbid", strict=True)

    service: str
    product: str
    version: str
    key: KeyPart | None
    audience: Audience


class Statement(BaseModel):
    """A statement as it is signed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["countermark-report/1"]
    file: FilePart
    checked_at: str
    checker: CheckerPart
    at_hand: dict[str, Any]
    report: dict[str, Any]

    @property
    def verdict(self) -> str:
        """The verdict, empty where the report has none."""
        return str(self.report.get("verdict", ""))


def at_hand(verifier: Verifier) -> AtHand:
    """What this verifier looks with, at this moment: ask before it verifies (see `as_used`)."""
    log_key = verifier.log_key
    known: dict[str, Any] = {
        "epochs": tuple(key.epoch for key in verifier.keys), "mints": verifier.accepts is not None,
        "trust": hashlib.sha256(canonical(verifier.trust.to_json())).hexdigest(),
        "log_key": log_key and log_key.name,
    }  # fmt: skip
    if verifier.lookup is None:
        return AtHand(**known, registry="none")
    try:
        head, checkpoint = verifier.lookup.head()
    except RegistryError:
        return AtHand(**known, registry="failed")
    return AtHand(**known, registry="read", head=head, checkpoint=checkpoint)


def as_used(having: AtHand, report: VerificationReport) -> AtHand:
    """What was at hand for this report. ``having``: from before, so that nothing newer than it is named.

    A registry that did not answer during the check counts as *failed*, whatever it said of itself before.
    """
    if not report.registry_failed:
        return having
    return replace(having, registry="failed", head=None, checkpoint=None)


def statement(
    report: VerificationReport, file: FileDigest, having: AtHand, checker: Checker, audience: Audience
) -> dict[str, Any]:
    """The statement about one verified file."""
    key = checker.signer and checker.signer.key
    return {
        "format": FORMAT,
        "file": {"name": report.file, "sha256": file.sha256, "bytes": file.size},
        "checked_at": report.checked_at,
        "checker": {
            "service": checker.service, "product": PRODUCT, "version": checker.version,
            "key": key and {"name": key.name, "sha256": key.id}, "audience": audience,
        },
        "at_hand": {
            "detection_key_epochs": list(having.epochs), "payload_key": having.mints,
            "trust_store_sha256": having.trust, "log_key": having.log_key, "registry": having.registry,
            "log_head": having.head, "checkpoint": having.checkpoint,
        },
        "report": document(report),
    }  # fmt: skip


def signed(told: dict[str, Any], signer: ReportSigner | None) -> dict[str, Any]:
    """The statement in its envelope; without a key the bare statement, which says that it has none."""
    return told if signer is None else dsse.seal(TYPE, payload(told), signer)


def payload(told: dict[str, Any]) -> bytes:
    """The bytes that are signed. They travel as they are, so they need no canonical form."""
    return json.dumps(told, separators=(",", ":")).encode()


def read(content: bytes) -> Statement:
    """Read a statement's bytes. Raises: ValueError when they are none of this version."""
    try:
        return Statement.model_validate(json.loads(content))
    except RecursionError:
        raise ValueError("nested too deep") from None


def names_key(told: Statement, key: ReportKey) -> bool:
    """Whether the statement itself says that this key signed it."""
    return told.checker.key is not None and told.checker.key.sha256 == key.id
