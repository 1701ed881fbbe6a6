"""What a check says about a clip. A check that fails says so inside its report; it never raises."""

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How a check ended; only ``COMPLETED`` can ever count as passed."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found: whom it concerns, how strong, where."""

    check: str
    subject: str
    score: float
    threshold: float
    times: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of one check on one clip."""

    check: str
    state: CheckState
    findings: tuple[Finding, ...] = ()
    detail: str = ""
