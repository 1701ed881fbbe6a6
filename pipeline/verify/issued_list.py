"""The list by which weak marks are read: every payload that was released here."""

from registry.lookup import Lookup
from watermark.issued import Issued


class IssuedList:
    """The payloads of all releases of a registry, read again when there are more."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup, self._count = lookup, 0
        self._issued = Issued([])

    def current(self) -> Issued:
        """Ready to be compared. Raises: RegistryError."""
        count = self._lookup.release_count()
        if count != self._count:
            self._issued, self._count = Issued(self._lookup.payloads()), count
        return self._issued
