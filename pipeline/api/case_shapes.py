"""Parts of cases as OpenAPI shows them: what holders were asked, and decisions that can be undone."""

from typing import Any, Literal

from pydantic import BaseModel


class AskedHolder(BaseModel):
    """What a holder was asked about a case; ``by``: the person who asked, empty where their wish did;
    ``answer``: what was granted or said, once there is one.
    """

    permission: str
    subject: str
    name: str
    owner: str
    state: Literal["asked", "approved", "refused", "expired"]
    by: str
    asked_at: str
    due_at: str
    answered_at: str | None
    answer: dict[str, Any] | None


class Askable(BaseModel):
    """A subject that was found, whose holder can be asked."""

    subject: str
    name: str
    owner: str


class PendingDecision(BaseModel):
    """What somebody decided on the pages and can undo for so many ``seconds``; nothing has happened yet.
    ``trouble``: why it could not be carried out; then the case waits for people again.
    """

    decision: Literal["release", "block", "ask"]
    by: str
    seconds: float
    trouble: str
