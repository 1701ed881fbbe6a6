"""How often somebody may ask: so many requests a minute for each API key, or for each address without one.

Counted in this process alone; with several, each allows as much. Requests are of one of four classes, with a
setting each. Who comes from this very machine without a key is a proxy, or its operator: not counted.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from pipeline.api.bounds import CLIPS, EVIDENCE, MORE, PICTURES
from pipeline.errors import AskedTooOften
from pipeline.settings import Settings

READS, WRITES, MODERATION, UPLOADS = "reads", "writes", "moderation", "uploads"
MODERATED: Final = "/v1/moderate/"
OPEN: Final = (
    "/v1/releases/", "/v1/log", "/v1/transparency", "/v1/services/", "/v1/report-key",
    "/v1/matches/byReference",
)  # fmt: skip
"""Routes under /v1 that ask for no key, so that one that comes with a request says nothing."""
UNCOUNTED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
HOUR: Final = 3600.0


@dataclass(slots=True)
class Addresses:
    """From how many addresses each key was used of late; `most`: how many are usual, 0 for any number."""

    most: int
    _seen: dict[str, dict[str, float]] = field(default_factory=dict)
    _guard: Lock = field(default_factory=Lock)

    def note(self, key: str, address: str) -> int:
        """How many addresses used the key within the last hour, if those are too many; else 0."""
        if not self.most:
            return 0
        now = time.monotonic()
        with self._guard:
            seen = self._seen.setdefault(key, {})
            if address not in seen:  # only then does it matter how old the others are
                for old in [one for one, at in seen.items() if at < now - HOUR]:
                    del seen[old]
            seen[address] = now
            if len(seen) <= self.most:
                return 0
            del self._seen[key]  # whoever resumes it begins anew
            return len(seen)


class Rates:
    """The counters of one process."""

    def __init__(self, settings: Settings) -> None:
        told = {
            READS: settings.rate_reads, WRITES: settings.rate_writes, MODERATION: settings.rate_moderation,
            UPLOADS: settings.rate_uploads,
        }  # fmt: skip
        self._limits = {name: RateLimitItemPerMinute(most) for name, most in told.items() if most}
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self.addresses = Addresses(settings.key_addresses)

    def spend(self, scope: Mapping[str, object], who: str) -> None:
        """Count a request of `who`, and note for its answer what is left. Raises: AskedTooOften."""
        name = class_of(str(scope["method"]), str(scope["path"]))
        item = self._limits.get(name)
        if item is None:
            return
        allowed = self._limiter.hit(item, name, who)
        headers = self._headers(name, item, who)
        noted = scope.get(MORE)
        if isinstance(noted, dict):
            noted.update(headers)
        if not allowed:
            raise AskedTooOften(
                f"more than {item.amount} requests a minute ({name}); ask again in {headers['Retry-After']} s"
            )

    def _headers(self, name: str, item: RateLimitItem, who: str) -> dict[str, str]:
        stats = self._limiter.get_window_stats(item, name, who)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        told = {
            "RateLimit-Policy": f'"{name}";q={item.amount};w={item.get_expiry()}',
            "RateLimit": f'"{name}";r={stats.remaining};t={seconds}',
        }
        return told | ({} if stats.remaining else {"Retry-After": str(seconds)})


def class_of(method: str, path: str) -> str:
    """The class of a request."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return READS
    if path in CLIPS or path in PICTURES or EVIDENCE.fullmatch(path):
        return UPLOADS
    return MODERATION if path.startswith(MODERATED) else WRITES


def by_key(method: str, path: str, *, has_key: bool) -> bool:
    """Whether a request is counted for its key, once that is known to be good, and not for its address.

    Nobody reads the key of OPTIONS, which browsers send without one.
    """
    return has_key and method != "OPTIONS" and path.startswith("/v1/") and not path.startswith(OPEN)
