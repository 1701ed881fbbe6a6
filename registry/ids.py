"""Identifiers: UUID version 7 (RFC 9562), so that they sort by the time they were made."""

import re
import secrets
import uuid
from datetime import UTC, datetime, timedelta

from registry.errors import EntryInvalid

ENTROPY_BYTES = 10
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def uuid7(milliseconds: int, entropy: bytes) -> str:
    """Return the UUIDv7 text of a Unix time in milliseconds and 10 bytes of entropy."""
    if not 0 <= milliseconds < 1 << 48 or len(entropy) != ENTROPY_BYTES:
        raise EntryInvalid("An identifier needs a time of 48 bits and 10 bytes of entropy.")
    bits = int.from_bytes(entropy, "big")
    rand_a, rand_b = bits & 0xFFF, bits >> 12 & (1 << 62) - 1
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b))


def new_id(at: str) -> str:
    """Return a fresh identifier for something that happens at ``at`` (UTC, ISO 8601 with Z)."""
    return uuid7(int(parse_time(at).timestamp() * 1000), secrets.token_bytes(ENTROPY_BYTES))


def parse_time(text: str) -> datetime:
    """Read a UTC time as this project writes it, ``2026-01-31T12:00:00[.ffffff]Z``."""
    try:
        if not _TIME.fullmatch(text):
            raise ValueError(text)
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise EntryInvalid(f"{text[:40]!r} is not a UTC time such as 2026-01-31T12:00:00Z.") from None


def later(now: str, by: timedelta) -> str:
    """The time ``by`` after ``now``, to the second, as this project writes it."""
    return (parse_time(now) + by).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def is_id(text: str) -> bool:
    """Whether the text is a UUID in lower case, and so also safe as a file name."""
    return _ID.fullmatch(text) is not None
