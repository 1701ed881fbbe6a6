"""Looks at clips and pictures with the models; what was seen is compared by `pipeline.examine`.

1. A clip is streamed once; frames at cuts, changes and regular times are kept, made smaller.
2. Every kept frame and its regions are embedded; some of the frames are searched for faces and for words.
3. Where something is set up that judges whether frames are unsafe, it is shown the very vectors, or frames.
4. What looks as it did when it was looked at last is not looked at again: a region keeps its vector, a frame
   what was found in it, each with the new time.
5. An eye that fails, runs out of time or has more before it than it looks at (a crowd of faces, a wall of
   words) is a report that is not completed, and what it saw is not used: a clip that was half looked at is
   never passed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from os import PathLike
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from classifiers import sampling
from classifiers.base import Box, CheckReport, CheckState, Embedder, Kind, Picture, Seen, Sight, Vectors
from classifiers.drawn import with_drawn
from classifiers.errors import TooMuchToSee
from classifiers.faces import Face, seen_faces
from classifiers.run import failed, skipped
from classifiers.sampling import Alike, Sample, Sampler, cut_out, regions_of
from classifiers.words import ReadLine, seen_words
from pipeline import policy
from pipeline.media.reader import open_clip
from pipeline.media.rgb import reduced, rgb
from pipeline.media.types import ClipInfo, Frame, MediaLimits

if TYPE_CHECKING:
    from classifiers.unsafe.frames import FrameJudges, PictureJudge

LONGEST_SIDE: Final = 1280
"""Pixels of the longer side of a frame that is looked at."""
BATCH_FRAMES: Final = 8
FACE_FRAMES: Final = 8
"""Frames of a clip that are searched for faces."""
WORD_FRAMES: Final = 8
WORD_SHARE: Final = 3
"""Words are read in so many frames of a clip, or in one of so many that are kept, if that is more."""
SECONDS: Final = 600.0
"""Time for looking at a clip, after which it is given up (and held)."""

Frames = NDArray[np.uint8]
Progress = Callable[[float], None]
Shown = Callable[[], Picture]
"""Makes the RGB picture of a frame that is kept."""
T = TypeVar("T")


class Faces(Protocol):
    """Finds faces in RGB pictures."""

    @property
    def space(self) -> str: ...  # noqa: D102
    def look(self, picture: Picture) -> Sequence[Face]: ...  # noqa: D102


class Words(Protocol):
    """Reads the words in RGB pictures."""

    def look(self, picture: Picture) -> Sequence[ReadLine]: ...  # noqa: D102


class Eyes(Protocol):
    """The models that look at pictures (`pipeline.eyes.Eyes`)."""

    @property
    def clip(self) -> Embedder: ...  # noqa: D102
    @property
    def faces(self) -> Faces: ...  # noqa: D102
    @property
    def words(self) -> Words: ...  # noqa: D102


@runtime_checkable
class JudgingEyes(Protocol):
    """Eyes that may judge what they see as well (`pipeline.eyes.Eyes`)."""

    def frame_judges(self) -> "FrameJudges":
        """What judges; it is loaded when first asked for."""
        ...


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


def look_at_frames(
    frames: Frames, rate: float, eyes: Eyes, seconds: float = SECONDS, *, words: bool = True
) -> Looked:
    """What `eyes` see of a clip that is in memory: RGB ``uint8[n, h, w, 3]``, `rate` per second.

    As `look`, which reads a file; without `words` no eye reads. Raises: ValueError for another form.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(f"frames are uint8[n, h, w, 3], not {frames.dtype}{list(frames.shape)}")
    sampler = Sampler[Shown](sampling.limits_for(len(frames) / rate))
    for number, frame in enumerate(frames):
        luma = np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), np.uint8)
        sampler.offer(number / rate, luma, partial(_kept, frame))
    return _look(sampler.samples(), eyes, _Deadline(seconds), words=words)


def _itself(picture: Picture) -> Picture:
    return picture


