"""Copies of released clips: what platforms and attackers do to them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from generator.base import GenerationRequest
from generator.scene import SceneGenerator
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb, jpeg
from pipeline.media.reader import open_clip
from pipeline.media.types import ClipInfo, Frame, MediaLimits, Plane
from pipeline.media.writer import ClipWriter

PLATFORM_CRF: Final = 28.0
NEAR_LOSSLESS: Final = 14.0
RATE: Final = Fraction(12)
MOST_MOVED: Final = 8  # luma levels: what a mark changes is less
STILL_SIDE: Final = 480  # pixels


def landscape(target: Path, info: ClipInfo, seconds: float, seed: int) -> Path:
    """A drawn landscape of the size of a clip, at 12 frames a second."""
    request = GenerationRequest(
        prompt="", width=info.width, height=info.height, seconds=seconds, frame_rate=RATE, seed=seed
    )
    plain = ClipInfo(
        width=info.width, height=info.height, time_base=1 / RATE, frame_rate=RATE, variable=False,
        colour=BT601_LIMITED,
    )  # fmt: skip
    with ClipWriter(target, plain, crf=NEAR_LOSSLESS, preset="veryfast") as writer:
        for index, rgb in enumerate(SceneGenerator().generate(request).frames):
            writer.write(frame_from_rgb(rgb, index, index / float(RATE)))
    return target


def shrunk(source: Path, target: Path, limits: MediaLimits) -> Path:
    """At three quarters of its size, encoded again without its credential, as platforms do."""
    with open_clip(source, limits=limits) as clip:
        info = replace(clip.info, width=clip.info.width * 3 // 8 * 2, height=clip.info.height * 3 // 8 * 2)
        with ClipWriter(target, info, crf=PLATFORM_CRF) as writer:
            for frame in clip.frames():
                writer.write(_resized(frame, info.width, info.height))
    return target


def mirrored(source: Path, target: Path, limits: MediaLimits) -> Path:
    """Left and right swapped, encoded again."""
    with open_clip(source, limits=limits) as clip, ClipWriter(target, clip.info, crf=PLATFORM_CRF) as writer:
        for frame in clip.frames():
            planes = {name: np.ascontiguousarray(plane[:, ::-1]) for name, plane in _planes(frame).items()}
            writer.write(_with(frame, planes))
    return target


def transplanted(marked: Path, plain: Path, host: Path, target: Path, limits: MediaLimits) -> Path:
    """The mark of a release put on other pictures: what the release has more than its source, added to them.

    All three are of one size; the shortest says how many frames there are.
    """
    with ExitStack() as stack:
        clips = [stack.enter_context(open_clip(path, limits=limits)) for path in (host, marked, plain)]
        writer = stack.enter_context(ClipWriter(target, clips[0].info, crf=NEAR_LOSSLESS))
        for frame, ours, theirs in zip(*(clip.frames() for clip in clips), strict=False):
            mark, source = _planes(ours), _planes(theirs)
            planes = {name: _added(plane, mark[name], source[name]) for name, plane in _planes(frame).items()}
            writer.write(_with(frame, planes))
    return target


def still(source: Path, target: Path, at: float, limits: MediaLimits) -> Path:
    """A frame as a JPEG picture; `at`: seconds."""
    with open_clip(source, limits=limits) as clip:
        frame = next(one for one in clip.frames() if one.time >= at)
        target.write_bytes(jpeg(frame, STILL_SIDE))
    return target


def _planes(frame: Frame) -> dict[str, Plane]:
    return dict(_each(frame))


def _each(frame: Frame) -> Iterator[tuple[str, Plane]]:
    for name, plane in (("y", frame.y), ("u", frame.u), ("v", frame.v)):
        assert plane is not None  # noqa: S101 - asked for all planes
        yield name, plane


def _resized(frame: Frame, width: int, height: int) -> Frame:
    sizes = {"y": (width, height), "u": (width // 2, height // 2), "v": (width // 2, height // 2)}
    planes = {
        name: cv2.resize(plane, sizes[name], interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        for name, plane in _planes(frame).items()
    }
    return _with(frame, planes)


def _with(frame: Frame, planes: dict[str, Plane]) -> Frame:
    return replace(frame, y=planes["y"], u=planes["u"], v=planes["v"])


def _added(host: Plane, marked: Plane, plain: Plane) -> Plane:
    moved = np.clip(marked.astype(np.int16) - plain, -MOST_MOVED, MOST_MOVED)
    added: Plane = np.clip(host + moved, 0, 255).astype(np.uint8)
    return added
