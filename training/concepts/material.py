"""Labelled pictures and clips, a folder for each category.

    DIR/harmless/        what must pass
    DIR/sexual/          pictures and clips of one category, by the names of `Category`
    DIR/violence+gore/   of several

What lies in one folder is taken not to be of any other category. Files are decoded where uploads are, in a
process of their own and within limits, and looked at as the checks of clips look: whole frames and regions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Box, Kind, Seen
from classifiers.unsafe.frames import FrameJudges, PictureJudge
from classifiers.unsafe.labels import HARMLESS
from classifiers.unsafe.taxonomy import Category
from pipeline import checks
from pipeline.calibrating.folder import CLIPS, PICTURES
from pipeline.calibrating.measure import Unasked
from pipeline.checks import look as look_at_clip
from pipeline.checks import look_at_pictures
from pipeline.errors import UsageError
from pipeline.media.types import MediaLimits
from pipeline.pictures.reader import read_all
from pipeline.pictures.types import GIVEN

MAX_ITEMS: Final = 200_000
BATCH: Final = 64
"""Pictures in memory at a time."""
SEVERAL: Final = "+"
NEVER_JUDGED: Final = (Category.SEXUAL_LIKENESS, Category.MINORS)
"""They are made of others, and of what else is known of a clip; no picture of them is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file, and the categories that it shows; none: harmless."""

    path: Path
    labels: frozenset[Category]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was seen of an item; ``seen``: vectors of frames, or a classifier's numbers."""

    item: Item
    seen: Seen


def read(folder: Path) -> list[Item]:
    """The files of a folder, by category and name. Raises: UsageError where it is laid out otherwise."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name one with a folder for each category")
    items: list[Item] = []
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        labels = labels_of(part.name)
        items += [
            Item(path=path, labels=labels)
            for path in sorted(part.iterdir())
            if path.suffix.lower() in PICTURES + CLIPS
        ]
    if len(items) > MAX_ITEMS:
        raise UsageError(f"{folder} has {len(items)} files; at most {MAX_ITEMS} are taken")
    if not any(not item.labels for item in items) or not any(item.labels for item in items):
        raise UsageError(
            f"{folder} needs a folder {HARMLESS} and one for each category, with pictures or clips in them"
        )
    return items


def labels_of(name: str) -> frozenset[Category]:
    """What a folder's name says. Raises: UsageError."""
    if name == HARMLESS:
        return frozenset()
    known = [category for category in Category if category not in NEVER_JUDGED]
    try:
        found = frozenset(Category(part) for part in name.split(SEVERAL))
    except ValueError:
        found = frozenset()
    if not found or found & set(NEVER_JUDGED):
        raise UsageError(
            f"a folder may not be called {name[:40]!r}; call it {HARMLESS}, or by categories joined with "
            f"{SEVERAL}: {', '.join(known)}"
        )
    return found


def categories_of(items: Sequence[Item]) -> tuple[Category, ...]:
    """All categories that any item shows, in their order."""
    shown = {category for item in items for category in item.labels}
    return tuple(category for category in Category if category in shown)


class Only:
    """Eyes of which one looks: the CLIP, or a classifier that judges."""

    def __init__(self, *, clip: Any = None, classifier: PictureJudge | None = None) -> None:
        nothing = Unasked()
        self.clip: Any = clip or nothing
        self.faces, self.words = nothing, nothing
        self._judges = FrameJudges(classifier=classifier)
        self.kind = Kind.UNSAFE_FRAME if classifier else Kind.FRAME

    def frame_judges(self) -> FrameJudges:
        """The classifier."""
        return self._judges


def look(
    items: Sequence[Item], eyes: Only, limits: MediaLimits, say: Callable[[str], None]
) -> Iterator[Looked]:
    """What is seen of each. Raises: what reading a file raises, UsageError for one that cannot be judged."""
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        pictures = [item.path for item in batch if item.path.suffix.lower() in PICTURES]
        read_now = iter(read_all(pictures, GIVEN))
        for item in batch:
            if item.path.suffix.lower() in PICTURES:
                seen = look_at_pictures([next(read_now).rgb], eyes)
            else:
                seen = look_at_clip(item.path, eyes, limits)
            yield Looked(item=item, seen=_seen(item, seen, eyes))
        say(f"looked at {start + len(batch)} of {len(items)}")


def _seen(item: Item, looked: checks.Looked, eyes: Only) -> Seen:
    for report in looked.unfinished:
        raise UsageError(f"{item.path.name} could not be looked at: {report.detail or report.state}")
    [seen] = looked.sight.of(eyes.kind)
    return seen


def whole(boxes: Sequence[Box]) -> NDArray[np.bool_]:
    """Which rows are whole frames."""
    return np.array([box == (0.0, 0.0, 1.0, 1.0) for box in boxes], bool)
