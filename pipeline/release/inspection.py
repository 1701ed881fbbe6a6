"""The encoded file is read again like anybody's: is our own mark in it, and what is its fingerprint?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.credentials.fingerprint import STORED, Fingerprint, Fingerprinter
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from watermark.base import Detection, Picture
from watermark.detector import HiddenMarkDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the encoded file shows: the hidden mark, the fingerprint of its frames, their number."""

    detection: Detection
    fingerprint: Fingerprint
    frames: int
    seconds: float


def inspect(
    path: Path, detector: HiddenMarkDetector, limits: MediaLimits, progress: Callable[[float], None]
) -> Inspection:
    """Decode `path` once, detecting and fingerprinting. Raises: what `open_clip` raises."""
    prints = Fingerprinter(sampling=STORED)
    with open_clip(path, limits=limits) as clip:

        def frames() -> Iterator[Picture]:
            for frame in clip.frames():
                prints.add(frame.time, frame.y)
                progress(frame.time)
                yield Picture(frame.time, frame.y, frame.u, frame.v)

        detection = detector.detect(frames())
        return Inspection(
            detection=detection, fingerprint=prints.finish(), frames=detection.frames,
            seconds=clip.info.duration or 0.0,
        )  # fmt: skip
