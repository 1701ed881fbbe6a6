"""The marks of this repository as a scheme under test, and every scheme by name."""

import hashlib
import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.attacks.footage import Footage, Frame, joined, planes
from benchmarks.common import ROOT
from benchmarks.trials.known import KnownMessageDetector
from benchmarks.trials.peers import PEERS
from benchmarks.trials.scheme import CannotMark, Marked, Reading, Record, Scheme
from pipeline.release import strength
from pipeline.verify.observe import Kept
from watermark.base import Detection, Picture, TimedLuma
from watermark.carrier import HiddenMark, Strength
from watermark.detector import MAX_LOG10_CHANCE, HiddenMarkDetector
from watermark.errors import GeometryError
from watermark.issued import Issued
from watermark.keys import SECRET_BYTES, DetectionKey, MintingKey
from watermark.payload import PayloadCodec
from watermark.removal import Testimony, Verdict, with_payload, without_payload
from watermark.visible import DEFAULT_HANDLE, DEFAULT_LABEL, VisibleLayout, VisibleMark, choose_variant
from watermark.visible_path import VARIANTS

KNOWN: Final = "countermark-known"
FOREIGN: Final = 1000  # keys from here on belong to others
ISSUED: Final = 1_000_000
# How files begin that the visible mark alone needs.
VISIBLE: Final = ("visible", "removal", "look_alike", "local_carrier", "framing")
SURVEYED_PER_SECOND: Final = 3


@lru_cache(maxsize=8)
def tree_digest(*parts: str, leave_out: tuple[str, ...] = ()) -> str:
    """Digest of Python files under some folders or files of this checkout, as they were when first asked.

    `leave_out`: beginnings of names of files that do not count.
    """
    whole = hashlib.sha256()
    for part in parts:
        path = ROOT / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if leave_out and file.name.startswith(leave_out):
                continue
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

    @cached_property
    def _issued(self) -> Issued:
        """A service of a million releases. The list is drawn, but for the payloads of the first keys."""
        drawn = np.random.default_rng(1).integers(0, 1 << 63, ISSUED - FOREIGN, dtype=np.uint64)
        return Issued([*(self.payload(key) for key in range(FOREIGN)), *drawn.tolist()])

    def fingerprint(self, *, visible: bool = True) -> str:
        """Of the `watermark` package and what chooses the strength, less what only the visible mark needs."""
        code = tree_digest(
            "watermark",
            "pipeline/release/strength.py",
            "pipeline/media/trial.py",
            *(("pipeline/verify/observe.py",) if visible else ()),
            leave_out=() if visible else VISIBLE,
        )
        own = inspect.getsource(Countermark) if visible else inspect.getsource(Countermark.embed)
        return hashlib.sha256(f"{code} {own} {self._decibels}".encode()).hexdigest()

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
                marked = hidden.embed(Picture(time, y, u, v))
                assert marked.u is not None and marked.v is not None  # noqa: PT018 - there is colour
                yield Frame(time, joined(marked.y, marked.u, marked.v))

        made = replace(footage, play=play, boxes=layout.boxes if layout else None)
        record = {
            "decibels": chosen.psnr,
            "colour": chosen.chroma,
            "width": footage.width,
            "height": footage.height,
        }
        return Marked(footage=made, record=record | {"variant": variant if visible else None})

    def _strength(self, footage: Footage, key: DetectionKey, payload: int) -> Strength:
        if self._decibels is not None:
            return Strength(psnr=self._decibels)
        end = strength.excerpt_end(footage.seconds)
        excerpt: deque[Picture] = deque()
        for frame in footage.play():
            if frame.time > end and len(excerpt) > 1:
                break
            excerpt.append(strength.half_size(Picture(frame.time, *planes(frame.image))))
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
        found = read.detection if read else self._search(frames, key, Kept())
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
                "untouched": place.untouched if place else None, "listed": found.listed,
            },
        )  # fmt: skip

    def _search(self, frames: Iterable[Frame], key: int, kept: Kept) -> Detection:
        detector = HiddenMarkDetector([detection_key(key)], self._minting.accepts, self._issued)
        return detector.detect(_watched(frames, kept))

    def testimony(self, frames: Iterable[Frame], key: int, record: Record) -> "Read":
        """The blind search, and what both marks say of each other."""
        kept = Kept()
        found = self._search(frames, key, kept)
        layout = layout_of(key, found.payload or 0, record)
        if found.payload is None or found.geometry is None:
            hidden = found.presence_log10_chance <= MAX_LOG10_CHANCE
            said = without_payload(kept.frames, layout, hidden=hidden)
        else:
            said = with_payload(
                kept.frames, layout, detection_key(key), found.payload, found.geometry, colours=kept.colours
            )
        return Read(detection=found, said=said, kept=kept)


class KnownCountermark(Countermark):
    """The same mark, asked whether the key's message is there: the score is a proved one for that message."""

    def __init__(self) -> None:
        super().__init__()
        self.name = KNOWN

    def fingerprint(self, *, visible: bool = True) -> str:
        """That of `Countermark`, and of what is asked."""
        asked = tree_digest("benchmarks/trials/known.py") + inspect.getsource(KnownCountermark)
        return hashlib.sha256((super().fingerprint(visible=visible) + asked).encode()).hexdigest()

    def detect(self, frames: Iterable[Frame], key: int, record: Record | None = None) -> Reading:
        """The product's full blind search; the record of a visible mark is not looked at."""
        message, secret = self.payload(key), detection_key(key)
        detector = KnownMessageDetector(secret, self._minting.accepts, self._issued, message=message)
        found = detector.detect(Picture(frame.time, *planes(frame.image)) for frame in frames)
        present = found.payload is not None or found.presence_log10_chance <= MAX_LOG10_CHANCE
        told: Record = {"log10_chance": found.log10_chance, "listed": found.listed}
        return Reading(payload=found.payload, present=present, score=detector.surety, details=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a search found, what the marks say, and the small frames that it was said of."""

    detection: Detection
    said: Testimony
    kept: Kept


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


def _watched(frames: Iterable[Frame], kept: Kept) -> Iterator[Picture]:
    """The frames' planes; small copies of the first seconds are kept, as in a verification."""
    for frame in frames:
        picture = Picture(frame.time, *planes(frame.image))
        kept.take(picture)
        yield picture


SCHEMES: Final[dict[str, Callable[[float | None, Path | None], Scheme]]] = {
    "countermark": lambda decibels, _weights: Countermark(decibels),
    KNOWN: lambda _decibels, _weights: KnownCountermark(),
    **PEERS,
}
"""By name: a function of the strength and of a folder of weights.

The strength is in the scheme's own unit, None for its own choice: decibels for ours, a multiple of the
published strength for peers. Only peers whose weights nobody may ship need a folder.
"""


def scheme_of(told: str, strength: float | None) -> Scheme:
    """The scheme of ``NAME``, or ``NAME=FOLDER`` for one that needs weights.

    Raises: UnknownScheme, or PeerMissing where its packages or weights are not there.
    """
    name, _, folder = told.partition("=")
    if name not in SCHEMES:
        raise UnknownScheme(f"there is no scheme {name!r}; choose from {', '.join(SCHEMES)}")
    return SCHEMES[name](strength, Path(folder) if folder else None)


class UnknownScheme(Exception):
    """No scheme has this name."""
