"""What a scheme under test is: something that marks footage, and reads what became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.footage import Footage, Frame

Record = Mapping[str, float | int | str | None]
Evidence = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Marked footage, and what the service would store of the release."""

    footage: Footage
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a blind reading says. ``payload``: None unless accepted. ``present``: a mark of the key is there,
    readable or not. ``score``: grows with certainty, the same for every clip (one threshold decides).
    ``removed``: whether the visible mark's removal is noticed, None where that was not looked at.
    ``details``: anything worth keeping. ``evidence``: for each bit of the payload, first bit first, how
    surely it reads as 1 (positive) or 0 (negative), in any unit; empty where the scheme does not tell.
    """

    payload: int | None
    present: bool
    score: float
    removed: bool | None = None
    details: Record = field(default_factory=dict)
    evidence: tuple[float, ...] = ()


class Scheme(Protocol):
    """A video watermark. All of it must be deterministic."""

    name: str

    def fingerprint(self, *, visible: bool = True) -> str:
        """Changes whenever code or settings do that can change a reading; `visible`: of that mark too."""
        ...

    def payload(self, key: int) -> int:
        """What is embedded with the `key`-th key."""
        ...

    def embed(self, footage: Footage, key: int, *, visible: bool = False) -> Marked:
        """Mark footage with the `key`-th key and its payload; ``visible``: with its visible mark too.

        Raises: CannotMark.
        """
        ...

    def detect(self, frames: Iterable[Frame], key: int, record: Record | None = None) -> Reading:
        """Search a stream of frames; `record` is for the visible mark only, the search itself is blind."""
        ...


class CannotMark(Exception):
    """The scheme refuses this footage; the text says why."""


class PeerMissing(Exception):
    """A peer's packages or weights are not here; the text says how to get them."""
