"""Clips to try marks on: real ones from a folder, rendered ones from this repository, cut to size and length.

A window of a clip is decoded once and laid down as raw frames in a scratch file, from which attacks play it
as often as they like: memory stays that of a frame.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.attacks.footage import Footage, Frame, even, joined, resized
from benchmarks.tools.drawn_trials import write_clip
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_clip
from generator.embedded.world.scene import random_scene
from pipeline.errors import CountermarkError
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits

REAL: Final = "real"
RENDERED: Final = "rendered"
RENDERED_SEED: Final = 60
RENDERED_SIZE: Final = (1280, 720)
RENDERED_RATE: Final = 24.0
RENDERED_SECONDS: Final = 6.0
RENDERED_CRF: Final = 8
DIGEST_HEX: Final = 32
SLACK: Final = 1e-6  # seconds


class NoMaterial(Exception):
    """There is no clip to try; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A clip's file, whether it is real or rendered, its length in seconds and a digest of its bytes."""

    name: str
    material: str
    path: Path
    seconds: float
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A column of the tables: ``lines`` of the short side (0: as the clip is), and how much of a clip is
    looked at: ``seconds`` or, where that is not 0, ``frames``.
    """

    name: str
    lines: int
    seconds: float = math.inf
    frames: int = 0


SIZES: Final = {
    size.name: size
    for size in (
        Size(name="1080p", lines=1080, seconds=5.0),
        Size(name="480p", lines=480, seconds=5.0),
        Size(name="256p", lines=256, seconds=4.0),
        Size(name="native", lines=0, frames=72),  # the protocol of VideoSeal
        Size(name="480p72", lines=480, frames=72),
        Size(name="480p24", lines=480, frames=24),  # so that slow peers can be run
    )
}


def real(clips: Sequence[Path]) -> list[Source]:
    """The files of a folder as sources. Raises: NoMaterial for one that holds no picture."""
    return [_source(path, REAL) for path in clips]


def rendered(count: int, folder: Path) -> list[Source]:
    """The first `count` clips of the repository's own world; drawn into `folder` where they are not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = []
    for index in range(count):
        path = folder / f"rendered_{index + 1}.mp4"
        if not path.exists():
            _draw(index, path)
        sources.append(_source(path, RENDERED))
    return sources


def _draw(index: int, path: Path) -> None:
    random = np.random.default_rng([RENDERED_SEED, index])
    width, height = RENDERED_SIZE
    pictures = render_clip(
        random_design(random), random_scene(random), width=width, height=height,
        frames=round(RENDERED_SECONDS * RENDERED_RATE), frame_rate=RENDERED_RATE,
    )  # fmt: skip
    partial = path.with_suffix(f".{os.getpid()}.partial.mp4")
    write_clip(pictures, partial, RENDERED_RATE, RENDERED_CRF)
    partial.rename(path)


def _source(path: Path, material: str) -> Source:
    try:
        with open_clip(path, limits=MediaLimits(), planes="y") as clip:
            times = [frame.time for frame in clip.frames()]
            seconds = clip.info.duration or (times[-1] if times else 0.0)
    except CountermarkError as error:
        raise NoMaterial(f"{path}: {error}; leave it out of the folder") from None
    if len(times) < 2:
        raise NoMaterial(f"{path} has fewer than two pictures; leave it out of the folder")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_HEX]
    return Source(name=path.name, material=material, path=path, seconds=seconds, digest=digest)


def starts(source: Source, size: Size, windows: int) -> list[float]:
    """Where windows begin: evenly spread; a clip hardly longer than one window has only the first."""
    room = source.seconds - size.seconds if size.frames == 0 else 0.0
    if windows == 1 or room < 0.5:
        return [0.0]
    return [round(room * index / (windows - 1), 3) for index in range(windows)]


def window(source: Source, size: Size, start: float, scratch: Path) -> Footage:
    """Part of a clip at one size, laid down in the file `scratch`; its time begins at 0."""
    with open_clip(source.path, limits=MediaLimits(), threads=1) as clip:
        factor = size.lines / min(clip.info.width, clip.info.height) if size.lines else 1.0
        width, height = even(clip.info.width * factor), even(clip.info.height * factor)
        rate = float(clip.info.frame_rate or RENDERED_RATE)

        def cut() -> Iterator[Frame]:
            first: float | None = None
            count = 0
            for frame in clip.frames():
                if frame.time < start - SLACK:
                    continue
                first = frame.time if first is None else first
                if frame.time - first >= size.seconds - SLACK or (size.frames and count == size.frames):
                    return
                assert frame.u is not None and frame.v is not None  # noqa: PT018 - asked for all planes
                count += 1
                yield Frame(frame.time - first, resized(joined(frame.y, frame.u, frame.v), width, height))

        return laid_down(cut(), scratch, rate)


def laid_down(frames: Iterable[Frame], scratch: Path, rate: float) -> Footage:
    """Frames of one size written raw into a file, from which they can be played any number of times.

    Raises: NoMaterial when there are none.
    """
    times: list[float] = []
    shape: tuple[int, ...] = (0, 0)
    with scratch.open("wb") as file:
        for time, image in frames:
            times.append(time)
            shape = image.shape
            file.write(np.ascontiguousarray(image).data)
    if not times:
        raise NoMaterial("no picture is left of this clip")
    return Footage(
        width=shape[1], height=shape[0] * 2 // 3, rate=rate, seconds=times[-1] + 1 / rate,
        play=lambda: played(scratch, times, shape),
    )  # fmt: skip


def played(scratch: Path, times: Sequence[float], shape: tuple[int, ...]) -> Iterator[Frame]:
    """The frames of a file of raw images of one shape, at these times."""
    with scratch.open("rb") as file:
        for time in times:
            image = np.empty(shape, np.uint8)
            file.readinto(image.data)
            yield Frame(time, image)


def held(footage: Footage, scratch: Path) -> Footage:
    """The same footage, its frames made once and laid down."""
    return replace(laid_down(footage.play(), scratch, footage.rate), boxes=footage.boxes)


def swung(footage: Footage, scratch: Path, seconds: float) -> Footage:
    """The footage shown forwards and backwards by turns, evenly spaced, until `seconds` are over."""
    shape = (footage.height * 3 // 2, footage.width)
    with scratch.open("wb") as file:
        count = sum(1 for image in footage.play() if file.write(np.ascontiguousarray(image.image).data))
    wanted = max(1, round(seconds * footage.rate))

    def play() -> Iterator[Frame]:
        with scratch.open("rb") as file:
            for index in range(wanted):
                turn, place = divmod(index, count)
                image = np.empty(shape, np.uint8)
                file.seek((place if turn % 2 == 0 else count - 1 - place) * image.size)
                file.readinto(image.data)
                yield Frame(index / footage.rate, image)

    return replace(footage, play=play, seconds=wanted / footage.rate)
