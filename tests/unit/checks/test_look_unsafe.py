"""Frames that are judged as they are seen: the very vectors, each new frame once, nothing by half."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from classifiers.base import CheckState, Kind, Picture, Vectors
from classifiers.sampling import regions_of
from classifiers.unsafe.check import CATEGORIES, NEVER
from classifiers.unsafe.frames import FrameJudges
from classifiers.unsafe.heads import ConceptHead, Head, Linear, dump
from classifiers.unsafe.taxonomy import Category
from pipeline import checks
from pipeline.media.types import MediaLimits

MakeClip = Callable[..., Path]
GORE = CATEGORIES.index(Category.GORE)
# Of the frames of 16:9 that are looked at here.
REGIONS = regions_of(160, 90)


class Means:
    """A real, if simple, embedder: how red, green and blue a picture is; it counts what it was shown."""

    space, dimension = "means", 3

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.shown = error, 0

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        if self.error:
            raise self.error
        self.shown += len(images)
        rows = np.stack([image.reshape(-1, 3).mean(0) + 1 for image in images])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return np.zeros((len(texts), 3), np.float32)


class Redness:
    """A classifier: the redder, the gorier."""

    space, judged = "pictures-red", frozenset({Category.GORE})

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.batches = error, list[int]()

    def judge(self, pictures: Sequence[Picture]) -> Vectors:
        if self.error:
            raise self.error
        self.batches.append(len(pictures))
        found = np.full((len(pictures), len(CATEGORIES)), NEVER, np.float32)
        found[:, GORE] = [float(one[..., 0].mean()) / 32 - 4 for one in pictures]
        return found


class Nothing:
    space = "nothing"

    def look(self, _picture: Picture) -> tuple[()]:
        return ()


class Eyes:
    def __init__(self, judges: FrameJudges, clip: Means | None = None) -> None:
        self.clip, self.faces, self.words = clip or Means(), Nothing(), Nothing()
        self._judges = judges

    def frame_judges(self) -> FrameJudges:
        return self._judges


@pytest.fixture
def head(tmp_path: Path) -> ConceptHead:
    """Takes what is redder than it is green or blue for gore."""
    weight = np.array([[8.0, -8.0, -8.0]], np.float32)
    layer = Linear(weight=weight, bias=np.zeros(1, np.float32))
    path = tmp_path / "red.safetensors"
    path.write_bytes(dump(Head(space="means", categories=(Category.GORE,), layers=(layer,))))
    return ConceptHead(path, "means")


def plain(*colour: int) -> Picture:
    return np.full((90, 160, 3), colour, np.uint8)


RED, BLUE = plain(255, 0, 0), plain(0, 0, 255)


def test_a_head_reads_the_very_vectors_of_the_frames(head: ConceptHead) -> None:
    left_red = BLUE.copy()
    left_red[:, :80] = (255, 0, 0)
    alone, judged = Eyes(FrameJudges()), Eyes(FrameJudges(head=head))
    pictures = [BLUE, left_red, left_red]
    without, with_head = (checks.look_at_pictures(pictures, eyes) for eyes in (alone, judged))
    assert judged.clip.shown == alone.clip.shown < len(pictures) * len(REGIONS)  # not a picture more
    frames, *_, unsafe = with_head.sight.seen
    assert [one.kind for one in without.sight.seen] == [one.kind for one in with_head.sight.seen[:-1]]
    np.testing.assert_array_equal(without.sight.seen[0].vectors, frames.vectors)
    assert (unsafe.kind, unsafe.space) == (Kind.UNSAFE_FRAME, head.space)
    assert (unsafe.times, unsafe.boxes) == (frames.times, frames.boxes)
    wanted = head.judge(frames.vectors).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(unsafe.vectors, wanted)
    numbers = unsafe.vectors[:, GORE].reshape(3, len(REGIONS))
    assert (numbers[0] < 0).all()
    assert numbers[1].max() > 0 > numbers[1].min()  # some of its regions
    np.testing.assert_array_equal(numbers[1], numbers[2])


def test_a_classifier_is_shown_each_new_frame_once() -> None:
    redness = Redness()
    looked = checks.look_at_pictures([RED, RED, BLUE] * 8, Eyes(FrameJudges(classifier=redness)))
    [unsafe] = looked.sight.of(Kind.UNSAFE_FRAME)
    assert unsafe.times == tuple(range(24))
    assert (unsafe.vectors[:, GORE] > 0).tolist() == [True, True, False] * 8
    assert sum(redness.batches) == 16
    assert max(redness.batches) <= checks.BATCH_FRAMES


def test_both_judge_a_clip(make_clip: MakeClip, tmp_path: Path, head: ConceptHead) -> None:
    eyes = Eyes(FrameJudges(head=head, classifier=Redness()))
    looked = checks.look(make_clip(tmp_path / "clip.mp4", frames=24, fps=24), eyes, MediaLimits())
    assert looked.unfinished == ()
    by_head, by_classifier = looked.sight.of(Kind.UNSAFE_FRAME)
    assert set(by_head.times) == set(by_classifier.times)
    assert len(by_head.times) == len(by_classifier.times) * len(REGIONS)


def test_a_clip_that_one_of_them_could_not_judge_was_not_judged(head: ConceptHead) -> None:
    for eyes in (
        Eyes(FrameJudges(head=head, classifier=Redness(RuntimeError("out of memory")))),
        Eyes(FrameJudges(head=head, classifier=Redness()), clip=Means(RuntimeError("out of memory"))),
    ):
        looked = checks.look_at_pictures([RED, BLUE], eyes)
        assert looked.sight.of(Kind.UNSAFE_FRAME) == ()
        states = {report.check: report.state for report in looked.unfinished}
        assert states["unsafe_frames"] is CheckState.FAILED


def test_eyes_that_judge_nothing_leave_no_trace() -> None:
    looked = checks.look_at_pictures([RED], Eyes(FrameJudges()))
    assert looked.sight.of(Kind.UNSAFE_FRAME) == ()
    assert looked.unfinished == ()
