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
        """The counts of a minute ago at most."""
        with self._guard:
            if self._last is None or time.monotonic() >= self._until:
                with read(self.engine) as conn:
                    self._last = statistics(conn)
                self._until = time.monotonic() + self.seconds
            return self._last
