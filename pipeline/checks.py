"""Looks at clips and pictures with the models; what was seen is compared by `pipeline.examine`.

1. A clip is streamed once; frames at cuts, changes and regular times are kept, made smaller.
2. Every kept frame and its regions are embedded, some of the frames are searched for faces.
3. An eye that fails or runs out of time is a report that is not completed, and what it saw is not used: a
   clip that was half looked at is never passed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from typing import Final, Protocol, TypeVar

import numpy as np

from classifiers import sampling
from classifiers.base import CheckReport, CheckState, Embedder, Kind, Picture, Seen, Sight, Vectors
from classifiers.drawn import with_drawn
from classifiers.faces import Face, seen_faces
from classifiers.run import failed
from classifiers.sampling import REGIONS, Sample, Sampler, cut_out
from pipeline import policy
from pipeline.media.reader import open_clip
from pipeline.media.rgb import reduced, rgb
from pipeline.media.types import ClipInfo, Frame, MediaLimits

LONGEST_SIDE: Final = 1280
"""Pixels of the longer side of a frame that is looked at."""
BATCH_FRAMES: Final = 8
FACE_FRAMES: Final = 8
"""Frames of a clip that are searched for faces."""
SECONDS: Final = 600.0
"""Time for looking at a clip, after which it is given up (and held)."""

Progress = Callable[[float], None]
Shown = Callable[[], Picture]
"""Makes the RGB picture of a frame that is kept."""
T = TypeVar("T")


class Faces(Protocol):
    """Finds faces in RGB pictures."""

    @property
    def space(self) -> str: ...  # noqa: D102
    def look(self, picture: Picture) -> Sequence[Face]: ...  # noqa: D102


class Eyes(Protocol):
    """The models that look at pictures (`pipeline.eyes.Eyes`)."""

    @property
    def clip(self) -> Embedder: ...  # noqa: D102
    @property
    def faces(self) -> Faces: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was seen; `unfinished`: a report for each check whose eye failed, which no check replaces."""

    sight: Sight
    unfinished: tuple[CheckReport, ...] = ()


@dataclass(slots=True)
class _Deadline:
    """Seconds that are left, counted from when it is made."""

    seconds: float
    begun: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        if time.monotonic() - self.begun > self.seconds:
            raise TimeoutError(f"looking took over {self.seconds:g} s and was given up")


def look_at_clip(
    path: str | PathLike[str],
    eyes: Eyes,
    limits: MediaLimits,
    progress: Progress | None = None,
    seconds: float = SECONDS,
) -> Sight:
    """What `eyes` see of a clip, without what `look` calls unfinished: a check that misses it holds."""
    return look(path, eyes, limits, progress, seconds).sight


def look(
    path: str | PathLike[str],
    eyes: Eyes,
    limits: MediaLimits,
    progress: Progress | None = None,
    seconds: float = SECONDS,
) -> Looked:
    """What `eyes` see of a clip; `progress` is told the seconds of clip that were read.

    Raises: MediaUnreadable, MediaUnsupported, LimitExceeded, SandboxFailed for the file. What fails after
    it was read is in ``Looked.unfinished``.
    """
    deadline = _Deadline(seconds)
    with open_clip(path, limits=limits) as reader:
        info = reader.info
        sampler = Sampler[Shown](sampling.limits_for(info.duration))
        for frame in reader.frames():
            sampler.offer(frame.time, frame.y, partial(_shown, frame, info))
            if progress is not None:
                progress(frame.time)
    return _look(sampler.samples(), eyes, deadline)


def look_at_pictures(pictures: Sequence[Picture], eyes: Eyes, seconds: float = SECONDS) -> Looked:
    """What `eyes` see of RGB pictures ``uint8[h, w, 3]``, each taken as a frame at the time of its number."""
    samples: list[Sample[Shown]] = [
        Sample(time=float(number), content=partial(_itself, picture))
        for number, picture in enumerate(pictures)
    ]
    return _look(samples, eyes, _Deadline(seconds))


def _itself(picture: Picture) -> Picture:
    return picture


def _shown(frame: Frame, info: ClipInfo) -> Shown:
    """Keeps the frame at the size that is looked at; it becomes RGB when it is."""
    return partial(rgb, reduced(frame, LONGEST_SIDE), info.colour, info.height)


def _look(samples: Sequence[Sample[Shown]], eyes: Eyes, deadline: _Deadline) -> Looked:
    looks: dict[str, Callable[[], Sequence[Seen]]] = {
        policy.FRAMES: lambda: [_frames(samples, eyes.clip, deadline)],
        policy.LIKENESS: lambda: _faces(spread(samples, FACE_FRAMES), eyes.faces, deadline),
    }
    seen: list[Seen] = []
    unfinished: list[CheckReport] = []
    for check, work in looks.items():
        try:
            seen += work()
        except TimeoutError as error:
            unfinished.append(CheckReport(check=check, state=CheckState.TIMED_OUT, detail=str(error)))
        except Exception as error:  # noqa: BLE001 - whatever fails in a model is reported, and holds
            unfinished.append(failed(check, error))
    return Looked(sight=Sight(seen=tuple(seen)), unfinished=tuple(unfinished))


def _frames(samples: Sequence[Sample[Shown]], clip: Embedder, deadline: _Deadline) -> Seen:
    """Vectors of every frame and its regions, in order."""
    parts: list[Vectors] = []
    for start in range(0, len(samples), BATCH_FRAMES):
        deadline.check()
        pictures = [sample.content() for sample in samples[start : start + BATCH_FRAMES]]
        parts.append(clip.embed_images([cut_out(picture, box) for picture in pictures for box in REGIONS]))
    return Seen(
        kind=Kind.FRAME, space=clip.space, vectors=np.concatenate(parts),
        times=tuple(sample.time for sample in samples for _ in REGIONS), boxes=REGIONS * len(samples),
    )  # fmt: skip


def _faces(samples: Sequence[Sample[Shown]], faces: Faces, deadline: _Deadline) -> Sequence[Seen]:
    looks: list[tuple[float, Sequence[Face]]] = []
    for sample in samples:
        deadline.check()
        looks.append((sample.time, faces.look(sample.content())))
    return with_drawn(seen_faces(faces.space, looks))


def spread(samples: Sequence[Sample[T]], count: int) -> list[Sample[T]]:
    """At most `count` of the samples, evenly spread, the first and the last among them."""
    if len(samples) <= count:
        return list(samples)
    return [samples[round(place)] for place in np.linspace(0, len(samples) - 1, count)]
