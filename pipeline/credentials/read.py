"""Reading credentials out of untrusted files, in the sandbox child; and judging a parent before signing."""

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pipeline import sandbox
from pipeline.credentials.judge import TRUST_FAILURES
from pipeline.credentials.reading import CredentialReading, CredentialState
from pipeline.credentials.trust import TrustStore
from pipeline.errors import LimitExceeded, Refused, SandboxFailed
from pipeline.sandbox import ProcessLimits

MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024


class ParentKind(StrEnum):
    """What an imported file's own credential is worth."""

    NONE = "none"
    OURS = "ours"
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentJudgement:
    """An imported file's credential: its worth, the reading, and the packed ingredient (None without one)."""

    kind: ParentKind
    reading: CredentialReading
    archive: bytes | None = field(repr=False)

    @property
    def flagged(self) -> bool:
        """Whether a person should know: the parent is broken, or signed by someone we do not trust."""
        return self.kind in (ParentKind.UNTRUSTED, ParentKind.BROKEN)


def read_credential(path: Path, trust: TrustStore, *, limits: ProcessLimits,
                    manifest_bytes: bytes | None = None) -> CredentialReading:  # fmt: skip
    """Read the file's credential, or judge `manifest_bytes` (a recovered manifest) against the file.

    Nothing is ever fetched from the network. A damaged credential is a state, not an error.
    Raises: MediaUnreadable when the path is no readable file, LimitExceeded, SandboxFailed.
    """
    return CredentialReading.from_json(_ask(path, trust, limits, manifest_bytes, archive=False)["reading"])


def inspect_parent(path: Path, trust: TrustStore, *, limits: ProcessLimits,
                   allow_broken: bool = False) -> ParentJudgement:  # fmt: skip
    """Judge an imported file's own credential before anything is signed on top of it.

    A broken parent (changed content, invalid signature, unreadable credential, a parent that was itself
    laundered) is refused: signing over it would make it look whole. `allow_broken` lets it through, flagged
    as BROKEN. An intact credential of someone we do not trust is kept and flagged as UNTRUSTED.
    Raises: Refused, and what `read_credential` raises.
    """
    answer = _ask(path, trust, limits, None, archive=True)
    reading = CredentialReading.from_json(answer["reading"])
    kind = _kind(reading)
    if kind is ParentKind.BROKEN and not allow_broken:
        raise Refused(
            "the imported clip carries a content credential that does not hold; "
            "get the clip from its source again, or allow broken credentials for this import"
        )
    return ParentJudgement(kind=kind, reading=reading, archive=_archive(answer.get("archive")))


def _kind(reading: CredentialReading) -> ParentKind:
    if reading.state is CredentialState.NONE:
        return ParentKind.NONE
    changed = set(reading.failures) - TRUST_FAILURES
    whole = reading.hash_ok and reading.signature_ok and not changed
    if reading.state is CredentialState.UNREADABLE or not whole or reading.laundered_parent:
        return ParentKind.BROKEN
    if reading.ours and not reading.revoked_signer:
        return ParentKind.OURS
    return ParentKind.TRUSTED if reading.trusted and not reading.revoked_signer else ParentKind.UNTRUSTED


def _ask(path: Path, trust: TrustStore, limits: ProcessLimits, manifest: bytes | None, *,
         archive: bool) -> dict[str, Any]:  # fmt: skip
    if manifest is not None and len(manifest) > MAX_MANIFEST_BYTES:
        raise LimitExceeded("the stored manifest is larger than 16 MiB; it is not one of ours")
    encoded = None if manifest is None else base64.b64encode(manifest).decode()
    answer = sandbox.call(
        "read_credential",
        {"path": str(path.absolute()), "trust": trust.to_json(), "manifest": encoded, "archive": archive},
        limits,
    )
    if not isinstance(answer, dict) or "reading" not in answer:
        raise SandboxFailed("the process that reads credentials answered nonsense; try again")
    return answer


def _archive(value: object) -> bytes | None:
    if value is None:
        return None
    try:
        return base64.b64decode(str(value), validate=True)
    except ValueError:
        raise SandboxFailed("the process that reads credentials answered nonsense; try again") from None
