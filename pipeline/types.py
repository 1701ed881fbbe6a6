"""Words that every part of the pipeline shares."""

from dataclasses import dataclass, field
from enum import StrEnum

Json = dict[str, "JsonValue"]
JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


class Verdict(StrEnum):
    """What a policy says about a prompt or a clip."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a decision is as it is: a stable code and a sentence for a person.

    ``evidence``: what a program wants to know of a finding (subject, owner, score, threshold, span, …).
    """

    code: str
    check: str
    detail: str
    evidence: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """What an owner's wishes came to for one subject that was found: ``effect``, and what decided it.

    ``intent``: depict | style; ``by``: rule | mode | preset | nothing; ``rule``: which, where a rule did;
    ``lost``: the other rules that applied; ``asks``: whether the holder is asked; ``credit``,
    ``licence_ref``, ``permission``: what a release under this rule owes or names.
    """

    subject: str
    intent: str
    effect: Verdict
    by: str
    rule: str | None = None
    licence: bool = False
    lost: tuple[str, ...] = ()
    asks: bool = False
    credit: str = ""
    licence_ref: str = ""
    permission: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a local judge said of a subject that a prompt may describe (`pipeline.opinions`).

    ``answer``: same | similar | unknown; ``model``, ``sha256``: of the judge; ``question``: SHA-256 of what
    it was asked, empty where nothing was; ``why``: of an unknown answer.
    """

    subject: str
    answer: str
    model: str
    sha256: str
    question: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A policy's judgement; ``checks`` names every check and its state, also those that did not run.

    ``permits``: the rules and licences without which the verdict would be stricter; ``allowed``: the subjects
    that were found, and whose owners allow it; ``rulings``: what decided about each subject that was found;
    ``opinions``: what a judge said of those that may be described; ``cleared``: codes of what was found, and
    what people who looked at it did not count.
    """

    verdict: Verdict
    policy: str
    policy_version: int
    reasons: tuple[Reason, ...]
    checks: dict[str, str]
    registry_seq: int
    decided_at: str
    permits: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    rulings: tuple[Ruled, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    cleared: tuple[str, ...] = ()


class EvidenceState(StrEnum):
    """The four states of a line of evidence; the last two never count as found or absent."""

    FOUND = "found"
    ABSENT = "absent"
    NOT_CHECKED = "not_checked"
    FAILED = "failed"


class FileVerdict(StrEnum):
    """The headline of a verification report (the ladder is in `pipeline.verify.ladder`)."""

    UNREADABLE = "unreadable"
    CONFLICT = "conflict"
    INTACT = "intact"
    ALTERED = "altered"
    UNTRUSTED_CLAIM = "untrusted-claim"
    RECOVERED = "recovered"
    RECOVERED_UNCONFIRMED = "recovered-unconfirmed"
    FOREIGN = "foreign"
    TRACES = "traces"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One line of evidence: its state, one plain sentence, and what was found (JSON)."""

    state: EvidenceState
    summary: str
    found: Json = field(default_factory=dict)
