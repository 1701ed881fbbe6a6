"""A compliance report: for each rule the fields that it asks for, and what of them a file carries.

The rules are told from secondary sources. A report says what is in a file; it is no legal advice, and never
says that somebody complies with anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.credentials.file_labels import FileLabels
from pipeline.credentials.reading import CredentialReading
from pipeline.types import EvidenceState
from pipeline.verify.types import VerificationReport


class Rule(StrEnum):
    """EU AI Act, article 50(2), with its Code of Practice; California SB 942; China GB 45438-2025; IPTC."""

    EU = "eu"
    SB942 = "sb942"
    GB45438 = "gb45438"
    IPTC = "iptc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a file says to one question. ``where``: boxes, assertions or pixels; ``value``: as found there;
    ``why``: of a state that is not found, in one sentence.
    """

    state: EvidenceState
    where: tuple[str, ...] = ()
    value: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field of one rule. ``asks``: what the rule wants; ``required``: else it is an option or a help;
    ``remedy``: what would add it, empty where it is found.
    """

    rule: Rule
    field: str
    asks: str
    required: bool
    finding: Finding
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is seen in the first two seconds. ``standing``: whether the standing label is there for all of
    them, None where no text to look for is known, or only a guess by the settings that was not found;
    ``seconds``: looked at. ``text_height``: of the moving label's capitals there, in short sides, None where
    its layout is not known.
    """

    standing: bool | None = None
    text: str = ""
    seconds: float = 0.0
    text_height: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was read of one file. ``credential``, ``labels``: None where reading them failed."""

    report: VerificationReport
    credential: CredentialReading | None
    labels: FileLabels | None
    opening: Opening


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceReport:
    """Of one file. ``readable``: whether it is a video at all."""

    file: str
    verdict: str
    readable: bool
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    checked_at: str

    def states(self, rule: Rule | None = None) -> frozenset[EvidenceState]:
        """States of what is required, of one rule or of all."""
        return frozenset(row.finding.state for row in self.rows if row.required and rule in (None, row.rule))


def worst(findings: Iterable[Finding]) -> EvidenceState:
    """Of several places that may carry a field: failed before found, so that nothing contradictory passes."""
    states = {finding.state for finding in findings}
    order = (
        EvidenceState.FAILED, EvidenceState.FOUND, EvidenceState.NOT_CHECKED, EvidenceState.ABSENT,
    )  # fmt: skip
    return next((state for state in order if state in states), EvidenceState.ABSENT)
