"""Looking at clips and pictures: what is kept of them, and that an eye that fails never passes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.base import CheckState, Kind, Line, Picture, Vectors
from classifiers.errors import TooManyFaces, TooManyWords
from classifiers.faces import Face
from classifiers.sampling import regions_of
from classifiers.words import ReadLine
from pipeline import checks
from pipeline.errors import LimitExceeded, MediaUnreadable
from pipeline.media.types import MediaLimits

# Of the frames of 16:9 that are looked at here.
REGIONS = regions_of(160, 90)

MakeClip = Callable[..., Path]


class Colours:
    """A real, if simple, embedder: the mean colours of four quarters."""

    space, dimension = "colours", 12

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sizes: list[tuple[int, ...]] = []

    def embed_images(self, images: Sequence[Picture]) -> Vectors:
        if self.error:
            raise self.error
        self.sizes += [image.shape for image in images]
        rows = [np.concatenate([part.mean((0, 1)) for part in quarters(image)]) for image in images]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return np.zeros((len(texts), self.dimension), np.float32)


def quarters(image: Picture) -> list[Picture]:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return [image[:height, :width], image[:height, width:], image[height:, :width], image[height:, width:]]


class Bright:
    """Takes every picture for one face that is bright enough."""

    space = "bright"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.looked = 0

    def look(self, picture: Picture) -> tuple[Face, ...]:
        if self.error:
            raise self.error
        self.looked += 1
        vector = np.full(128, picture.mean() / 255, np.float32)
        return (Face(box=(0.0, 0.0, 1.0, 1.0), vector=vector, certainty=1.0),) if picture.mean() > 250 else ()


class Spells:
    """Reads how bright a picture is."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.looked = 0

    def look(self, picture: Picture) -> tuple[ReadLine, ...]:
        if self.error:
            raise self.error
        self.looked += 1
        return (ReadLine(line=Line(text=f"{picture.mean():.2f}", confidence=1.0), box=(0, 0, 1, 1)),)


class Eyes:
    def __init__(
        self, clip: Colours | None = None, faces: Bright | None = None, words: Spells | None = None
    ) -> None:
        self.clip, self.faces, self.words = clip or Colours(), faces or Bright(), words or Spells()


def test_a_clip(make_clip: MakeClip, tmp_path: Path) -> None:
    eyes, told = Eyes(), list[float]()
    clip = make_clip(tmp_path / "clip.mp4", frames=48, fps=24)
    sight = checks.look(clip, eyes, MediaLimits(), told.append).sight
    frames, faces, words = sight.seen
    moments = sorted(set(frames.times))
    assert moments[0] == 0
    assert moments[-1] == pytest.approx(47 / 24)
    assert frames.vectors.shape == (len(frames.times), 12) == (len(moments) * len(REGIONS), 12)
    assert frames.boxes[: len(REGIONS)] == regions_of(160, 96)
    assert (frames.kind, frames.space) == (Kind.FRAME, "colours")
    assert (faces.kind, faces.space, faces.vectors.shape) == (Kind.FACE, "bright", (0, 128))
    assert eyes.faces.looked <= checks.FACE_FRAMES
    assert words.kind is Kind.WORDS
    assert len(words.lines) == len(words.times) == len(words.boxes) <= eyes.words.looked <= checks.WORD_FRAMES
    assert len(told) == 48
    np.testing.assert_array_equal(
        frames.vectors, checks.look(clip, Eyes(), MediaLimits()).sight.seen[0].vectors
    )


