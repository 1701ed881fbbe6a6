"""Moments on the command line: from when on something is revoked."""

from datetime import UTC, datetime

from pipeline.errors import UsageError


def past_moment(at: str | None) -> datetime | None:
    """What `--at` names, in UTC; None where it was not given.

    Raises: UsageError for what is no time with a zone, or lies in the future.
    """
    if at is None:
        return None
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise UsageError("--at names no time zone; write it as 2026-11-29T12:00:00Z")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError("--at is no time; write it as 2026-11-29T12:00:00Z") from None
    if moment > datetime.now(UTC):
        raise UsageError("--at lies in the future; a signer is revoked from now on at the latest")
    return moment
