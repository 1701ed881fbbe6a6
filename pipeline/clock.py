"""The one reader of the time of day; everything below the application is told it."""

from datetime import UTC, datetime


def clock() -> str:
    """Now, UTC, RFC 3339 with Z."""
    return rfc3339(datetime.now(UTC))


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the millisecond, with Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
