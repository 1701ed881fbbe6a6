"""What two pictures that lie on one another have in common: their structure, whatever became of their tone.

*Structure* is what is finer than a twelfth of the picture, each cell over its local deviation, so that strong
and faint parts count alike.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from pipeline.verify.laying import Field

FINE: Final = 4.0  # cells: what is finer than this counts as structure
FLOOR: Final = 2.0  # levels added to the local deviation
LOUDEST: Final = 3.0  # deviations
STRUCTURED: Final = 0.04  # mean square of the equalised cells below which a moment has no structure
LEAST_SEEN: Final = 0.1  # of the release's picture


class Overlay(NamedTuple):
    """A moment of the release and one of the clip on its grid, both equalised, and where both are seen (0 or
    1): ``float32[h, w]``.
    """

    release: Field
    clip: Field
    seen: Field

    @classmethod
    def of(cls, release: Field, clip: Field, seen: Field) -> "Overlay":
        """From luma in levels."""
        return cls(equalised(release, seen), equalised(clip, seen), seen)

    @property
    def structure(self) -> float | None:
        """The correlation; None where the release shows no structure."""
        known = float(np.mean(self.release * self.release)) > STRUCTURED * float(self.seen.mean())
        return correlation(self.release, self.clip) if known else None

    def blurred(self, cells: float) -> "Overlay":
        """Without what is finer than so many cells."""
        if not cells:
            return self
        return Overlay(blurred(self.release, cells), blurred(self.clip, cells), self.seen)


def agreement(overlays: Sequence[Overlay]) -> float:
    """Mean correlation of the moments that have structure; -1 where next to nothing can be compared."""
    known = [one.structure for one in overlays if one.seen.mean() >= LEAST_SEEN]
    values = [value for value in known if value is not None]
    return sum(values) / len(values) if values else -1.0


def significance(overlays: Sequence[Overlay]) -> float:
    """How much an agreement says: Fisher's z, over its deviation. A corner agrees by chance sooner than a
    whole picture does.
    """
    value = agreement(overlays)
    return math.atanh(min(max(value, -0.999), 0.9999)) * math.sqrt(float(overlays[0].seen.mean()))


def equalised(values: Field, mask: Field) -> Field:
    """What is finer than `FINE` cells, over its local deviation; nothing outside of the mask ``[h, w]``."""
    weight = blurred(mask, FINE) + np.float32(1e-6)
    fine = (values - blurred(values * mask, FINE) / weight) * mask
    deviation = np.sqrt(blurred(fine * fine, FINE) / weight)
    return np.clip(fine / (deviation + np.float32(FLOOR)), -LOUDEST, LOUDEST)


def blurred(values: Field, cells: float) -> Field:
    """A Gaussian of so many cells."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), cells, borderType=cv2.BORDER_REFLECT), np.float32)


def correlation(one: Field, other: Field) -> float:
    """Of two fields of mean 0; 0 where one of them is empty."""
    norm = math.sqrt(float(np.sum(one * one)) * float(np.sum(other * other)))
    return float(np.sum(one * other)) / norm if norm > 0 else 0.0