def _kept(frame: Picture) -> Shown:
    """Keeps a frame in memory at the size that is looked at."""
    height, width = frame.shape[:2]
    share = min(1.0, LONGEST_SIDE / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if share < 1 else frame
    return partial(_itself, np.ascontiguousarray(small, np.uint8))


def _shown(frame: Frame, info: ClipInfo) -> Shown:
    """Keeps the frame at the size that is looked at; it becomes RGB when it is."""
    return partial(rgb, reduced(frame, LONGEST_SIDE), info.colour, info.height)


class _Look(Protocol):
    """One eye on its way through the samples."""

    @property
    def check(self) -> str: ...
    def see(self, sample: Sample[Shown], shown: Picture) -> None: ...
    def seen(self) -> Sequence[Seen]: ...


def _look(samples: Sequence[Sample[Shown]], eyes: Eyes, deadline: _Deadline, *, words: bool = True) -> Looked:
    """Show each sample to all eyes in turn, so that it becomes a picture once."""
    frames = _Frames(eyes)
    going: list[_Look] = [frames, _Faces(eyes, spread(samples, FACE_FRAMES))]
    going += [_Words(eyes, deadline)] if words else []
    if isinstance(eyes, JudgingEyes) and (judges := eyes.frame_judges()).all:
        going.append(_Unsafe(judges, frames, deadline))
    unfinished: list[CheckReport] = []
    for sample in samples:
        shown = cache(sample.content)
        for look in tuple(going):
            report = _tried(look.check, lambda: look.see(sample, shown()), deadline)  # noqa: B023
            if report is not None:
                going.remove(look)
                unfinished.append(report)
    seen: list[Seen] = []
    for look in going:
        report = _tried(look.check, lambda: seen.extend(look.seen()), deadline)  # noqa: B023
        unfinished += [report] if report else []
    return Looked(sight=Sight(seen=tuple(seen)), unfinished=tuple(unfinished))


def _tried(check: str, work: Callable[[], None], deadline: _Deadline) -> CheckReport | None:
    """Do a part of the work of an eye; the report of its failure, if it failed."""
    try:
        deadline.check()
        work()
    except TimeoutError as error:
        return CheckReport(check=check, state=CheckState.TIMED_OUT, detail=str(error))
    except TooMuchToSee as error:
        return skipped(check, str(error))  # what the clip shows, and no failure of ours: its owner is told
    except Exception as error:  # noqa: BLE001 - whatever fails in a model is reported, and holds
        return failed(check, error)
    return None


class _Frames:
    """Vectors of every frame and its regions, in order; a region that looks as before has the same one."""

    check = policy.FRAMES

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._regions: tuple[Box, ...] = ()
        self._alike: list[Alike] = []
        self._latest: list[int] = []
        self._times: list[float] = []
        self._boxes: list[Box] = []
        self._rows: list[int] = []
        self._waiting: list[Picture] = []
        self._vectors: list[Vectors] = []
        self._made = 0
        self.found: Seen | None = None
        """What was seen, once `seen` was asked."""

    def see(self, sample: Sample[Shown], shown: Picture) -> None:
        """Take the regions that are new; they are embedded by and by."""
        small = sampling.glimpse(shown, sampling.LOOKED_AT.size)
        regions = regions_of(shown.shape[1], shown.shape[0])
        if regions != self._regions:  # pictures need not all have one size, as frames do
            self._regions, self._latest = regions, [0] * len(regions)
            self._alike = [Alike(sampling.LOOKED_AT) for _ in regions]
        for place, (box, alike) in enumerate(zip(regions, self._alike, strict=True)):
            if not alike.again(cut_out(small, box)):
                self._waiting.append(cut_out(shown, box))
                self._latest[place] = self._made
                self._made += 1
        self._rows += self._latest
        self._boxes += regions
        self._times += [sample.time] * len(regions)
        if len(self._waiting) >= BATCH_FRAMES * len(regions):
            self._embed()

    def seen(self) -> Sequence[Seen]:
        """What was seen."""
        self._embed()
        vectors = np.concatenate(self._vectors)[self._rows]
        space, times, boxes = self._eyes.clip.space, tuple(self._times), tuple(self._boxes)
        self.found = Seen(kind=Kind.FRAME, space=space, vectors=vectors, times=times, boxes=boxes)
        return [self.found]

    def _embed(self) -> None:
        if self._waiting:
            self._vectors.append(self._eyes.clip.embed_images(self._waiting))
            self._waiting = []


class _Faces:
    """The faces in some of the frames."""

    check = policy.LIKENESS

    def __init__(self, eyes: Eyes, chosen: Sequence[Sample[Shown]]) -> None:
        self._eyes, self._chosen = eyes, frozenset(sample.time for sample in chosen)
        self._alike, self._latest = Alike(sampling.LOOKED_AT), tuple[Face, ...]()
        self._looks: list[tuple[float, Sequence[Face]]] = []

    def see(self, sample: Sample[Shown], shown: Picture) -> None:
        """Search a frame, if it is one of the chosen."""
        if sample.time not in self._chosen:
            return
        if not self._alike.again(sampling.glimpse(shown, sampling.LOOKED_AT.size)):
            self._latest = tuple(self._eyes.faces.look(shown))
        self._looks.append((sample.time, self._latest))

    def seen(self) -> Sequence[Seen]:
        """What was seen, in each space of faces."""
        return with_drawn(seen_faces(self._eyes.faces.space, self._looks))


class _Unsafe:
    """How unsafe frames are: to the head by the vectors of `_Frames`, to the classifier by themselves.

    One report for both: a clip that only one of them has judged was not judged.
    """

    check = policy.UNSAFE_FRAMES

    def __init__(self, judges: "FrameJudges", frames: _Frames, deadline: _Deadline) -> None:
        self._judges, self._frames, self._deadline = judges, frames, deadline
        self._alike = Alike(sampling.LOOKED_AT)
        self._waiting: list[Picture] = []
        self._logits: list[Vectors] = []
        self._times: list[float] = []
        self._rows: list[int] = []
        self._made = 0

    def see(self, sample: Sample[Shown], shown: Picture) -> None:
        """Take a frame that is new for the classifier, which judges by and by."""
        classifier = self._judges.classifier
        if classifier is None:
            return
        if not self._alike.again(sampling.glimpse(shown, sampling.LOOKED_AT.size)):
            self._waiting.append(shown)
            self._made += 1
        self._rows.append(self._made - 1)
        self._times.append(sample.time)
        if len(self._waiting) >= BATCH_FRAMES:
            self._classify(classifier)

    def seen(self) -> Sequence[Seen]:
        """What each of them says."""
        from classifiers.unsafe.frames import seen_unsafe

        told: list[Seen] = []
        head, classifier, frames = self._judges.head, self._judges.classifier, self._frames.found
        if head is not None:
            if frames is None:
                raise RuntimeError("the frames were not embedded, so no head could judge them")
            told.append(seen_unsafe(head.space, head.judge(frames.vectors), frames.times, frames.boxes))
        if classifier is not None:
            self._classify(classifier)
            logits = np.concatenate(self._logits)[self._rows]
            told.append(seen_unsafe(classifier.space, logits, self._times))
        return told

    def _classify(self, classifier: "PictureJudge") -> None:
        if self._waiting:
            self._deadline.check()
            self._logits.append(classifier.judge(self._waiting))
            self._waiting = []


class _Words:
    """The words in those frames that are most unlike each other."""

    check = policy.WORDS

    def __init__(self, eyes: Eyes, deadline: _Deadline) -> None:
        self._eyes, self._deadline = eyes, deadline
        self._samples: list[Sample[Shown]] = []
        self._strokes: list[Picture] = []

    def see(self, sample: Sample[Shown], shown: Picture) -> None:
        """Note where the frame has edges."""
        self._samples.append(sample)
        self._strokes.append(sampling.strokes(shown))

    def seen(self) -> Sequence[Seen]:
        """What is read."""
        looks: list[tuple[float, Sequence[ReadLine]]] = []
        most = max(WORD_FRAMES, len(self._strokes) // WORD_SHARE)
        for number in sampling.most_unlike(self._strokes, most):
            self._deadline.check()
            sample = self._samples[number]
            looks.append((sample.time, self._eyes.words.look(sample.content())))
        return [seen_words(looks)]


def spread(samples: Sequence[T], count: int) -> list[T]:
    """At most `count` of the samples, evenly spread, the first and the last among them."""
    if len(samples) <= count:
        return list(samples)
    return [samples[round(place)] for place in np.linspace(0, len(samples) - 1, count)]
