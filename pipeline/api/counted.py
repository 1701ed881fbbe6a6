"""The registry in numbers, counted now and then: counting a large one takes a while."""

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from sqlalchemy import Engine

from registry.db import read
from registry.statistics import Statistics, statistics

SECONDS: Final = 60.0  # for which counts are told again


@dataclass(slots=True)
class Counted:
    """Counts, and until when they are told again."""

    engine: Engine
    seconds: float = SECONDS
    _until: float = 0.0
    _last: Statistics | None = None
    _guard: Lock = field(default_factory=Lock)

    def now(self) -> Statistics:
        """The counts of a minute ago, or of a little more while somebody counts.

        Raises: `registry.errors.RegistryError` where nothing was ever counted.
        """
        last = self._last
        if last is not None and time.monotonic() < self._until:
            return last
        if not self._guard.acquire(blocking=last is None):
            assert last is not None  # noqa: S101 - else it had waited
            return last  # somebody counts already
        try:
            if self._last is None or time.monotonic() >= self._until:
                # Also after a failure: who asks next is not made to try at once.
                self._until = time.monotonic() + self.seconds
                with read(self.engine) as conn:
                    self._last = statistics(conn)
            return self._last
        finally:
            self._guard.release()