def test_a_large_clip_is_looked_at_smaller(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LONGEST_SIDE", 80)
    eyes = Eyes()
    checks.look(make_clip(tmp_path / "clip.mp4", frames=2), eyes, MediaLimits())
    assert eyes.clip.sizes[0] == (48, 80, 3)


def test_pictures() -> None:
    white, black = np.full((96, 128, 3), 255, np.uint8), np.full((96, 128, 3), 3, np.uint8)
    frames, faces, words = checks.look_at_pictures([white, black], Eyes()).sight.seen
    assert set(frames.times) == {0.0, 1.0}
    assert (faces.times, faces.boxes) == ((0.0,), ((0.0, 0.0, 1.0, 1.0),))
    assert [line.text for line in words.lines] == ["255.00"]  # neither has an edge: one of them is read


def test_pictures_of_other_proportions_have_other_regions() -> None:
    wide, high = np.full((90, 160, 3), 80, np.uint8), np.full((160, 90, 3), 80, np.uint8)
    eyes = Eyes()
    frames = checks.look_at_pictures([wide, wide, high, wide], eyes).sight.seen[0]
    regions = [regions_of(160, 90), regions_of(160, 90), regions_of(90, 160), regions_of(160, 90)]
    assert frames.boxes == sum(regions, ())
    assert frames.times == tuple(float(at) for at, boxes in enumerate(regions) for _ in boxes)
    assert len(frames.vectors) == len(frames.boxes)
    assert len(eyes.clip.sizes) == len(frames.boxes) - len(regions[1])  # the second looked as the first


def test_what_looks_as_before_is_not_looked_at_again() -> None:
    """Only the corner in which something moves is embedded anew; every time and box is still told."""
    noise = np.random.default_rng(1).integers(0, 256, (9, 16, 3), np.uint8)
    still = np.kron(noise, np.ones((20, 20, 1), np.uint8))
    moved = still.copy()
    moved[10:40, 10:40] = 255 * (moved[10:40, 10:40] < 128)
    eyes = Eyes()
    frames, faces, words = checks.look_at_pictures(
        [still, still, still + (still < 254), moved], eyes
    ).sight.seen
    assert len(eyes.clip.sizes) == len(REGIONS) + 3  # the whole and the two squares of the upper left corner
    assert (eyes.faces.looked, eyes.words.looked) == (2, 2)
    assert frames.times == tuple(float(n) for n in range(4) for _ in REGIONS)
    assert frames.boxes == REGIONS * 4
    alone = [checks.look_at_pictures([one], Eyes()).sight.seen[0].vectors for one in (still, moved)]
    np.testing.assert_array_equal(frames.vectors[: 2 * len(REGIONS)], np.concatenate([alone[0]] * 2))
    np.testing.assert_array_equal(frames.vectors[-len(REGIONS) :], alone[1])
    assert words.times == (0.0, 3.0)
    assert len(faces.vectors) == 0


def test_small_changes_add_up_until_they_are_looked_at() -> None:
    eyes = Eyes()
    checks.look_at_pictures([np.full((90, 160, 3), 50 + level, np.uint8) for level in range(13)], eyes)
    assert len(eyes.clip.sizes) == 3 * len(REGIONS)


@pytest.mark.parametrize(
    ("eyes", "check", "state"),
    [
        (Eyes(clip=Colours(RuntimeError("out of memory"))), "frames", CheckState.FAILED),
        (Eyes(faces=Bright(ValueError("no face model"))), "likeness", CheckState.FAILED),
        (Eyes(words=Spells(RuntimeError("no reader"))), "words", CheckState.FAILED),
        (Eyes(faces=Bright(TooManyFaces("70 faces"))), "likeness", CheckState.SKIPPED),
        (Eyes(words=Spells(TooManyWords("70 lines"))), "words", CheckState.SKIPPED),
    ],
)
def test_an_eye_that_fails_is_reported_and_saw_nothing(eyes: Any, check: str, state: CheckState) -> None:
    looked = checks.look_at_pictures([np.zeros((96, 96, 3), np.uint8) + 9], eyes)
    assert [(report.check, report.state) for report in looked.unfinished] == [(check, state)]
    assert len(looked.sight.seen) == 2


def test_looking_takes_only_so_long(make_clip: MakeClip, tmp_path: Path) -> None:
    looked = checks.look(make_clip(tmp_path / "clip.mp4", frames=3), Eyes(), MediaLimits(), seconds=0.0)
    assert {report.state for report in looked.unfinished} == {CheckState.TIMED_OUT}
    assert {report.check for report in looked.unfinished} == {"frames", "likeness", "words"}
    assert looked.sight.seen == ()


def test_bad_files(make_clip: MakeClip, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(make_clip(tmp_path / "clip.mp4").read_bytes()[:900])
    with pytest.raises(MediaUnreadable):
        checks.look(broken, Eyes(), MediaLimits())
    with pytest.raises(LimitExceeded):
        checks.look(tmp_path / "clip.mp4", Eyes(), MediaLimits(max_frames=3))


def test_spread() -> None:
    found = checks.spread(range(24), 8)
    assert (found[0], found[-1], len(set(found))) == (0, 23, 8)
    assert checks.spread(range(3), 8) == [0, 1, 2]
