"""The red team as a part of `countermark bench safety`; it needs no file. See `benchmarks.redteam`."""

from typing import Protocol

from benchmarks import redteam
from benchmarks.common import Row


class Given(Protocol):
    """What the command line says: whether small samples are enough."""

    @property
    def quick(self) -> bool: ...  # noqa: D102


def measure(given: Given) -> list[Row]:
    """All rows of this part."""
    return redteam.measure(redteam.PARTS, "opt-out", quick=given.quick)
