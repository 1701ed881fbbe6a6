"""Keys and webhooks, for operators, as OpenAPI shows them."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.api.asked import Asked
from registry.apikeys import SCOPES, TAGS_MAX
from registry.webhooks import KINDS

MAX_DAYS: Final = 3650
MAX_TEXT: Final = 200
MAX_WHY: Final = 1000
_SCOPES: Final[dict[str, Any]] = {"items": {"type": "string", "enum": [*SCOPES]}}
_KINDS: Final[dict[str, Any]] = {"items": {"type": "string", "enum": [*KINDS]}}


class KeyRequest(Asked):
    """A key to make."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"account": "studio", "scopes": ["optout"], "days": 365}]}
    )

    account: str = Field(min_length=1, max_length=MAX_TEXT, description="whose jobs and opt-outs it is for")
    name: str = Field("", max_length=MAX_TEXT, description="what it is for, for your own list")
    scopes: list[str] = Field(
        min_length=1, max_length=len(SCOPES), description="what it may do", json_schema_extra=_SCOPES
    )
    tags: list[str] = Field(
        default_factory=list, max_length=TAGS_MAX, description="of the account, for rules"
    )
    days: int | None = Field(None, ge=1, le=MAX_DAYS, description="until it ends; without: never")


class WhyRequest(Asked):
    """Why, for the private part of the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "found in a public repository"}]})

    why: str = Field("", max_length=MAX_WHY, description="the reason; it is kept, and not public")


class WebhookRequest(Asked):
    """An address to tell of the log's entries."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://hooks.example/countermark", "kinds": ["release"]}]}
    )

    url: str = Field(min_length=1, max_length=2000, description="https, but on this very machine")
    kinds: list[str] = Field(
        default_factory=list, max_length=len(KINDS), description="of entries; none: all",
        json_schema_extra=_KINDS,
    )  # fmt: skip
    private: bool = Field(False, description="with the private part: for your own systems only")
    after: int | None = Field(None, ge=0, description="from after this entry on; without: from now on")


class ReplayRequest(Asked):
    """From where on entries are told again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"after": 4812}]})

    after: int = Field(ge=0, le=2**53, description="everything after this entry; 0: all")


class KeyAnswer(BaseModel):
    """A key, without its secret."""

    id: str
    account: str
    name: str
    scopes: list[str]
    tags: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    suspended_at: str | None


class KeyMade(KeyAnswer):
    """A new key; the secret is told now, and never again."""

    secret: str


class KeysAnswer(BaseModel):
    """A page of keys, oldest first; ``after``: what asks for the next page, null at the end."""

    keys: list[KeyAnswer]
    after: str | None


class IncidentAnswer(BaseModel):
    """What was made with a key: releases that are out and that were withdrawn, jobs that wait for a person,
    that run or will, and those that somebody with this key let go on as a reviewer.
    """

    key: str
    account: str
    revoked_at: str | None
    released: list[str]
    withdrawn: list[str]
    held: list[str]
    open: list[str]
    let_go: list[str]


class WebhookAnswer(BaseModel):
    """A webhook: told up to entry ``cursor``; ``failures``: tries that failed since one was taken."""

    id: str
    url: str
    kinds: list[str]
    opened: bool
    made_at: str
    state: Literal["active", "paused", "removed"]
    cursor: int
    failures: int
    trouble: str
    failing_since: str | None
    next_at: str | None


class WebhookMade(WebhookAnswer):
    """A new webhook; the secret checks its signatures, and is told now."""

    secret: str


class WebhooksAnswer(BaseModel):
    """All webhooks that were not removed; ``head``: the last entry of the log."""

    webhooks: list[WebhookAnswer]
    head: int


class TestAnswer(BaseModel):
    """Whether a test was taken (2xx within 10 s); ``trouble``: what went wrong."""

    taken: bool
    trouble: str
