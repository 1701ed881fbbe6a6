"""The encoded file is read again like anybody's: is our own mark in it, and what is to be seen in it?"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.credentials.fingerprint import STORED, Fingerprint, Fingerprinter
from pipeline.credentials.moments import Moments, Taker
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.types import Json
from watermark.base import Detection, Picture
from watermark.detector import HiddenMarkDetector
from watermark.payload import as_hex
from watermark.visible import VisibleLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the encoded file shows: the hidden mark, fingerprint and moments of its frames, their number."""

    detection: Detection
    fingerprint: Fingerprint
    moments: Moments
    frames: int
    seconds: float

    def to_json(self, payload: int) -> Json:
        """As the step records it; `payload`: what the mark has to say."""
        found = self.detection.payload
        return {
            "found": found == payload,
            "payload": None if found is None else as_hex(found),
            "log10_chance": round(self.detection.log10_chance, 2),
            "fingerprint": base64.b64encode(self.fingerprint.to_bytes()).decode(),
            "moments": base64.b64encode(self.moments.to_bytes()).decode(),
            "frames": self.frames, "seconds": round(self.seconds, 3),
        }  # fmt: skip


def stored(seen: dict[str, Any]) -> bytes:
    """What a release stores of what was seen (`pipeline.credentials.moments.with_moments`)."""
    # A job that an older version inspected has no moments.
    return base64.b64decode(seen["fingerprint"]) + base64.b64decode(seen.get("moments", ""))


def inspect(
    path: Path,
    detector: HiddenMarkDetector,
    layout: VisibleLayout,
    limits: MediaLimits,
    progress: Callable[[float], None],
) -> Inspection:
    """Decode `path` once. `layout`: of its visible mark, which is left out of the moments.

    Raises: what `open_clip` raises.
    """
    prints, taker = Fingerprinter(sampling=STORED), Taker(covered=layout.boxes)
    with open_clip(path, limits=limits) as clip:

        def frames() -> Iterator[Picture]:
            for frame in clip.frames():
                prints.add(frame.time, frame.y)
                taker.add(frame.time, frame.y, frame.u, frame.v)
                progress(frame.time)
                yield Picture(frame.time, frame.y, frame.u, frame.v)

        detection = detector.detect(frames())
        return Inspection(
            detection=detection, fingerprint=prints.finish(), moments=taker.finish(),
            frames=detection.frames, seconds=clip.info.duration or 0.0,
        )  # fmt: skip
