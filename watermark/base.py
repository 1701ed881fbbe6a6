"""What a mark is, and what finding one says. Interfaces only.

Frames are pictures of 8 bits in display orientation, each with its presentation time in seconds; a whole clip
is an iterable of them and is never held in memory at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

MAX_SLANT = 0.5  # degrees
MAX_PACE = 0.005  # relative


class TimedLuma(NamedTuple):
    """One frame: presentation time in seconds and luma ``uint8[h, w]``."""

    time: float
    luma: Luma


class Picture(NamedTuple):
    """One frame: presentation time in seconds, luma ``uint8[h, w]``, colour differences ``uint8[h', w']``.

    The planes of colour may have any size (half of luma's in 4:2:0) and cover the same frame; both are None
    where a clip is grey or they are not asked for.
    """

    time: float
    y: Luma
    u: Luma | None = None
    v: Luma | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How the clip that was looked at lies relative to the clip that was marked.

    ``scale``: pattern size in the clip, in short sides of the clip, over its size when marked (1.0 for a
    plain resize, 1.41 for a crop to half the area). ``rotation``: degrees by which the clip was turned,
    counter-clockwise as seen, after any mirroring. ``shift``: (x, y) of the pattern's origin in short sides
    of the marked clip, modulo the tile (0.5). ``speed``: seconds of the marked clip per second of the clip.
    ``time_offset``: seconds to add to `speed` times the clip's time to get the marked clip's time, modulo the
    carrier's period.
    """

    scale: float = 1.0
    mirrored: bool = False
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    time_offset: float = 0.0
    speed: float = 1.0

    @property
    def upright(self) -> bool:
        """Whether the clip was not turned and plays at the speed at which it was marked."""
        return abs(self.rotation) < MAX_SLANT and abs(self.speed - 1.0) < MAX_PACE

    @property
    def untouched(self) -> bool:
        """Whether pixels lie where they lay when marked (a plain resize counts as untouched)."""
        shifted = max(min(part % 0.5, -part % 0.5) for part in self.shift)
        same_size = abs(self.scale - 1.0) < 0.004
        return same_size and self.upright and not self.mirrored and shifted < 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a blind search for the hidden mark found.

    ``payload`` is None unless the printed bound allowed acceptance. ``log10_chance``: upper bound, over
    the whole search, of the probability that unmarked material is accepted with so strong a statistic. It
    does not say how surely a *marked* clip's payload is the right one.
    ``presence_log10_chance``: the same for "a mark of this key is here", whether or not its payload is read.
    ``listed``: the payload was recognised among those that were issued, without being decoded.
    ``span``: first and last second of the blocks in which the payload was confirmed; between them, it may be
    missing. ``blocks``: how many the clip has; ``searched``: those in which a payload was looked for, which
    ends with the one in which it was found. Others are too short, or too many came before them.
    """

    payload: int | None
    log10_chance: float
    presence_log10_chance: float
    span: tuple[float, float] | None
    geometry: Geometry | None
    key_epoch: int | None
    frames: int
    blocks: int
    searched: int
    listed: bool = False


class Detector(Protocol):
    """Searches a clip for hidden marks without the original."""

    def detect(self, frames: Iterable[Picture]) -> Detection:
        """Search the whole iterable once, in constant memory."""
        ...
