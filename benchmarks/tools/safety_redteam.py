"""The red team as a part of `countermark bench safety`; it needs no file. See `benchmarks.redteam`."""

from typing import TYPE_CHECKING

from benchmarks import redteam
from benchmarks.common import Row

if TYPE_CHECKING:
    from benchmarks.tools.given import Given


def measure(given: "Given") -> list[Row]:
    """All rows of this part."""
    return redteam.measure(redteam.PARTS, "opt-out", quick=given.quick)
