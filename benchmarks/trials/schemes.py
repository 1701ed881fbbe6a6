"""What is under test, behind a protocol: something that marks footage, and reads what became of it."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from benchmarks.attacks.footage import Footage, Frame, joined, planes
from benchmarks.common import ROOT
from pipeline.release import strength
from pipeline.verify.observe import KEPT_INTERVAL, KEPT_SECONDS, small
from watermark.base import Detection, TimedLuma
from watermark.carrier import HiddenMark, Strength
from watermark.detector import MAX_LOG10_CHANCE, HiddenMarkDetector
from watermark.errors import GeometryError
from watermark.keys import SECRET_BYTES, DetectionKey, MintingKey
from watermark.payload import PayloadCodec
from watermark.removal import Testimony, Verdict, with_payload, without_payload
from watermark.visible import DEFAULT_HANDLE, DEFAULT_LABEL, VisibleLayout, VisibleMark, choose_variant
from watermark.visible_path import VARIANTS

FOREIGN: Final = 1000  # keys from here on belong to others
SURVEYED_PER_SECOND: Final = 3

Record = Mapping[str, float | int | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Marked footage, and what the service would store of the release."""

    footage: Footage
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a blind reading says. ``payload``: None unless accepted. ``present``: a mark of the key is there,
    readable or not. ``score``: grows with certainty, the same for every clip (one threshold decides).
    ``removed``: whether the visible mark's removal is noticed, None where that was not looked at.
    ``details``: anything worth keeping.
    """

    payload: int | None
    present: bool
    score: float
    removed: bool | None = None
    details: Record = field(default_factory=dict)


class Scheme(Protocol):
    """A video watermark. All of it must be deterministic."""

    name: str

    def fingerprint(self) -> str:
        """Changes whenever code or settings change that can change a reading."""
        ...

    def payload(self, key: int) -> int:
        """What is embedded with the `key`-th key."""
        ...

    def embed(self, footage: Footage, key: int, *, visible: bool = False) -> Marked:
        """Mark footage with the `key`-th key and its payload; ``visible``: with its visible mark too.

        Raises: CannotMark.
        """
        ...

    def detect(self, frames: Iterable[Frame], key: int, record: Record | None = None) -> Reading:
        """Search a stream of frames; `record` is for the visible mark only, the search itself is blind."""
        ...


class CannotMark(Exception):
    """The scheme refuses this footage; the text says why."""


@lru_cache(maxsize=8)
def tree_digest(*parts: str) -> str:
    """Digest of Python files under some folders or files of this checkout, as they were when first asked."""
    whole = hashlib.sha256()
    for part in parts:
        path = ROOT / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            whole.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()


class Countermark:
    """The marks of this repository: the hidden one, and the visible one where it is asked for.

    ``decibels``: a fixed luma PSNR; None: what a release would get (`pipeline.release.strength`).
    """

    def __init__(self, decibels: float | None = None) -> None:
        self.name = "countermark" if decibels is None else f"countermark at {decibels:g} dB"
        self._decibels = decibels
        self._minting = PayloadCodec(MintingKey(secret=_secret("minting")))

    def fingerprint(self) -> str:
        """Of the whole `watermark` package and of what chooses the strength."""
        code = tree_digest(
            "watermark",
            "pipeline/release/strength.py",
            "pipeline/media/trial.py",
            "pipeline/verify/observe.py",
        )
        own = Path(__file__).read_bytes() + str(self._decibels).encode()
        return hashlib.sha256(code.encode() + own).hexdigest()

    def payload(self, key: int) -> int:
        """As a release's: issued from a counter."""
        return self._minting.issue(key + 1)

    def embed(self, footage: Footage, key: int, *, visible: bool = False) -> Marked:
        """The visible mark first, then the hidden one, as in a release."""
        secret, payload = detection_key(key), self.payload(key)
        try:
            chosen = self._strength(footage, secret, payload)
            layout, variant, draw = self._visible(footage, secret, payload) if visible else (None, 0, None)
            HiddenMark(secret, payload, footage.width, footage.height, chosen)
        except GeometryError as error:
            raise CannotMark(str(error)) from None

        def play() -> Iterator[Frame]:
            hidden = HiddenMark(secret, payload, footage.width, footage.height, chosen)
            for time, image in footage.play():
                y, u, v = planes(image.copy())
                if draw:
                    draw(y, u, v, time)
                yield Frame(time, joined(hidden.embed(y, time), u, v))

        made = replace(footage, play=play, boxes=layout.boxes if layout else None)
        record = {"decibels": chosen.psnr, "width": footage.width, "height": footage.height}
        return Marked(footage=made, record=record | {"variant": variant if visible else None})

    def _strength(self, footage: Footage, key: DetectionKey, payload: int) -> Strength:
        if self._decibels is not None:
            return Strength(psnr=self._decibels)
        end = strength.excerpt_end(footage.seconds)
        excerpt: deque[TimedLuma] = deque()
        for frame in footage.play():
            if frame.time > end and len(excerpt) > 1:
                break
            excerpt.append(TimedLuma(frame.time, strength.half_size(frame.luma)))
            while frame.time - excerpt[0].time > strength.TRIAL_SECONDS:
                excerpt.popleft()
        return strength.choose(excerpt, footage.seconds, key, payload)

    def _visible(
        self, footage: Footage, key: DetectionKey, payload: int
    ) -> tuple[VisibleLayout, int, Callable[..., None]]:
        sampled: list[TimedLuma] = []
        for time, image in footage.play():
            if len(sampled) < time * SURVEYED_PER_SECOND + 1:
                sampled.append(TimedLuma(time, planes(image)[0]))
        variant = choose_variant(sampled, key.visible, payload, DEFAULT_LABEL, DEFAULT_HANDLE)
        mark = VisibleMark(key.visible, payload, variant, footage.width, footage.height)
        return mark, variant, mark.draw

    def detect(self, frames: Iterable[Frame], key: int, record: Record | None = None) -> Reading:
        """The product's full blind search; accepted only where the proved bound is at most 10⁻⁹.

        With the record of a visible mark: what both marks say of each other (`watermark.removal`).
        """
        looked = record is not None and record.get("variant") is not None
        read = self.testimony(frames, key, record) if record is not None and looked else None
        found = read.detection if read else self._search(frames, key, [])
        present = found.payload is not None or found.presence_log10_chance <= MAX_LOG10_CHANCE
        place = found.geometry
        gone = read is not None and read.said.verdict is Verdict.REMOVED
        return Reading(
            payload=found.payload,
            present=present,
            score=-min(found.log10_chance, found.presence_log10_chance),
            removed=gone and found.payload == self.payload(key) if read else None,
            details={
                "log10_chance": found.log10_chance, "presence_log10_chance": found.presence_log10_chance,
                "visible": str(read.said.verdict) if read else None, "scale": place.scale if place else None,
                "hole": read.said.hole.evidence if read else None,
                "untouched": place.untouched if place else None,
            },
        )  # fmt: skip

    def _search(self, frames: Iterable[Frame], key: int, kept: list[TimedLuma]) -> Detection:
        detector = HiddenMarkDetector([detection_key(key)], self._minting.accepts)
        return detector.detect(_watched(frames, kept))

    def testimony(self, frames: Iterable[Frame], key: int, record: Record) -> "Read":
        """The blind search, and what both marks say of each other."""
        kept: list[TimedLuma] = []
        found = self._search(frames, key, kept)
        layout = layout_of(key, found.payload or 0, record)
        if found.payload is None or found.geometry is None:
            hidden = found.presence_log10_chance <= MAX_LOG10_CHANCE
            said = without_payload(kept, layout, hidden=hidden)
        else:
            said = with_payload(kept, layout, detection_key(key), found.payload, found.geometry)
        return Read(detection=found, said=said, kept=tuple(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a search found, what the marks say, and the small frames that it was said of."""

    detection: Detection
    said: Testimony
    kept: tuple[TimedLuma, ...]


def layout_of(key: int, payload: int, record: Record, *, other: int = 0) -> VisibleLayout:
    """Where the plates are by a record; `other`: on the path of so many variants further."""
    width, height, variant = (int(record[name] or 0) for name in ("width", "height", "variant"))
    secret = detection_key(key).visible
    return VisibleLayout(secret, payload, (variant + other) % VARIANTS, width, height)


def detection_key(number: int) -> DetectionKey:
    """The `number`-th key of the benchmark."""
    return DetectionKey(epoch=1, secret=_secret(f"detection {number}"))


def _secret(name: str) -> bytes:
    return hashlib.sha256(f"countermark benchmark {name}".encode()).digest()[:SECRET_BYTES]


def _watched(frames: Iterable[Frame], kept: list[TimedLuma]) -> Iterator[TimedLuma]:
    """The frames' luma; small copies of the first seconds are `kept`, as in a verification."""
    due = 0.0
    for frame in frames:
        plane = np.ascontiguousarray(frame.luma)
        if due <= frame.time <= KEPT_SECONDS:
            kept.append(TimedLuma(frame.time, small(plane)))
            due = frame.time + KEPT_INTERVAL
        yield TimedLuma(frame.time, plane)


SCHEMES: Final[dict[str, Callable[[float | None], Scheme]]] = {"countermark": Countermark}
"""By name: a function of the strength in dB (None: the scheme's own choice). Peers are added here."""
