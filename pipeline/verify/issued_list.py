"""The list by which weak marks are read: every payload that was released here."""

import threading
from functools import lru_cache
from pathlib import Path
from typing import Final

from registry.lookup import Lookup
from watermark.issued import Issued

KEPT: Final = 4  # registries whose lists a process keeps; a service has one


class IssuedList:
    """The payloads of all releases of a registry, read again when there are others.

    `where`: the registry, for which the process keeps its list from one check to the next.
    """

    def __init__(self, lookup: Lookup, where: Path | str) -> None:
        self._lookup, self._kept = lookup, _kept(where)

    def current(self) -> Issued:
        """Ready to be compared. Raises: RegistryError."""
        return self._kept.current(self._lookup)


class _Kept:
    def __init__(self) -> None:
        self._lock, self._issued = threading.Lock(), Issued([])
        self._state: tuple[int, str | None] = (0, None)

    def current(self, lookup: Lookup) -> Issued:
        with self._lock:  # whoever comes while it is read waits, instead of reading it too
            state = lookup.release_count(), lookup.newest_payload()
            if state != self._state:
                self._issued, self._state = Issued(lookup.payloads()), state
            return self._issued


@lru_cache(maxsize=KEPT)
def _kept(_where: Path | str) -> _Kept:
    return _Kept()
