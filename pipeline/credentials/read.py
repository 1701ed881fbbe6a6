"""Reading credentials out of untrusted files, in the sandbox child; judging ingredients before signing."""

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pipeline import sandbox
from pipeline.credentials.judge import TRUST_FAILURES
from pipeline.credentials.reading import PARENT, CredentialReading, CredentialState
from pipeline.credentials.trust import TrustStore
from pipeline.errors import LimitExceeded, Refused, SandboxFailed
from pipeline.sandbox import ProcessLimits
from pipeline.types import Json

MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024


class IngredientKind(StrEnum):
    """What the own credential of a file that a clip is made from is worth."""

    NONE = "none"
    OURS = "ours"
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class IngredientJudgement:
    """Such a file's credential: its worth, the reading, and the packed ingredient (None without one).

    `media`: the file's media type, None where it is of none that can carry a credential.
    """

    kind: IngredientKind
    reading: CredentialReading
    media: str | None
    archive: bytes | None = field(repr=False)

    @property
    def flagged(self) -> bool:
        """Whether a person should know: it is broken, or signed by someone we do not trust."""
        return self.kind in (IngredientKind.UNTRUSTED, IngredientKind.BROKEN)


def read_credential(path: Path, trust: TrustStore, *, limits: ProcessLimits,
                    manifest_bytes: bytes | None = None) -> CredentialReading:  # fmt: skip
    """Read the file's credential, or judge `manifest_bytes` (a recovered manifest) against the file.

    Nothing is ever fetched from the network. A damaged credential is a state, not an error.
    Raises: MediaUnreadable when the path is no readable file, LimitExceeded, SandboxFailed.
    """
    return CredentialReading.from_json(_ask(path, trust, limits, manifest_bytes, None)["reading"])


def inspect_ingredient(path: Path, trust: TrustStore, *, limits: ProcessLimits, label: str = PARENT,
                       allow_broken: bool = False) -> IngredientJudgement:  # fmt: skip
    """Judge the own credential of a file (clip, JPEG, PNG, WebP) before anything is signed on top of it.

    `label`: of the ingredient that it becomes: `PARENT` is opened, any other is an input. A broken one
    (changed content, invalid signature, unreadable credential, one that was itself laundered) is refused:
    signing over it would make it look whole. `allow_broken` lets it through, flagged as BROKEN. An intact
    credential of someone we do not trust is kept and flagged as UNTRUSTED.
    Raises: Refused, and what `read_credential` raises.
    """
    relationship = "parentOf" if label == PARENT else "inputTo"
    answer = _ask(path, trust, limits, None, {"label": label, "relationship": relationship})
    reading = CredentialReading.from_json(answer["reading"])
    kind = _kind(reading)
    if kind is IngredientKind.BROKEN and not allow_broken:
        raise Refused(
            "the imported file carries a content credential that does not hold, and nothing is signed on top "
            "of such a one; get the file from its source again"
        )
    media = answer.get("media")
    return IngredientJudgement(
        kind=kind, reading=reading, media=media if isinstance(media, str) else None,
        archive=_archive(answer.get("archive")),
    )  # fmt: skip


def _kind(reading: CredentialReading) -> IngredientKind:
    if reading.state is CredentialState.NONE:
        return IngredientKind.NONE
    changed = set(reading.failures) - TRUST_FAILURES
    whole = reading.hash_ok and reading.signature_ok and not changed
    if reading.state is CredentialState.UNREADABLE or not whole or reading.laundered_parent:
        return IngredientKind.BROKEN
    if reading.ours and not reading.revoked_signer:
        return IngredientKind.OURS
    return (
        IngredientKind.TRUSTED if reading.trusted and not reading.revoked_signer else IngredientKind.UNTRUSTED
    )


def _ask(path: Path, trust: TrustStore, limits: ProcessLimits, manifest: bytes | None,
         ingredient: Json | None) -> dict[str, Any]:  # fmt: skip
    if manifest is not None and len(manifest) > MAX_MANIFEST_BYTES:
        raise LimitExceeded("the stored manifest is larger than 16 MiB; it is not one of ours")
    encoded = None if manifest is None else base64.b64encode(manifest).decode()
    answer = sandbox.call(
        "read_credential",
        {
            "path": str(path.absolute()),
            "trust": trust.to_json(),
            "manifest": encoded,
            "ingredient": ingredient,
        },
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
