"""What a verification says: one headline, four lines of evidence, each with its own state."""

from dataclasses import dataclass, field
from typing import Final

from pipeline.credentials.reading import CredentialReading
from pipeline.types import Evidence, FileVerdict, Json

CREDENTIAL: Final = "credential"
HIDDEN_MARK: Final = "hidden_mark"
VISIBLE_MARK: Final = "visible_mark"
LOG: Final = "log"
LINES: Final = (CREDENTIAL, HIDDEN_MARK, VISIBLE_MARK, LOG)

REVOKED_SIGNER: Final = "revoked-signer"
LAUNDERED_PARENT: Final = "laundered-parent"
VISIBLE_MARK_REMOVED: Final = "visible-mark-removed"
FORGED_LABEL: Final = "forged-label"
WITHDRAWN_RELEASE: Final = "withdrawn-release"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSummary:
    """The release that the clip belongs to; `id` is None where no registry could be asked.

    `payload`: 16 hex digits. `state`: released, withdrawn or unknown. `published_at`: RFC 3339 or None.
    """

    id: str | None
    payload: str
    urn: str | None
    state: str
    published_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StripFrame:
    """One small frame of the report's strip.

    `jpeg`: the frame. `time`: seconds. `boxes`: where the visible mark's plates must be, as (x0, y0, x1, y1)
    in shares of width and height; empty when the path is not known.
    """

    time: float
    jpeg: bytes = field(repr=False)
    boxes: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """Everything about one file. `evidence` has exactly the keys of `LINES`.

    `file`: the name as given. `headline`: one sentence for a person. `notes`: what was assumed or changed.
    `path`: centres (x, y) of the two plates over time in shares of width and height, for drawing the mark's
    path; empty when it is not known. `seconds`: how long the check took, None for
    whoever must not be told. `media`: size, length, codec. `credential`: the reading that the verdict rests
    on, for whoever asks more of it; None where there is none, and never part of a document.
    `registry_failed`: whether there is a registry that did not answer everything it was asked.
    """

    file: str
    verdict: FileVerdict
    headline: str
    release: ReleaseSummary | None
    flags: tuple[str, ...]
    evidence: dict[str, Evidence]
    notes: tuple[str, ...]
    media: Json
    strip: tuple[StripFrame, ...]
    path: tuple[tuple[tuple[float, float], ...], ...]
    checked_at: str
    seconds: float | None
    credential: CredentialReading | None = field(default=None, repr=False)
    registry_failed: bool = False
