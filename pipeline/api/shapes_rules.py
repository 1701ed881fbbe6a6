"""Rules, claims and evidence of an account's own opt-outs, as OpenAPI shows them."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.api.asked import Asked
from registry.rules import PRIORITY_MAX
from registry.vocabulary import CAP_MAX, CONTENT_CLASSES, INTENTS, LISTED_MAX, PURPOSES, TEXT_MAX

Effect = Literal["allow", "review", "block"]
SCHOOLS: Final[dict[str, Any]] = {
    "effect": "allow", "conditions": {"regions": ["EU"], "purposes": ["education"], "credit": "© Studio"},
}  # fmt: skip
_EFFECT: Final = "allow; review: a person looks, or with `ask` the holder does; block"
_TIME: Final = "UTC, as 2026-01-31T12:00:00Z"


def _words(about: str, choices: tuple[str, ...] = ()) -> Any:
    extra: dict[str, Any] = {"items": {"type": "string", "enum": [*choices]}} if choices else {}
    return Field(default_factory=list, max_length=LISTED_MAX, description=about, json_schema_extra=extra)


class RuleConditions(Asked):
    """What must hold for a rule to apply, all of it (docs/rules.md); what is left out asks nothing."""

    accounts: list[str] = _words("several accounts; one alone is the rule's `account`")
    tags: list[str] = _words("tags of accounts, as operators give them: one is enough")
    regions: list[str] = _words("where the clip is shown: ISO 3166-1 alpha-2, EU or EEA")
    purposes: list[str] = _words("what it is for", PURPOSES)
    content: list[str] = _words("what it is about", CONTENT_CLASSES)
    intent: str = Field("", description="depict, style, or both", json_schema_extra={"enum": ["", *INTENTS]})
    cap_account: int | None = Field(None, ge=1, le=CAP_MAX, description="releases a day of one account")
    cap_all: int | None = Field(None, ge=1, le=CAP_MAX, description="releases a day of all accounts")
    credit: str = Field("", max_length=TEXT_MAX, description="of an allow: the line of credit")
    licence_ref: str = Field("", max_length=TEXT_MAX, description="of an allow: your number of the licence")
    ask: bool = Field(False, description="of a review: the holder is asked")


class RuleRequest(Asked):
    """A rule to add, or with `licence` an allow for one account."""

    model_config = ConfigDict(json_schema_extra={"examples": [SCHOOLS]})

    effect: Effect = Field(description=_EFFECT)
    account: str | None = Field(None, min_length=1, max_length=TEXT_MAX, description="only for this account")
    licence: bool = Field(False, description="a licence: an allow for the account, which opens every policy")
    valid_from: str | None = Field(None, max_length=40, description=_TIME)
    valid_until: str | None = Field(None, max_length=40, description=_TIME)
    priority: int = Field(0, ge=-PRIORITY_MAX, le=PRIORITY_MAX, description="the higher one counts")
    conditions: RuleConditions = RuleConditions.model_validate({})


class SimulationRequest(Asked):
    """A rule to try on what is out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"effect": "block", "since": "2026-01-31"}]})

    effect: Effect = Field(description=_EFFECT)
    account: str | None = Field(None, min_length=1, max_length=TEXT_MAX, description="only for this account")
    since: str = Field("", max_length=10, description="only what was released from this day on, 2026-01-31")
    limit: int = Field(200, ge=1, le=1000, description="how many releases at most, the youngest first")


class RuleAnswer(BaseModel):
    """A rule: in force since log entry ``seq``, ended with ``ended_seq``."""

    model_config = ConfigDict(extra="allow")

    rule: str
    subject: str
    effect: Effect
    account: str | None
    until: str | None
    priority: int
    licence: bool
    conditions: dict[str, Any]
    seq: int
    ended_seq: int | None


class RuleMade(RuleAnswer):
    """A rule that was added or ended, and the receipt that proves it."""

    receipt: dict[str, Any]


class RulesAnswer(BaseModel):
    """A page of a subject's own rules, oldest first; ``inherited``: of its owner's portfolio, in force."""

    rules: list[RuleAnswer]
    inherited: list[dict[str, Any]]
    after: str | None


class SimulatedRelease(BaseModel):
    """A release whose outcome would be another with the rule."""

    release: str
    before: str
    after: str


class SimulationAnswer(BaseModel):
    """How many releases were decided again, how many would be decided otherwise, and some of them."""

    compared: int
    changed: list[dict[str, Any]]
    examples: list[SimulatedRelease]


class EvidenceAnswer(BaseModel):
    """A file that is kept with a claim until ``purge_at``."""

    id: str
    sha256: str
    type: str
    size: int
    note: str
    added_at: str
    purge_at: str
    purged_at: str | None


class ClaimAnswer(BaseModel):
    """What a party claims: in whose name (``party``), by whom (``by``), and where it stands."""

    id: str
    kind: str
    state: Literal["draft", "provisional", "active", "rejected", "disputed", "withdrawn", "expired"]
    party: str
    by: str
    subject: str | None
    release: str | None
    statements: dict[str, str]
    due_at: str | None
    created_at: str
    sequence: int


class ClaimShown(ClaimAnswer):
    """A claim with its evidence."""

    evidence: list[EvidenceAnswer]


class ClaimsAnswer(BaseModel):
    """A page of claims, oldest first; ``after``: what asks for the next page, null at the end."""

    claims: list[ClaimAnswer]
    after: str | None
