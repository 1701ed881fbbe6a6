"""What somebody can do who thinks that a decision is wrong: told with every hold and refusal."""

from datetime import timedelta
from typing import Final

from registry.ids import later

NOBODY: Final = "the operator of this service"


def appeal(contact: str | None, what: str = "this decision") -> str:
    """One sentence; `contact`: the setting of that name, `what`: which decision, for who reads it."""
    return (
        f"To object, write to {contact or NOBODY} and name {what}; who holds a licence of an owner that is "
        "named says so."
    )


def until(decided_at: str, days: int) -> str:
    """Until when an appeal against a decision can be made (`registry.appeals`)."""
    return later(decided_at, timedelta(days=days))


def of_job(contact: str | None, job_id: str) -> str:
    """The same about a job."""
    return appeal(contact, f"the job {job_id}")
